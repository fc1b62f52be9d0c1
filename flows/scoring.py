"""Shards to score tables: one part per filter and shard, compacted per source and filter."""

import importlib
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

import polars as pl
from polars._typing import PolarsDataType
from pydantic import BaseModel, JsonValue

from filters import FILTERS, ON_DEMAND, PICTURE_FILTERS, TEXT_FILTERS
from filters.base import Filter, PictureFilter, TextFilter
from filters.judges.likelihood import LIKELIHOOD, LIKELIHOOD_SCORES
from filters.judges.score import score_types
from filters.native import Native
from filters.text_bands import TextBands
from filters.texts import read_texts
from filters.tokens import TokenEstimate
from flows.executor import Runner, Steps
from flows.leak_sets import Benchmark
from flows.metering import Spent, Work, add, measured, tally
from flows.review_scores import Answers
from flows.takedowns import Takedowns
from manifests.leaks import LEAK_SCORES
from manifests.rules import HUMAN_SCORES, TAKEN_DOWN, Scores
from shards.columns import scan_table
from shards.errors import PictureError, RecipeError
from shards.files import fingerprint, write_table
from shards.pack import Image, PictureReader
from shards.picture import Picture, sample
from shards.remote import PART, SCORES_FILE, withdraw
from shards.sample import ShardsIndex, read_samples, sample_path
from shards.store import Box, Store
from sources.spec import Source

CRITERIA: Final = ("quality", "repetition", "relevance", "visual_dependency", "correspondence", LIKELIHOOD)
"""What the judge is asked: a rubric in filters/judges/prompts each, and how likely its model finds the answers."""
SIGHTED: Final = ("visual_dependency", "correspondence", LIKELIHOOD)
"""Criteria that are asked with the pictures of a sample, and not of samples without."""
ALWAYS: Final = ("quality", "repetition")
"""Criteria whose scores every mixture has; it has those of the others where its rules read them."""

_PARTS: Final = 16
_LEAST_PER_PART: Final = 128
_MOST_PER_PART: Final = 2048
"""Pictures of a source are measured in as many parts as the first, so that no worker waits long for the last one; in
larger parts rather than parts of fewer than the second, and in more parts rather than parts of more than the third."""

_TOGETHER: Final = 32
_TOGETHER_PX: Final = 4_000_000
"""Pictures, and pixels as decoded, of which one filter measures all before the next one does: a filter runs through
memory that is in the processor's cache then, which spares a quarter of the time."""

PICTURE_STATE: Final = "state"
"""Column of a per-picture table: `error` where the picture does not decode, so that all measures are null."""

JUMP: Final = "quality_jump"
"""How far the expected grade moves when sentences that speak to the grader are taken out; 0..10."""


def judged_types(criterion: str) -> dict[str, PolarsDataType]:
    """Scores of a criterion with their dtypes; the first is the one whose state says what became of a call."""
    if criterion == LIKELIHOOD:
        return dict(LIKELIHOOD_SCORES)
    return {**score_types(criterion), **({JUMP: pl.Float64} if criterion == "quality" else {})}


ASKABLE: Final[Scores] = {name: dtype for criterion in CRITERIA for name, dtype in judged_types(criterion).items()}
"""Scores that come from the judge, with their dtypes."""
CRITERION_OF: Final[Mapping[str, str]] = {name: each for each in CRITERIA for name in judged_types(each)}
"""Score that comes from the judge -> its criterion."""


def criteria_of(names: Iterable[str]) -> tuple[str, ...]:
    """Criteria that scores of these names belong to, in the order of `CRITERIA`."""
    read = {CRITERION_OF[name] for name in names if name in CRITERION_OF}
    return tuple(criterion for criterion in CRITERIA if criterion in read)


SampleFilter = Filter | TextFilter
"""What gives scores row by row: from any columns, or from the messages alone."""


class ScoreIndex(BaseModel):
    """What a score table holds."""

    filter: str
    parameters: dict[str, JsonValue]
    version: int
    rows: int


class ScoreJob(NamedTuple):
    """Shards of one source to be scored by filters whose parts are missing; boxes stand beside their filters."""

    store: Store
    shards: Box
    number: int
    todo: tuple[tuple[SampleFilter, Box], ...]


class PictureJob(NamedTuple):
    """A run of so many distinct pictures of one source to be measured, with one decode for all filters."""

    store: Store
    shards: Box
    number: int
    pictures: int
    todo: tuple[tuple[PictureFilter, Box], ...]


@dataclass(frozen=True, slots=True)
class FilterSet:
    """The filters of a run, the published columns that its sources offer as scores, and imported scores.

    `criteria`: what its rules may have the judge asked, beside `ALWAYS`; a rule may name any criterion. `answers`: what
    reviewers had said when the run began; what they say while it lasts is for the next one. `apart`: filters whose
    tables are no scores and are not joined with those. `leakage`: benchmarks that samples are held against.
    `takedowns`: what was taken down in the store when the run began.
    """

    samples: tuple[SampleFilter, ...]
    pictures: tuple[PictureFilter, ...]
    published: tuple[str, ...]
    imported: tuple[str, ...] = ()
    criteria: tuple[str, ...] = ()
    answers: Answers = field(default_factory=dict)
    apart: tuple[Filter, ...] = ()
    leakage: tuple[Benchmark, ...] = ()
    takedowns: Takedowns | None = None

    def scores(self) -> Scores:
        """Every score that a rule of the run may name, with its dtype."""
        found = {name: dtype for item in self.samples for name, dtype in item.writes.items()}
        for item in self.pictures:
            found |= {score: item.writes[column] for score, (column, _) in item.reduces.items()}
        published = {f"native_{name}": pl.Float64 for name in self.published}
        imported = dict.fromkeys(self.imported, pl.Float64)
        leaks = LEAK_SCORES if self.leakage else {}
        taken = {TAKEN_DOWN: pl.String} if self.takedowns else {}
        return {**found, **ASKABLE, **published, **imported, **leaks, **taken, **HUMAN_SCORES}

    def needed(self, names: Collection[str], *, near_texts: bool = False) -> "FilterSet":
        """The set for a recipe that names these scores: filters on demand run where one of theirs is among them.

        `near_texts`: whether its dedup asks for texts that are nearly the same.
        """
        spared = tuple(TEXT_FILTERS[name] for name in ON_DEMAND)
        kept = [
            item for item in self.samples if not isinstance(item, spared) or not item.writes.keys().isdisjoint(names)
        ]
        apart = (TextBands(),) if near_texts else ()
        return replace(self, samples=tuple(kept), criteria=criteria_of(names), apart=apart)

    def judged(self) -> Scores:
        """Scores of the judge that the samples of a run have."""
        return {name: dtype for name, dtype in ASKABLE.items() if CRITERION_OF[name] in {*ALWAYS, *self.criteria}}


def filter_set(own: Sequence[str], published: Sequence[str], tokens: Filter | None = None) -> FilterSet:
    """The built-in filters, the user's own, given as `module:Class`, and the published columns.

    Args:
        own: filters of the recipe.
        published: columns that sources offer.
        tokens: what counts tokens; None for the estimate.

    Raises:
        RecipeError: a filter that cannot be imported or does not fit.
    """
    built_in: list[SampleFilter] = [kind() for kind in FILTERS.values() if kind is not Native]
    built_in += [kind() for kind in TEXT_FILTERS.values()]
    if tokens is not None:
        built_in = [tokens if isinstance(item, TokenEstimate) else item for item in built_in]
    return FilterSet(
        (*built_in, *map(_load, own)), tuple(kind() for kind in PICTURE_FILTERS.values()), tuple(sorted(published))
    )


def describe_filters() -> dict[str, list[str]]:
    """Filters by name, with the scores that each writes."""
    found = {name: list(kind().writes) for name, kind in (FILTERS | TEXT_FILTERS).items() if kind is not Native}
    measured = {name: list(kind().reduces) or list(kind().writes) for name, kind in PICTURE_FILTERS.items()}
    return {**found, "native": ["native_NAME, one for each column in the source's `native`"], **measured}


def _load(name: str) -> SampleFilter:
    module, _, attribute = name.partition(":")
    try:
        made: SampleFilter = getattr(importlib.import_module(module), attribute)()
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise RecipeError(
            f"filter `{name}`: {error}; expected `module:Class` that can be made without arguments"
        ) from error
    if not is_dataclass(made) or not all(hasattr(made, field) for field in ("writes", "version")):
        raise RecipeError(
            f"filter `{name}` is no filter: a frozen dataclass with `writes`, `version` and mostly `reads`"
        )
    return made


def score_box(store: Store, shards: Box, made: SampleFilter | PictureFilter) -> Box:
    """Where the scores of a filter over a source's shards lie."""
    # a picture filter's table has a column more than the filter writes
    own = [PICTURE_STATE] if hasattr(made, "reduces") else []
    name = fingerprint("score", *identity(made), shards.name, *own)
    return store.box("scores", source_name(shards), name)


def source_name(shards: Box) -> str:
    """Name of the source whose samples a box of shards holds."""
    return shards.name.split("/")[1]


def identity(made: SampleFilter | PictureFilter) -> tuple[str, int, dict[str, JsonValue]]:
    """What names a filter's output: its class, version and parameters, without those that only say where things lie."""
    assert is_dataclass(made)
    named = {field.name for field in fields(made) if field.metadata.get("names_output", True)}
    parameters = {name: value for name, value in asdict(made).items() if name in named}
    return f"{type(made).__module__}:{type(made).__qualname__}", made.version, parameters


def score_sources(runner: Runner, store: Store, filters: FilterSet, sourced: Mapping[str, tuple[Source, Box]]) -> Steps:
    """Score all sources with all filters; counts are (filter, shard) pairs."""
    jobs: list[ScoreJob] = []
    picture_jobs: list[PictureJob] = []
    cached = 0
    for source, shards in sourced.values():
        index = shards.index(ShardsIndex)
        made = [(item, score_box(store, shards, item)) for item in (*filters.samples, *filters.apart, *natives(source))]
        looked = [(item, score_box(store, shards, item)) for item in filters.pictures]
        for number in range(len(index.shards)):
            todo = tuple((item, box) for item, box in made if not _done(box, _part(box, number)))
            cached += len(made) - len(todo)
            add(Work("score text", source.name), Spent(executed=len(todo), cached=len(made) - len(todo)))
            jobs += [ScoreJob(store, shards, number, todo)] if todo else []
        per_part = _pictures_per_part(index)
        for number in range(_picture_parts(index)):
            missing = tuple((item, box) for item, box in looked if not _done(box, _picture_part(box, number, per_part)))
            cached += len(looked) - len(missing)
            add(Work("score pictures", source.name), Spent(executed=len(missing), cached=len(looked) - len(missing)))
            picture_jobs += [PictureJob(store, shards, number, per_part, missing)] if missing else []
    if jobs:
        threading.Thread(target=_begin_to_compile).start()
    runner.map("score text", score_shard, jobs)
    runner.map("score pictures", score_pictures, picture_jobs)
    for source, shards in sourced.values():
        with measured("compact", source.name, main=True):
            _finish(store, filters, source, shards)
    executed = sum(len(job.todo) for job in jobs) + sum(len(job.todo) for job in picture_jobs)
    return Steps(executed, cached)


def _begin_to_compile() -> None:
    """Have numba load, which takes half a second, before mixing needs it."""
    from manifests.order import hash_keys

    hash_keys(pl.Series(["key"]), seed=0, entry="")


def natives(source: Source) -> tuple[Native, ...]:
    """Filters for the published columns of a source."""
    return tuple(Native(name=name, column=name) for name in source.native)


def _done(box: Box, part: Path) -> bool:
    return box.done or part.is_file()


def _part(box: Box, number: int) -> Path:
    return box.path / f"{PART}{number:05d}.parquet"


def _picture_part(box: Box, number: int, pictures: int) -> Path:
    # with the size, so that no part of another size is ever taken for this one
    return box.path / f"{PART}{number:05d}-{pictures}.parquet"


def score_shard(job: ScoreJob) -> None:
    """Score one shard with every filter that has not done it yet; columns are read once."""
    read = [item.reads if isinstance(item, Filter) else ("messages",) for item, _ in job.todo]
    batch = read_samples(sample_path(job.shards.path, job.number), sorted({name for names in read for name in names}))
    tally(Spent(rows=batch.height, bytes=int(batch.estimated_size())))
    texts = None if all(isinstance(item, Filter) for item, _ in job.todo) else read_texts(batch)
    for item, box in job.todo:
        if isinstance(item, Filter):
            frame = item(batch.select(item.reads))
        else:
            assert texts is not None, "a filter of text has the messages read"
            frame = item(texts)
        assert frame.height == batch.height, f"{type(item).__name__} changed the number of rows"
        write_table(_part(box, job.number), frame)


def score_pictures(job: PictureJob) -> None:
    """Measure one run of distinct pictures; the measures of one that does not decode are null with state `error`.

    Conversion proves most pictures without decoding them (shards/picture.py `inspect`), perhaps with another Pillow.
    """
    table = pl.scan_parquet(job.shards.path / "pictures.parquet")
    part = table.slice(job.number * job.pictures, job.pictures).collect()
    tally(Spent(rows=part.height, bytes=int(part["size"].sum())))
    reader = PictureReader(str(job.store.root))
    rows: list[list[tuple[float | int | None, ...]]] = [[] for _ in job.todo]
    states: list[str | None] = []
    for pictures in _together(_decoded(reader, Image._make(image)) for image in part.iter_rows()):
        states += [None if picture else "error" for picture in pictures]
        for (item, _), values in zip(job.todo, rows, strict=True):
            values += [item(picture) if picture else (None,) * len(item.writes) for picture in pictures]
    keys = part.select("sha256", pl.Series(PICTURE_STATE, states, pl.String))
    for (item, box), values in zip(job.todo, rows, strict=True):
        frame = pl.DataFrame(values, dict(item.writes), orient="row")
        write_table(_picture_part(box, job.number, job.pictures), keys.hstack(frame))


def _decoded(reader: PictureReader, image: Image) -> Picture | None:
    try:
        return sample(reader(image))
    except PictureError:
        return None


def _together(pictures: Iterable[Picture | None]) -> Iterator[list[Picture | None]]:
    """The same in lists, each of few pictures and few pixels."""
    found: list[Picture | None] = []
    pixels = 0
    for picture in pictures:
        found.append(picture)
        pixels += picture.image.width * picture.image.height if picture else 0
        if len(found) == _TOGETHER or pixels >= _TOGETHER_PX:
            yield found
            found, pixels = [], 0
    if found:
        yield found


def _finish(store: Store, filters: FilterSet, source: Source, shards: Box) -> None:
    """Compact the parts of every filter of a source into one table; parts go when the table is there."""
    index = shards.index(ShardsIndex)
    for item in (*filters.samples, *filters.apart, *natives(source)):
        box = score_box(store, shards, item)
        _compact(box, shards, item, [_part(box, number) for number in range(len(index.shards))])
    for measure in filters.pictures:
        box, per_part = score_box(store, shards, measure), _pictures_per_part(index)
        _compact(
            box, shards, measure, [_picture_part(box, number, per_part) for number in range(_picture_parts(index))]
        )


def _pictures_per_part(index: ShardsIndex) -> int:
    return min(max(-(-index.pictures // _PARTS), _LEAST_PER_PART), _MOST_PER_PART)


def _picture_parts(index: ShardsIndex) -> int:
    return -(-index.pictures // _pictures_per_part(index))


def _compact(box: Box, shards: Box, item: SampleFilter | PictureFilter, parts: Sequence[Path]) -> None:
    if box.done:
        return
    frames = [pl.read_parquet(part) for part in parts]
    empty = pl.DataFrame(schema={"sha256": pl.String, PICTURE_STATE: pl.String, **dict(item.writes)})
    table = pl.concat(frames) if frames else empty
    write_table(box.path / SCORES_FILE, table)
    name, version, parameters = identity(item)
    box.finish(ScoreIndex(filter=name, parameters=parameters, version=version, rows=table.height), of=[shards])
    withdraw(sorted({*parts, *box.path.glob(f"{PART}*")}))


def picture_table(store: Store, item: PictureFilter, shards: Box) -> pl.DataFrame:
    """The measures of every distinct picture of a source: sha256, `PICTURE_STATE`, the columns of the filter."""
    return scan_table(score_box(store, shards, item).path / SCORES_FILE).collect()
