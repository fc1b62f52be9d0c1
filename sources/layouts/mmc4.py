"""Multimodal C4: sentences of a web page and the pictures that were matched to them."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import ClassVar

from shards.markers import escape
from shards.schema import IMAGE_MARKER
from sources.layouts.media import encoded_pictures, pictures_of
from sources.layouts.rows import Raw, convert
from sources.layouts.value import (
    Fields,
    RowError,
    as_text,
    chosen,
    columns,
    extras,
    list_of,
    need,
    object_of,
    shown,
)
from sources.record import Defect, Message, PictureRef, Record
from sources.spec import Source


@dataclass(frozen=True, slots=True)
class Mmc4:
    """Rows of {text_list, image_info: list of {raw_url, image_name, matched_text_index}, url, ...}; one document each.

    A picture stands on a line of its own before its sentence, several in the order of `image_info`; sentences are
    joined by one blank. All pictures are kept: at most six per document is a rule of trainers. A picture is found by
    `image_base64` (VILA's copies), else by `raw_url`, else by `image_name` in `root`.

    Source: mit-han-lab/VILA, llava/data/dataset.py, `LazyMMC4Dataset`, for the order and the blank.
    """

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "upstream code"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per row."""
        return convert(path, source, _record)


def _record(raw: Raw, source: Source) -> Record:
    fields = raw.fields()
    sentences = [escape(as_text(text, "text_list")) for text in list_of(fields, "text_list")]
    matched: list[list[PictureRef]] = [[] for _ in sentences]
    for item in list_of(fields, "image_info"):
        info = object_of(item, "image_info")
        matched[_index(info, len(sentences))].append(_picture(info))
    return Record(
        row=raw.row,
        messages=(Message("document", _joined(sentences, [len(found) for found in matched])),),
        pictures=tuple(chain.from_iterable(matched)),
        meta=extras(fields, ("text_list", "image_info", *source.native)),
        native=chosen(fields, source.native),
    )


def _joined(sentences: list[str], num_pictures: list[int]) -> str:
    text = ""
    for sentence, number in zip(sentences, num_pictures, strict=True):
        between = "" if not text else "\n" if number else " "
        text += between + f"{IMAGE_MARKER}\n" * number + sentence
    return text


def _index(info: Fields, num_sentences: int) -> int:
    index = need(info, "matched_text_index")
    if not isinstance(index, int) or not 0 <= index < num_sentences:
        raise RowError("wrong_type", f"expected 0 to {num_sentences - 1} in `matched_text_index`, found {shown(index)}")
    return index


def _picture(info: Fields) -> PictureRef:
    found = encoded_pictures(info.get("image_base64"), "image_base64")
    places = (pictures_of(info.get(name), name) for name in ("raw_url", "image_name"))
    picture = next(chain(found, *places), None)
    if picture is None:
        raise RowError("missing_field", f"expected `raw_url` or `image_name` in `image_info`, found {columns(info)}")
    return picture
