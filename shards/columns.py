"""Parquet tables of a store, of which a reader wants some columns, or some rows.

At a URL a large table is not brought for a few of its columns: their bytes are read by range and put where they belong
in a file of the same size with holes, beside the place of the table in the working folder.

    .NAME.columns   the table, in which only some ranges are filled
    .NAME.ranges    of which table, by size and time; and which ranges: `BEGIN END .`, in bytes, a line each, written
                    when they are on the disk

Whoever reads next finds them there. Both go when the table is brought whole. Several processes may fill one file: they
write the same bytes to the same place. Who makes the files, removes them or adds lines holds a lock on the second one
meanwhile, and a range counts only if it was written to the file that has the name by then.
"""

import fcntl
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Final, NamedTuple

import polars as pl
import pyarrow.parquet as pq

from shards.client import Entry
from shards.errors import StoreError
from shards.remote import Remote, have, inside

WHOLE_BYTES: Final = 8_000_000
"""Tables up to this size are brought whole: columns take three answers, one after the other, of about 30 ms each, in
which 80 MB/s bring as much. Ours; the numbers are those of a machine near its storage."""

WHOLE_SHARE: Final = 0.5
"""Of a table's bytes; who wants more of them gets all. Ours."""

_TAIL: Final = 1 << 18
"""Bytes read first: footers of 200 columns and ten row groups are smaller. Ours."""
_GAP: Final = 1 << 16
"""Bytes between two ranges that are read along, for one request less. Ours."""
_MOST: Final = 1 << 23
"""Bytes of a request; those of some tables are asked for at once. Ours."""
_AT_ONCE: Final = 8
"""Requests whose answers are in memory at once. Ours."""
_MAGIC: Final = b"PAR1"
_END: Final = 8
"""Bytes behind the footer: its length, and the magic. Source: Apache Parquet format 2, "File format"."""


_DONE: Final = "."
"""Ends a line, so that one that a power cut shortened is known."""

_TRIES: Final = 5
"""Times that others may remove a file while it is filled. Ours."""

PARTS: Final = (".columns", ".ranges")
"""Ends of the names of what a working folder has of a table."""


class Span(NamedTuple):
    """Bytes of a file: the first one, and the one behind the last."""

    begin: int
    end: int


def scan_table(path: Path, columns: Collection[str] | None = None, rows: range | None = None) -> pl.LazyFrame:
    """Some columns, and some rows, of a table in a store, not read yet.

    Args:
        path: of the table.
        columns: that are read, in this order; None for all.
        rows: numbers of the rows that are read; None for all.

    Raises:
        StoreError: the store at the URL cannot be read.
    """
    names = None if columns is None else list(dict.fromkeys(columns))
    table = pl.scan_parquet(_readable(path, names, rows))
    table = table if names is None else table.select(names)
    return table if rows is None else table.slice(rows.start, len(rows))


def table_schema(path: Path) -> pl.Schema:
    """Names and types of the columns of a table in a store; nothing else of it is read.

    Raises:
        StoreError: the store at the URL cannot be read.
    """
    return pl.scan_parquet(_readable(path, (), None)).collect_schema()


def _readable(path: Path, columns: Collection[str] | None, rows: range | None) -> Path:
    """A file in which these columns and rows of a table can be read: the table, or what there is of it."""
    for _ in range(_TRIES):
        if path.is_file():
            return path
        found = inside(path)
        entry = found[0].entry(found[1]) if found else None
        if found is None or entry is None:
            return path  # there is none; whoever opens it says so
        partial = _Partial(found[0], entry)
        if entry.size > WHOLE_BYTES and (columns is not None or rows is not None):
            try:
                if partial.fill(columns, rows):
                    return partial.data
            except _GoneError:
                continue
        have([path])
        partial.drop()
    raise StoreError(f"`{path}`: other processes remove what this one reads; run again")


class _GoneError(Exception):
    """Another process removed the file that was being filled: the table is there, or the folder was cut down."""


class _Partial:
    """What a working folder has of a table."""

    def __init__(self, remote: Remote, entry: Entry) -> None:
        self._whole = remote.root / entry.path
        self._remote, self._entry = remote, entry
        self._head = f"{entry.size} {entry.changed}"
        self.data = self._whole.with_name(f".{self._whole.name}{PARTS[0]}")
        self._ranges = self._whole.with_name(f".{self._whole.name}{PARTS[1]}")

    def fill(self, columns: Collection[str] | None, rows: range | None) -> bool:
        """Have the bytes of columns and rows; False where that is most of the table, of which nothing is read then.

        Raises:
            _GoneError: others removed the file meanwhile.
            StoreError: the table cannot be read, or is none.
        """
        with self._opened() as file:
            spans = list(spans_of(self._footer(file), columns, rows))
            if sum(span.end - span.begin for span in spans) > WHOLE_SHARE * self._entry.size:
                return False
            self._have(file, spans)
        return True

    def drop(self) -> None:
        """Remove it; the ranges first, so that nobody takes what is in a hole for data."""
        try:
            with self._locked():
                self._ranges.unlink(missing_ok=True)
                self.data.unlink(missing_ok=True)
        except _GoneError:
            self.data.unlink(missing_ok=True)  # of which no range is known

    @contextmanager
    def _locked(self, *, make: bool = False) -> Iterator[FileIO]:
        """The file of ranges, which nobody else changes or removes.

        Raises:
            _GoneError: it is not there, and not to be made.
        """
        while True:
            with _open(self._ranges, make=make) as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                if _is_named(file, self._ranges):
                    yield file
                    return

    @contextmanager
    def _opened(self) -> Iterator[FileIO]:
        """The file to be filled; made afresh where there is none of this table."""
        self.data.parent.mkdir(parents=True, exist_ok=True)
        with self._locked(make=True) as ranges:
            if self._whole.is_file():  # brought since, so nobody would remove what is made here
                self._ranges.unlink()
                raise _GoneError
            told = ranges.readline().decode("ascii", "replace").strip()
            if told != self._head or not self.data.is_file():
                ranges.truncate(0)
                ranges.seek(0)
                self.data.unlink(missing_ok=True)
                ranges.write(f"{self._head}\n".encode())
                os.fsync(ranges)
            file = _open(self.data, make=True)
        with file:
            file.truncate(self._entry.size)
            yield file

    def _footer(self, file: FileIO) -> pq.FileMetaData:
        size = self._entry.size
        self._have(file, [Span(max(size - _TAIL, 0), size)])
        file.seek(size - _END)
        length = int.from_bytes(file.read(4), "little")
        if file.read(4) != _MAGIC:
            raise StoreError(f"`{self._remote.place_of(self._entry.path)}` is no Parquet file; remove its folder")
        self._have(file, [Span(size - _END - length, size)])
        return pq.read_metadata(file)

    def _have(self, file: FileIO, wanted: Sequence[Span]) -> None:
        requests = requests_of(lacking(wanted, self._known(file)))
        for start in range(0, len(requests), _AT_ONCE):
            self._fetch(file, requests[start : start + _AT_ONCE])

    def _fetch(self, file: FileIO, spans: Sequence[Span]) -> None:
        for span, data in zip(spans, self._remote.read_ranges(self._entry.path, spans), strict=True):
            written = 0
            while written < len(data):
                written += os.pwrite(file.fileno(), data[written:], span.begin + written)
        os.fsync(file)
        with self._locked() as lines:
            if not _is_named(file, self.data):
                raise _GoneError
            lines.seek(0, os.SEEK_END)
            # on lines of their own, whatever a power cut left of the last one
            lines.write("".join(f"\n{begin} {end} {_DONE}\n" for begin, end in spans).encode())

    def _known(self, file: FileIO) -> list[Span]:
        """Ranges that are filled in a file."""
        with self._locked() as ranges:
            if not _is_named(file, self.data):
                raise _GoneError
            lines = [line.split() for line in ranges.read().decode("ascii", "replace").splitlines()]
        return [Span(int(line[0]), int(line[1])) for line in lines if line[2:] == [_DONE]]


def _open(path: Path, *, make: bool) -> FileIO:
    """A file to read and write.

    Raises:
        _GoneError: it is not there, or the folder in which it would be made.
    """
    try:
        return FileIO(os.open(path, os.O_RDWR | (os.O_CREAT if make else 0), 0o666), "r+b")
    except FileNotFoundError as error:
        raise _GoneError from error


def _is_named(file: FileIO, path: Path) -> bool:
    """Whether an open file is the one that has a name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def spans_of(footer: pq.FileMetaData, columns: Collection[str] | None, rows: range | None) -> Iterator[Span]:
    """Where the bytes of some columns and rows of a table lie, in no order; a list or struct lies in several places."""
    paths = [footer.schema.column(place).path for place in range(footer.num_columns)]
    places = [place for place, path in enumerate(paths) if columns is None or path.partition(".")[0] in columns]
    first = 0
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        begin, first = first, first + group.num_rows
        if rows is not None and not (begin < rows.stop and rows.start < first):
            continue
        for chunk in map(group.column, places):
            start = chunk.data_page_offset
            if chunk.has_dictionary_page and chunk.dictionary_page_offset is not None:
                start = min(start, chunk.dictionary_page_offset)
            yield Span(start, start + chunk.total_compressed_size)


def lacking(wanted: Sequence[Span], known: Sequence[Span]) -> list[Span]:
    """Ranges that cover what is wanted and not known, in order; those that are near each other are one."""
    found: list[Span] = []
    for span in sorted(part for each in wanted for part in _without(each, sorted(known))):
        if found and span.begin - found[-1].end <= _GAP:
            found[-1] = Span(found[-1].begin, max(found[-1].end, span.end))
        else:
            found.append(span)
    return found


def _without(span: Span, known: Sequence[Span]) -> Iterator[Span]:
    """The parts of a range that lie in none of some others, which are sorted."""
    at = span.begin
    for begin, end in known:
        if begin >= span.end:
            break
        if at < begin:
            yield Span(at, begin)
        at = max(at, end)
    if at < span.end:
        yield Span(at, span.end)


def requests_of(spans: Sequence[Span]) -> list[Span]:
    """Ranges of one request each, in order."""
    return [Span(begin, min(begin + _MOST, span.end)) for span in spans for begin in range(span.begin, span.end, _MOST)]
