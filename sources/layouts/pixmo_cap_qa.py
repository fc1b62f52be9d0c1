"""PixMo-CapQA: a URL and a conversation as a flat list of texts."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from sources.layouts.dialog import unpack
from sources.layouts.media import url_of
from sources.layouts.rows import Raw, convert
from sources.layouts.turns import alternating
from sources.layouts.value import Fields, as_text, chosen, extras, list_of, text_of
from sources.record import Defect, Record
from sources.spec import Source


@dataclass(frozen=True, slots=True)
class PixmoCapQa:
    """Rows of {image_url, question, answer, messages}; `messages` holds user and assistant texts in turn.

    Rows of the first uploads have no `messages`; their question may begin with `[USER]`, or hold earlier turns as
    `[USER] ... [ASSISTANT] ... [USER] ...`. An odd number of messages is a defect.
    """

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "upstream code"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per row."""
        return convert(path, source, _record)


def _record(raw: Raw, source: Source) -> Record:
    fields = raw.fields()
    texts, repairs = _texts(fields)
    return Record(
        row=raw.row,
        messages=alternating(texts),
        pictures=(url_of(fields),),
        meta=extras(fields, ("image_url", "image_sha256", "question", "answer", *source.native)),
        native=chosen(fields, source.native),
        repairs=repairs,
    )


def _texts(fields: Fields) -> tuple[list[str], tuple[str, ...]]:
    if fields.get("messages"):
        return [as_text(text, "messages") for text in list_of(fields, "messages")], ()
    question, answer = text_of(fields, "question"), text_of(fields, "answer")
    heading, asked = unpack(question, "[USER]", "[ASSISTANT]")
    if heading or len(asked) % 2 == 0:
        return [question, answer], ()
    return [*asked, answer], ("turns_split",)
