"""The measures of data-juicer's operators whose defaults need no model and no word list."""

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from filters.base import Columns
from filters.texts import Texts


@dataclass(frozen=True, slots=True)
class DataJuicer:
    """Scores `juicer_...` of all answers of a sample as one text, blank lines between them.

    `juicer_char_ngram_share`: of all n-grams of characters, the share that belongs to the most frequent ones; of d
    different n-grams the floor of the square root of d count, if they occur more than once.
    `juicer_word_ngram_share`: n-grams of words that occur more than once, all occurrences counted. Words stand between
    spaces, tabs and newlines, in lower case, without special characters at their ends; letters are put in lower case
    one by one, so the final Greek sigma counts as another letter than upstream. `juicer_special_char_share`: characters
    that are punctuation, digits, white space, emoji or others of a published list. `juicer_alnum_share`: letters and
    digits. `juicer_mean_line_chars`: characters for each line, and `juicer_max_line_chars`: characters of the longest
    one. `juicer_chars`, `juicer_words`: characters, and words as above. All are 0 for no text.

    Source: py-data-juicer 1.6.1, ops/filter/{character_repetition,word_repetition,special_characters,alphanumeric,
    average_line_length,maximum_line_length,text_length,words_num}_filter.py.

    Args of the dataclass:
        n: characters and words of an n-gram.
    """

    writes: ClassVar[Columns] = {
        "juicer_char_ngram_share": pl.Float64,
        "juicer_word_ngram_share": pl.Float64,
        "juicer_special_char_share": pl.Float64,
        "juicer_alnum_share": pl.Float64,
        "juicer_mean_line_chars": pl.Float64,
        "juicer_max_line_chars": pl.Int32,
        "juicer_chars": pl.Int32,
        "juicer_words": pl.Int32,
    }
    version: ClassVar[int] = 1

    n: int = 10

    def __call__(self, texts: Texts) -> pl.DataFrame:
        """Scores of each sample; null where no text filter applies."""
        from filters.code_bits import classes, lowered
        from filters.juicer_counts import juicer_rows

        return texts.document_frame(juicer_rows(*texts.documents, classes(), lowered(), self.n), self.writes)
