"""Miniature runs: absolute amounts of a recipe made smaller, operators untouched."""

import math
from fractions import Fraction

from manifests.operators import Take
from manifests.recipe import Entry
from manifests.targets import Targets


def scaled_rows(rows: int, scale: float) -> int:
    """Rows x scale rounded up, so that nothing but 0 becomes 0."""
    return math.ceil(rows * Fraction(str(scale)))


def scaled_entry(entry: Entry, scale: float) -> Entry:
    """An entry with its absolute take and cap scaled; percent, fractions and repeat factors stay."""
    if scale == 1:
        return entry
    changes: dict[str, object] = {}
    if entry.take.rows is not None:
        changes["take"] = Take.model_validate(entry.take.model_dump() | {"rows": scaled_rows(entry.take.rows, scale)})
    if entry.cap is not None:
        changes["cap"] = scaled_rows(entry.cap, scale)
    return entry.model_copy(update=changes)


def _times(amount: float, scale: float) -> float:
    """Product of two decimal numbers as written: 3 x 0.1 is 0.3."""
    return float(Fraction(str(amount)) * Fraction(str(scale)))


def scaled_targets(targets: Targets | None, scale: float) -> Targets | None:
    """Targets with absolute amounts scaled; shares stay."""
    if targets is None or scale == 1:
        return targets
    amounts = {name: _times(amount, scale) for name, amount in targets.amounts.items()}
    total = None if targets.total is None else _times(targets.total, scale)
    return targets.model_copy(update={"amounts": amounts, "total": total})
