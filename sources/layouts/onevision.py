"""LLaVA-OneVision Parquet: one picture in the row, `conversations` beside it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from shards.markers import escape_literals
from shards.schema import IMAGE_MARKER
from sources.layouts.media import pictures_of
from sources.layouts.rows import Raw, convert
from sources.layouts.turns import mended, read_turns, renamed
from sources.layouts.value import chosen, extras, need
from sources.record import Defect, Record
from sources.spec import Source


@dataclass(frozen=True, slots=True)
class OneVision:
    """Rows of {id, image: {bytes, path} or null, conversations, data_source}; a null picture is a text-only row."""

    version: ClassVar[int] = 2
    evidence: ClassVar[str] = "card"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per row."""
        return convert(path, source, _record)


def _record(raw: Raw, source: Source) -> Record:
    fields = raw.fields()
    pictures = pictures_of(fields.get("image"), "image")
    turns = read_turns(need(fields, "conversations"), "conversations", escape_literals)
    messages, repairs = mended(turns, marker=IMAGE_MARKER, media=len(pictures), prompt=source.prompt)
    return Record(
        row=raw.row,
        messages=messages,
        pictures=pictures,
        meta=extras(fields, ("image", "conversations", *source.native)),
        native=chosen(fields, source.native),
        repairs=(*renamed(fields["conversations"]), *repairs),
    )
