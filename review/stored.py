"""A queue on disk: a light table in the order of review, and items that are read one by one.

order.parquet      one row an item, of the columns `ORDER`
items.jsonl        a ReviewItem a line, in any order; `offset` and `size` of the table say where
pictures.parquet   where the pictures lie: one row a picture, of the columns of shards.pack.Image
index.json         written last
"""

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Final

import polars as pl
from polars._typing import SchemaDict
from pydantic import BaseModel

from review.item import ReviewItem
from shards.files import write_table
from shards.pack import Image, PictureReader
from shards.sample import IMAGE_COLUMNS

ORDER: Final[SchemaDict] = {
    "item": pl.String,
    "entry": pl.String,
    "key": pl.String,
    "source": pl.String,
    "domain": pl.String,
    "stage": pl.String,
    "asked": pl.String,  # what the rules say: review | keep | drop; the last two are drawn at random
    "rule": pl.String,  # the one that decided; null without one
    "rules": pl.List(pl.String),  # all that are true
    "margin": pl.Float64,  # as ReviewItem.margin
    "cluster": pl.String,
    "template": pl.String,
    "settles": pl.Int32,
    "mates": pl.List(pl.String),
    "stratum": pl.String,  # see flows/review_rows.py
    "probability": pl.Float64,  # that the row is in the queue
    "seen": pl.String,  # review.item.shown
    "offset": pl.Int64,
    "size": pl.Int64,
}


class QueueIndex(BaseModel):
    """What a queue holds: items by what the rules say of them, distinct pictures, rows that quotas left out."""

    items: int
    review: int
    keep: int
    drop: int
    pictures: int
    left_out: int


class StoredQueue:
    """A finished queue; safe to use from several threads."""

    def __init__(self, folder: Path, store: Path) -> None:
        self._folder = folder
        self._read = PictureReader(str(store))
        self.index = QueueIndex.model_validate_json((folder / "index.json").read_bytes())
        self.table = pl.read_parquet(folder / "order.parquet")
        self._lines = list(self.table.select("offset", "size").iter_rows())

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[ReviewItem]:
        return (self.item(place) for place in range(len(self)))

    def item(self, place: int) -> ReviewItem:
        """The item at a place of the order, from 0 on."""
        offset, size = self._lines[place]
        with (self._folder / "items.jsonl").open("rb", buffering=0) as handle:
            found = ReviewItem.model_validate_json(os.pread(handle.fileno(), size, offset))
        cluster, settles, mates = self.table.select("cluster", "settles", "mates").row(place)
        return found.model_copy(update={"cluster": cluster, "settles": settles, "mates": tuple(mates)})

    def place(self, item: str) -> int:
        """Place of an item by its id.

        Raises:
            KeyError: it is not in the queue.
        """
        return self._place_of[item]

    @cached_property
    def _place_of(self) -> dict[str, int]:
        return {item: place for place, item in enumerate(self.table["item"])}

    @cached_property
    def _images(self) -> dict[str, Image]:
        rows = pl.read_parquet(self._folder / "pictures.parquet").select(Image._fields).iter_rows()
        return {row[0]: Image(*row) for row in rows}

    def picture(self, sha256: str) -> bytes:
        """Original bytes of a picture of the queue.

        Raises:
            KeyError: no item has it.
            StoreError: it cannot be read.
        """
        return self._read(self._images[sha256])


def write_order(folder: Path, table: pl.DataFrame) -> None:
    """Write the table of a queue."""
    write_table(folder / "order.parquet", table.select(list(ORDER)).cast(pl.Schema(ORDER)))


def write_images(folder: Path, images: list[Image]) -> None:
    """Write where the pictures of a queue lie, each once."""
    table = pl.DataFrame(images, IMAGE_COLUMNS, orient="row").unique("sha256", keep="first", maintain_order=True)
    write_table(folder / "pictures.parquet", table)
