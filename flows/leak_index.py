"""A benchmark read once: hashes of its pictures and texts, small gray pictures to compare with, and no word of it."""

import hashlib
import io
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from PIL import Image as PillowImage
from polars._typing import PolarsDataType

from filters.leak_boxes import BOXES, part_hashes
from filters.leak_index import Part, index_part, whole_index
from filters.leak_texts import VERSION as TEXT_VERSION
from flows.build import demo_pictures
from flows.executor import Runner
from flows.fetching import Progress
from flows.leak_sets import LeakIndex, locate_benchmark
from flows.resolve import Located, on_disk
from flows.sourcing import SourceJob, make_shards
from shards.errors import DataError, PictureError
from shards.files import fingerprint, write_table
from shards.pack import Image, PackWriter, PictureReader
from shards.picture import Facts, sample
from shards.sample import ShardsIndex, read_samples, sample_path
from shards.store import Box, Store

VERSION: Final = 1
"""Raised whenever the same benchmark may give another index."""

PICTURES_PER_JOB: Final = 512

_QUALITY: Final = 90
"""Of the JPEG that a gray picture is kept as: a comparison sees less than what training sets do to pictures."""

_FLAT: Final = 2.0
"""As `flat_std` of `filters.phash.PerceptualHash`."""

PICTURES: Final[dict[str, PolarsDataType]] = {
    "sha256": pl.String,
    "rows": pl.List(pl.String),  # keys of the benchmark's rows that show it
    "parts": pl.List(pl.UInt64),  # hashes of `filters.leak_boxes.BOXES`; null for a flat picture
    "gray": pl.Struct(  # where the small gray picture lies, as shards.pack.Image
        {
            **{"sha256": pl.String, "pack": pl.String, "row": pl.Int32, "offset": pl.Int64, "size": pl.Int64},
            **{"width": pl.Int32, "height": pl.Int32, "format": pl.String},
        }
    ),
}


class PicturePart(NamedTuple):
    """Some distinct pictures of a benchmark to be hashed and made small; `store` holds them, `box` is the index."""

    store: Store
    shards: Box
    box: Box
    number: int


class TextPart(NamedTuple):
    """One shard of a benchmark to be indexed."""

    shards: Box
    number: int


def index_benchmark(
    name: str, store: Store, runner: Runner, *, folder: Path | None = None, progress: Progress | None = None
) -> tuple[Box, LeakIndex]:
    """Read a benchmark and write its index; the store's lock must be held.

    Its samples are made in a folder of their own, which goes when the index is there.

    Args:
        name: of the benchmark, or of any source.
        store: where the index is kept.
        runner: maps the work.
        folder: with the files as the publisher gives them; None: registered ones, or a download.
        progress: hears of the download.

    Raises:
        CatalogError: no such benchmark, or one whose files cannot be had.
        DataError: no row of it can be read.
    """
    located = locate_benchmark(name, store, folder)
    making = Store(store.root / "leakage" / ".making" / located.source.name)
    shutil.rmtree(making.root, ignore_errors=True)
    try:
        with demo_pictures([located], store) as policy:
            place = on_disk(located, store, progress=progress)
            _link_mirror(store, making, place)
            job = SourceJob(making, place.source, place.base, policy, gated=False)
            shards = make_shards(job).shards
        return _index(place, store, making, shards, runner)
    finally:
        shutil.rmtree(making.root, ignore_errors=True)


def _link_mirror(store: Store, making: Store, located: Located) -> None:
    """Let pictures of a registered mirror be read where they lie."""
    mirror = store.root / "mirrors" / f"{located.source.name}.json"
    if mirror.is_file():
        (making.root / "mirrors").mkdir(parents=True, exist_ok=True)
        shutil.copy(mirror, making.root / "mirrors")


def _index(located: Located, store: Store, making: Store, shards: Box, runner: Runner) -> tuple[Box, LeakIndex]:
    source, found = located.source, shards.index(ShardsIndex)
    if not found.samples:
        raise DataError(f"benchmark `{source.name}`: no row can be read; see `vlmix sources check {source.name}`")
    named = fingerprint("leak index", VERSION, TEXT_VERSION, found.fingerprint, BOXES, _QUALITY, _FLAT)
    box = store.box("leakage", source.name, named)
    if not box.done:
        parts = runner.map("texts", index_texts, [TextPart(shards, number) for number in range(len(found.shards))])
        items, grams, pairs = whole_index(parts)
        for name, frame in (("items", items), ("grams", grams), ("pairs", pairs)):
            write_table(box.path / f"{name}.parquet", frame)
        numbers = range(-(-found.pictures // PICTURES_PER_JOB))
        frames = runner.map("pictures", index_pictures, [PicturePart(making, shards, box, each) for each in numbers])
        write_table(box.path / "pictures.parquet", _pictures(frames, shards, len(found.shards)))
    box.finish(_facts(box, located, found))
    return box, box.index(LeakIndex)


def _facts(box: Box, located: Located, found: ShardsIndex) -> LeakIndex:
    items = pl.read_parquet(box.path / "items.parquet", columns=["kind"])["kind"]
    parts = pl.read_parquet(box.path / "pictures.parquet", columns=["parts"])["parts"]
    return LeakIndex(
        benchmark=located.source.name,
        split=located.source.split,
        revision=located.source.revision,
        shards=found.fingerprint,
        rows=found.samples,
        quarantined=sum(found.quarantined.values()),
        pictures=len(parts),
        flat=parts.null_count(),
        questions=int((items == "question").sum()),
        answers=int((items == "answer").sum()),
        pairs=pl.read_parquet(box.path / "pairs.parquet", columns=["pair"]).height,
    )


def index_texts(job: TextPart) -> Part:
    """The texts of one shard of a benchmark."""
    return index_part(read_samples(sample_path(job.shards.path, job.number), ["key", "messages", "images"]))


def index_pictures(job: PicturePart) -> pl.DataFrame:
    """Some pictures of a benchmark, hashed and made small; one that does not decode is left out.

    Returns:
        Frame `sha256`, `parts`, `gray` of `PICTURES`.
    """
    table = pl.read_parquet(job.shards.path / "pictures.parquet")
    reader = PictureReader(str(job.store.root))
    rows: list[tuple[object, ...]] = []
    with PackWriter(job.box.store, job.box.name, f"grays-{job.number:05d}") as pack:
        for row in table[job.number * PICTURES_PER_JOB : (job.number + 1) * PICTURES_PER_JOB].iter_rows():
            image = Image._make(row)
            try:
                hashes = part_hashes(sample(reader(image)), BOXES, flat_std=_FLAT)
                data, facts = _small(reader, image)
            except PictureError:
                continue
            kept = pack.add(data, hashlib.sha256(data).hexdigest(), facts)
            rows.append((image.sha256, hashes, kept._asdict()))
    return pl.DataFrame(rows, {name: PICTURES[name] for name in ("sha256", "parts", "gray")}, orient="row")


def _small(reader: PictureReader, image: Image) -> tuple[bytes, Facts]:
    """The gray picture as comparisons want it, as JPEG."""
    from manifests.likeness import SIDE, shrunk

    gray = PillowImage.fromarray(np.asarray(shrunk(reader.picture(image).gray(), SIDE)))
    target = io.BytesIO()
    gray.save(target, "JPEG", quality=_QUALITY)
    return target.getvalue(), Facts(gray.width, gray.height, "JPEG")


def _pictures(frames: Sequence[pl.DataFrame], shards: Box, number: int) -> pl.DataFrame:
    """Pictures with the rows that show them, in the order of their first row."""
    shown = pl.concat(
        [
            read_samples(sample_path(shards.path, each), ["key", "images"])
            .select("key", pl.col("images").list.eval(pl.element().struct.field("sha256")).alias("sha256"))
            .explode("sha256")
            .drop_nulls()
            for each in range(number)
        ]
    )
    rows = shown.unique(maintain_order=True).group_by("sha256", maintain_order=True).agg(rows=pl.col("key"))
    found = pl.concat([pl.DataFrame(schema={name: PICTURES[name] for name in ("sha256", "parts", "gray")}), *frames])
    return rows.join(found, on="sha256", how="inner", maintain_order="left").select(*PICTURES)
