"""Scores that the publisher of a source delivers with it."""

import json
import math
from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from filters.base import Columns
from shards.schema import STATE_SUFFIX

_Cell = tuple[float | None, str | None]


@dataclass(frozen=True, slots=True)
class Native:
    """Score `native_NAME`: a published number that the layout kept in `meta` as `{"native": {COLUMN: "0.31"}}`.

    Where the column is absent or JSON null the score is null, `not_applicable`; where its value is no finite number
    the score is null with the state `error`. `writes` is a property, not a class variable as in other filters, because
    one class serves every column and the score's name is a parameter.

    Args of the dataclass:
        name: of the score, without `native_`.
        column: as the source spells it.

    Source: ours.
    """

    reads: ClassVar[tuple[str, ...]] = ("meta",)
    version: ClassVar[int] = 1

    name: str
    column: str

    @property
    def writes(self) -> Columns:
        """The one score column, named after `name`."""
        return {f"native_{self.name}": pl.Float64}

    def __call__(self, batch: pl.DataFrame) -> pl.DataFrame:
        """Score of each sample and the state of its nulls."""
        # A loop over rows: JSON is parsed in Python, as a column's name may hold anything a JSON path would misread.
        cells = [_number(json.loads(meta).get("native", {}).get(self.column)) for meta in batch["meta"]]
        (name,) = self.writes
        return pl.DataFrame(
            {name: [value for value, _ in cells], name + STATE_SUFFIX: [state for _, state in cells]},
            schema={name: pl.Float64, name + STATE_SUFFIX: pl.String},
        )


def _number(value: object) -> _Cell:
    """Read a published value; where it is no number, null and its state."""
    if value is None:
        return None, "not_applicable"
    if isinstance(value, bool) or not isinstance(value, str | int | float) or "_" in str(value):
        return None, "error"  # Python alone reads "1_000" as a number
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None, "error"
    return (number, None) if math.isfinite(number) else (None, "error")
