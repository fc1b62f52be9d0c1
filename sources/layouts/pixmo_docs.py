"""PixMo-Docs: made-up charts, diagrams and tables with many questions each."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from sources.layouts.media import pictures_of
from sources.layouts.rows import Raw, convert_parts
from sources.layouts.turns import exchange
from sources.layouts.value import RowError, as_text, chosen, extras, list_of, need, object_of
from sources.record import Defect, Record
from sources.spec import Source


@dataclass(frozen=True, slots=True)
class PixmoDocs:
    """Rows of {image, image_id, questions}: one sample per question, its index is the part.

    `questions` is an object of parallel lists {question, answer} or a list of such objects; both come from one file,
    depending on who wrote it.
    """

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "card"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per part, one defect for a row without parts."""
        return convert_parts(path, source, _split, _record)


def _split(raw: Raw, source: Source) -> list[tuple[object, object]]:
    fields = raw.fields()
    questions = need(fields, "questions")
    if isinstance(questions, list):
        pairs = [object_of(pair, "questions") for pair in questions]
        return [(need(pair, "question"), need(pair, "answer")) for pair in pairs]
    lists = object_of(questions, "questions")
    asked, answered = list_of(lists, "question"), list_of(lists, "answer")
    if len(asked) != len(answered):
        raise RowError("wrong_type", f"expected as many answers as questions, found {len(answered)} and {len(asked)}")
    return list(zip(asked, answered, strict=True))


def _record(raw: Raw, source: Source, part: tuple[object, object]) -> Record:
    fields = raw.fields()
    pictures = pictures_of(fields.get("image"), "image")
    question, answer = (as_text(text, "questions") for text in part)
    return Record(
        row=raw.row,
        messages=exchange(question, answer, pictures=len(pictures)),
        pictures=pictures,
        meta=extras(fields, ("image", "questions", *source.native)),
        native=chosen(fields, source.native),
    )
