"""Chats over several pictures, as Mantis writes them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from shards.markers import escape_literals
from sources.layouts.media import pictures_of
from sources.layouts.rows import Raw, convert
from sources.layouts.turns import read_turns, renamed
from sources.layouts.value import chosen, extras, need
from sources.record import Defect, Record
from sources.spec import Source


@dataclass(frozen=True, slots=True)
class Chat:
    """Rows of {id, images, conversation or conversations, source}; `<image>` may stand anywhere, in any turn."""

    version: ClassVar[int] = 2
    evidence: ClassVar[str] = "real rows"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per row."""
        return convert(path, source, _record)


def _record(raw: Raw, source: Source) -> Record:
    fields = raw.fields()
    name = "conversations" if "conversations" in fields else "conversation"
    return Record(
        row=raw.row,
        messages=read_turns(need(fields, name), name, escape_literals),
        pictures=pictures_of(fields.get("images"), "images"),
        meta=extras(fields, ("images", name, *source.native)),
        native=chosen(fields, source.native),
        repairs=renamed(fields[name]),
    )
