"""Lengths of the text of a sample."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl

from filters.base import Columns
from filters.texts import USER, Texts


@dataclass(frozen=True, slots=True)
class Lengths:
    """Scores of size; text is measured without picture markers and without white space around each message.

    `answer_chars`: Unicode code points of all answers; `answer_chars_min`: of the shortest one. `answer_words`: words
    of all answers, cut at white space, where each Han or kana character is one word. `question_chars`: code points of
    all user turns, null where there is no user turn.

    Source: ours.
    """

    writes: ClassVar[Columns] = {
        "answer_chars": pl.Int32,
        "answer_chars_min": pl.Int32,
        "answer_words": pl.Int32,
        "question_chars": pl.Int32,
    }
    version: ClassVar[int] = 3

    def __call__(self, texts: Texts) -> pl.DataFrame:
        """Scores of each sample; null where no text filter applies."""
        from filters import prose
        from filters.decoding import trimmed_sizes

        chars = texts.prose[prose.CHARS]
        users = np.flatnonzero(texts.role == USER)
        asked = trimmed_sizes(texts.codes, texts.starts, users)
        has_question = np.zeros(texts.num_samples, dtype=np.bool_)
        has_question[texts.sample[users]] = True
        return pl.DataFrame(
            {
                "answer_chars": texts.per_sample(chars, texts.answers, "sum", pl.Int32),
                "answer_chars_min": texts.per_sample(chars, texts.answers, "min", pl.Int32),
                "answer_words": texts.per_sample(texts.prose[prose.WORDS], texts.answers, "sum", pl.Int32),
                "question_chars": texts.per_sample(asked, users, "sum", pl.Int32),
            }
        ).with_columns(pl.when(pl.Series(has_question)).then("question_chars").alias("question_chars"))
