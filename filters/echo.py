"""Answers that say the question again."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl

from filters.base import Columns
from filters.pairs import pairs
from filters.texts import Texts


@dataclass(frozen=True, slots=True)
class Echo:
    """Scores `echo_share` and `echo_exact` of answers against the user turn right before each.

    `echo_share`: of the words of an answer, the share (0..1) that lies in rows of five words which the question has,
    too; 0 below five words. `echo_exact`: an answer has the words of its question, all, in order, and none besides.
    Words are runs of letters and digits without case, and single Han and kana characters; marks do not count. Of
    several answers the worst counts; 0 and false where no answer follows a question.

    Summaries, corrections and quotes from a text echo it for a reason, so a high share alone is no defect.

    Source: ours.
    """

    writes: ClassVar[Columns] = {"echo_share": pl.Float64, "echo_exact": pl.Boolean}
    version: ClassVar[int] = 1

    def __call__(self, texts: Texts) -> pl.DataFrame:
        """Scores of each sample; null where no text filter applies."""
        from filters.overlap import overlaps

        found = pairs(texts)
        taken, words, same = overlaps(texts.codes, texts.starts, found.questions, found.answers)
        return pl.DataFrame(
            {
                "echo_share": texts.per_sample(taken / np.maximum(words, 1), found.answers, "max", pl.Float64),
                "echo_exact": texts.per_sample(same, found.answers, "max", pl.Boolean),
            }
        )
