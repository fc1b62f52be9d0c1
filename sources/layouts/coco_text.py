"""COCO-Text: words in COCO pictures."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from sources.layouts.spotting import Scene, Word, convert_scenes, corners_of
from sources.layouts.value import Fields, RowError, as_text, chosen, list_of, need, shown, text_of
from sources.record import Defect, Record
from sources.spec import Source


@dataclass(frozen=True, slots=True)
class CocoText:
    """One JSON object {imgs: id -> {file_name, set}, anns: id -> {image_id, bbox, utf8_string, legibility}}.

    Ids are text as names and numbers as values. The file holds all splits: `set` of a picture goes to `meta`.
    `bbox` is left, top, width, height.
    """

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "upstream code"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per picture.

        Raises:
            SourceError: the file cannot be read as a whole.
        """
        return convert_scenes(path, source, ("imgs", "anns"), _scene, _word)


def _scene(name: str, fields: Fields) -> Scene:
    return Scene(name, text_of(fields, "file_name"), {"image_id": name, **chosen(fields, ("set",))})


def _word(fields: Fields) -> tuple[str, Word]:
    corner, *more = corners_of(list_of(fields, "bbox"), "bbox")
    if len(more) != 1:
        raise RowError("wrong_type", f"expected four numbers in `bbox`, found {shown(fields['bbox'])}")
    (left, top), (width, height) = corner, more[0]
    # an illegible word has no `utf8_string`
    text = fields.get("utf8_string")
    word = Word(
        "" if text is None else as_text(text, "utf8_string"),
        ((left, top), (left + width, top + height)),
        fields.get("legibility") == "legible",
    )
    return as_text(need(fields, "image_id"), "image_id"), word
