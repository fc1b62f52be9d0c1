"""Raw files as rows: JSON, JSONL, CSV, TSV (or these in gzip) and Parquet, a defect in place of each unreadable row."""

import csv
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeVar

import pyarrow as pa

from shards.errors import SourceError
from sources.layouts.json_file import Broken, is_lines, iter_elements, open_bytes, open_text, parse_line
from sources.layouts.parquet import parquet_rows
from sources.layouts.part import belongs
from sources.layouts.turns import NO_QUESTION
from sources.layouts.value import Fields, RowError, kind
from sources.record import NOT_OF_SOURCE, Defect, Record
from sources.spec import Source

HEADED: Final = (".csv", ".tsv", ".parquet")
"""Formats in which every row has the same columns, so that an absent column is a slip and not an empty value."""

_CELL: Final = 1 << 30
"""Longest CSV cell in characters; the default of Python's csv (131072) breaks on long documents. Ours."""

UNREADABLE: Final = (OSError, EOFError, ValueError, zlib.error, pa.ArrowException)
"""What reading raises for a file that is cut off, packed wrongly or something else than its ending says."""

_PICKLES: Final = (".pkl", ".pickle")

T = TypeVar("T")


class Raw(NamedTuple):
    """One raw row: its index from 0, its value, and its name where the file is an object of rows."""

    row: int
    value: object
    name: str = ""

    def fields(self) -> Fields:
        """The row as an object.

        Raises:
            RowError: `wrong_type`, it is something else.
        """
        if not isinstance(self.value, dict):
            raise RowError("wrong_type", f"expected an object, found {kind(self.value)}")
        return self.value


def convert(
    path: Path,
    source: Source,
    record: Callable[[Raw, Source], Record | Defect],
    columns: Collection[str] | None = None,
) -> Iterator[Record | Defect]:
    """One item for each row of a file: what `record` makes of it, or the defect that kept it from that.

    `columns` are the dotted paths that `record` reads, None for all: a Parquet file is decoded in these columns only.
    """
    for raw in read_rows(path, source, columns):
        if isinstance(raw, Defect):
            yield raw
            continue
        try:
            yield record(raw, source)
        except RowError as error:
            yield Defect(raw.row, error.reason, str(error))


def convert_parts(
    path: Path,
    source: Source,
    split: Callable[[Raw, Source], list[T]],
    record: Callable[[Raw, Source, T], Record],
) -> Iterator[Record | Defect]:
    """One item for each part of each row, its index is the part; a row without any part is a defect."""
    for raw in read_rows(path, source):
        if isinstance(raw, Defect):
            yield raw
            continue
        try:
            parts = split(raw, source)
        except RowError as error:
            yield Defect(raw.row, error.reason, str(error))
            continue
        if not parts:
            yield Defect(raw.row, "missing_field", NO_QUESTION)
        for index, part in enumerate(parts):
            try:
                yield replace(record(raw, source, part), part=str(index))
            except RowError as error:
                yield Defect(raw.row, error.reason, str(error), str(index))


def read_rows(path: Path, source: Source, columns: Collection[str] | None = None) -> Iterator[Raw | Defect]:
    """Every row of a raw file in order, streamed; blank lines at the end are no rows.

    A row that is not readable is a `Defect` with reason `broken_record`, one that `only` leaves to other sources a
    `Defect` with reason `NOT_OF_SOURCE`.

    Raises:
        SourceError: the file as a whole cannot be read.
    """
    form = form_of(path)
    read = _parquet_reader(source, columns) if form == ".parquet" else _READERS.get(form)
    if read is None:
        known = ", ".join((*_READERS, ".parquet"))
        # unpickling runs whatever code the file holds, so that form is never read
        remedy = "convert it, in a place where its code may run" if form in _PICKLES else "rename it or convert it"
        raise SourceError(f"source `{source.name}`: file `{path}`: expected one of {known}; {remedy}")
    try:
        for row, (name, value) in enumerate(read(path)):
            if isinstance(value, Broken):
                yield Defect(row, "broken_record", value.why)
            elif source.only and not belongs(value, source.only):
                yield Defect(row, NOT_OF_SOURCE, "")
            else:
                yield Raw(row, value, name)
    except UNREADABLE as error:
        raise unreadable(path, source, error) from error


def form_of(path: Path) -> str:
    """The ending that says how a file is written, without `.gz`."""
    return Path(path.stem).suffix if path.suffix == ".gz" else path.suffix


def unreadable(path: Path, source: Source, error: Exception) -> SourceError:
    """What to raise for a file that cannot be read as a whole."""
    form = form_of(path)
    return SourceError(
        f"source `{source.name}`: file `{path}`: cannot be read as {form or 'text'}: {error}; fetch it again"
    )


def _json(path: Path) -> Iterator[tuple[str, object]]:
    return _jsonl(path) if is_lines(path) else iter_elements(path)


def _jsonl(path: Path) -> Iterator[tuple[str, object]]:
    # Bytes, because text files split lines at U+2028 or a bare CR too, and one bad byte must cost one row only.
    with open_bytes(path) as file:
        lines = (line.removeprefix(b"\xef\xbb\xbf").strip() for line in file)
        for line in _without_blank_end(lines):
            yield "", parse_line(line)


def _csv(path: Path) -> Iterator[tuple[str, object]]:
    return _cells(path, delimiter=",", quoted=True)


def _tsv(path: Path) -> Iterator[tuple[str, object]]:
    # No quoting, as in the IANA definition: a cell may begin with a quotation mark; escapes stay as they are.
    return _cells(path, delimiter="\t", quoted=False)


def _cells(path: Path, *, delimiter: str, quoted: bool) -> Iterator[tuple[str, object]]:
    csv.field_size_limit(_CELL)
    with open_text(path, errors="surrogateescape") as file:
        quoting: Literal[0, 3] = 0 if quoted else 3  # csv.QUOTE_MINIMAL, csv.QUOTE_NONE, which are typed as int
        lines = _lines(csv.reader(file, delimiter=delimiter, quoting=quoting, strict=True))
        header = next(lines, None)
        if not isinstance(header, list):
            raise ValueError(f"expected a header line, found {header.why if header else 'an empty file'}")
        if len(set(header)) < len(header):
            raise ValueError(f"expected each column once in the header, found {', '.join(header)}")
        for cells in _without_blank_end(lines):
            yield "", _row(header, cells)


def _lines(reader: Iterator[list[str]]) -> Iterator[list[str] | Broken]:
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Broken(f"expected a row of cells, found: {error}")


def _row(header: list[str], cells: list[str] | Broken) -> object:
    if isinstance(cells, Broken):
        return cells
    if not cells:
        return Broken("expected a row of cells, found an empty line")
    if len(cells) != len(header):
        return Broken(f"expected {len(header)} cells, found {len(cells)}")
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return Broken("expected UTF-8, found other bytes")
    return dict(zip(header, cells, strict=True))


def _parquet_reader(source: Source, columns: Collection[str] | None) -> Callable[[Path], Iterator[tuple[str, object]]]:
    deciding = {source.only.column} if source.only else set()
    wanted = {*columns, *deciding} if columns is not None else None
    return lambda path: (("", row) for row in parquet_rows(path, wanted, whole=deciding))


def _without_blank_end(lines: Iterable[T]) -> Iterator[T]:
    held: list[T] = []
    for line in lines:
        held.append(line)
        if line:
            yield from held
            held.clear()


_READERS: Final[dict[str, Callable[[Path], Iterator[tuple[str, object]]]]] = {
    ".json": _json,
    ".jsonl": _jsonl,
    ".csv": _csv,
    ".tsv": _tsv,
}
