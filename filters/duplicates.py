"""Words, lines, sentences and paragraphs that an answer says again."""

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from filters.base import Columns
from filters.texts import Texts


@dataclass(frozen=True, slots=True)
class DuplicateShares:
    """Scores `dup_NAME_share`: shares (0..1) of an answer's word n-grams, lines, sentences, paragraphs said before.

    Of all occurrences, those that repeat an earlier one of the same answer count; the sample gets the value of its
    worst answer. An answer of fewer than `n` words has no n-grams: 0.0. Words are cut at white space, and each Han or
    kana character is one; see `filters.letters.WORD`. Lines, sentences and paragraphs count only with a letter or digit
    in them, so closing braces and table rules do not; white space at their ends and in runs makes no difference.

    InternVL's trainer counts distinct repeated n-grams instead, so its value falls while a loop grows: for a text of 40
    words 0.44 when said twice, 0.02 fifty times. Ours rises: 0.44, 0.98.

    Args of the dataclass:
        n: words of an n-gram.

    Source: n = 10 as `calculate_ngram_repetition` in InternVL's trainer and Gopher (arXiv 2112.11446), table A1, which
    has the shares of lines and paragraphs, too; that of sentences is ours.
    """

    writes: ClassVar[Columns] = {
        "dup_ngram_share": pl.Float64,
        "dup_line_share": pl.Float64,
        "dup_sentence_share": pl.Float64,
        "dup_paragraph_share": pl.Float64,
    }
    version: ClassVar[int] = 2

    n: int = 10

    def __call__(self, texts: Texts) -> pl.DataFrame:
        """Scores of each sample; null where no text filter applies."""
        from filters.repeats import repeat_shares

        answers = texts.answers
        rows = repeat_shares(texts.codes, texts.starts, answers, self.n)
        columns = zip(self.writes.items(), rows, strict=True)
        return pl.DataFrame([texts.per_sample(row, answers, "max", of).alias(name) for (name, of), row in columns])
