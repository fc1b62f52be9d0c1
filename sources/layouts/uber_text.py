"""Uber-Text: text in street pictures, one text file per picture."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from sources.layouts.spotting import Word, corners_of, read_lines, spotted
from sources.layouts.value import RowError, shown
from sources.record import Defect, Record
from sources.spec import Source

_PREFIX_CHARS: Final = 6
"""Characters before the picture's name in the name of a text file."""


@dataclass(frozen=True, slots=True)
class UberText:
    """One file `truth_7.txt` of lines `x1 y1 x2 y2 ...`, a tab, a text and more columns; the picture is `7.jpg`.

    Polygons have any number of corners; `*` is a word that nobody could read.
    """

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "upstream code"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect.

        Raises:
            SourceError: the file cannot be opened.
        """
        try:
            words = [_word(line) for line in read_lines(path, source)]
            yield spotted(0, words, f"{path.stem[_PREFIX_CHARS:]}.jpg", source, {})
        except RowError as error:
            yield Defect(0, error.reason, str(error))


def _word(line: str) -> Word:
    numbers, tab, rest = line.partition("\t")
    if not tab:
        raise RowError("broken_record", f"expected numbers, a tab and a text, found {shown(line)}")
    return Word(rest.split("\t")[0], corners_of(list(numbers.split()), "the numbers of a line"))
