"""Which rows of a source enter, and how often they leave: the operators of published recipes, with their rounding."""

import math
from collections.abc import Collection
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from manifests.operators import Slice, Take
from manifests.recipe import Entry

Counts = npt.NDArray[np.int64]


class Rows(NamedTuple):
    """What a take must know of a source.

    `keys` (n,) String and `positions` (n,) Int64 of its samples; `published` rows, quarantined ones included, which
    leave gaps in `positions`; `score` (n,) numeric with nulls for `top`; `excluded` row numbers for `exclude`.
    """

    keys: pl.Series
    positions: pl.Series
    published: int
    score: pl.Series | None = None
    excluded: Collection[int] = ()


def amount(take: Take, rows: int, excluded: Collection[int] = ()) -> int:
    """Rows that a take asks for, out of `rows` published ones: never more than there are, or than `excluded` leaves."""
    if take.percent is not None:
        rounding, written, share = take.rounding or "ceil", Fraction(str(take.percent)) / 100, take.percent / 100
        wanted = _rounded(rounding, written, share, rows)
    elif take.fraction is not None:
        wanted = _rounded(take.rounding or "float-floor", Fraction(str(take.fraction)), take.fraction, rows)
    else:
        wanted = rows - sum(row < rows for row in excluded) if take.rows is None else take.rows
    return min(wanted, rows)


def _rounded(rounding: str, written: Fraction, share: float, rows: int) -> int:
    """A share of the rows, as the decimal number that was written or in binary floating point, rounded."""
    if rounding == "float-floor":
        return int(rows * share)
    return math.ceil(written * rows) if rounding == "ceil" else math.floor(written * rows)


def bounds(part: Slice | None, rows: int) -> tuple[int, int]:
    """First row of a slice and the row behind its last: int(rows x start) and int(rows x end), as VILA's loader has it.

    Source: VILA, llava/data/dataset.py, LazyCoyoWebDataset (start_idx, end_idx).
    """
    if part is None:
        return 0, rows
    return int(rows * (part.start / 100)), int(rows * (part.end / 100))


def taken(entry: Entry, rows: Rows, *, seed: int) -> pl.Series:
    """Mask of the samples that an entry takes.

    Args:
        entry: its slice counts first, then its take within the slice.
        rows: of its source.
        seed: of the recipe.

    Returns:
        (n,) Boolean. `end` with 0 rows takes none (in LLaVA-NeXT's loader `[-0:]` takes all).
    """
    begin, end = bounds(entry.slice, rows.published)
    inside = ((rows.positions >= begin) & (rows.positions < end)).to_numpy()
    places = rows.positions.to_numpy() - begin
    wanted = amount(entry.take, end - begin, rows.excluded)
    match entry.take.kind:
        case "random":
            chosen = _random(rows.keys, inside, wanted, seed=seed, entry=entry.id)
        case "top":
            assert rows.score is not None
            chosen = _top(rows.score, inside, wanted)
        case "even":
            chosen = np.isin(places, evenly(wanted, end - begin))
        case "exclude":
            chosen = ~np.isin(places, np.fromiter(rows.excluded, dtype=np.int64))
        case "end":
            chosen = places >= end - begin - wanted
        case _:
            chosen = places < wanted
    return pl.Series(inside & chosen)


def evenly(wanted: int, rows: int) -> Counts:
    """`wanted` row numbers spread over 0..rows-1, both ends included: i x (rows - 1) // (wanted - 1).

    In integers. VILA's float32 linspace reaches past the end of 378 million rows (data_prepare/sft/preprocess_flan.py).
    """
    if wanted <= 1:
        return np.arange(min(wanted, rows), dtype=np.int64)
    return np.arange(wanted, dtype=np.int64) * (rows - 1) // (wanted - 1)


def _random(
    keys: pl.Series, inside: npt.NDArray[np.bool_], wanted: int, *, seed: int, entry: str
) -> npt.NDArray[np.bool_]:
    from manifests.order import hash_order

    chosen = np.zeros(len(keys), dtype=np.bool_)
    chosen[inside] = hash_order(keys.filter(pl.Series(inside)), seed=seed, entry=entry) < wanted
    return chosen


def _top(score: pl.Series, inside: npt.NDArray[np.bool_], wanted: int) -> npt.NDArray[np.bool_]:
    usable = inside & score.is_not_null().to_numpy() & score.is_finite().fill_null(False).to_numpy()
    places = np.flatnonzero(usable)
    # a stable sort of the negated score keeps the published order among equal ones
    order = np.argsort(-score.to_numpy()[places].astype(np.float64), kind="stable")
    chosen = np.zeros(len(score), dtype=np.bool_)
    chosen[places[order[:wanted]]] = True
    return chosen


def emitted(repeat: float, order: Counts) -> Counts:
    """Times that each written row is emitted under a repeat factor: floor(repeat x rows) in all.

    The factor is taken as the decimal number that was written; see `emitted_rows`.
    """
    return emitted_rows(math.floor(Fraction(str(repeat)) * len(order)), order)


def emitted_rows(total: int, order: Counts) -> Counts:
    """Times that each row is emitted for `total` in all: equally often, the first ones in hash order once more.

    Args:
        total: rows to emit.
        order: (n,) rank of each row, from `hash_order`; n > 0 unless `total` is 0.
    """
    if not len(order):
        return np.zeros(0, dtype=np.int64)
    whole, extra = divmod(total, len(order))
    return whole + (order < extra).astype(np.int64)


def emitted_units(amount: float, units: Counts, order: Counts) -> Counts:
    """Times that each row is emitted so that units (tokens, images, turns) add up to `amount`, as near as rows allow.

    Every row equally often, and in hash order once more as long as that brings the sum nearer.

    Args:
        amount: units to emit.
        units: (n,) units of each row, not negative.
        order: (n,) rank of each row, from `hash_order`.
    """
    whole_sum = int(units.sum())
    if not whole_sum:
        return np.zeros(len(order), dtype=np.int64)
    whole = int(amount // whole_sum)
    rest = amount - whole * whole_sum
    by_rank = np.empty(len(order), dtype=np.int64)
    by_rank[order] = units
    sums = np.concatenate([[0], np.cumsum(by_rank)])
    extra = int(np.argmin(np.abs(sums - rest)))
    return whole + (order < extra).astype(np.int64)
