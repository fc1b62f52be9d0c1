"""How one score spreads over a finished mixture, what thresholds would take, and rows around one of them."""

from collections.abc import Sequence
from typing import Final

import polars as pl
from pydantic import BaseModel

from flows.filter_page import FilterPage, built_in_rules, page
from flows.mixes import Mix, score_columns
from flows.report.distribution import Distribution, Threshold, distribution, thresholds
from flows.score_examples import Example, Span, examples_of, nearest
from manifests.recipe import Rule
from shards.errors import UsageError
from shards.schema import STATE_SUFFIX

QUANTILES: Final = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
_HIGH: Final = 0.95


class Mark(BaseModel):
    """A comparison with the rows it is true for, and their share (0..1) of all rows taken."""

    where: str
    """`this mixture, rule X`, `default, rule X` or `--at`."""
    comparison: str
    rows: int
    share: float


class Bin(BaseModel):
    """Rows of one bin: from `low` up to `high`, or of one word; null limits for words."""

    label: str
    low: float | None
    high: float | None
    rows: int


class Group(BaseModel):
    """The score in one source or domain; quantiles are null without a value."""

    name: str
    rows: int
    scored: int
    low: float | None
    """5 % quantile."""
    median: float | None
    high: float | None
    """95 % quantile."""
    taken: float | None
    """Share (0..1) of the rows that `Spread.comparison` is true for; null for words."""


class Spread(BaseModel):
    """One score on one mixture; rows are those taken, once for each entry."""

    mixture: str
    score: str
    rows: int
    scored: int
    nulls: dict[str, int]
    quantiles: dict[str, float]
    bins: list[Bin]
    marks: list[Mark]
    sources: list[Group]
    domains: list[Group]
    at: float | None
    """Threshold that the examples lie around; null for Booleans and words."""
    comparison: str
    """`at` with the operator of its rule, `true` for Booleans, empty for words."""
    at_from: str
    """Where `at` is from: `--at`, a rule, or a quantile."""
    examples: list[Example]


class Shown(BaseModel):
    """What `vlmix filters show --json` prints; `spreads` is empty without a mixture."""

    page: FilterPage
    spreads: list[Spread]


def show(
    asked: str, mix: Mix | None = None, *, source: str | None = None, at: float | None = None, examples: int = 20
) -> Shown:
    """A filter or score, and how its scores spread over a mixture; a filter of several scores shows no rows.

    Raises:
        UsageError: nothing of that name; `source` or `at` without a mixture; `at` for several scores; or see `spread`.
    """
    if mix is None:
        if source is not None or at is not None:
            raise UsageError("--source and --at speak of a mixture; say which with --mix")
        return Shown(page=page(asked), spreads=[])
    schema = mix.score_types
    found = page(asked, present={name: schema[name] for name in score_columns(schema.names())})
    names = [score.name for score in found.scores if asked == score.name or score.name in schema]
    if at is not None and len(names) != 1:
        raise UsageError(f"--at {at:g}: `{asked}` has {len(names)} scores; name one: {', '.join(names)}")
    rows = examples if len(names) == 1 else 0
    spreads = [spread(mix, name, source=source, at=at, examples=rows, span=found.span) for name in names]
    return Shown(page=found, spreads=spreads)


def spread(
    mix: Mix, score: str, *, source: str | None = None, at: float | None = None, examples: int = 20, span: Span | None
) -> Spread:
    """Measure a score on a mixture; reads the columns of that score, and the shards of the examples.

    Args:
        mix: finished.
        score: name.
        source: only rows of this source.
        at: threshold that examples lie around; None for the first one of a rule, else the 95 % quantile.
        examples: rows to show, half of them below.
        span: scores that say where a finding lies, see `FilterPage.span`.

    Raises:
        UsageError: a score or source that the mixture does not have, or `at` for a score that is no number.
    """
    rows = _rows(mix, score, source)
    numeric = rows.schema[score].is_numeric()
    if at is not None and not numeric:
        raise UsageError(f"--at {at:g}: score `{score}` is no number but {rows.schema[score]}")
    own = [Rule.model_validate(rule) for rule in mix.manifest.rules]
    named = [("this mixture", mark) for mark in thresholds(score, own)]
    used = {mark for _, mark in named}
    built_in = [(name, mark) for name, rules in built_in_rules().items() for mark in thresholds(score, rules)]
    named += [(name, mark) for name, mark in built_in if mark not in used]
    spread_of = distribution([rows], score, tuple(mark for _, mark in named))
    place, operator, at_from = _place(rows[score], named, at) if numeric else (None, "", "")
    grouped = rows.with_columns(_taken(rows[score], operator, place).alias("taken"))
    return Spread(
        mixture=f"{mix.manifest.recipe}.{mix.manifest.mixture}",
        score=score,
        rows=rows.height,
        scored=rows.height - rows[score].null_count(),
        nulls=dict(spread_of.nulls),
        quantiles=_quantiles(rows[score]) if numeric else {},
        bins=_bins(spread_of),
        marks=_marks(rows[score], named, at),
        sources=_groups(grouped, score, "source"),
        domains=_groups(grouped, score, "domain"),
        at=place,
        comparison=f"{operator} {place:g}" if place is not None else "true" * (rows.schema[score] == pl.Boolean),
        at_from=at_from,
        examples=examples_of(mix, nearest(rows, score, place, examples), score, span),
    )


def _rows(mix: Mix, score: str, source: str | None) -> pl.DataFrame:
    """Rows taken: entry, source, domain, verdict, position, the score and its state. One entry is read at a time."""
    columns = mix.score_types
    if score not in columns:
        raise UsageError(
            f"mixture `{mix.manifest.recipe}.{mix.manifest.mixture}` has no score `{score}`; build it again"
        )
    entries = [entry for entry in mix.manifest.entries if source in {None, entry.source}]
    if not entries:
        known = ", ".join(sorted({entry.source for entry in mix.manifest.entries}))
        raise UsageError(f"no source `{source}` in this mixture; one of: {known}")
    wanted = [name for name in (score, score + STATE_SUFFIX) if name in columns]
    stored = mix.some_scores(["source", *wanted])
    frames = []
    for entry in entries:
        # both tables hold every sample of the source, in published order
        decided = mix.decisions_of(entry.id, ["position", "verdict"])
        measured = stored.filter(pl.col("source") == entry.source).select(wanted).collect()
        named = {"entry": entry.id, "source": entry.source, "domain": entry.domain}
        labels = [pl.lit(value).cast(pl.Categorical).alias(name) for name, value in named.items()]
        taken = decided.hstack(measured).filter(pl.col("verdict") != "not_taken")
        frames.append(taken.select(*labels, pl.all()))
    return pl.concat(frames)


def _place(
    values: pl.Series, named: Sequence[tuple[str, Threshold]], at: float | None
) -> tuple[float | None, str, str]:
    """Threshold that examples lie around, its operator, and where it is from."""
    if at is not None:
        return at, "<", "--at"
    if named:
        where, mark = named[0]
        return mark.value, mark.operator, f"{where}, rule `{mark.rule}`"
    return values.cast(pl.Float64).quantile(_HIGH, "nearest"), ">=", "95 % quantile"


def _taken(values: pl.Series, operator: str, place: float | None) -> pl.Series:
    """Boolean, null where the value is: whether the comparison is true; null for words."""
    if place is not None:
        return values.to_frame("value").select(pl.sql_expr(f"value {operator} {place!r}")).to_series()
    return values if values.dtype == pl.Boolean else pl.Series([None], dtype=pl.Boolean).new_from_index(0, values.len())


def _quantiles(values: pl.Series) -> dict[str, float]:
    numbers = values.cast(pl.Float64).drop_nulls()
    found = {f"{100 * share:g} %": numbers.quantile(share, "nearest") for share in QUANTILES}
    return {name: value for name, value in found.items() if value is not None}


def _bins(found: Distribution) -> list[Bin]:
    if found.scale is None:
        return [Bin(label=bar.label, low=None, high=None, rows=sum(bar.rows)) for bar in found.bars]
    edges = [found.scale.at(number / len(found.bars)) for number in range(len(found.bars) + 1)]
    return [
        Bin(label=bar.label, low=low, high=high, rows=sum(bar.rows))
        for bar, low, high in zip(found.bars, edges, edges[1:], strict=False)
    ]


def _marks(values: pl.Series, named: Sequence[tuple[str, Threshold]], at: float | None) -> list[Mark]:
    if values.dtype == pl.Boolean:
        return [_mark("", "true", int(values.sum()), values.len())]
    compared = [(f"{where}, rule `{mark.rule}`", mark.operator, mark.value) for where, mark in named]
    compared += [("--at", operator, at) for operator in ("<", ">=") if at is not None]
    return [
        _mark(where, f"{operator} {value:g}", int(_taken(values, operator, value).sum()), values.len())
        for where, operator, value in dict.fromkeys(compared)
    ]


def _mark(where: str, comparison: str, rows: int, of: int) -> Mark:
    return Mark(where=where, comparison=comparison, rows=rows, share=rows / of if of else 0.0)


def _groups(rows: pl.DataFrame, score: str, by: str) -> list[Group]:
    numeric = rows.schema[score].is_numeric()
    number = pl.col(score).cast(pl.Float64) if numeric else pl.lit(None, pl.Float64)
    found = rows.group_by(pl.col(by).cast(pl.String)).agg(
        pl.len().alias("rows"),
        pl.col(score).count().alias("scored"),
        *[number.quantile(share, "nearest").alias(name) for name, share in (("low", 0.05), ("high", _HIGH))],
        number.quantile(0.5, "nearest").alias("median"),
        pl.when(pl.col("taken").count() > 0).then(pl.col("taken").sum() / pl.len()).alias("taken"),
    )
    return [Group.model_validate({**row, "name": row[by]}) for row in found.sort(by).to_dicts()]
