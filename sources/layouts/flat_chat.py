"""Dialogues as a flat list of texts, as UltraChat and LIMA write them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from sources.layouts.rows import Raw, convert
from sources.layouts.turns import alternating
from sources.layouts.value import RowError, as_text, chosen, columns, extras, list_of
from sources.record import Defect, Record
from sources.spec import Source

_NAMES: Final = ("data", "conversations")


@dataclass(frozen=True, slots=True)
class FlatChat:
    """Rows of {data or conversations: list of texts}, the user's and the assistant's in turn; no pictures.

    An odd number of texts is a defect: nobody answered the last one.

    Source: public training scripts read `data` of stingning/ultrachat and `conversations` of GAIR/lima that way.
    """

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "upstream code"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per row."""
        return convert(path, source, _record)


def _record(raw: Raw, source: Source) -> Record:
    fields = raw.fields()
    name = next((name for name in _NAMES if name in fields), None)
    if name is None:
        raise RowError("missing_field", f"expected `data` or `conversations`, found {columns(fields)}")
    return Record(
        row=raw.row,
        messages=alternating([as_text(text, name) for text in list_of(fields, name)], pictures=0),
        meta=extras(fields, (name, *source.native)),
        native=chosen(fields, source.native),
    )
