"""FineWeb's measures of lines."""

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from filters.base import Columns
from filters.texts import Texts


@dataclass(frozen=True, slots=True)
class FineWeb:
    """Scores `fineweb_...` of all answers of a sample as one text, blank lines between them.

    Lines end at a newline and hold more than white space. `fineweb_terminal_line_share`: lines whose last character
    ends a sentence in any script (0..1). `fineweb_short_line_share`: lines of at most `short` characters.
    `fineweb_dup_line_char_share`: characters of lines that occurred before, of all characters but newlines.
    `fineweb_newlines_per_word`: newlines for each word; a word is what `filters.letters.WORD` says. All are 0.0 where
    there is no such line.

    Source: FineWeb, arXiv 2406.17557, section 3.6, as coded in datatrove 0.10.1,
    pipeline/filters/fineweb_quality_filter.py. The words are ours.

    Args of the dataclass:
        short: most characters of a short line.
    """

    writes: ClassVar[Columns] = {
        "fineweb_terminal_line_share": pl.Float64,
        "fineweb_short_line_share": pl.Float64,
        "fineweb_dup_line_char_share": pl.Float64,
        "fineweb_newlines_per_word": pl.Float64,
    }
    version: ClassVar[int] = 1

    short: int = 30

    def __call__(self, texts: Texts) -> pl.DataFrame:
        """Scores of each sample; null where no text filter applies."""
        from filters.code_bits import classes
        from filters.fineweb_lines import fineweb_rows

        return texts.document_frame(fineweb_rows(*texts.documents, classes(), self.short), self.writes)
