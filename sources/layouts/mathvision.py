"""MATH-Vision: competition problems with numbered picture tokens. A benchmark: training on it spoils it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from shards.markers import escape
from shards.schema import IMAGE_MARKER
from sources.layouts.media import pictures_of
from sources.layouts.rows import Raw, convert
from sources.layouts.value import Fields, RowError, as_text, chosen, extras, kind, letters, text_of
from sources.record import Defect, Message, Record
from sources.spec import Source

_TOKEN: Final = re.compile(r"<image(\d)>")
_USED: Final = ("question", "options", "image", "decoded_image", "answer", "solution")


@dataclass(frozen=True, slots=True)
class MathVision:
    """Rows of {id, question, options, image, decoded_image, answer, solution, level, subject}.

    The first `<image1>` is where the picture stands, a later one is written `image 1`; without any the picture comes
    first. A number without a picture is `marker_mismatch`. Options are lines behind the question; the answer is the
    solution, where there is one, and a last line `Answer: B`.
    """

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "remembered"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per row."""
        return convert(path, source, _record)


def _record(raw: Raw, source: Source) -> Record:
    fields = raw.fields()
    pictures = pictures_of(fields.get("decoded_image"), "decoded_image") or pictures_of(fields.get("image"), "image")
    solution = fields.get("solution")
    written = "" if solution is None else as_text(solution, "solution").strip()
    answer = f"Answer: {text_of(fields, 'answer')}"
    return Record(
        row=raw.row,
        messages=(
            Message("user", _question(fields, len(pictures))),
            Message("assistant", escape("\n\n".join(piece for piece in (written, answer) if piece))),
        ),
        pictures=pictures,
        meta=extras(fields, (*_USED, *source.native)),
        native=chosen(fields, source.native),
    )


def _question(fields: Fields, num_pictures: int) -> str:
    options = fields.get("options") or []
    if not isinstance(options, list):
        raise RowError("wrong_type", f"expected a list in `options`, found {kind(options)}")
    lines = [text_of(fields, "question")]
    lines += [
        f"({letter}) {as_text(option, 'options')}"
        for letter, option in zip(letters(options, "options"), options, strict=True)
    ]
    text = escape("\n".join(lines))
    numbers = list(dict.fromkeys(int(number) for number in _TOKEN.findall(text)))
    if numbers not in ([], list(range(1, num_pictures + 1))):
        raise RowError("marker_mismatch", f"expected {num_pictures} numbered pictures in order, found {numbers}")
    if not numbers:
        return f"{IMAGE_MARKER}\n" * num_pictures + text
    for number in numbers:
        text = text.replace(f"<image{number}>", IMAGE_MARKER, 1).replace(f"<image{number}>", f"image {number}")
    return text
