"""MLT-17: multilingual text in street pictures, one text file per picture."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from sources.layouts.spotting import Word, corners_of, read_lines, spotted
from sources.layouts.value import RowError, shown
from sources.record import Defect, Record
from sources.spec import Source

_PREFIX: Final = "gt_"
_ENDINGS: Final = (".jpg", ".png", ".gif")
_SIDES: Final = 8


@dataclass(frozen=True, slots=True)
class Mlt:
    """One file `gt_img_7.txt` of lines `x1,y1,x2,y2,x3,y3,x4,y4,language,text`; a text may hold commas.

    The picture is `img_7` in `root`. Its ending is the one found beside the text file, `.jpg` where none is: unpack
    pictures and texts into one folder, for some pictures are PNG or GIF.
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
            name = path.stem.removeprefix(_PREFIX)
            ending = next((end for end in _ENDINGS if (path.parent / f"{name}{end}").is_file()), _ENDINGS[0])
            yield spotted(0, words, f"{name}{ending}", source, {})
        except RowError as error:
            yield Defect(0, error.reason, str(error))


def _word(line: str) -> Word:
    parts = line.split(",", _SIDES + 1)
    if len(parts) != _SIDES + 2:
        raise RowError("broken_record", f"expected eight numbers, a language and a text, found {shown(line)}")
    return Word(parts[-1], corners_of(parts[:_SIDES], "the numbers of a line"))
