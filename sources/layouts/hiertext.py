"""HierText: paragraphs, lines and words of Open Images pictures."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from sources.layouts.json_file import Broken, iter_nested
from sources.layouts.rows import UNREADABLE, unreadable
from sources.layouts.spotting import Word, corners_of, spotted
from sources.layouts.value import Fields, RowError, list_of, need, object_of, text_of
from sources.record import Defect, Record
from sources.spec import Source


@dataclass(frozen=True, slots=True)
class HierText:
    """One JSON object {info, annotations: list of {image_id, paragraphs: {lines: {words}}}}, streamed.

    The files are called `.jsonl.gz` and are no lines. The picture is `IMAGE_ID.jpg` in `root`; illegible words, whose
    text is empty, are left out of the answer.
    """

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "upstream code"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per picture.

        Raises:
            SourceError: the file cannot be read as a whole.
        """
        row = 0
        try:
            for section, _, value in iter_nested(path):
                if section == "annotations":
                    yield _item(row, value, source)
                    row += 1
            if not row:
                raise ValueError("expected pictures in `annotations`, found none")
        except UNREADABLE as error:
            raise unreadable(path, source, error) from error


def _item(row: int, value: object, source: Source) -> Record | Defect:
    try:
        if isinstance(value, Broken):
            raise RowError("broken_record", value.why)
        fields = object_of(value, "annotations")
        file = f"{text_of(fields, 'image_id')}.jpg"
        return spotted(row, _words(fields), file, source, {"image_id": text_of(fields, "image_id")})
    except RowError as error:
        return Defect(row, error.reason, str(error))


def _words(fields: Fields) -> list[Word]:
    paragraphs = [object_of(item, "paragraphs") for item in list_of(fields, "paragraphs")]
    lines = [object_of(item, "lines") for paragraph in paragraphs for item in list_of(paragraph, "lines")]
    return [_word(object_of(item, "words")) for line in lines for item in list_of(line, "words")]


def _word(fields: Fields) -> Word:
    corners = corners_of(need(fields, "vertices"), "vertices")
    return Word(text_of(fields, "text"), corners, fields.get("legible") is not False)
