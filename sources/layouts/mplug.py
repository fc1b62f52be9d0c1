"""mPLUG-DocOwl JSONL: DocStruct4M, DocDownstream-1.0, DocReason25K."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from shards.markers import escape
from shards.schema import IMAGE_MARKER
from sources.layouts.media import pictures_of
from sources.layouts.rows import Raw, convert
from sources.layouts.turns import read_turns, renamed
from sources.layouts.value import chosen, extras, need
from sources.record import Defect, Record
from sources.spec import Source

UPSTREAM_MARKER: Final = "<|image|>"


@dataclass(frozen=True, slots=True)
class Mplug:
    """Rows of {image: list of paths, messages, task_name, dataset_name}; the marker is `<|image|>`, without newline."""

    version: ClassVar[int] = 2
    evidence: ClassVar[str] = "upstream code"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per row."""
        return convert(path, source, _record)


def _record(raw: Raw, source: Source) -> Record:
    fields = raw.fields()
    return Record(
        row=raw.row,
        messages=read_turns(need(fields, "messages"), "messages", _text),
        pictures=pictures_of(fields.get("image"), "image"),
        meta=extras(fields, ("image", "messages", *source.native)),
        native=chosen(fields, source.native),
        repairs=renamed(fields["messages"]),
    )


def _text(text: str) -> str:
    return escape(text).replace(UPSTREAM_MARKER, IMAGE_MARKER)
