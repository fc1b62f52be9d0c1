"""RICO-Screen2Words: one screen, several captions."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from sources.layouts.media import pictures_of
from sources.layouts.rows import Raw, convert_parts
from sources.layouts.turns import exchange
from sources.layouts.value import as_text, chosen, extras, list_of
from sources.record import Defect, Record
from sources.spec import Source

PROMPT: Final = "Describe this screen in one sentence."
"""Question where the source has no `prompt`. Ours."""


@dataclass(frozen=True, slots=True)
class Screen2Words:
    """Rows of {file_name, image, captions}: one sample per caption, its index is the part."""

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "upstream code"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per part, one defect for a row without parts."""
        return convert_parts(path, source, _split, _record)


def _split(raw: Raw, source: Source) -> list[object]:
    return list_of(raw.fields(), "captions")


def _record(raw: Raw, source: Source, part: object) -> Record:
    fields = raw.fields()
    pictures = pictures_of(fields.get("image"), "image")
    question = PROMPT if source.prompt is None else source.prompt
    return Record(
        row=raw.row,
        messages=exchange(question, as_text(part, "captions"), pictures=len(pictures)),
        pictures=pictures,
        meta=extras(fields, ("image", "captions", *source.native)),
        native=chosen(fields, source.native),
    )
