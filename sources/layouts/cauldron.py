"""The Cauldron: many questions about the same pictures in one row."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from sources.layouts.media import pictures_of
from sources.layouts.rows import Raw, convert, convert_parts
from sources.layouts.turns import dialogue, exchange
from sources.layouts.value import chosen, extras, list_of, object_of, text_of
from sources.record import Defect, PictureRef, Record
from sources.spec import Source


@dataclass(frozen=True, slots=True)
class Cauldron:
    """Rows of {images, texts: list of {user, assistant, source}}: one sample per pair, its index is the part.

    The texts have no markers: each question stands behind all pictures of its row. With `pairs: join` a row is one
    dialogue, the pictures before its first question and without the `source` of each pair.
    """

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "card"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per part, one defect for a row without parts."""
        if source.pairs == "join":
            return convert(path, source, _dialogue)
        return convert_parts(path, source, _split, _record)


def _split(raw: Raw, source: Source) -> list[tuple[tuple[PictureRef, ...], object]]:
    fields = raw.fields()
    pictures = pictures_of(fields.get("images"), "images")
    return [(pictures, text) for text in list_of(fields, "texts")]


def _record(raw: Raw, source: Source, part: tuple[tuple[PictureRef, ...], object]) -> Record:
    pictures, pair = part
    texts = object_of(pair, "texts")
    return Record(
        row=raw.row,
        messages=exchange(text_of(texts, "user"), text_of(texts, "assistant"), pictures=len(pictures)),
        pictures=pictures,
        meta=extras(texts, ("user", "assistant")),
        native=chosen(raw.fields(), source.native),
    )


def _dialogue(raw: Raw, source: Source) -> Record:
    fields = raw.fields()
    pictures = pictures_of(fields.get("images"), "images")
    pairs = [object_of(text, "texts") for text in list_of(fields, "texts")]
    texts = [text_of(pair, name) for pair in pairs for name in ("user", "assistant")]
    return Record(
        row=raw.row,
        messages=dialogue(texts, pictures=len(pictures)),
        pictures=pictures,
        meta=extras(fields, ("images", "texts", *source.native)),
        native=chosen(fields, source.native),
    )
