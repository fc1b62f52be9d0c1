"""How many turns, pictures and videos a sample holds."""

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from filters.base import Columns


@dataclass(frozen=True, slots=True)
class Holdings:
    """Scores `num_turns`: messages; `num_images`, `num_videos`: pictures and videos that the sample holds.

    What the text says of them counts nothing. Never null.

    Source: ours.
    """

    reads: ClassVar[tuple[str, ...]] = ("messages", "images", "videos")
    writes: ClassVar[Columns] = {"num_turns": pl.Int32, "num_images": pl.Int32, "num_videos": pl.Int32}
    version: ClassVar[int] = 1

    def __call__(self, batch: pl.DataFrame) -> pl.DataFrame:
        """Scores of each sample."""
        columns = zip(self.writes, self.reads, strict=True)
        return batch.select(pl.col(column).list.len().cast(pl.Int32).alias(name) for name, column in columns)
