"""Shares and counts of rows, estimated from random samples of strata, each with an interval.

A stratum of N rows of which n were drawn and h hit gives Wilson's interval for its share of hits, narrowed for the
share of the stratum that was seen: with all N rows seen nothing is left to guess. Wilson's stays right where nothing or
everything hits, which is the rule here (a good filter misses hardly anything); a bootstrap of a sample without a miss
has no width at all, and needs a seed. Strata are put together by MOVER, which takes the distance of each limit from its
estimate; ratios are the point where a linear combination of both totals may be zero.

Source: Wilson 1927; Zou and Donner 2008, Construction of confidence intervals about effect measures; Donner and Zou
2012, Closed-form confidence intervals for functions of the normal mean and standard deviation, section 3; Cochran 1977,
Sampling techniques, section 2.6, finite population correction.
"""

import math
from collections.abc import Iterable
from typing import Final, NamedTuple

from pydantic import BaseModel

CONFIDENCE: Final = 0.95
_Z: Final = 1.959963984540054
"""Of the normal distribution, two-sided 95 %."""
_HALVINGS: Final = 60


class Estimate(BaseModel):
    """A value with the interval that holds the true one in 95 of 100 cases."""

    value: float
    low: float
    high: float


class Cell(NamedTuple):
    """Rows of a stratum: all of them, those drawn at random, and hits among the drawn ones."""

    rows: int
    drawn: int
    hits: int


class Total(NamedTuple):
    """Hits among all rows of some cells: estimate and limits, in rows."""

    value: float
    low: float
    high: float


def wilson(cell: Cell) -> tuple[float, float]:
    """Limits of the share of hits in a cell; 0 and 1 where nothing was drawn."""
    if cell.drawn == 0:
        return (0.0, 1.0) if cell.rows else (0.0, 0.0)
    unseen = (cell.rows - cell.drawn) / max(1, cell.rows - 1)
    z, n, p = _Z * math.sqrt(unseen), cell.drawn, cell.hits / cell.drawn
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def total(cells: Iterable[Cell]) -> Total:
    """Hits among all rows; a cell of which nothing was drawn is taken to be like the drawn rows of the others."""
    known = [cell for cell in cells if cell.rows]
    drawn = sum(cell.drawn for cell in known)
    usual = sum(cell.hits for cell in known) / drawn if drawn else 0.0
    value = below = above = 0.0
    for cell in known:
        share = cell.hits / cell.drawn if cell.drawn else usual
        low, high = wilson(cell)
        value += cell.rows * share
        below += (cell.rows * (share - low)) ** 2
        above += (cell.rows * (high - share)) ** 2
    rows = sum(cell.rows for cell in known)
    return Total(value, max(0.0, value - math.sqrt(below)), min(rows, value + math.sqrt(above)))


def share_of(cells: Iterable[Cell]) -> Estimate | None:
    """Share of hits among all rows; None without rows, or where none was drawn."""
    known = list(cells)
    rows = sum(cell.rows for cell in known)
    if not any(cell.drawn for cell in known):
        return None
    return _estimate(*(value / rows for value in total(known)))


def part_of(part: Total, rest: Total) -> Estimate | None:
    """`part / (part + rest)`; None where both are estimated to be nothing."""
    whole = part.value + rest.value
    if whole <= 0:
        return None
    return _estimate(part.value / whole, _limit(part, rest), 1 - _limit(rest, part))


def _limit(part: Total, rest: Total) -> float:
    """Lower limit of the share: the largest one with no lower limit of `(1 - share) part - share rest` below zero."""
    low, high = 0.0, part.value / (part.value + rest.value)
    for _ in range(_HALVINGS):
        share = (low + high) / 2
        gap = (1 - share) * part.value - share * rest.value
        error = math.hypot((1 - share) * (part.value - part.low), share * (rest.high - rest.value))
        low, high = (share, high) if gap >= error else (low, share)
    return low


def _estimate(value: float, low: float, high: float) -> Estimate:
    return Estimate(value=round(value, 6), low=round(min(low, value), 6), high=round(max(high, value), 6))


def rows_estimate(found: Total) -> Estimate:
    """A total as an estimate, in rows."""
    return Estimate(value=round(found.value, 3), low=round(found.low, 3), high=round(found.high, 3))
