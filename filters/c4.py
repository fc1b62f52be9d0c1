"""What C4's cleaning would leave of a text."""

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import polars as pl

from filters.base import Columns
from filters.texts import Texts

JAVASCRIPT: Final = ("javascript",)
POLICY: Final = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
LOREM_IPSUM: Final = ("lorem ipsum",)
CITATIONS: Final = ("[edit]", "[citation needed]")

SENTENCE_END: Final = (
    r"[.!?]+[\"')\]\u2019\u201d]*(?=\s|\Z)|[\u3002\uff01\uff1f]+[\"')\]\u2019\u201d]*"  # closers after the marks
)
"""Regular expression (Python) of where a sentence ends; pieces between ends that hold more than white space count."""


@dataclass(frozen=True, slots=True)
class C4:
    """Scores `c4_...`: what is left of all answers of a sample, as one text, when lines are removed as C4 does.

    A line is removed that holds a word of more than `word_chars` characters, does not end in . ? ! or a quote, ends in
    three full stops, has fewer than `line_words` words (between white space), or names javascript, terms of use or
    policies on privacy and cookies in any case. Citations like [1] are taken out before. Nothing is changed here:
    upstream goes on with the lines that remain.

    `c4_sentences`: sentences in the lines that remain; one ends as `SENTENCE_END` says, upstream asks a trained
    splitter. `c4_kept_line_share`: lines that remain, of those with more than white space; `c4_kept_char_share`: their
    characters, of all characters. `c4_lorem_ipsum` and `c4_curly_bracket`: whether a line that would otherwise remain
    holds these.

    Source: C4, JMLR 21 (2020) 140, section 2.2, as coded in datatrove 0.10.1, pipeline/filters/c4_filters.py; the list
    of bad words is left out there too.

    Args of the dataclass:
        line_words: fewest words of a line.
        word_chars: characters of the longest word of a line.
    """

    writes: ClassVar[Columns] = {
        "c4_sentences": pl.Int32,
        "c4_kept_line_share": pl.Float64,
        "c4_kept_char_share": pl.Float64,
        "c4_lorem_ipsum": pl.Boolean,
        "c4_curly_bracket": pl.Boolean,
    }
    version: ClassVar[int] = 1

    line_words: int = 3
    word_chars: int = 1000

    def __call__(self, texts: Texts) -> pl.DataFrame:
        """Scores of each sample; null where no text filter applies."""
        from filters.c4_lines import c4_rows
        from filters.code_bits import classes

        groups = (JAVASCRIPT, POLICY, LOREM_IPSUM)
        phrases = [phrase for group in groups for phrase in group]
        kinds = np.array([kind for kind, group in enumerate(groups) for _ in group], dtype=np.int64)
        # the first of some rare letters of each phrase, which `code_bits.ANCHOR` marks
        anchors = np.array(
            [min(phrase.index(one) for one in "jkmv" if one in phrase) for phrase in phrases], dtype=np.int64
        )
        offsets = np.cumsum([0, *map(len, phrases)], dtype=np.int64)
        rows = c4_rows(
            *texts.documents,
            classes(),
            (_codes("".join(phrases)), offsets, anchors, kinds),
            (_codes(CITATIONS[0]), _codes(CITATIONS[1])),
            self.line_words,
            self.word_chars,
        )
        return texts.document_frame(rows, self.writes)


def _codes(phrase: str) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    return np.array([ord(letter) for letter in phrase], dtype=np.uint32)
