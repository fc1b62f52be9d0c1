"""VFLAN, the instruction data of VILA: M3IT and text-only FLAN in one shape."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from sources.layouts.dialog import unpack_history
from sources.layouts.media import encoded_pictures, pictures_of
from sources.layouts.rows import Raw, convert
from sources.layouts.turns import alternating
from sources.layouts.value import Fields, chosen, extras, text_of
from sources.record import Defect, PictureRef, Record
from sources.spec import Source

DIALOG: Final = "Image Descriptions"
"""Stands in the question of a packed dialogue, and in no other."""

_MARKER: Final = re.compile(r"<image>\n|\n<image>|<image>")


@dataclass(frozen=True, slots=True)
class Vflan:
    """Rows of {question, answer, image} or with a colon in the name (`answer:`, `image:`); without picture: text only.

    The pickle files of the publisher are not read: opening one runs the code in it. Convert them to JSONL or Parquet
    first. A picture is base64, or a path that ends in `.jpg`. Markers in the question are taken away, all pictures
    come before it; Visual Dialog (`Image Descriptions`) becomes turns, as in `m3it`.

    Source: mit-han-lab/VILA, llava/data/dataset.py, `LazyVFlanDataset`.
    """

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "upstream code"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per row."""
        return convert(path, source, _record)


def _record(raw: Raw, source: Source) -> Record:
    fields = raw.fields()
    question, answer = text_of(fields, "question").rstrip(), text_of(fields, _named(fields, "answer")).rstrip()
    pictures = _pictures(fields.get(_named(fields, "image")))
    plain = _MARKER.sub("", question)
    turns = unpack_history(plain, answer) if DIALOG in plain else ()
    return Record(
        row=raw.row,
        messages=alternating(turns or (plain, answer), pictures=len(pictures)),
        pictures=pictures,
        meta=extras(fields, ("question", "answer", "answer:", "image", "image:", *source.native)),
        native=chosen(fields, source.native),
        repairs=(*(["markers_moved"] if plain != question else []), *(["turns_split"] if turns else [])),
    )


def _named(fields: Fields, name: str) -> str:
    return f"{name}:" if f"{name}:" in fields else name


def _pictures(value: object) -> tuple[PictureRef, ...]:
    items = value if isinstance(value, list) else [] if value in (None, "") else [value]
    found = (
        pictures_of(item, "image")
        if isinstance(item, str) and item.endswith(".jpg")
        else encoded_pictures([item], "image")
        for item in items
    )
    return tuple(picture for pictures in found for picture in pictures)
