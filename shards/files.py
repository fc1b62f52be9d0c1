"""Files that are whole or absent, and the digests that name them."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from blake3 import blake3

from shards.disk import refused
from shards.remote import publish
from shards.temporary import temporary_name

_ROW_GROUP = 1 << 17
"""Rows of a row group in files that are written frame by frame: a reader of one key unpacks no more than these."""

_CHUNK: Final = 1 << 18


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; rename it to `path` when the block ends well, remove it otherwise.

    In the working folder of a store at a URL the file goes there first, see `shards.remote`.

    Raises:
        StoreError: the disk is full, the folder cannot be written, or the store at a URL does not take the file.
    """
    written = temporary_name(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield written
        with written.open("rb") as handle:
            os.fsync(handle.fileno())
        publish(written, path)
        written.replace(path)
    except OSError as error:
        refusal = refused(path, error, begun=written)
        with suppress(OSError):  # the name may be impossible for the same reason as the file itself
            written.unlink(missing_ok=True)
        raise refusal from error
    except BaseException:
        written.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text whole or not at all."""
    write_bytes(path, text.encode())


def write_table(path: Path, table: pa.Table | pl.DataFrame) -> None:
    """Write a Parquet file (zstd) whose bytes depend on the rows only."""
    if isinstance(table, pl.DataFrame):
        table = table.to_arrow(compat_level=pl.CompatLevel.oldest())
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


@contextmanager
def table_writer(path: Path, schema: pl.Schema) -> Iterator[Callable[[pl.DataFrame], None]]:
    """Write a Parquet file (zstd) frame by frame, so that only one is in memory; bytes depend on the frames only.

    Args:
        path: whole when the block ends well, absent otherwise.
        schema: columns of every frame, in this order and of these types.
    """
    arrow = schema.to_frame().to_arrow(compat_level=pl.CompatLevel.oldest()).schema
    with replacing(path) as temporary, pq.ParquetWriter(temporary, arrow, compression="zstd") as writer:

        def write(frame: pl.DataFrame) -> None:
            table = frame.select(schema.names()).to_arrow(compat_level=pl.CompatLevel.oldest())
            writer.write_table(table, row_group_size=_ROW_GROUP)

        yield write


def json_lines(path: Path) -> list[str]:
    """The lines of a file of JSON lines, none of an empty one.

    Not by `splitlines`: JSON leaves other separators of lines, such as U+2028, as they are.
    """
    lines = path.read_text("utf-8").split("\n")
    return lines if lines[-1] else lines[:-1]


def canonical_json(value: object) -> str:
    """JSON with sorted keys and no spaces, so that equal values have equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def fingerprint(*parts: object) -> str:
    """64 hex digits that name a result by everything it was made from: JSON values, in order."""
    return hashlib.sha256(canonical_json(list(parts)).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def file_blake3(path: Path) -> str:
    """BLAKE3 of a file's bytes, 64 hex digits; for digests that we alone compute. 1 GB takes 0.15 s, SHA-256 0.57 s."""
    with path.open("rb", buffering=0) as handle:
        # a small file needs no room that is cleared first
        digest, chunk = blake3(), memoryview(bytearray(min(_CHUNK, os.fstat(handle.fileno()).st_size + 1)))
        while size := handle.readinto(chunk):
            digest.update(chunk[:size])
    return digest.hexdigest()
