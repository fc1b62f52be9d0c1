"""KVQA: several questions about one news picture."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from sources.layouts.media import relative
from sources.layouts.rows import Raw, convert_parts
from sources.layouts.turns import exchange
from sources.layouts.value import RowError, as_text, chosen, list_of, text_of
from sources.record import Defect, Member, Record
from sources.spec import Source


@dataclass(frozen=True, slots=True)
class Kvqa:
    """A JSON object id -> {imgPath, Questions, Answers}: one sample per question, its index is the part.

    Answers may be numbers. Lists of unequal length are a defect of the whole row: nobody knows which answer is missing.
    `root` is the folder that holds `KVQAimgs`.
    """

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "upstream code"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per part, one defect for a row without parts."""
        return convert_parts(path, source, _split, _record)


def _split(raw: Raw, source: Source) -> list[tuple[object, object]]:
    fields = raw.fields()
    questions, answers = list_of(fields, "Questions"), list_of(fields, "Answers")
    if len(questions) != len(answers):
        raise RowError(
            "wrong_type", f"expected as many answers as questions, found {len(answers)} and {len(questions)}"
        )
    return list(zip(questions, answers, strict=True))


def _record(raw: Raw, source: Source, part: tuple[object, object]) -> Record:
    fields = raw.fields()
    question, answer = as_text(part[0], "Questions"), as_text(part[1], "Answers")
    return Record(
        row=raw.row,
        messages=exchange(question, answer),
        pictures=(Member(relative(text_of(fields, "imgPath"))),),
        name=raw.name,
        native=chosen(fields, source.native),
    )
