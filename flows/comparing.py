"""Pairs of pictures of near hashes, compared once and kept: what dedup asks before it drops a row."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel

from flows.executor import Runner, Steps
from flows.metering import Spent, Work, add, tally
from manifests.near import Compared, Pair
from manifests.recipe import Dedup
from shards.errors import PictureError
from shards.files import fingerprint, write_table, write_text
from shards.pack import Image, PictureReader
from shards.store import Box, Store

PAIRS_PER_JOB: Final = 128
"""Pairs of one file: a killed run repeats at most this many per worker."""

_HELD: Final = 8
"""Gray pictures that a job holds, at most 1 MB each; pairs of one cluster come one after the other."""

PAIRS: Final = {
    "left": pl.String,
    "right": pl.String,
    "mirrored": pl.Boolean,
    "same": pl.Boolean,
    "reason": pl.String,
    "difference": pl.Float64,
    "sentence": pl.String,
}


class ComparisonsAbout(BaseModel):
    """What a folder of comparisons holds, for people who find one."""

    likeness_version: int


class CompareJob(NamedTuple):
    """Pairs to be compared, and where their pictures lie; `box` None: nothing is kept."""

    store: Store
    box: Box | None
    pairs: tuple[Pair, ...]
    images: Mapping[str, Image]


def comparison_version(dedup: Dedup) -> dict[str, int]:
    """What the comparison of pictures adds to the fingerprint of a mixture: nothing where none is made."""
    from manifests.likeness import VERSION

    return {"likeness": VERSION} if dedup.looks and dedup.verify else {}


def comparison_box(store: Store) -> Box:
    """Where the comparisons of pictures lie. The box grows; each file in it is whole.

    Its name covers how pictures are compared and nothing of a mixture: no two pictures are compared twice.
    """
    from manifests.likeness import VERSION

    return store.box("likeness", "pictures", fingerprint("likeness", 1, VERSION))


def compared_pairs(box: Box, shas: pl.Series) -> pl.DataFrame:
    """What is known of these pictures: a frame of schema `PAIRS`, of pairs with one of them; sorted."""
    files = sorted(box.path.glob("*.parquet"))
    if not files:
        return pl.DataFrame(schema=PAIRS)
    wanted = pl.col("left").is_in(shas.implode()) | pl.col("right").is_in(shas.implode())
    return pl.scan_parquet(files).filter(wanted).sort("left", "right", "mirrored").collect()


class PictureComparison:
    """Compares pictures of a mixture: known pairs from the store, others by worker processes.

    `keep` writes them to the store, whose lock must be held then. `steps` counts the pairs compared and those known.
    """

    def __init__(self, store: Store, shards: Mapping[str, Box], runner: Runner, *, keep: bool) -> None:
        self._store, self._shards, self._runner, self._keep = store, shards, runner, keep
        self.steps = Steps()

    def __call__(self, pairs: Sequence[Pair]) -> Mapping[Pair, Compared]:
        """What the comparison of each pair says.

        Raises:
            StoreError: a picture is not in the store any more, or has other bytes.
        """
        box = comparison_box(self._store)
        known = _read(compared_pairs(box, pl.Series([pair.left for pair in pairs], dtype=pl.String)))
        missing = [pair for pair in pairs if pair not in known]
        if missing and self._keep:
            _write_about(box)
        jobs = self._jobs(missing, box if self._keep else None)
        for frame in self._runner.map("compare", compare_pictures, jobs):
            known |= _read(frame)
        self.steps = self.steps.plus(Steps(len(missing), len(pairs) - len(missing)))
        add(Work("compare"), Spent(executed=len(missing), cached=len(pairs) - len(missing)))
        return {pair: known[pair] for pair in pairs}

    def _jobs(self, pairs: Sequence[Pair], box: Box | None) -> list[CompareJob]:
        images = self._images({sha for pair in pairs for sha in (pair.left, pair.right)})
        jobs = []
        for start in range(0, len(pairs), PAIRS_PER_JOB):
            part = tuple(pairs[start : start + PAIRS_PER_JOB])
            shown = {sha: images[sha] for pair in part for sha in (pair.left, pair.right)}
            jobs.append(CompareJob(self._store, box, part, shown))
        return jobs

    def _images(self, shas: set[str]) -> dict[str, Image]:
        """Where pictures lie; the first source by name of those that hold one."""
        wanted = pl.Series(sorted(shas), dtype=pl.String).implode()
        found: dict[str, Image] = {}
        for source in sorted(self._shards) if shas else []:
            table = pl.scan_parquet(self._shards[source].path / "pictures.parquet")
            for row in table.filter(pl.col("sha256").is_in(wanted)).collect().iter_rows():
                found.setdefault(row[0], Image._make(row))
        return found


def compare_pictures(job: CompareJob) -> pl.DataFrame:
    """Compare the pairs of a job; a frame of schema `PAIRS`, written to the box of the job too.

    A picture that does not decode in full (its hash asks for less) is the same as no other.
    """
    from manifests.likeness import likeness, shrunk

    tally(Spent(rows=len(job.pairs), bytes=sum(image.size for image in job.images.values())))
    reader = PictureReader(str(job.store.root))

    @lru_cache(_HELD)
    def gray(sha: str) -> NDArray[np.uint8] | None:
        try:
            return shrunk(reader.picture(job.images[sha]).gray())
        except PictureError:
            return None

    rows: list[tuple[object, ...]] = []
    for pair in job.pairs:
        left, right = gray(pair.left), gray(pair.right)
        if left is None or right is None:
            rows.append((*pair, False, "unreadable", None, "a picture does not decode in full"))
            continue
        found = likeness(left, np.ascontiguousarray(right[:, ::-1]) if pair.mirrored else right)
        rows.append((*pair, found.same, found.reason, found.difference, found.sentence))
    frame = pl.DataFrame(rows, PAIRS, orient="row")
    if job.box:
        write_table(job.box.path / f"pairs-{fingerprint(job.pairs)[:20]}.parquet", frame)
    return frame


def _read(frame: pl.DataFrame) -> dict[Pair, Compared]:
    columns = frame.select("left", "right", "mirrored", "same", "reason", "difference")
    return {
        Pair(left, right, mirrored): Compared(same, reason, difference)
        for left, right, mirrored, same, reason, difference in columns.iter_rows()
    }


def _write_about(box: Box) -> None:
    from manifests.likeness import VERSION

    if not (box.path / "about.json").is_file():
        write_text(box.path / "about.json", ComparisonsAbout(likeness_version=VERSION).model_dump_json(indent=1) + "\n")
