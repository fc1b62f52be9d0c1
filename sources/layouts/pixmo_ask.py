"""PixMo-AskModelAnything: a URL with its hash, one question, one answer."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from shards.markers import escape
from shards.schema import IMAGE_MARKER
from sources.layouts.media import url_of
from sources.layouts.rows import Raw, convert
from sources.layouts.value import chosen, extras, text_of
from sources.record import Defect, Message, Record
from sources.spec import Source


@dataclass(frozen=True, slots=True)
class PixmoAsk:
    """Rows of {image_url, image_sha256, question, answer}."""

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "upstream code"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per row."""
        return convert(path, source, _record)


def _record(raw: Raw, source: Source) -> Record:
    fields = raw.fields()
    return Record(
        row=raw.row,
        messages=(
            Message("user", f"{IMAGE_MARKER}\n{escape(text_of(fields, 'question'))}"),
            Message("assistant", escape(text_of(fields, "answer"))),
        ),
        pictures=(url_of(fields),),
        meta=extras(fields, ("image_url", "image_sha256", "question", "answer", *source.native)),
        native=chosen(fields, source.native),
    )
