"""Gopher's repetition and quality measures."""

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import polars as pl

from filters.base import Columns
from filters.texts import Texts

STOP_WORDS: Final = ("the", "be", "to", "of", "and", "that", "have", "with")


@dataclass(frozen=True, slots=True)
class Gopher:
    """Scores `gopher_...`: repetition and quality of all answers of a sample as one text, blank lines between them.

    They are joined since the rules are made for documents: several have a lower and an upper limit, so no answer is the
    worst one, and a tool that reads documents gets a dialogue in this form. A word is what `filters.letters.WORD` says,
    case and punctuation kept; 0.0 stands where there is nothing to count.

    Repetition, as shares (0..1). `gopher_dup_line_share`, `gopher_dup_line_char_share`: lines that occurred before, of
    all lines, and their characters, of all characters; runs of newlines part lines. `gopher_dup_paragraph_share` and
    `..._char_share`: the same of paragraphs, which runs of two newlines or more part. `gopher_top_N_gram_char_share`,
    N = 2..4: characters of the most frequent word N-gram (of several the first), with a space between words, times how
    often it occurs; a text whose N-grams all differ has the share of its first one, and overlaps count twice, so a loop
    has more than 1. `gopher_dup_N_gram_char_share`, N = 5..10: characters of N-grams that occurred before, words
    written together; after one that did, the search goes on behind it, and N-grams within it are not learned.

    Quality: `gopher_words` counts words with a character that is no symbol; `gopher_mean_word_chars` is their mean
    length in characters; `gopher_hashes_per_word` and `gopher_ellipses_per_word` count # and ... in the text for each
    word of any kind; `gopher_bullet_line_share` and `gopher_ellipsis_line_share`: lines that start with a bullet or a
    dash, and end with an ellipsis; `gopher_alpha_word_share`: words with a letter; `gopher_stop_words`: how many of
    `STOP_WORDS` occur, in lower case and without punctuation attached.

    Source: Gopher, arXiv 2112.11446, appendix A.1.1 and table A1, as coded in datatrove 0.10.1,
    pipeline/filters/gopher_repetition_filter.py and gopher_quality_filter.py. The words are ours.
    """

    writes: ClassVar[Columns] = {
        "gopher_dup_line_share": pl.Float64,
        "gopher_dup_line_char_share": pl.Float64,
        "gopher_dup_paragraph_share": pl.Float64,
        "gopher_dup_paragraph_char_share": pl.Float64,
        "gopher_top_2_gram_char_share": pl.Float64,
        "gopher_top_3_gram_char_share": pl.Float64,
        "gopher_top_4_gram_char_share": pl.Float64,
        "gopher_dup_5_gram_char_share": pl.Float64,
        "gopher_dup_6_gram_char_share": pl.Float64,
        "gopher_dup_7_gram_char_share": pl.Float64,
        "gopher_dup_8_gram_char_share": pl.Float64,
        "gopher_dup_9_gram_char_share": pl.Float64,
        "gopher_dup_10_gram_char_share": pl.Float64,
        "gopher_words": pl.Int32,
        "gopher_mean_word_chars": pl.Float64,
        "gopher_hashes_per_word": pl.Float64,
        "gopher_ellipses_per_word": pl.Float64,
        "gopher_bullet_line_share": pl.Float64,
        "gopher_ellipsis_line_share": pl.Float64,
        "gopher_alpha_word_share": pl.Float64,
        "gopher_stop_words": pl.Int32,
    }
    version: ClassVar[int] = 1

    def __call__(self, texts: Texts) -> pl.DataFrame:
        """Scores of each sample; null where no text filter applies."""
        from filters.code_bits import classes
        from filters.gopher_counts import gopher_rows, word_value

        stops = np.array([word_value(_codes(word)) for word in STOP_WORDS], dtype=np.uint64)
        return texts.document_frame(gopher_rows(*texts.documents, classes(), stops), self.writes)


def _codes(word: str) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    return np.array([ord(letter) for letter in word], dtype=np.uint32)
