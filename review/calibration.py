"""Rules and thresholds held against what people say."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import polars as pl
from pydantic import BaseModel

from review.estimate import Cell, Estimate, part_of, rows_estimate, share_of, total

LEAST_ANSWERED: Final = 0.9
"""Share of the rows at the head of a stratum's order of chance that must have an answer to count as a random sample.
Rows that people left open may be the hard ones; one in ten is tolerated. Ours."""

LEAST_BAD: Final = 5
"""Rows to drop, and rows to keep, without which no threshold is suggested. Ours."""


class Stratum(BaseModel):
    """Rows of which the rules alone say the same: how many there are, and how many of them were drawn and answered.

    `open` rows were drawn, too, and nobody has said keep or drop.
    """

    stratum: str
    rows: int
    answered: int
    open: int


class RuleQuality(BaseModel):
    """How right a rule is. A row is bad where people say drop; of a rule that keeps, good rows are what is counted."""

    rule: str
    then: str
    rows: int
    """Rows that the rule is true for, among those of entries that it looks at."""
    answered: int
    """Drawn and answered ones among them."""
    precision: Estimate | None
    """Share of these rows that are bad; null where none was answered."""
    recall: Estimate | None
    """Share of all bad rows that the rule is true for; null without bad rows."""


class Point(BaseModel):
    """A threshold: what it keeps, and how wrong that is."""

    at: float
    kept: float
    """Share of the rows that the rule would not be true for; counted, not estimated."""
    bad_kept: Estimate | None
    """Share of the kept rows that are bad."""
    good_dropped: Estimate | None
    """Share of the other rows that are good."""
    recall: Estimate | None
    wrong: Estimate
    """Rows: bad ones kept and good ones dropped."""


class Curve(BaseModel):
    """One comparison of a rule under other thresholds, the rest of the rule as it is.

    `suggested` is the threshold with the fewest wrong rows, the nearest to the current one among equals; null with too
    few answers, and where the current one is not worse.
    """

    rule: str
    score: str
    operator: str
    current: float
    suggested: float | None
    points: list[Point]


class Sizes(NamedTuple):
    """Rows of each stratum for which a question is true, and for which it is not."""

    true: Mapping[str, int]
    false: Mapping[str, int]


def drawn_sample(candidates: pl.DataFrame, strata: Mapping[str, int]) -> tuple[pl.DataFrame, list[Stratum]]:
    """The longest head of each stratum in the order of chance of which `LEAST_ANSWERED` have an answer.

    The order of chance knows nothing of scores, rules and people, so a head of it is a random sample, however the
    answers came about: as an audit, by a queue that was worked off, or both.

    Args:
        candidates: (n, ...) frame with `stratum`, `draw`, `entry`, `key` and `bad` (null without an answer): a head of
            the order of every stratum.
        strata: rows of each.

    Returns:
        The answered rows of the heads, and what became of every stratum.
    """
    order = candidates.sort("stratum", "draw", "entry", "key").with_columns(
        pl.int_range(1, pl.len() + 1).over("stratum").alias("place"),
        pl.col("bad").is_not_null().cast(pl.Int64).cum_sum().over("stratum").alias("answered"),
    )
    fits = (pl.col("answered") >= LEAST_ANSWERED * pl.col("place")) & pl.col("bad").is_not_null()
    head = pl.when(fits).then("place").max().over("stratum")
    seen = order.with_columns(head.max().over("stratum").alias("head")).filter(pl.col("place") <= pl.col("head"))
    found = seen.group_by("stratum").agg(pl.col("bad").count().alias("answered"), pl.len().alias("rows"))
    counts = {name: (answered, rows) for name, answered, rows in found.iter_rows()}
    told = []
    for name, rows in sorted(strata.items()):
        answered, drawn = counts.get(name, (0, 0))
        told.append(Stratum(stratum=name, rows=rows, answered=answered, open=drawn - answered))
    return seen.filter(pl.col("bad").is_not_null()).drop("place", "answered", "head"), told


def rule_quality(rule: str, then: str, sample: pl.DataFrame, sizes: Sizes) -> RuleQuality:
    """Precision and recall of a rule.

    Args:
        rule: name.
        then: what it says.
        sample: answered rows of entries that the rule looks at: `stratum`, `bad`, and `true` (the rule is true).
        sizes: of all rows of these entries.
    """
    hit, missed = (_cells(sample, sizes, true=true) for true in (True, False))
    right = [Cell(cell.rows, cell.drawn, cell.drawn - cell.hits) for cell in hit] if then == "keep" else hit
    rest = [Cell(cell.rows, cell.drawn, cell.drawn - cell.hits) for cell in missed] if then == "keep" else missed
    return RuleQuality(
        rule=rule,
        then=then,
        rows=sum(sizes.true.values()),
        answered=sum(cell.drawn for cell in hit),
        precision=share_of(right),
        recall=_recall(right, rest),
    )


def _recall(hit: Sequence[Cell], missed: Sequence[Cell]) -> Estimate | None:
    if not any(cell.drawn for cell in (*hit, *missed)):
        return None
    return part_of(total(hit), total(missed))


def _cells(sample: pl.DataFrame, sizes: Sizes, *, true: bool) -> list[Cell]:
    part = sample.filter(pl.col("true") == true)
    found = part.group_by("stratum").agg(pl.len().alias("drawn"), pl.col("bad").sum().alias("hits"))
    drawn = {stratum: (count, hits) for stratum, count, hits in found.iter_rows()}
    rows = sizes.true if true else sizes.false
    return [Cell(rows[stratum], *drawn.get(stratum, (0, 0))) for stratum in sorted(rows)]


def point(at: float, sample: pl.DataFrame, sizes: Sizes) -> Point:
    """What a threshold does; the arguments are those of `rule_quality` with `true` as it would be under it."""
    hit, missed = (_cells(sample, sizes, true=true) for true in (True, False))
    good = [Cell(cell.rows, cell.drawn, cell.drawn - cell.hits) for cell in hit]
    flagged, kept = sum(sizes.true.values()), sum(sizes.false.values())
    return Point(
        at=at,
        kept=round(kept / (flagged + kept), 6) if flagged + kept else 0.0,
        bad_kept=share_of(missed),
        good_dropped=share_of(good),
        recall=_recall(hit, missed),
        wrong=rows_estimate(total([*good, *missed])),
    )


def suggested(points: Iterable[Point], current: float, sample: pl.DataFrame) -> float | None:
    """The threshold with the fewest wrong rows, or None; see `Curve`."""
    bad = int(sample["bad"].sum())
    if min(bad, sample.height - bad) < LEAST_BAD:
        return None
    ranked = sorted(points, key=lambda each: (each.wrong.value, abs(each.at - current)))
    now = next(each for each in ranked if each.at == current)
    return ranked[0].at if ranked[0].wrong.value < now.wrong.value else None
