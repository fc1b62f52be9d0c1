"""Interleaved documents: parallel lists `texts` and `images`, as OBELICS writes them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from shards.schema import IMAGE_MARKER
from sources.layouts.markers import escape
from sources.layouts.media import pictures_of
from sources.layouts.rows import Raw, convert
from sources.layouts.value import Fields, RowError, as_text, chosen, extras, kind, need
from sources.record import Defect, Message, PictureRef, Record
from sources.spec import Source

BETWEEN: Final = "\n\n"
"""Between two pieces of a document: a blank line. Ours."""


@dataclass(frozen=True, slots=True)
class Interleaved:
    """Rows of {texts, images}: at each index one of the two is null (or empty); one document message each."""

    version: ClassVar[int] = 1

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per row."""
        return convert(path, source, _record)


def _record(raw: Raw, source: Source) -> Record:
    fields = raw.fields()
    texts, images = _list(fields, "texts"), _list(fields, "images")
    if len(texts) != len(images):
        raise RowError(
            "wrong_type", f"expected lists of one length, found {len(texts)} `texts` and {len(images)} `images`"
        )
    pieces: list[str] = []
    pictures: list[PictureRef] = []
    for index, (text, image) in enumerate(zip(texts, images, strict=True)):
        has_text, found = text not in (None, ""), pictures_of(image, f"images.{index}")
        if has_text == bool(found):
            both = "both" if has_text else "neither"
            raise RowError("wrong_type", f"expected a text or a picture at index {index}, found {both}")
        pieces.append(escape(as_text(text, f"texts.{index}")) if has_text else IMAGE_MARKER)
        pictures.extend(found)
    return Record(
        row=raw.row,
        messages=(Message("document", BETWEEN.join(pieces)),),
        pictures=tuple(pictures),
        meta=extras(fields, ("texts", "images", *source.native)),
        native=chosen(fields, source.native),
    )


def _list(fields: Fields, name: str) -> list[object]:
    value = need(fields, name)
    if not isinstance(value, list):
        raise RowError("wrong_type", f"expected a list in `{name}`, found {kind(value)}")
    return value
