"""The scores of a source's samples side by side, made some shards at a time: a source may be larger than memory."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import polars as pl

from filters.base import PictureFilter
from flows.importing import imported_scores
from flows.leak_report import source_scores
from flows.review_scores import human_columns
from flows.scoring import CRITERION_OF, PICTURE_STATE, SIGHTED, FilterSet, natives, picture_table, score_box
from flows.taken import taken_down
from shards.columns import scan_table, table_schema
from shards.remote import SCORES_FILE
from shards.sample import ShardsIndex, read_all
from shards.schema import STATE_SUFFIX
from shards.store import Box, Store
from sources.spec import Source

ROWS: Final = 1 << 16
"""A block is the fewest whole shards with this many rows: 0.2 GB with every score there is. Ours."""

_PLACE: Final = ("key", "position")


@dataclass(frozen=True)
class ScoreTable:
    """Every cheap score of the samples of a source.

    Columns, in published order of rows: key, position, each score and its `_state` (why it is null; null where it is
    not), what people say, leaks, what is taken down. Judge scores are null with state `not_asked`, or `not_applicable`
    where the criterion needs pictures and the sample has none.
    """

    store: Store
    filters: FilterSet
    source: Source
    shards: Box
    rows: int = ROWS

    @property
    def is_small(self) -> bool:
        """Whether all of it is one block."""
        return self.shards.index(ShardsIndex).samples <= self.rows

    def whole(self, names: Collection[str] | None = None) -> pl.DataFrame:
        """All rows: (n, ...) frame of every score, or of the scores named, with their states."""
        return pl.concat(list(self.blocks(names)))

    def blocks(self, names: Collection[str] | None = None) -> Iterator[pl.DataFrame]:
        """Some rows after others, in order; see `whole`."""
        wanted = _Wanted.of(names)
        beside = wanted.only(self._beside)
        measures = [(item, table) for item, table in self._measures if any(name in wanted for name in item.reduces)]
        columns = [*_PLACE, "images"] if measures else _PLACE
        begin = 0
        for block in _together(read_all(self.shards.path, columns), self.rows):
            rows = slice(begin, begin + block.height)
            yield self._block(block, rows, measures, wanted).hstack(beside[rows])
            begin = rows.stop
            del block  # nothing of it is left while the next one is read

    def _block(
        self, block: pl.DataFrame, rows: slice, measures: list[tuple[PictureFilter, pl.DataFrame]], wanted: "_Wanted"
    ) -> pl.DataFrame:
        """The scores of some rows, which `block` names."""
        tables = [_rows(path, rows, wanted) for path in self._paths]
        reduced = _reduced(block, measures, wanted)
        imported = wanted.only(self._imported)[rows]
        frame = pl.concat([block.select(_PLACE), *tables, *reduced, imported], how="horizontal")
        return self._judged(_with_states(self._published(frame, wanted)), wanted)

    def _published(self, frame: pl.DataFrame, wanted: "_Wanted") -> pl.DataFrame:
        """With the columns that other sources publish."""
        names = [f"native_{name}" for name in self.filters.published]
        lacking = [name for name in names if name not in frame.columns and name in wanted]
        return frame.with_columns(pl.lit(None, pl.Float64).alias(name) for name in lacking)

    def _judged(self, frame: pl.DataFrame, wanted: "_Wanted") -> pl.DataFrame:
        """With the scores of the judge, which nobody was asked for yet."""
        judged = {name: dtype for name, dtype in self.filters.judged().items() if name in wanted}
        values = [pl.lit(None, dtype).alias(name) for name, dtype in judged.items()]
        return frame.with_columns(*values, *[_not_asked(name).alias(name + STATE_SUFFIX) for name in judged])

    @cached_property
    def _paths(self) -> list[Path]:
        made = (*self.filters.samples, *natives(self.source))
        return [score_box(self.store, self.shards, item).path / SCORES_FILE for item in made]

    @cached_property
    def _measures(self) -> list[tuple[PictureFilter, pl.DataFrame]]:
        """Per filter what scores are made of: sha256, `PICTURE_STATE` and columns of every distinct picture."""
        return [
            (item, picture_table(self.store, item, self.shards).select("sha256", PICTURE_STATE, *_columns(item)))
            for item in self.filters.pictures
            if item.reduces
        ]

    @cached_property
    def _keys(self) -> pl.Series:
        return pl.concat(list(read_all(self.shards.path, ["key"])))["key"]

    @cached_property
    def _imported(self) -> pl.DataFrame:
        return imported_scores(self.store, self.source.name, self._keys, self.filters.imported)

    @cached_property
    def _beside(self) -> pl.DataFrame:
        """What people say, leaks, what is taken down: known of few samples."""
        name, filters = self.source.name, self.filters
        human = human_columns(self.shards, self._keys, filters.answers.get(name, ()))
        leaks = source_scores(self.store, self.shards, self._keys, filters.leakage)
        return human.hstack(leaks).hstack(taken_down(self.shards, name, self._keys, filters.takedowns))


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Scores that somebody asks for, null for all; with each goes its state."""

    names: frozenset[str] | None

    @classmethod
    def of(cls, names: Collection[str] | None) -> "_Wanted":
        """These, and what the states of the judge's scores are made of."""
        return cls(None if names is None else frozenset({*(_score(name) for name in names), "num_images"}))

    def __contains__(self, name: str) -> bool:
        return self.names is None or _score(name) in self.names

    def only(self, frame: pl.DataFrame) -> pl.DataFrame:
        return frame.select(name for name in frame.columns if name in self)


def _together(frames: Iterator[pl.DataFrame], rows: int) -> Iterator[pl.DataFrame]:
    """Frames joined until they have so many rows."""
    held: list[pl.DataFrame] = []
    for frame in frames:
        held.append(frame)
        if sum(each.height for each in held) >= rows:
            yield pl.concat(held)
            held = []
    if held:
        yield pl.concat(held)


def _rows(path: Path, rows: slice, wanted: _Wanted) -> pl.DataFrame:
    """Some rows of a table, and of its columns those that are wanted."""
    names = None if wanted.names is None else [name for name in table_schema(path) if name in wanted]
    if names == []:
        return pl.DataFrame()
    return scan_table(path, names).slice(rows.start, rows.stop - rows.start).collect()


def _reduced(
    block: pl.DataFrame, measures: list[tuple[PictureFilter, pl.DataFrame]], wanted: _Wanted
) -> Iterator[pl.DataFrame]:
    """Sample scores made from per-picture columns, row-aligned, each with its state.

    Null without a state for samples without pictures, null with state `error` where a picture of the sample does not
    decode: what the others say is not known to hold for all.
    """
    if not measures:
        return
    samples = block.select("images").with_row_index("sample")
    shas = samples.select("sample", pl.col("images").list.eval(pl.element().struct.field("sha256")).alias("sha256"))
    shown = shas.explode("sha256").drop_nulls()
    how = {"min": pl.Expr.min, "max": pl.Expr.max, "first": pl.Expr.first}
    broken = pl.col(PICTURE_STATE).is_not_null().any()
    for item, table in measures:
        scores = [
            pl.when(~broken).then(how[kind](pl.col(column))).alias(score)
            for score, (column, kind) in item.reduces.items()
        ]
        states = [pl.when(broken).then(pl.lit("error")).alias(score + STATE_SUFFIX) for score in item.reduces]
        joined = shown.join(table, on="sha256", how="left", maintain_order="left")
        reduced = joined.group_by("sample", maintain_order=True).agg(*scores, *states)
        rows = samples.select("sample").join(reduced, on="sample", how="left", maintain_order="left")
        yield wanted.only(rows.drop("sample"))


def _score(name: str) -> str:
    """Name of the score that a column is, or is the state of."""
    return name.removesuffix(STATE_SUFFIX)


def _columns(item: PictureFilter) -> list[str]:
    return list(dict.fromkeys(column for column, _ in item.reduces.values()))


def _not_asked(name: str) -> pl.Expr:
    """State of a score that nobody was asked for."""
    if CRITERION_OF.get(name) not in SIGHTED:
        return pl.lit("not_asked")
    return pl.when(pl.col("num_images") > 0).then(pl.lit("not_asked")).otherwise(pl.lit("not_applicable"))


def _with_states(frame: pl.DataFrame) -> pl.DataFrame:
    """Give every score its state column: `not_applicable` where the filter said nothing else of a null."""
    scores = [name for name in frame.columns if name not in _PLACE and not name.endswith(STATE_SUFFIX)]
    states = []
    for name in scores:
        said = pl.col(name + STATE_SUFFIX) if name + STATE_SUFFIX in frame.columns else pl.lit(None, pl.String)
        state = pl.when(pl.col(name).is_null()).then(said.fill_null("not_applicable")).otherwise(None)
        states.append(state.alias(name + STATE_SUFFIX))
    return frame.with_columns(states)
