"""How the rows of a stage spread over a score, by verdict, and where the rules cut."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from flows.report.blocks import Table, blocks
from flows.report.number import short
from manifests.recipe import Rule
from shards.schema import STATE_SUFFIX, VERDICTS

NUM_BINS: Final = 40
NUM_LOG_BINS: Final = 24
NUM_CATEGORIES: Final = 8
VERDICT_ORDER: Final = tuple(name for name in VERDICTS if name != "not_taken")
_VERDICT: Final = pl.Enum(VERDICTS)
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

T = TypeVar("T")


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


def distributions(decisions: Table, scores: Table, rules: Sequence[Rule]) -> tuple[Distribution, ...]:
    """The spread of every score that a rule reads, over the rows that were taken.

    One score is in memory at a time, and 30 bytes a row beside it.
    """
    table = scores.lazy()
    columns = table.collect_schema().names()
    places, verdicts = _taken(decisions, table)
    return tuple(
        distribution(_rows(table, name, columns, places, verdicts), name, thresholds(name, rules))
        for name in mentioned(rules, columns)
    )


def _taken(decisions: Table, scores: pl.LazyFrame) -> tuple[npt.NDArray[np.uint32], pl.Series]:
    """Places of the scores of the rows that were taken, which ascend, and their verdicts."""
    hashes = np.concatenate([block["key"].hash().to_numpy() for block in blocks(scores, ["key"])])
    order = hashes.argsort().astype(np.uint32)
    hashes.sort()
    places: list[npt.NDArray[np.uint32]] = []
    verdicts: list[pl.Series] = []
    for block in blocks(decisions, ["key", "verdict"]):
        taken = block.filter(pl.col("verdict") != "not_taken")
        # of 64 bits: two of ten million keys are equal once in 400,000 mixtures, and then a chart is off by a row
        places.append(order[hashes.searchsorted(taken["key"].hash().to_numpy())])
        verdicts.append(taken["verdict"].cast(_VERDICT))
    del hashes, order
    joined = np.concatenate(places)
    along = joined.argsort(kind="stable")
    return joined[along], pl.concat(verdicts).gather(along)


def _rows(
    table: pl.LazyFrame, score: str, columns: Sequence[str], places: npt.NDArray[np.uint32], verdicts: pl.Series
) -> Iterator[pl.DataFrame]:
    """A score, its state and the verdict of the rows at some places, some rows after others."""
    begin = 0
    for block in blocks(table, [name for name in (score, score + STATE_SUFFIX) if name in columns]):
        first, last = places.searchsorted([begin, begin + block.height])
        yield block[places[first:last] - begin].with_columns(verdicts[first:last].alias("verdict"))
        begin += block.height


def distribution(rows: Iterable[pl.DataFrame], score: str, marks: tuple[Threshold, ...]) -> Distribution:
    """The spread of one score.

    Args:
        rows: frames, one at least, with the score, its `_state` and `verdict`, a row for each one taken.
        score: name.
        marks: comparisons that are drawn.
    """
    nulls: Counter[str] = Counter()
    values: list[pl.DataFrame] = []
    named: Counter[tuple[str, str]] = Counter()
    number, whole = 0, False
    for block in rows:
        number += block.height
        nulls.update(_nulls(block, score))
        if block.schema[score].is_numeric():
            whole = block.schema[score].is_integer()
            value = pl.col(score).cast(pl.Float64)
            # a number that is none (nan, inf) would poison every bin
            values.append(
                block.filter(value.is_finite()).select(pl.col("verdict").cast(_VERDICT), value.alias("value"))
            )
        else:
            named.update(
                _counted(block.drop_nulls(score).select("verdict", pl.col(score).cast(pl.String).alias("bar")))
            )
    states = dict(sorted(nulls.items()))
    if not values:
        return _categories(score, named, states)
    odd = number - sum(states.values()) - sum(each.height for each in values)
    return _numbers(score, values, whole, marks, states | ({"not a finite number": odd} if odd else {}))


def _numbers(
    score: str, frames: Sequence[pl.DataFrame], whole: bool, marks: tuple[Threshold, ...], nulls: Mapping[str, int]
) -> Distribution:
    """The spread of finite numbers: `verdict` and `value`."""
    values = pl.concat([each["value"] for each in frames])
    if values.is_empty():
        return Distribution(score, None, (), marks, nulls, 0, 0, "")
    scale, num_bins = _scale(values, whole, [mark.value for mark in marks])
    place = (scale.of(pl.col("value")) * num_bins).floor().clip(0, num_bins - 1).cast(pl.Int64)
    counts: Counter[tuple[int, str]] = Counter()
    for each in frames:
        counts.update(_counted(each.select("verdict", place.alias("bar"))))
    bars = tuple(_bar(str(number), counts, number) for number in range(num_bins))
    low, middle, high = (short(_quantile(values, share)) for share in (0.0, 0.5, 1.0))
    above = int((values > scale.high).sum())
    return Distribution(score, scale, bars, marks, nulls, len(values), above, f"{low} to {high}, median {middle}")


def _counted(rows: pl.DataFrame) -> dict[tuple[Any, str], int]:
    """Rows by bar and verdict."""
    return {(bar, verdict): number for bar, verdict, number in rows.group_by("bar", "verdict").len().iter_rows()}


def _bar(label: str, counts: Mapping[tuple[T, str], int], key: T) -> Bar:
    return Bar(label, tuple(counts.get((key, verdict), 0) for verdict in VERDICT_ORDER))


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


def _categories(score: str, counts: Mapping[tuple[str, str], int], nulls: Mapping[str, int]) -> Distribution:
    sizes: Counter[str] = Counter()
    for (name, _), number in counts.items():
        sizes[name] += number
    largest = sorted(sizes, key=lambda name: (-sizes[name], name))
    names = sorted(largest[:NUM_CATEGORIES])
    rest: Counter[tuple[None, str]] = Counter()
    for (name, verdict), number in counts.items():
        if name not in names:
            rest[None, verdict] += number
    bars = [_bar(name, counts, name) for name in names]
    if len(sizes) > len(names):
        bars.append(_bar(f"{len(sizes) - len(names)} more", rest, None))
    return Distribution(score, None, tuple(bars), (), nulls, sizes.total(), 0, "")


def _nulls(rows: pl.DataFrame, score: str) -> dict[str, int]:
    state = score + STATE_SUFFIX
    why = pl.col(state).fill_null("unexplained") if state in rows.columns else pl.lit("unexplained")
    missing = rows.filter(pl.col(score).is_null()).with_columns(why.alias("state"))
    return dict(missing.group_by("state").len().iter_rows())
