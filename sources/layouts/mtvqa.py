"""MTVQA: a picture and its questions, written as the text of a Python list."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from sources.layouts.media import pictures_of
from sources.layouts.rows import Raw, convert, convert_parts
from sources.layouts.turns import dialogue, exchange
from sources.layouts.value import Fields, RowError, chosen, extras, kind, need, object_of, shown, text_of
from sources.record import Defect, Record
from sources.spec import Source


@dataclass(frozen=True, slots=True)
class Mtvqa:
    """Rows of {id, image, qa_pairs, lang}: one sample per pair, its index is the part, or one dialogue (`pairs: join`).

    `qa_pairs` is a list of {question, answer}, or such a list as text with Python's quotes.

    Source: the MTVQA task written for lm-evaluation-harness, which reads the text as a Python literal.
    """

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "upstream code"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per part, one defect for a row without parts."""
        if source.pairs == "join":
            return convert(path, source, _dialogue)
        return convert_parts(path, source, _split, _record)


def _split(raw: Raw, source: Source) -> list[tuple[str, str]]:
    pairs = [object_of(pair, "qa_pairs") for pair in _pairs(raw.fields())]
    return [(text_of(pair, "question"), text_of(pair, "answer")) for pair in pairs]


def _pairs(fields: Fields) -> list[object]:
    value = need(fields, "qa_pairs")
    if isinstance(value, str):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
            raise RowError("wrong_type", f"expected a Python list in `qa_pairs`, found {shown(value)}") from error
    if not isinstance(value, list):
        raise RowError("wrong_type", f"expected a list in `qa_pairs`, found {kind(value)}")
    return value


def _record(raw: Raw, source: Source, part: tuple[str, str]) -> Record:
    fields = raw.fields()
    pictures = pictures_of(fields.get("image"), "image")
    return Record(
        row=raw.row,
        messages=exchange(*part, pictures=len(pictures)),
        pictures=pictures,
        meta=extras(fields, ("image", "qa_pairs", *source.native)),
        native=chosen(fields, source.native),
    )


def _dialogue(raw: Raw, source: Source) -> Record:
    fields = raw.fields()
    pictures = pictures_of(fields.get("image"), "image")
    texts = [text for pair in _split(raw, source) for text in pair]
    return Record(
        row=raw.row,
        messages=dialogue(texts, pictures=len(pictures)),
        pictures=pictures,
        meta=extras(fields, ("image", "qa_pairs", *source.native)),
        native=chosen(fields, source.native),
    )
