"""ArT: text of any shape in street pictures."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from sources.layouts.rows import Raw, convert
from sources.layouts.spotting import Word, corners_of, spotted
from sources.layouts.value import RowError, kind, need, object_of, text_of
from sources.record import Defect, Record
from sources.spec import Source


@dataclass(frozen=True, slots=True)
class Art:
    """A JSON object `gt_12` -> list of {transcription, points, illegibility}; the picture is `gt_12.jpg` in `root`.

    The answer is made by `spotting.spotted`; `###` is a word that nobody could read.
    """

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "upstream code"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per picture."""
        return convert(path, source, _record)


def _record(raw: Raw, source: Source) -> Record:
    if not raw.name or not isinstance(raw.value, list):
        raise RowError("wrong_type", f"expected a list of words by the name of a picture, found {kind(raw.value)}")
    words = [_word(item) for item in raw.value]
    return replace(spotted(raw.row, words, f"{raw.name}.jpg", source, {}), name=raw.name)


def _word(item: object) -> Word:
    fields = object_of(item, "words")
    corners = corners_of(need(fields, "points"), "points")
    return Word(text_of(fields, "transcription"), corners, fields.get("illegibility") is not True)
