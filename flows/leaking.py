"""Finds what sources share with benchmarks: texts by shard, pictures by their hashes and then by themselves."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars._typing import PolarsDataType
from pydantic import BaseModel

from filters.leak_boxes import BOXES, CUTS, StripCuts
from filters.leak_index import TextIndex
from filters.leak_match import HITS, PAIR_HITS, SEEN, find_texts, same_questions
from filters.leak_texts import VERSION as TEXT_VERSION
from filters.leak_texts import read_turns
from filters.phash import PerceptualHash
from filters.texts import read_texts
from flows.executor import Runner, Steps
from flows.leak_sets import Benchmark
from flows.metering import Spent, Work, add, tally
from flows.mixes import read_wanted
from flows.scoring import FilterSet, identity, picture_table, source_name
from manifests.leaks import LEAKS, decided, paired, shown, strongest, weighed
from manifests.leaks import VERSION as DECISION_VERSION
from shards.errors import PictureError
from shards.files import fingerprint, write_table
from shards.pack import Image, PictureReader
from shards.remote import PART, withdraw
from shards.sample import ShardsIndex, read_all, read_samples, sample_path
from shards.store import Box, Store

RADIUS: Final = 8
"""Bits within which a hash is looked at: of docs/leakage.md."""

NEAREST: Final = 32
"""Pictures of a benchmark that one picture is compared with at most, the nearest first."""

PICTURES_PER_JOB: Final = 64

CANDIDATES: Final[dict[str, PolarsDataType]] = {
    "sha256": pl.String,  # of a picture of the source
    "picture": pl.UInt32,  # of the benchmark
    "bits": pl.UInt8,  # between their hashes; null where the bytes are equal
    "mirrored": pl.Boolean,
    "cut": pl.UInt8,  # place in `CUTS` of the strip without which the source's picture is near; null for the whole
    "part": pl.UInt8,  # place in `BOXES` of the part of the benchmark's picture that is nearest
}
"""Pictures of a source, and pictures of a benchmark whose bytes are equal or whose hashes are near."""

MATCHES: Final[dict[str, PolarsDataType]] = {**CANDIDATES, "distance": pl.Float64, "reason": pl.String}
"""Candidates that show the same."""

_KINDS: Final = ("texts", "seen", "pairs")


class LeaksIndex(BaseModel):
    """What was found of a benchmark in a source."""

    benchmark: str
    index: str
    """Box of the benchmark's index."""
    rows: int
    """Samples that hold something of it."""


class TextJob(NamedTuple):
    """One shard of a source, and the benchmarks that it was not searched for yet, each with its box of leaks."""

    shards: Box
    number: int
    todo: tuple[tuple[Benchmark, Box], ...]


class SearchJob(NamedTuple):
    """All pictures of a source against those of one benchmark, by their hashes."""

    store: Store
    shards: Box
    benchmark: Benchmark
    box: Box


class CompareJob(NamedTuple):
    """Some pictures of a source with their candidates, to be compared."""

    store: Store
    shards: Box
    benchmark: Benchmark
    box: Box
    number: int


def with_cuts(filters: FilterSet) -> FilterSet:
    """The filters of a run, with the hashes of pictures that the search for benchmarks needs and nobody else."""
    return replace(filters, pictures=(*filters.pictures, StripCuts())) if filters.leakage else filters


def leaks_box(store: Store, shards: Box, benchmark: Benchmark) -> Box:
    """Where the leaks of a benchmark in a source's samples lie."""
    from manifests.likeness import VERSION as LIKENESS_VERSION

    versions = [TEXT_VERSION, DECISION_VERSION, LIKENESS_VERSION, RADIUS, NEAREST]
    hashes = [list(identity(item)) for item in (PerceptualHash(), StripCuts())]
    name = fingerprint("leaks", 1, shards.name, benchmark.box.name, versions, hashes)
    return store.box("leaks", source_name(shards), name)


def find_leaks(runner: Runner, store: Store, benchmarks: Sequence[Benchmark], sources: Sequence[Box]) -> Steps:
    """Search the samples of sources for benchmarks; the pictures must be hashed. Counts are (benchmark, shard) pairs.

    Args:
        runner: maps the work.
        store: holds indexes and results.
        benchmarks: with their indexes.
        sources: boxes of shards.
    """
    texts: list[TextJob] = []
    searches: list[SearchJob] = []
    counts = Steps()
    for shards in sources:
        made = [(each, leaks_box(store, shards, each)) for each in benchmarks]
        for number in range(len(shards.index(ShardsIndex).shards)):
            todo = tuple((each, box) for each, box in made if not (box.done or _part(box, "pairs", number).is_file()))
            texts += [TextJob(shards, number, todo)] if todo else []
            counts = counts.plus(Steps(len(todo), len(made) - len(todo)))
            add(Work("leaked texts", source_name(shards)), Spent(len(todo), len(made) - len(todo)))
        searches += [SearchJob(store, shards, each, box) for each, box in made if not box.done]
    runner.map("leaked texts", find_leaked_texts, texts)
    runner.map("near pictures", find_near_pictures, searches)
    runner.map("leaked pictures", compare_candidates, [job for search in searches for job in _comparisons(search)])
    for search in searches:
        _finish(search)
    return counts


def _part(box: Box, kind: str, number: int) -> Path:
    return box.path / f"{PART}{kind}-{number:05d}.parquet"


def find_leaked_texts(job: TextJob) -> None:
    """Search one shard for the texts of several benchmarks; its messages are read once."""
    batch = read_samples(sample_path(job.shards.path, job.number), ["key", "messages", "images"])
    tally(Spent(rows=batch.height, bytes=int(batch.estimated_size())))
    turns = read_turns(read_texts(batch))
    for benchmark, box in job.todo:
        found = find_texts(batch, turns, text_index(benchmark.box))
        for kind, frame in zip(_KINDS, found, strict=True):
            write_table(_part(box, kind, job.number), frame)


@lru_cache(32)
def text_index(box: Box) -> TextIndex:
    """The texts of a benchmark, ready to be looked for; kept, since every shard asks."""
    return TextIndex(*(pl.read_parquet(box.path / f"{name}.parquet") for name in ("items", "grams", "pairs")))


def find_near_pictures(job: SearchJob) -> None:
    """Write the candidates among the pictures of a source: those of the same bytes and those of near hashes."""
    path = job.box.path / "candidates.parquet"
    if path.is_file():
        return
    known = pl.read_parquet(job.benchmark.box.path / "pictures.parquet", columns=["sha256", "parts"])
    known = known.with_row_index("picture")
    hashes = picture_table(job.store, PerceptualHash(), job.shards)
    cuts = picture_table(job.store, StripCuts(), job.shards)
    same = hashes.select("sha256").join(known.select("sha256", "picture"), on="sha256")
    equal = same.with_columns(
        bits=pl.lit(None, pl.UInt8), mirrored=pl.lit(False), cut=pl.lit(None, pl.UInt8), part=pl.lit(0, pl.UInt8)
    ).select(*CANDIDATES)
    near = pl.concat([pl.DataFrame(schema=CANDIDATES), *_near(hashes, cuts, known)])
    best = near.sort("bits", "cut", nulls_last=False, maintain_order=True).unique(
        ["sha256", "picture", "mirrored"], keep="first", maintain_order=True
    )
    rest = best.join(equal, on="sha256", how="anti").sort("sha256", "bits", "picture", "mirrored")
    kept = rest.group_by("sha256", maintain_order=True).head(NEAREST)
    write_table(path, pl.concat([equal.sort("sha256", "picture"), kept.select(*CANDIDATES)]))


def _near(hashes: pl.DataFrame, cuts: pl.DataFrame, known: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Candidates by each column of hashes: whole and inside against all parts, the others against the whole."""
    places = {name: place for place, name in enumerate(StripCuts.writes)}
    from manifests.leak_search import HashTable

    hashed = known.filter(pl.col("parts").is_not_null())
    if hashed.is_empty():
        return
    parts = hashed.select("picture", "parts").explode("parts")
    wholes = hashed.select("picture", pl.col("parts").list.first())
    tables = [HashTable(each["parts"].to_numpy(), each["picture"].to_numpy(), RADIUS) for each in (parts, wholes)]
    columns = [(hashes, "phash", 0), (hashes, "phash_inner", 0), (hashes, "phash_mirror", 1)]
    columns += [(cuts, name, 1) for name in StripCuts.writes]
    for frame, column, table in columns:
        asked = frame.select("sha256", column).drop_nulls()
        found = tables[table].nearest(asked[column].to_numpy(), NEAREST)
        part = pl.lit(0) if table else _nearest_parts(asked[column].gather(found["query"]), found["owner"], known)
        yield found.select(
            asked["sha256"].gather(found["query"]).alias("sha256"),
            picture="owner",
            bits="distance",
            mirrored=pl.lit(column == "phash_mirror"),
            cut=pl.lit(places.get(column), pl.UInt8),
            part=part,
        ).cast(pl.Schema(CANDIDATES))


def _nearest_parts(hashes: pl.Series, pictures: pl.Series, known: pl.DataFrame) -> pl.Series:
    """(k,) place in `BOXES` of the part of each picture of the benchmark that is nearest to a hash."""
    if hashes.is_empty():
        return pl.Series([], dtype=pl.UInt8)
    parts = known["parts"].gather(pictures).explode().to_numpy().reshape(len(hashes), -1)
    return pl.Series(np.bitwise_count(parts ^ hashes.to_numpy()[:, None]).argmin(axis=1).astype(np.uint8))


def _comparisons(search: SearchJob) -> list[CompareJob]:
    pictures = pl.read_parquet(search.box.path / "candidates.parquet", columns=["sha256"])["sha256"].n_unique()
    numbers = range(-(-pictures // PICTURES_PER_JOB))
    return [CompareJob(*search, number) for number in numbers if not _part(search.box, "matches", number).is_file()]


def compare_candidates(job: CompareJob) -> None:
    """Compare pictures with their candidates, the nearest first, until one shows the same."""
    table = pl.read_parquet(job.box.path / "candidates.parquet")
    shas = table["sha256"].unique(maintain_order=True)[job.number * PICTURES_PER_JOB :][:PICTURES_PER_JOB]
    images = pl.scan_parquet(job.shards.path / "pictures.parquet").filter(pl.col("sha256").is_in(shas.implode()))
    places = {row[0]: Image._make(row) for row in images.collect().iter_rows()}
    known = pl.read_parquet(job.benchmark.box.path / "pictures.parquet", columns=["gray"])["gray"]
    reader = PictureReader(str(job.store.root))
    rows: list[tuple[object, ...]] = []
    for (sha,), part in table.filter(pl.col("sha256").is_in(shas.implode())).group_by("sha256", maintain_order=True):
        rows += _first_match(reader, places[str(sha)], part, known)
    write_table(_part(job.box, "matches", job.number), pl.DataFrame(rows, MATCHES, orient="row"))


def _first_match(
    reader: PictureReader, image: Image, candidates: pl.DataFrame, known: pl.Series
) -> list[tuple[object, ...]]:
    from manifests.leak_likeness import WHOLE, likeness_of_parts
    from manifests.likeness import SIDE, shrunk

    mine: NDArray[np.uint8] | None = None
    for row in candidates.iter_rows(named=True):
        if row["bits"] is None:
            return [(*row.values(), 0.0, "equal bytes")]
        try:
            mine = shrunk(reader.picture(image).gray(), SIDE) if mine is None else mine
        except PictureError:
            return []
        other = np.asarray(reader.picture(Image(**known[row["picture"]])).gray())
        found = likeness_of_parts(
            np.ascontiguousarray(mine[:, ::-1]) if row["mirrored"] else mine,
            other,
            mine_without=WHOLE if row["cut"] is None else CUTS[row["cut"]],
            other_without=BOXES[row["part"]],
        )
        if found.same:
            distance = min(found.difference or 0.0, 1.0)
            return [(*row.values(), distance, found.sentence + (", in a mirror" if row["mirrored"] else ""))]
    return []


def _finish(search: SearchJob) -> None:
    """Decide over all shards of a source and write what was found; parts go when it is there."""
    box, index = search.box, text_index(search.benchmark.box)
    if box.done:
        return
    hits, pairs = _parts(box, "texts", HITS).collect(), _parts(box, "pairs", PAIR_HITS).collect()
    # of a source of a million rows these are some ten million rows, of which few are of candidates
    seen = _parts(box, "seen", SEEN).filter(pl.col("gram").is_in(hits["gram"].unique().implode())).collect()
    texts = [decided(weighed(hits, seen, index.grams["count"]), index.items), paired(pairs, index.pairs)]
    matches = _parts(box, "matches", MATCHES).collect()
    found = strongest(pl.concat([*texts, _with_rows(search, matches, index)]))
    write_table(box.path / "leaks.parquet", found)
    box.finish(
        LeaksIndex(benchmark=search.benchmark.name, index=search.benchmark.box.name, rows=found["key"].n_unique()),
        of=[search.shards, search.benchmark.box],
    )
    withdraw(sorted(box.path.glob(f"{PART}*")))


def _parts(box: Box, kind: str, schema: Mapping[str, PolarsDataType]) -> pl.LazyFrame:
    """The rows of all parts of a kind, in order."""
    files = sorted(box.path.glob(f"{PART}{kind}-*.parquet"))
    return pl.scan_parquet(files) if files else pl.LazyFrame(schema=schema)


def _with_rows(search: SearchJob, matches: pl.DataFrame, index: TextIndex) -> pl.DataFrame:
    """Matches of pictures as rows of `LEAKS`: with the benchmark's row that asks the same, else with its first."""
    wanted = pl.col("sha256").is_in(matches["sha256"].implode())
    frames = read_all(search.shards.path, ["key", "position", "images"])
    shas = pl.col("images").list.eval(pl.element().struct.field("sha256")).alias("sha256")
    samples = pl.concat([frame.select("key", "position", shas).explode("sha256").filter(wanted) for frame in frames])
    if samples.is_empty():
        return pl.DataFrame(schema=LEAKS)
    known = pl.read_parquet(search.benchmark.box.path / "pictures.parquet", columns=["sha256", "rows"])
    known = known.rename({"sha256": "original"}).with_row_index("picture")
    joined = samples.unique(["key", "sha256"], maintain_order=True).join(
        matches.join(known, on="picture", how="left"), on="sha256", how="inner", maintain_order="left"
    )
    rows = joined.unique("key", maintain_order=True).select("key", "position")
    batch = read_wanted(search.shards, rows, ["key", "messages", "images"])
    batch = rows.select("key").join(batch, on="key", how="left", maintain_order="left")
    items = index.items.with_row_index("item").select("item", "row", original="picture")
    asked = (
        joined.select("key", "original")
        .join(batch.select("key").with_row_index("sample"), on="key")
        .join(items, on="original")
        .sort("sample", "item")
    )
    same = same_questions(read_turns(read_texts(batch)), index, asked.select("sample", "item"))
    return shown(joined, same, batch["key"], index.items)


def leaks_of(store: Store, shards: Box, benchmarks: Sequence[Benchmark], key: str | None = None) -> pl.DataFrame:
    """What was found in a source: `benchmark` and the columns of `LEAKS`; of one sample, or of all."""
    frames = [pl.DataFrame(schema={"benchmark": pl.String, **LEAKS})]
    for each in benchmarks:
        path = leaks_box(store, shards, each).path / "leaks.parquet"
        table = pl.scan_parquet(path).filter(pl.col("key") == key if key else pl.lit(True))
        frames.append(table.select(pl.lit(each.name).alias("benchmark"), pl.all()).collect())
    return pl.concat(frames)


def leaks_names(store: Store, shards: Box, benchmarks: Sequence[Benchmark]) -> list[str]:
    """Boxes of leaks of a source by name, which cover indexes and how leaks are found, in the order of the recipe."""
    return [leaks_box(store, shards, each).name for each in benchmarks]
