"""Scores to mixture: take, decide, drop duplicates, cap, balance, repeat; manifests/account.py counts it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
from polars._typing import SchemaDict
from pydantic import JsonValue

from manifests.clusters import CLUSTERS, dropped, find_clusters
from manifests.emit import Emission, emit
from manifests.manifest import Sizes
from manifests.near import Evidence, Numbers, Samples
from manifests.order import hash_keys, ranks
from manifests.plan import PlannedStage
from manifests.recipe import Entry, Recipe
from manifests.take import Rows, taken
from manifests.verdicts import Verdicts, decide, words

DECISIONS: SchemaDict = {
    "entry": pl.String,
    "key": pl.String,
    "position": pl.Int64,
    "verdict": pl.String,  # not_taken | keep | drop | review | unscored
    "rule": pl.String,  # deciding rule; null without one
    "reasons": pl.List(pl.String),  # all rules that are true
    "unknown": pl.List(pl.String),  # rules that could not be decided
    "outcome": pl.String,  # of kept rows: written | duplicate | capped
    "times": pl.Int64,  # times emitted; 0 unless written
}

IDS: SchemaDict = {
    "entry": pl.String,
    "key": pl.String,
    "times": pl.Int64,  # times emitted, at least 1
    "num_tokens": pl.Int32,  # of all text, as the manifest's `tokens` says
    "answer_tokens": pl.Int32,
    "num_images": pl.Int32,
    "tiles": pl.Int32,  # of all pictures under the entry's `max_tiles`; null where it has none
}

OUTCOMES: Final = (None, "written", "duplicate", "capped")
"""Outcomes by their code in `Part.outcome`; None for rows that are not kept."""
WRITTEN, DUPLICATE, CAPPED = 1, 2, 3

_ROWS: Final = 1 << 15
"""Rows of which all that rules read is in memory at a time. Ours."""

_HELD: Final = {
    "num_turns": pl.col("num_turns"),
    "num_images": pl.col("num_images"),
    "num_tokens": pl.col("num_tokens"),
    "answer_tokens": pl.col("answer_tokens"),
    "characters": pl.col("question_chars").fill_null(0) + pl.col("answer_chars").fill_null(0),
}
"""What a row holds, as balancing and accounting count it; null counts as 0."""

_SIZES: Final = tuple(dict.fromkeys(name for value in _HELD.values() for name in value.meta.root_names()))

_UNITS: Final = {
    "turns": "num_turns",
    "pictures": "num_images",
    "tokens": "num_tokens",
    "answer_tokens": "answer_tokens",
    "characters": "characters",
}


@dataclass(frozen=True, slots=True)
class SourceScores:
    """What a mixture needs of one source.

    `scores` has one row per sample in published order: key, position, every score and its `_state`; where they are
    `stored` they are read from there, and `scores` is empty. `published` counts the rows as published, quarantined ones
    included. `reading` is how the raw files are read: layout and its options.
    """

    name: str
    licence: str
    shards: str
    published: int
    quarantine: Mapping[str, int]
    repairs: Mapping[str, int]
    scores: pl.DataFrame
    revision: str | None = None
    reading: Mapping[str, JsonValue] | None = None
    stored: pl.LazyFrame | None = None

    def read(self, columns: Iterable[str]) -> pl.DataFrame:
        """Some columns of the scores."""
        return self._table(columns).collect()

    def blocks(self, columns: Iterable[str]) -> Iterator[pl.DataFrame]:
        """The same, some rows after others; nothing where there are none."""
        table = self._table(columns)
        for begin in range(0, table.select(pl.len()).collect().item(), _ROWS):
            yield table.slice(begin, _ROWS).collect()

    def _table(self, columns: Iterable[str]) -> pl.LazyFrame:
        table = self.scores.lazy() if self.stored is None else self.stored
        return table.select(list(dict.fromkeys(columns)))


Sources = Mapping[str, SourceScores]
"""Source name -> its scores. A mapping may read them each time it is asked, so that one source is in memory at once."""


class Part(NamedTuple):
    """What became of the n samples of one entry's source, in their order.

    `outcome` (n,) places in `OUTCOMES`; `times` (n,) times emitted; `tiles` (n,) of emitted rows, null without
    `max_tiles`.
    """

    verdicts: Verdicts
    outcome: npt.NDArray[np.uint8]
    times: npt.NDArray[np.int64]
    tiles: npt.NDArray[np.int32] | None


@dataclass(frozen=True, slots=True)
class Mixture:
    """A mixture in numbers: one part and the sizes emitted per entry, and what the targets came to."""

    stage: PlannedStage
    sources: Sources
    source_of: Mapping[str, str]
    parts: Mapping[str, Part]
    sizes: Mapping[str, Sizes]
    clusters: pl.DataFrame
    emission: Emission

    def tables(self) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
        """Decisions and ids of one entry after the other, by id; rows in published order."""
        for entry in sorted(self.parts):
            scores = self.sources[self.source_of[entry]].read(["key", "position", *_SIZES])
            yield self._decisions(entry, scores), self._ids(entry, scores)

    @property
    def decisions(self) -> pl.DataFrame:
        """All decisions in one frame of schema `DECISIONS`."""
        return pl.concat([pl.DataFrame(schema=DECISIONS), *(decisions for decisions, _ in self.tables())])

    @property
    def ids(self) -> pl.DataFrame:
        """All emitted rows in one frame of schema `IDS`."""
        return pl.concat([pl.DataFrame(schema=IDS), *(ids for _, ids in self.tables())])

    def _decisions(self, entry: str, scores: pl.DataFrame) -> pl.DataFrame:
        part = self.parts[entry]
        named = words(part.verdicts, self.stage.predicates).with_columns(
            pl.Series("outcome", OUTCOMES, pl.String).gather(part.outcome), pl.Series("times", part.times)
        )
        rows = scores.select(pl.lit(entry).alias("entry"), "key", "position").hstack(named)
        return rows.select(list(DECISIONS)).cast(pl.Schema(DECISIONS))

    def _ids(self, entry: str, scores: pl.DataFrame) -> pl.DataFrame:
        part = self.parts[entry]
        tiles = pl.lit(None, pl.Int32) if part.tiles is None else pl.Series(part.tiles)
        rows = scores.select(
            pl.lit(entry).alias("entry"),
            "key",
            pl.Series("times", part.times),
            "num_tokens",
            "answer_tokens",
            "num_images",
            tiles.alias("tiles"),
        )
        return rows.filter(pl.col("times") > 0).cast(pl.Schema(IDS))


Tiles = Callable[[str, pl.Series, int], pl.Series]
"""(source name, (n,) keys, most tiles of a sample) -> (n,) Int32 tiles of each sample's pictures."""


class _Kept(NamedTuple):
    """Kept rows of an entry: their places among its source's samples, a hash of each key, what each holds."""

    rows: npt.NDArray[np.int64]
    hashes: npt.NDArray[np.uint64]
    held: pl.DataFrame

    def where(self, mask: npt.NDArray[np.bool_]) -> "_Kept":
        return self if mask.all() else _Kept(self.rows[mask], self.hashes[mask], self.held.filter(mask))


def columns_of(stage: PlannedStage) -> list[str]:
    """Columns of a source's scores that the mixture of a stage reads."""
    ruled = [name for predicate in stage.predicates for name in predicate.columns]
    by = [name for name in (*(entry.take.by for entry in stage.entries), stage.dedup.score) if name]
    return list(dict.fromkeys(["key", "position", *_SIZES, *ruled, *by]))


def take_mask(recipe: Recipe, stage: PlannedStage, entry: Entry, source: SourceScores) -> pl.Series:
    """(n,) Boolean: samples of the source that an entry takes."""
    scores = source.read(["key", "position", *([entry.take.by] if entry.take.by else [])])
    score = scores[entry.take.by] if entry.take.by else None
    excluded = stage.excluded.get(entry.id, ())
    rows = Rows(scores["key"], scores["position"], source.published, score, excluded)
    return taken(entry, rows, seed=recipe.seed)


def mix(
    recipe: Recipe,
    stage: PlannedStage,
    sources: Sources,
    source_of: Mapping[str, str],
    evidence: Evidence,
    tiles: Tiles,
) -> Mixture:
    """Make the mixture of one stage.

    Args:
        recipe: for the seed.
        stage: entries, rules, dedup policy and targets.
        sources: by source name; judge scores that rules need are in place.
        source_of: entry id to source name.
        evidence: what dedup may ask for.
        tiles: counts the tiles of pictures, for entries with `max_tiles`.
    """
    verdicts: dict[str, Verdicts] = {}
    kept: dict[str, _Kept] = {}
    for name, entries in _by_source(stage, source_of).items():
        source = sources[name]
        decided = _decided(source, stage, entries)
        for entry in entries:
            mask = take_mask(recipe, stage, entry, source).to_numpy()
            verdicts[entry.id] = decided.pop(entry.id).only(mask)
            kept[entry.id] = _kept(recipe, entry, source, verdicts[entry.id])
    clusters = _clusters(stage, sources, source_of, kept, evidence)
    unique = _without_duplicates(stage, sources, source_of, kept, clusters)
    chosen = {entry.id: _capped(entry, unique[entry.id]) for entry in stage.entries}
    emission = emit(stage, {name: (each.held, ranks(each.hashes)) for name, each in chosen.items()})
    parts: dict[str, Part] = {}
    sizes: dict[str, Sizes] = {}
    for entry in stage.entries:
        name, times = entry.id, emission.times[entry.id].to_numpy()
        outcome = _outcome(verdicts[name], kept[name], unique[name], chosen[name].rows[times > 0])
        emitted = np.zeros(len(outcome), dtype=np.int64)
        emitted[chosen[name].rows] = times
        counted = _tiles(entry, sources, source_of[name], emitted, tiles)
        parts[name] = Part(verdicts[name], outcome, emitted, counted)
        sizes[name] = _sizes(chosen[name].held, times, None if counted is None else int((counted * emitted).sum()))
    return Mixture(stage, sources, source_of, parts, sizes, clusters, emission)


def _by_source(stage: PlannedStage, source_of: Mapping[str, str]) -> dict[str, list[Entry]]:
    """Entries by source, so that each source is read once."""
    found: dict[str, list[Entry]] = {}
    for entry in stage.entries:
        found.setdefault(source_of[entry.id], []).append(entry)
    return found


def _decided(source: SourceScores, stage: PlannedStage, entries: Sequence[Entry]) -> dict[str, Verdicts]:
    """Verdicts by entry; a rule looks at one row and no other, so that rows may come some after others."""
    parts: dict[str, list[Verdicts]] = {entry.id: [] for entry in entries}
    for block in source.blocks(["key", *(name for predicate in stage.predicates for name in predicate.columns)]):
        for entry in entries:
            parts[entry.id].append(decide(block, stage.predicates, entry))
    return {name: Verdicts.join(found) for name, found in parts.items()}


def _kept(recipe: Recipe, entry: Entry, source: SourceScores, verdicts: Verdicts) -> _Kept:
    mask = verdicts.kept()
    scores = source.read(["key", *_SIZES])
    scores = scores if mask.all() else scores.filter(mask)
    keys, held = scores["key"], scores.select(value.alias(name) for name, value in _HELD.items())
    return _Kept(np.flatnonzero(mask), hash_keys(keys, seed=recipe.seed, entry=entry.id), held)


def _clusters(
    stage: PlannedStage,
    sources: Sources,
    source_of: Mapping[str, str],
    kept: Mapping[str, _Kept],
    evidence: Evidence,
) -> pl.DataFrame:
    if stage.dedup.level == "off":
        return pl.DataFrame(schema=CLUSTERS)
    return find_clusters(
        _samples(stage, sources, source_of, kept),
        stage.dedup,
        evidence,
        lambda name, rows: sources[name].read(["key"])["key"].gather(rows),
    )


def _samples(stage: PlannedStage, sources: Sources, source_of: Mapping[str, str], kept: Mapping[str, _Kept]) -> Samples:
    """Kept rows of all entries, each sample once: one that stands in several is never its own duplicate."""
    by_source = _by_source(stage, source_of)
    names = tuple(sorted(by_source))
    parts = []
    for number, name in enumerate(names):
        places = np.unique(np.concatenate([kept[entry.id].rows for entry in by_source[name]]))
        parts.append(_rows(number, sources[name], places, stage))
    return Samples.join(names, parts)


def _rows(number: int, source: SourceScores, places: Numbers, stage: PlannedStage) -> Samples:
    """What dedup knows of some samples of a source, which is the only one and has this number."""
    score = stage.dedup.score
    scores = source.read(["instruction_hash", "text_hash", *([score] if score else [])])
    texts = scores.select(pl.col("instruction_hash", "text_hash").cast(pl.UInt64))[places]
    value = None if score is None else scores[score].gather(places).cast(pl.Float64).fill_null(np.nan).to_numpy()
    instruction, text = (texts[name].to_numpy() for name in texts.columns)
    return Samples((), np.full(len(places), number, dtype=np.int32), places, instruction, text, value)


def _without_duplicates(
    stage: PlannedStage,
    sources: Sources,
    source_of: Mapping[str, str],
    kept: Mapping[str, _Kept],
    clusters: pl.DataFrame,
) -> Mapping[str, _Kept]:
    duplicates = dropped(clusters)
    if duplicates.is_empty():
        return kept
    unique: dict[str, _Kept] = {}
    for name, entries in _by_source(stage, source_of).items():
        first = ~sources[name].read(["key"])["key"].is_in(duplicates.implode()).to_numpy()
        unique |= {entry.id: kept[entry.id].where(first[kept[entry.id].rows]) for entry in entries}
    return unique


def _capped(entry: Entry, unique: _Kept) -> _Kept:
    """Rows that may be emitted: the first ones in hash order, as many as the cap allows."""
    if entry.cap is None or entry.cap >= len(unique.rows):
        return unique
    return unique.where(ranks(unique.hashes) < entry.cap)


def _outcome(verdicts: Verdicts, kept: _Kept, unique: _Kept, written: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    outcome = np.zeros(len(verdicts.verdict), dtype=np.uint8)
    for rows, code in ((kept.rows, DUPLICATE), (unique.rows, CAPPED), (written, WRITTEN)):
        outcome[rows] = code
    return outcome


def _tiles(
    entry: Entry, sources: Sources, source: str, times: npt.NDArray[np.int64], tiles: Tiles
) -> npt.NDArray[np.int32] | None:
    if entry.max_tiles is None:
        return None
    counted = np.zeros(len(times), dtype=np.int32)
    keys = sources[source].read(["key"])["key"].filter(pl.Series(times > 0))
    counted[times > 0] = tiles(source, keys, entry.max_tiles).to_numpy()
    return counted


def _sizes(held: pl.DataFrame, times: npt.NDArray[np.int64], tiles: int | None) -> Sizes:
    """What emitted rows hold, repeats counted."""
    sums = {
        name: int((held[column].fill_null(0).to_numpy().astype(np.int64) * times).sum())
        for name, column in _UNITS.items()
    }
    return Sizes(**sums, tiles=tiles)
