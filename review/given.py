"""Verdicts that people wrote into a file, whatever its format; flows/review_import.py holds them against the samples.

    .csv       the exported sheet, or any table with columns `key` and `verdict`
    .jsonl     the exported lines, or any objects with `key` and `verdict`
    .parquet   the exported table, or any with columns `key` and `verdict`
    .json      `answers.json` of the exported page, or what Label Studio exports as JSON or JSON-MIN

`entry`, `reviewer`, `note`, `at` (ISO 8601) and `seen` are read where they are there. No verdict is no answer yet.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, cast

import polars as pl

from review.folder import ANSWERS_FORMAT
from review.item import shown_sample
from review.label_studio import annotated
from review.sheet import ENCODING, SEEN, unguard
from shards.errors import UsageError

Via = Literal["csv", "jsonl", "parquet", "label-studio", "html"]
Choice = Literal["keep", "drop", "skip"]

_CHOICES: Final = ("keep", "drop", "skip")
_TEXTS: Final = ("id", "key", "entry", "verdict", "reviewer", "note", "seen", "at")
_REVIEWER: Final = 80
_NOTE: Final = 4000

Record = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Given:
    """One verdict in a file. `where` names its row; empty texts and null mean that the file does not say."""

    where: str
    item: str
    key: str
    entry: str
    seen: str
    choice: Choice
    reviewer: str
    note: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that cannot be taken, why, and what to do."""

    where: str
    why: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a file says: its format, its rows, how many of them have no verdict yet."""

    via: Via
    given: tuple[Given, ...]
    refused: tuple[Refused, ...]
    rows: int
    open: int


def read_given(path: Path) -> Sheet:
    """Read a file that people have filled in.

    Raises:
        UsageError: the file is missing, or not one of the formats.
    """
    if not path.is_file():
        raise UsageError(f"no file `{path}`; name the file with the verdicts, such as queue.csv or answers.json")
    readers = {".csv": _sheet, ".jsonl": _lines, ".parquet": _table, ".json": _document}
    if path.suffix.lower() not in readers:
        raise UsageError(f"`{path}`: expected a name that ends in {', '.join(readers)}")
    via, records = readers[path.suffix.lower()](path)
    found: list[Given] = []
    refused: list[Refused] = []
    rows = 0
    for where, record in records:
        rows += 1
        made = _given(where, record)
        if isinstance(made, Given):
            found.append(made)
        elif made is not None:
            refused.append(made)
    return Sheet(via, tuple(found), tuple(refused), rows, rows - len(found) - len(refused))


_Records = Iterable[tuple[str, Record]]


def _given(where: str, record: Record) -> Given | Refused | None:
    text = {name: "" if record.get(name) is None else str(record[name]).strip() for name in _TEXTS}
    choice = text["verdict"].lower()
    if not choice:
        return None
    if choice not in _CHOICES:
        return Refused(where, f"verdict `{text['verdict'][:40]}`: expected `keep`, `drop` or `skip`; write one of them")
    if not text["key"]:
        return Refused(where, "no key; put in the key of the sample")
    if len(text["reviewer"]) > _REVIEWER or len(text["note"]) > _NOTE:
        return Refused(where, f"a reviewer has at most {_REVIEWER} characters and a note {_NOTE}; shorten it")
    try:
        at = _time(text["at"])
    except ValueError:
        return Refused(where, f"time `{text['at'][:40]}`: expected one such as 2026-01-31T12:00:00Z; correct it")
    return Given(
        where,
        text["id"],
        text["key"],
        text["entry"],
        text["seen"],
        cast(Choice, choice),  # one of `_CHOICES`
        text["reviewer"],
        text["note"],
        at,
    )


def _time(text: str) -> datetime | None:
    if not text:
        return None
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _sheet(path: Path) -> tuple[Via, _Records]:
    try:
        with path.open(encoding=ENCODING, newline="") as handle:
            head = handle.readline()
            handle.seek(0)
            delimiter = max(",;\t", key=head.count)  # Excel writes semicolons where the comma stands in numbers
            reader = csv.DictReader(handle, delimiter=delimiter, strict=True)
            _check_columns(path, reader.fieldnames or ())
            rows = list(reader)
    except UnicodeDecodeError as error:
        raise UsageError(f"`{path}` is not UTF-8 ({error.reason}); save it as `CSV UTF-8`") from error
    except csv.Error as error:
        raise UsageError(f"`{path}` is no CSV file: {error}; save it as CSV again") from error
    return "csv", ((f"row {number}", _cells(row)) for number, row in enumerate(rows, start=2))


def _cells(row: Mapping[str, object]) -> Record:
    """A row of a sheet; of an exported one, what was put in for the sake of spreadsheet programs is taken out."""
    if not row.get("seen"):
        return row
    restored = {name: unguard(str(row[name])) for name in ("key", "entry") if row.get(name)}
    return {**row, **restored, "seen": str(row["seen"]).removeprefix(SEEN)}


def _check_columns(path: Path, names: Iterable[str]) -> None:
    found = list(names)
    for name in ("key", "verdict"):
        if name not in found:
            raise UsageError(f"`{path}` has no column `{name}`; found {', '.join(found)[:200] or 'none'}")


def _lines(path: Path) -> tuple[Via, _Records]:
    def records() -> Iterator[tuple[str, Record]]:
        with path.open(encoding="utf-8") as handle:
            for number, line in enumerate(handle, start=1):
                if line.strip():
                    yield f"line {number}", _reviewed(_object(path, f"line {number}", line))

    return "jsonl", records()


def _object(path: Path, where: str, text: str) -> Record:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise UsageError(f"`{path}`, {where}: not JSON ({error}); mend the file") from error
    if not isinstance(found, dict):
        raise UsageError(f"`{path}`, {where}: expected an object with `key` and `verdict`")
    return found


def _reviewed(item: Record) -> Record:
    """The record of an exported item; what the person saw is what stands in it, edited or not."""
    if "messages" not in item:
        return item
    try:
        seen = shown_sample(item["messages"], item["pictures"], item["videos"])  # type: ignore[arg-type]  # checked by use
    except (KeyError, TypeError):
        seen = "edited"
    return {**item, "seen": seen}


def _table(path: Path) -> tuple[Via, _Records]:
    try:
        _check_columns(path, pl.read_parquet_schema(path))
        frame = pl.read_parquet(path, columns=[name for name in pl.read_parquet_schema(path) if name in _TEXTS])
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UsageError(f"`{path}` is no Parquet file: {str(error).partition(chr(10))[0]}") from error
    return "parquet", ((f"row {number}", row) for number, row in enumerate(frame.iter_rows(named=True), start=1))


def _document(path: Path) -> tuple[Via, _Records]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"`{path}` is not JSON ({error}); export it again") from error
    if isinstance(found, dict) and found.get("format") == ANSWERS_FORMAT and isinstance(found.get("answers"), list):
        records = enumerate(found["answers"], start=1)
        return "html", [(f"answer {number}", each) for number, each in records if isinstance(each, dict)]
    if isinstance(found, list) and all(isinstance(each, dict) for each in found):
        return "label-studio", annotated(found)
    raise UsageError(f"`{path}`: expected answers.json of an exported page, or a JSON export of Label Studio")
