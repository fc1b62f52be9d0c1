"""TAT-QA: questions about a table and the paragraphs around it, from financial reports."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from sources.layouts.markers import escape
from sources.layouts.rows import Raw, read_rows
from sources.layouts.value import ABSENT, Fields, RowError, as_text, chosen, columns, kind, need, reach, text_of
from sources.record import Defect, Message, Record
from sources.spec import Source

_META: Final = ("uid", "answer_type", "answer_from", "scale")


@dataclass(frozen=True, slots=True)
class TatQa:
    """A JSON array of {table: {table}, paragraphs, questions}: one sample per question, its index is the part.

    The user turn is the table in Markdown, the paragraphs and the question. The scale (`thousand`, `percent`) follows
    the answer, which is half an answer without it; empty items of a list answer are left out.
    """

    version: ClassVar[int] = 1

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per question, one defect for a context that is not readable or has no question."""
        for raw in read_rows(path):
            if isinstance(raw, Defect):
                yield raw
                continue
            try:
                context, questions = _context(raw)
            except RowError as error:
                yield Defect(raw.row, error.reason, str(error))
                continue
            for index, question in enumerate(questions):
                yield _sample(raw.row, str(index), context, question)


def _context(raw: Raw) -> tuple[str, list[object]]:
    fields = raw.fields()
    table = reach(fields, "table.table")
    if table is ABSENT:
        raise RowError("missing_field", f"expected field `table.table`, found {columns(fields)}")
    paragraphs = [text_of(_object(item, "paragraphs"), "text") for item in _list(need(fields, "paragraphs"))]
    questions = _list(need(fields, "questions"))
    if not questions:
        raise RowError("missing_field", "expected questions, found an empty list")
    return "\n\n".join(piece for piece in (_markdown(_list(table)), "\n".join(paragraphs)) if piece), questions


def _sample(row: int, part: str, context: str, question: object) -> Record | Defect:
    try:
        fields = _object(question, "questions")
        asked = "\n\n".join(piece for piece in (context, text_of(fields, "question")) if piece)
        messages = (Message("user", escape(asked)), Message("assistant", escape(_answer(fields))))
        return Record(row=row, messages=messages, part=part, meta=chosen(fields, _META))
    except RowError as error:
        return Defect(row, error.reason, str(error), part)


def _answer(fields: Fields) -> str:
    value = need(fields, "answer")
    if isinstance(value, list):
        value = [item for item in value if item != ""]
    scale = fields.get("scale") or ""
    return f"{as_text(value, 'answer')} {as_text(scale, 'scale')}".strip()


def _markdown(rows: list[object]) -> str:
    lines = ["| " + " | ".join(_cell(cell) for cell in _list(row)) + " |" for row in rows]
    if lines:
        lines.insert(1, "|" + " --- |" * len(_list(rows[0])))
    return "\n".join(lines)


def _cell(value: object) -> str:
    return "" if value is None else as_text(value, "table").replace("|", "\\|").replace("\n", " ").strip()


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise RowError("wrong_type", f"expected a list, found {kind(value)}")
    return value


def _object(value: object, name: str) -> Fields:
    if not isinstance(value, dict):
        raise RowError("wrong_type", f"expected objects in `{name}`, found {kind(value)}")
    return value
