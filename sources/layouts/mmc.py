"""MMC-Instruction: charts and questions about them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from shards.markers import escape, escape_literals
from shards.schema import IMAGE_MARKER
from sources.layouts.media import relative
from sources.layouts.rows import Raw, convert
from sources.layouts.turns import mended
from sources.layouts.value import chosen, extras, text_of
from sources.record import Defect, Member, Message, Record
from sources.spec import Source


@dataclass(frozen=True, slots=True)
class Mmc:
    """Rows of {image_id, question, answer}; `image_id` is the picture's file name, the marker may be missing.

    Pin a revision: answers of earlier ones hold placeholders that the publisher took out later.
    """

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "upstream code"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per row."""
        return convert(path, source, _record)


def _record(raw: Raw, source: Source) -> Record:
    fields = raw.fields()
    question, answer = escape_literals(text_of(fields, "question")), escape(text_of(fields, "answer"))
    turns = (Message("user", question), Message("assistant", answer))
    messages, repairs = mended(turns, marker=IMAGE_MARKER, media=1, prompt=source.prompt)
    return Record(
        row=raw.row,
        messages=messages,
        pictures=(Member(relative(text_of(fields, "image_id"))),),
        meta=extras(fields, ("question", "answer", *source.native)),
        native=chosen(fields, source.native),
        repairs=repairs,
    )
