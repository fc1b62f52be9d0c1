"""Packs written around the bytes: whatever pyarrow writes for the same pictures, pyarrow and Polars read from them."""

import hashlib
import random
import struct
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from shards.arrow_file import PICTURE, ArrowFile


def payloads(number: int) -> list[bytes]:
    source = random.Random(number)
    return [source.randbytes(source.choice((1, 7, 8, 9, 64, 4096, 70_001))) for _ in range(number)]


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def written(path: Path, blobs: list[bytes]) -> list[tuple[int, int]]:
    file = ArrowFile(path)
    places = [file.append(data, digest(data)) for data in blobs]
    file.close()
    return places


def by_pyarrow(path: Path, blobs: list[bytes]) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, PICTURE) as writer:
        for data in blobs:
            columns = [pa.array([digest(data)]), pa.array([data], pa.large_binary())]
            writer.write_batch(pa.record_batch(columns, schema=PICTURE))


@pytest.mark.parametrize("number", [0, 1, 2, 3, 40])
def test_batches_are_byte_for_byte_those_of_pyarrow(tmp_path: Path, number: int) -> None:
    blobs = payloads(number)
    places = written(tmp_path / "ours", blobs)
    by_pyarrow(tmp_path / "theirs", blobs)
    ours, theirs = ((tmp_path / name).read_bytes() for name in ("ours", "theirs"))
    # all but the footer, in which lists may lie in any order
    (footer,) = struct.unpack("<I", theirs[-10:-6])
    batches = len(theirs) - 10 - footer
    assert ours[:batches] == theirs[:batches]
    assert [ours[at : at + len(data)] for (_, at), data in zip(places, blobs, strict=True)] == blobs
    assert [row for row, _ in places] == list(range(number))


@pytest.mark.parametrize("number", [0, 1, 2, 3, 40])
def test_others_read_the_file(tmp_path: Path, number: int) -> None:
    blobs = payloads(number)
    written(tmp_path / "pack.arrow", blobs)
    with pa.memory_map(str(tmp_path / "pack.arrow")) as source:
        reader = pa.ipc.open_file(source)
        assert (reader.schema, reader.num_record_batches) == (PICTURE, number)
        table = reader.read_all()
    table.validate(full=True)
    rows = [{"sha256": digest(data), "bytes": data} for data in blobs]
    assert table.to_pylist() == rows
    assert pl.read_ipc(tmp_path / "pack.arrow").to_dicts() == rows
    with (tmp_path / "pack.arrow").open("rb") as file:
        file.seek(8)  # the stream form is the file form without its frame
        assert pa.ipc.open_stream(file).read_all() == table


def test_an_empty_picture_has_a_row(tmp_path: Path) -> None:
    written(tmp_path / "pack.arrow", [b"", b"x"])
    with pa.memory_map(str(tmp_path / "pack.arrow")) as source:
        assert pa.ipc.open_file(source).read_all()["bytes"].to_pylist() == [b"", b"x"]


def test_more_than_is_left_to_the_end_of_a_file(tmp_path: Path) -> None:
    blobs = [bytes([number]) * (5 << 20) for number in range(8)]  # the disk begins after 16 MiB
    written(tmp_path / "pack.arrow", blobs)
    with pa.memory_map(str(tmp_path / "pack.arrow")) as source:
        assert pa.ipc.open_file(source).read_all()["bytes"].to_pylist() == blobs
