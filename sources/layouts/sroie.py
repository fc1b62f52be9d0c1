"""SROIE: scanned receipts with four fields each."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from shards.markers import escape
from shards.schema import IMAGE_MARKER
from sources.layouts.json_file import Broken, parse_line
from sources.layouts.rows import unreadable
from sources.layouts.value import RowError, as_text, columns, kind
from sources.record import Defect, Member, Message, Record
from sources.spec import Source

FIELDS: Final = ("company", "date", "address", "total")
QUESTION: Final = "Read this receipt and answer with a JSON object of company, date, address and total."
"""Ours; the order is that of the answer."""


@dataclass(frozen=True, slots=True)
class Sroie:
    """One file `key/NNN.json` of {company, date, address, total}; the picture is `NNN.jpg` in `root`.

    The answer is that object as one line of JSON, null where the file lacks a field.
    """

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "real rows"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect.

        Raises:
            SourceError: the file cannot be opened.
        """
        try:
            text = path.read_bytes()
        except OSError as error:
            raise unreadable(path, source, error) from error
        value = parse_line(text.strip())
        try:
            yield _record(path.stem, value)
        except RowError as error:
            yield Defect(0, error.reason, str(error))


def _record(name: str, value: object) -> Record:
    if isinstance(value, Broken):
        raise RowError("broken_record", value.why)
    if not isinstance(value, dict):
        raise RowError("wrong_type", f"expected an object, found {kind(value)}")
    if not any(field in value for field in FIELDS):
        raise RowError("missing_field", f"expected {', '.join(FIELDS)}, found {columns(value)}")
    known = {field: value.get(field) for field in FIELDS}
    answer = {field: None if item is None else as_text(item, field) for field, item in known.items()}
    return Record(
        row=0,
        messages=(
            Message("user", f"{IMAGE_MARKER}\n{QUESTION}"),
            Message("assistant", escape(json.dumps(answer, ensure_ascii=False))),
        ),
        pictures=(Member(f"{name}.jpg"),),
        name=name,
    )
