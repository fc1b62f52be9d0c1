"""Room on the disk for what a source may have more of than memory should hold: names by the million, rows in order.

Files lie beside what is made of them, since that is where a source finds room, and are gone with the process.
"""

import errno
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from shards.disk import refused, writing
from shards.files import write_table
from shards.temporary import temporary_name

ROWS: Final = 1 << 13
"""Rows that are in memory at a time."""

_BUFFER: Final = 1 << 20
_CACHE_KIB: Final = 8192
"""Of tables that stay in memory; smaller ones touch no disk. Ours."""
_ERRORS: Final = {sqlite3.SQLITE_FULL: errno.ENOSPC, sqlite3.SQLITE_CANTOPEN: errno.EACCES}


@contextmanager
def scratch(path: Path, *tables: str) -> Iterator[sqlite3.Connection]:
    """A database of this process alone with some tables, to make the file `path` with; it is never synced.

    Text is compared by its UTF-8 bytes, which is how Python compares it too.

    Raises:
        StoreError: the disk is full, or the folder of `path` cannot be written.
    """
    opened = temporary_name(path.with_suffix(".scratch"))
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with closing(sqlite3.connect(opened, isolation_level=None)) as database:
            try:
                for setting in ("journal_mode = off", "synchronous = off", f"cache_size = -{_CACHE_KIB}"):
                    database.execute(f"pragma {setting}")
                database.execute("begin exclusive")  # one transaction to the end: nothing is written that fits
            finally:
                opened.unlink(missing_ok=True)
            for table in tables:
                database.execute(f"create table {table} without rowid")
            yield database
    except sqlite3.OperationalError as error:
        number = _ERRORS.get(error.sqlite_errorcode, errno.EIO)
        raise refused(path, OSError(number, str(error))) from error


def write_frames(path: Path, schema: pl.Schema, frames: Iterable[pl.DataFrame]) -> None:
    """Write the Parquet file that `write_table` makes of all frames together; in memory is one of them.

    A group of rows of such a file is larger than a frame, so the frames lie on the disk until all are there.

    Raises:
        StoreError: see `shards.files.replacing`.
    """
    empty = schema.to_frame().to_arrow(compat_level=pl.CompatLevel.oldest())
    spooled = temporary_name(path.with_suffix(".frames"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with pa.OSFile(str(spooled), "wb") as sink, pa.ipc.new_file(sink, empty.schema) as writer:
            for frame in frames:
                writer.write_table(frame.to_arrow(compat_level=pl.CompatLevel.oldest()))
        with pa.memory_map(str(spooled)) as source:
            options = pa.ipc.IpcReadOptions(use_threads=False)  # pools of threads hang in forked processes
            write_table(path, pa.ipc.open_file(source, options=options).read_all())
    except OSError as error:
        raise refused(path, error, begun=spooled) from error
    finally:
        spooled.unlink(missing_ok=True)


def read_frames(path: Path, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
    """The named columns of a Parquet file, some rows after others; null means all columns."""
    # buffered, not mapped: pages of a mapped file count as memory of the worker until the system is short of it
    with pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False) as file:
        for batch in file.iter_batches(batch_size=ROWS, columns=columns, use_threads=False):
            frame = pl.from_arrow(batch)
            assert isinstance(frame, pl.DataFrame)
            yield frame
