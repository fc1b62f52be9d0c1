"""RICO-ScreenQA: questions about app screens."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from sources.layouts.media import pictures_of
from sources.layouts.rows import Raw, convert
from sources.layouts.turns import exchange
from sources.layouts.value import RowError, chosen, extras, list_of, object_of, text_of
from sources.record import Defect, Record
from sources.spec import Source


@dataclass(frozen=True, slots=True)
class ScreenQaRico:
    """Rows of {file_name, image, question, ground_truth: list of {full_answer, ui_elements}}.

    The first ground truth is the answer, the others are other people's words for it; without any the row is a defect.
    Google's own files ({image_id, question, ground_truth: list of texts}) are a `table` with `ground_truth.0`.
    """

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "upstream code"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per row."""
        return convert(path, source, _record)


def _record(raw: Raw, source: Source) -> Record:
    fields = raw.fields()
    pictures = pictures_of(fields.get("image"), "image")
    answers = list_of(fields, "ground_truth")
    if not answers:
        raise RowError("missing_field", "expected an answer in `ground_truth`, found an empty list")
    answer = text_of(object_of(answers[0], "ground_truth"), "full_answer")
    return Record(
        row=raw.row,
        messages=exchange(text_of(fields, "question"), answer, pictures=len(pictures)),
        pictures=pictures,
        meta=extras(fields, ("image", "question", "ground_truth", *source.native)),
        native=chosen(fields, source.native),
    )
