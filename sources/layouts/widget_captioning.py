"""RICO-WidgetCaptioning: one element of a screen, several captions."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from sources.layouts.media import pictures_of
from sources.layouts.rows import Raw, convert_parts
from sources.layouts.turns import exchange
from sources.layouts.value import RowError, as_text, chosen, extras, list_of, shown
from sources.record import Defect, Record
from sources.spec import Source

PROMPT: Final = "Describe the element of this screen in the box (left, top, right, bottom)"
"""Question where the source has no `prompt`; the box follows it. Ours."""

NUM_SIDES: Final = 4


@dataclass(frozen=True, slots=True)
class WidgetCaptioning:
    """Rows of {file_name, image, bbox, captions}: one sample per caption, its index is the part.

    The question names the element by its four numbers as the row has them (left, top, right, bottom).
    """

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "upstream code"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per part, one defect for a row without parts."""
        return convert_parts(path, source, _split, _record)


def _split(raw: Raw, source: Source) -> list[tuple[str, object]]:
    fields = raw.fields()
    box = list_of(fields, "bbox")
    if len(box) != NUM_SIDES or not all(isinstance(side, (int, float)) for side in box):
        raise RowError("wrong_type", f"expected {NUM_SIDES} numbers in `bbox`, found {shown(box)}")
    prompt = PROMPT if source.prompt is None else source.prompt
    question = f"{prompt} [{as_text(box, 'bbox')}]"
    return [(question, caption) for caption in list_of(fields, "captions")]


def _record(raw: Raw, source: Source, part: tuple[str, object]) -> Record:
    fields = raw.fields()
    pictures = pictures_of(fields.get("image"), "image")
    question, caption = part
    return Record(
        row=raw.row,
        messages=exchange(question, as_text(caption, "captions"), pictures=len(pictures)),
        pictures=pictures,
        meta=extras(fields, ("image", "bbox", "captions", *source.native)),
        native=chosen(fields, source.native),
    )
