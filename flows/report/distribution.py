"""How the rows of a stage spread over a score, by verdict, and where the rules cut."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from flows.report.number import short
from manifests.recipe import Rule
from shards.schema import STATE_SUFFIX, VERDICTS

NUM_BINS: Final = 40
NUM_LOG_BINS: Final = 24
NUM_CATEGORIES: Final = 8
VERDICT_ORDER: Final = tuple(name for name in VERDICTS if name != "not_taken")
NOT_DRAWN: Final = frozenset({"phash"})
"""Scores that are names for something, not amounts of it."""

_NUMBER: Final = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_OPERATOR: Final = r"<=|>=|<>|!=|<|>|="
_BEFORE: Final = r"[*/%]\s*|[-+]\s+"  # a sign stands right before its number
_AFTER: Final = r"\s*[-+*/%]"
_FLIPPED: Final = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
_LONG_TAIL: Final = 8.0
_WHOLE_NUMBERS: Final = 30
_SHARE_IN_RANGE: Final = 0.995
_STRETCH: Final = 1.5  # how much longer an axis may get so that no row lies beyond it
_ROOM: Final = 0.15  # share of the range that stays free above a threshold


@dataclass(frozen=True, slots=True)
class Threshold:
    """A number that a rule compares a score with."""

    rule: str
    operator: str
    value: float

    @property
    def label(self) -> str:
        """Rule and comparison, as the chart writes it."""
        return f"{self.rule}: {self.operator} {short(self.value)}"


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values to 0..1; values above `high` lie at 1. Logarithmic scales are of 1 + value."""

    low: float
    high: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Place of a value, 0..1."""
        low, high, at = (math.log1p(v) if self.log else v for v in (self.low, self.high, max(value, self.low)))
        return min(1.0, (at - low) / (high - low))

    def at(self, place: float) -> float:
        """Value at a place, 0..1."""
        low, high = (math.log1p(v) if self.log else v for v in (self.low, self.high))
        value = low + place * (high - low)
        return math.expm1(value) if self.log else value

    def of(self, values: pl.Expr) -> pl.Expr:
        """The same for a column."""
        low, high = (math.log1p(v) if self.log else v for v in (self.low, self.high))
        return ((values.log1p() if self.log else values) - low) / (high - low)


@dataclass(frozen=True, slots=True)
class Bar:
    """Rows of one bin or category by verdict, in `VERDICT_ORDER`."""

    label: str
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Distribution:
    """Spread of one score over the rows taken.

    `scale` is null for categories. `above` counts rows beyond the scale, drawn in its last bar. `nulls` is by state.
    """

    score: str
    scale: Scale | None
    bars: tuple[Bar, ...]
    thresholds: tuple[Threshold, ...]
    nulls: Mapping[str, int]
    scored: int
    above: int
    summary: str


def thresholds(score: str, rules: Sequence[Rule]) -> tuple[Threshold, ...]:
    """Simple comparisons of a score with a number, in either order, in the predicates of rules.

    >>> rule = Rule(name="low", when="quality < 7 and 3 <= turns", then="drop")
    >>> [t.label for t in thresholds("quality", [rule]) + thresholds("turns", [rule])]
    ['low: < 7', 'low: >= 3']
    """
    name = rf'(?<![\w."])"?{re.escape(score)}"?(?![\w."])'
    # arithmetic before or after (`2 * quality < 7`) is caught as a group and makes the match void
    right = re.compile(rf"({_BEFORE})?{name}\s*({_OPERATOR})\s*({_NUMBER})({_AFTER})?")
    left = re.compile(rf"({_BEFORE})?(?<![\w.])({_NUMBER})\s*({_OPERATOR})\s*{name}({_AFTER})?")
    found: list[Threshold] = []
    for rule in rules:
        text = rule.when or ""
        found += [
            Threshold(rule.name, operator, float(value))
            for before, operator, value, after in right.findall(text)
            if not before + after
        ]
        found += [
            Threshold(rule.name, _FLIPPED.get(operator, operator), float(value))
            for before, value, operator, after in left.findall(text)
            if not before + after
        ]
    return tuple(dict.fromkeys(found))


def mentioned(rules: Sequence[Rule], columns: Sequence[str]) -> tuple[str, ...]:
    """Scores that rules read, in order of the rules; those that nobody would draw are left out."""
    names = [name for rule in rules if rule.when for name in sorted(set(pl.sql_expr(rule.when).meta.root_names()))]
    return tuple(name for name in dict.fromkeys(names) if name in columns and name not in NOT_DRAWN)


def distributions(
    decisions: pl.DataFrame, scores: pl.DataFrame | pl.LazyFrame, rules: Sequence[Rule]
) -> tuple[Distribution, ...]:
    """The spread of every score that a rule reads, over the rows that were taken; one score is in memory at a time."""
    table = scores.lazy()
    columns = table.collect_schema().names()
    names = mentioned(rules, columns)
    taken = decisions.filter(pl.col("verdict") != "not_taken").select("key", "verdict")
    keys = table.select("key").with_row_index("place").collect()
    places = taken.select("key").join(keys, on="key", how="left", maintain_order="left")["place"]
    verdicts = taken.select("verdict")
    found = []
    for name in names:
        own = [each for each in (name, name + STATE_SUFFIX) if each in columns]
        rows = verdicts.hstack(table.select(pl.col(own).gather(places)).collect())
        found.append(distribution(rows, name, thresholds(name, rules)))
    return tuple(found)


def distribution(rows: pl.DataFrame, score: str, marks: tuple[Threshold, ...]) -> Distribution:
    """The spread of one score; `rows` has it, its `_state` and `verdict`, one row for each one taken."""
    dtype = rows.schema[score]
    if not dtype.is_numeric():
        return _categories(rows.with_columns(pl.col(score).cast(pl.String)), score)
    # a number that is none (nan, inf) would poison every bin
    finite = rows.filter(pl.col(score).cast(pl.Float64).is_finite())
    values = finite.select("verdict", pl.col(score).cast(pl.Float64).alias("value"))
    nulls = _nulls(rows, score)
    odd = rows.height - finite.height - sum(nulls.values())
    if odd:
        nulls = {**nulls, "not a finite number": odd}
    if finite.is_empty():
        return Distribution(score, None, (), marks, nulls, 0, 0, "")
    scale, num_bins = _scale(values["value"], dtype.is_integer(), [mark.value for mark in marks])
    place = (scale.of(pl.col("value")) * num_bins).floor().clip(0, num_bins - 1).cast(pl.Int64)
    bars = _stack(values.select("verdict", place.alias("bar")), [str(number) for number in range(num_bins)])
    low, middle, high = (short(_quantile(values["value"], share)) for share in (0.0, 0.5, 1.0))
    above = int((values["value"] > scale.high).sum())
    return Distribution(score, scale, bars, marks, nulls, finite.height, above, f"{low} to {high}, median {middle}")


def _scale(values: pl.Series, whole: bool, marks: list[float]) -> tuple[Scale, int]:
    """A scale that holds nearly all values and all thresholds, and its number of bins."""
    low = min([_quantile(values, 0.0), *marks])
    most = max([_quantile(values, 1.0), *marks])
    if low >= 0 and most > _LONG_TAIL * max(1.0, _quantile(values, 0.5)) and most > _WHOLE_NUMBERS:
        return Scale(0.0, most * 1.02, log=True), NUM_LOG_BINS
    if whole and most - low <= _WHOLE_NUMBERS:
        return Scale(math.floor(low) - 0.5, math.ceil(most) + 0.5), int(math.ceil(most) - math.floor(low)) + 1
    high = max([_quantile(values, _SHARE_IN_RANGE), *(mark + _ROOM * (mark - low) for mark in marks)])
    if most - low <= _STRETCH * (high - low):
        high = max(most, *marks) if marks else most
    margin = 0.02 * (high - low) or 0.5
    # a score that is never negative starts at 0, not a little below it
    start = low if low == 0 and high > low else low - margin
    return Scale(start, high + margin), NUM_BINS


def _quantile(values: pl.Series, share: float) -> float:
    found = values.quantile(share, "nearest")
    assert found is not None, "only called with values"
    return found


def _categories(rows: pl.DataFrame, score: str) -> Distribution:
    values = rows.filter(pl.col(score).is_not_null()).select("verdict", pl.col(score).alias("bar"))
    sizes = values.group_by("bar").len().sort(["len", "bar"], descending=[True, False])["bar"].to_list()
    names = sorted(sizes[:NUM_CATEGORIES])
    rest = f"{len(sizes) - len(names)} more"
    grouped = values.with_columns(pl.when(pl.col("bar").is_in(names)).then("bar").otherwise(pl.lit(rest)).alias("bar"))
    labels = [*names, rest] if len(sizes) > len(names) else names
    return Distribution(score, None, _stack(grouped, labels), (), _nulls(rows, score), values.height, 0, "")


def _stack(values: pl.DataFrame, labels: Sequence[str]) -> tuple[Bar, ...]:
    counts = {(bar, verdict): rows for bar, verdict, rows in values.group_by("bar", "verdict").len().iter_rows()}
    keys = range(len(labels)) if values.schema["bar"] == pl.Int64 else labels
    return tuple(
        Bar(label, tuple(counts.get((key, verdict), 0) for verdict in VERDICT_ORDER))
        for key, label in zip(keys, labels, strict=True)
    )


def _nulls(rows: pl.DataFrame, score: str) -> dict[str, int]:
    state = score + STATE_SUFFIX
    why = pl.col(state).fill_null("unexplained") if state in rows.columns else pl.lit("unexplained")
    missing = rows.filter(pl.col(score).is_null()).with_columns(why.alias("state"))
    return dict(missing.group_by("state").len().sort("state").iter_rows())
