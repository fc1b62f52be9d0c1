"""Tables some rows after others: a stage may have tens of millions."""

from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl

ROWS: Final = 1 << 16
"""Rows in memory at a time. Ours."""

Table = pl.DataFrame | pl.LazyFrame


def blocks(table: Table, columns: Sequence[str | pl.Expr]) -> Iterator[pl.DataFrame]:
    """Some columns of a table, some rows after others, in order; one empty block where there are none."""
    lazy = table.lazy().select(columns)
    height = lazy.select(pl.len()).collect().item()
    for begin in range(0, max(height, 1), ROWS):
        yield lazy.slice(begin, ROWS).collect()
