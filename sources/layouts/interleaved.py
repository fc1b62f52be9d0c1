"""Interleaved documents: parallel lists `texts` and `images`, as OBELICS writes them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from shards.markers import escape
from shards.schema import IMAGE_MARKER
from sources.layouts.media import pictures_of
from sources.layouts.rows import Raw, convert
from sources.layouts.value import RowError, as_text, chosen, extras, list_of
from sources.record import Defect, Message, PictureRef, Record
from sources.spec import Source

BETWEEN: Final = "\n\n"
"""Between two pieces of a document: a blank line. Ours."""


@dataclass(frozen=True, slots=True)
class Interleaved:
    """Rows of {texts, images}: at each index one of the two is null (or empty); one document message each."""

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "remembered"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per row."""
        return convert(path, source, _record)


def _record(raw: Raw, source: Source) -> Record:
    fields = raw.fields()
    message, pictures = document(list_of(fields, "texts"), list_of(fields, "images"))
    return Record(
        row=raw.row,
        messages=(message,),
        pictures=pictures,
        meta=extras(fields, ("texts", "images", *source.native)),
        native=chosen(fields, source.native),
    )


def document(texts: list[object], images: list[object]) -> tuple[Message, tuple[PictureRef, ...]]:
    """The document of two parallel lists, and its pictures in order.

    Raises:
        RowError: `wrong_type`, an index has a text and a picture, or neither, or the lengths differ.
    """
    if len(texts) != len(images):
        raise uneven(texts, images)
    pieces: list[str] = []
    pictures: list[PictureRef] = []
    for index, (text, image) in enumerate(zip(texts, images, strict=True)):
        has_text, found = text not in (None, ""), pictures_of(image, f"images.{index}")
        if has_text == bool(found):
            both = "both" if has_text else "neither"
            raise RowError("wrong_type", f"expected a text or a picture at index {index}, found {both}")
        pieces.append(escape(as_text(text, f"texts.{index}")) if has_text else IMAGE_MARKER)
        pictures.extend(found)
    return Message("document", BETWEEN.join(pieces)), tuple(pictures)


def uneven(texts: list[object], images: list[object]) -> RowError:
    """What to raise for parallel lists of two lengths."""
    return RowError(
        "wrong_type", f"expected lists of one length, found {len(texts)} `texts` and {len(images)} `images`"
    )
