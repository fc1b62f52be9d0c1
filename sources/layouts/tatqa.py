"""TAT-QA: questions about a table and the paragraphs around it, from financial reports."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from sources.layouts.rows import Raw, convert_parts
from sources.layouts.turns import exchange
from sources.layouts.value import (
    ABSENT,
    Fields,
    RowError,
    as_text,
    chosen,
    columns,
    kind,
    list_of,
    need,
    object_of,
    reach,
    text_of,
)
from sources.record import Defect, Record
from sources.spec import Source

_META: Final = ("uid", "answer_type", "answer_from", "scale")


@dataclass(frozen=True, slots=True)
class TatQa:
    """A JSON array of {table: {table}, paragraphs, questions}: one sample per question, its index is the part.

    The user turn is the table in Markdown, the paragraphs and the question. The scale (`thousand`, `percent`) follows
    the answer, which is half an answer without it; empty items of a list answer are left out.
    """

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "real rows"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per question, one defect for a context that is not readable or has no question."""
        return convert_parts(path, source, _split, _record)


def _split(raw: Raw, source: Source) -> list[tuple[str, object]]:
    fields = raw.fields()
    context = _context(fields)
    return [(context, question) for question in list_of(fields, "questions")]


def _record(raw: Raw, source: Source, part: tuple[str, object]) -> Record:
    context, question = part
    fields = object_of(question, "questions")
    asked = "\n\n".join(piece for piece in (context, text_of(fields, "question")) if piece)
    return Record(row=raw.row, messages=exchange(asked, _answer(fields), pictures=0), meta=chosen(fields, _META))


def _context(fields: Fields) -> str:
    table = reach(fields, "table.table")
    if table is ABSENT:
        raise RowError("missing_field", f"expected field `table.table`, found {columns(fields)}")
    paragraphs = [text_of(object_of(item, "paragraphs"), "text") for item in list_of(fields, "paragraphs")]
    return "\n\n".join(piece for piece in (_markdown(_list(table)), "\n".join(paragraphs)) if piece)


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
