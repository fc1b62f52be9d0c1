"""ArXivQA: multiple choice about figures of papers, with a rationale."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from sources.layouts.media import pictures_of
from sources.layouts.rows import Raw, convert
from sources.layouts.turns import exchange
from sources.layouts.value import Fields, RowError, as_text, chosen, extras, letters, list_of, shown, text_of
from sources.record import Defect, Record
from sources.spec import Source

_LETTER: Final = re.compile(r"[(\[]?([A-Z])(?:[).:\]]|$)")
"""A letter and what sets it apart from a word: `A)`, `(A)`, `A.`, `A:`, `[A]`, or nothing behind it."""


@dataclass(frozen=True, slots=True)
class ArxivQa:
    """Rows of {id, image, options, question, label, rationale}.

    The options are lines behind the question, lettered where they have no letters; the answer is the rationale and a
    last line `Answer: B`. A label may be `B`, `b`, `(B)`, `B)`, `B) falls` or the text of an option.
    """

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "card"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per row."""
        return convert(path, source, _record)


def _record(raw: Raw, source: Source) -> Record:
    fields = raw.fields()
    pictures = pictures_of(fields.get("image"), "image")
    options = _options(fields)
    rationale = fields.get("rationale")
    written = "" if rationale is None else as_text(rationale, "rationale").strip()
    label = _letter(text_of(fields, "label").strip(), options)
    return Record(
        row=raw.row,
        messages=exchange(
            "\n".join([text_of(fields, "question"), *options]),
            "\n\n".join(piece for piece in (written, f"Answer: {label}") if piece),
            pictures=len(pictures),
        ),
        pictures=pictures,
        meta=extras(fields, ("image", "options", "question", "label", "rationale", *source.native)),
        native=chosen(fields, source.native),
    )


def _options(fields: Fields) -> list[str]:
    options = [as_text(option, "options").strip() for option in list_of(fields, "options")]
    named = list(zip(letters(options, "options"), options, strict=True))
    if all(_first(option) == letter for letter, option in named):
        return options
    return [f"{letter}) {option}" for letter, option in named]


def _letter(label: str, options: list[str]) -> str:
    known = letters(options, "options")
    texts = {option.split(maxsplit=1)[-1]: letter for option, letter in zip(options, known, strict=True)}
    found = label.upper() if len(label) == 1 else texts.get(label) or _first(label)
    if not found or found not in known:
        raise RowError("wrong_type", f"expected a letter of {len(options)} options in `label`, found {shown(label)}")
    return found


def _first(text: str) -> str:
    match = _LETTER.match(text)
    return match[1] if match else ""
