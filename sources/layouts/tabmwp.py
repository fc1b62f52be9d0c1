"""TabMWP: word problems over a table that is shown as a picture."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from shards.markers import escape
from shards.schema import IMAGE_MARKER
from sources.layouts.rows import Raw, convert
from sources.layouts.value import Fields, RowError, as_text, chosen, kind, letters, text_of
from sources.record import Defect, Member, Message, Record
from sources.spec import Source

_META: Final = ("table_title", "ques_type", "ans_type", "grade", "split")


@dataclass(frozen=True, slots=True)
class Tabmwp:
    """A JSON object id -> {question, choices, answer, unit, solution, ...}; the picture is `ID.png`.

    `root` is the folder of the tables. The answer is the solution and a last line `Answer: ...`.
    """

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "real rows"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per problem."""
        return convert(path, source, _record)


def _record(raw: Raw, source: Source) -> Record:
    fields = raw.fields()
    if not raw.name:
        raise RowError("wrong_type", "expected an object of problems by id, found a list")
    answer = f"{text_of(fields, 'solution').rstrip()}\n\nAnswer: {text_of(fields, 'answer')}"
    return Record(
        row=raw.row,
        messages=(
            Message("user", f"{IMAGE_MARKER}\n{escape(_question(fields))}"),
            Message("assistant", escape(answer)),
        ),
        pictures=(Member(f"{raw.name}.png"),),
        name=raw.name,
        meta=chosen(fields, _META),
        native=chosen(fields, source.native),
    )


def _question(fields: Fields) -> str:
    unit, choices = fields.get("unit"), fields.get("choices")
    if not (choices is None or isinstance(choices, list)):
        raise RowError("wrong_type", f"expected a list in `choices`, found {kind(choices)}")
    lines = [text_of(fields, "question") + (f" (unit: {as_text(unit, 'unit')})" if unit else "")]
    named = zip(letters(choices or (), "choices"), choices or (), strict=True)
    lines += [f"({letter}) {as_text(choice, 'choices')}" for letter, choice in named]
    return "\n".join(lines)
