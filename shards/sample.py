"""Sample shards: Arrow IPC files with text and references; picture bytes live in packs."""

from collections.abc import Iterator, Sequence
from itertools import accumulate, chain
from pathlib import Path
from typing import Any, Final, NamedTuple

import polars as pl
import pyarrow as pa
from polars._typing import SchemaDict
from pydantic import BaseModel

from shards.files import replacing
from shards.pack import Image
from shards.remote import INDEX, have
from shards.schema import SAMPLE, Role

IMAGE_COLUMNS: Final[SchemaDict] = {
    "sha256": pl.String,
    "pack": pl.String,
    "row": pl.Int32,
    "offset": pl.Int64,
    "size": pl.Int64,
    "width": pl.Int32,
    "height": pl.Int32,
    "format": pl.String,
}
"""Fields of IMAGE in shards/schema.py as the columns of a table."""


class SampleRow(NamedTuple):
    """One row of SAMPLE as Python values, fields in the order of the schema."""

    key: str
    position: int
    messages: tuple[tuple[Role, str], ...]
    images: tuple[Image, ...]
    videos: tuple[str, ...]
    meta: str


class ShardCounts(BaseModel):
    """What one shard file holds; written after its files, so it marks the shard as finished.

    `items` counts what the layout yielded for this shard: samples plus quarantined rows or parts.
    """

    samples: int
    quarantined: int
    items: int


class ShardsIndex(BaseModel):
    """What a box of shards holds: counts of a whole source.

    `items` counts raw rows, or the parts they were split into; `items = samples + quarantined`.
    """

    source: str
    fingerprint: str
    items: int
    samples: int
    quarantined: dict[str, int]
    repairs: dict[str, int]
    pictures: int
    picture_bytes: int
    shards: list[ShardCounts]


def sample_path(folder: Path, number: int) -> Path:
    """Path of shard file `number` in a box of shards."""
    return folder / f"samples-{number:05d}.arrow"


def write_samples(path: Path, rows: Sequence[SampleRow]) -> None:
    """Write a shard as one zstd-compressed record batch."""
    columns = list(zip(*rows, strict=True)) or [()] * len(SAMPLE)
    arrays = [_array(values, kind.type) for values, kind in zip(columns, SAMPLE, strict=True)]
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with (
        replacing(path) as temporary,
        pa.OSFile(str(temporary), "wb") as sink,
        pa.ipc.new_file(sink, SAMPLE, options=options) as writer,
    ):
        writer.write_batch(pa.record_batch(arrays, schema=SAMPLE))


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Python values as an Arrow array: strings, integers, tuples for structs and sequences of these for lists.

    Null is None, and only text and integers may be it. Done without `pa.array`, which imports pandas where that is
    installed (0.26 s).
    """
    if pa.types.is_list(kind):
        offsets = _array([0, *accumulate(map(len, values))], pa.int32())
        return pa.ListArray.from_arrays(offsets, _array(list(chain.from_iterable(values)), kind.value_type), kind)
    if pa.types.is_struct(kind):
        columns = list(zip(*values, strict=True)) or [()] * kind.num_fields
        arrays = [_array(column, part.type) for column, part in zip(columns, kind, strict=True)]
        return pa.StructArray.from_arrays(arrays, fields=list(kind))
    series = pl.Series(values, dtype=pl.String if pa.types.is_string(kind) else pl.Int64)
    return series.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(kind)


def read_samples(path: Path, columns: Sequence[str]) -> pl.DataFrame:
    """The named columns of a shard; other columns are not decompressed."""
    frame = pl.from_arrow(read_table(path, columns))
    assert isinstance(frame, pl.DataFrame)
    return frame


def read_table(path: Path, columns: Sequence[str], *, threads: bool = True) -> pa.Table:
    """The same as an Arrow table; without `threads` it may be called in a forked process, where thread pools hang."""
    have([path])
    fields = [SAMPLE.get_field_index(name) for name in columns]
    options = pa.ipc.IpcReadOptions(included_fields=fields, use_threads=threads)
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source, options=options).read_all().select(list(columns))


def read_all(folder: Path, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    """The named columns of every shard of a finished box, in order."""
    index = folder / INDEX
    if index.is_file():
        shards = len(ShardsIndex.model_validate_json(index.read_bytes()).shards)
        have([sample_path(folder, number) for number in range(shards)])
    number = 0
    while (path := sample_path(folder, number)).is_file():
        yield read_samples(path, columns)
        number += 1
