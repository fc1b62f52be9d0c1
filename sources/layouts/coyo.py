"""COYO-700M and its copies: a picture and the text beside it on a web page."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from sources.layouts.media import encoded_pictures, pictures_of
from sources.layouts.rows import Raw, convert
from sources.layouts.turns import exchange
from sources.layouts.value import Fields, RowError, chosen, columns, extras, text_of
from sources.record import Defect, PictureRef, Record
from sources.spec import Source

PROMPT: Final = "Write a short caption for this picture."
"""Question where the source has no `prompt`. Ours."""


@dataclass(frozen=True, slots=True)
class Coyo:
    """Rows of {url, text}, or with the picture in `rawbytes` or as base64 in `image`, and `caption` for `text`.

    The published list alone is a `table` too ({assistant: [text], images: [url]}); what it lacks is base64. Scores of
    the list (`clip_similarity_vitb32`, ...) can be native.
    """

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "upstream code"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per row."""
        return convert(path, source, _record)


def _record(raw: Raw, source: Source) -> Record:
    fields = raw.fields()
    caption = text_of(fields, "caption" if "caption" in fields else "text")
    return Record(
        row=raw.row,
        messages=exchange(PROMPT if source.prompt is None else source.prompt, caption.strip()),
        pictures=(_picture(fields),),
        meta=extras(fields, ("text", "caption", "image", "rawbytes", *source.native)),
        native=chosen(fields, source.native),
    )


def _picture(fields: Fields) -> PictureRef:
    image = fields.get("image")
    inside = encoded_pictures(image, "image") if isinstance(image, str) else pictures_of(image, "image")
    found = (*pictures_of(fields.get("rawbytes"), "rawbytes"), *inside, *pictures_of(fields.get("url"), "url"))
    if not found:
        raise RowError("missing_field", f"expected `rawbytes`, `image` or `url`, found {columns(fields)}")
    return found[0]
