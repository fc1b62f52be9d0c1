"""Answers that run in a loop."""

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import polars as pl

from filters.base import Columns
from filters.texts import ASSISTANT, DOCUMENT, Texts

_ENOUGH: Final = 8  # fours of pieces: shorter dialogues count as having as many


@dataclass(frozen=True, slots=True)
class Loops:
    """Scores of repetition: `loop` (0..1) is the confidence that an answer runs in a loop.

    How it is put together. An answer is cut into words and marks. A word is a copy if it goes on with what the answer
    said before, with a word changed here and there. The stretch in which the answer says almost nothing new is
    measured: how many `loop_copies` of its period it holds, the first included, and how much of it is new. What it says
    again, copies beyond the first less what is new, is compared with what a text of its form may say again:

    | form | copies beyond the first |
    | --- | --- |
    | prose (long lines of words) that ends the answer, without a gap between copies | 0.8: said twice is a loop |
    | prose after which the answer goes on | 1.6 |
    | anything that breaks off in the middle of a copied line | as prose |
    | lines, lists, verses, tables, code | 3: a refrain comes three times |
    | the same with a period of 200 characters or more, that ends the answer | 1.6 |
    | digits and marks only | 3, and at least 200 characters (600 where the answer goes on) |
    | any, if the question names the number of copies | three times as many |

    `loop` is 0.5 where a stretch says as much again as its form may, and 1 at twice that; it also grows with the text
    of the stretch, with 0.5 at 64 characters (100 or 160 where the answer goes on). No other score is in it.

    Where it is: `loop_turn` is the message, counted from 0 (-1: no stretch at all), `loop_start` and `loop_chars` the
    part of its text, in code points, picture and video markers left out, `loop_period` the length of one copy, and
    `loop_share` the part of the answer it covers (0..1). In a loop that shuffles its sentences the period is the mean
    distance between a sentence and its last copy. These belong to the answer with the largest `loop`, the first of
    equals.

    `lz_share`: phrases of a Lempel-Ziv parse for each word or mark (0..1), the smallest of the answers: 1 where nothing
    is said again, near 0 in a loop. It stands for compressibility; the parse is made anyway.
    `turn_repeat_share`: of all rows of four words and marks that the answers after the first say for the first time in
    themselves, the share that an earlier answer of the sample had, too.

    Source: shapes of InternVL2.5 (arXiv 2412.05271), figure 6; the measure is ours.
    """

    writes: ClassVar[Columns] = {
        "loop": pl.Float64,
        "loop_share": pl.Float64,
        "loop_copies": pl.Float64,
        "loop_period": pl.Int32,
        "loop_turn": pl.Int32,
        "loop_start": pl.Int32,
        "loop_chars": pl.Int32,
        "lz_share": pl.Float64,
        "turn_repeat_share": pl.Float64,
    }
    version: ClassVar[int] = 1

    question_end: int = 4000
    """Characters at the end of a question that are searched for the number of copies it asks for."""

    def __call__(self, texts: Texts) -> pl.DataFrame:
        """Scores of each sample; null where no text filter applies."""
        from filters.loop_kernels import CHARS, COPIES, FRESH, LOOP, LZ, PERIOD, SAID, SHARE, START, measure

        is_answer = (texts.role == ASSISTANT) | (texts.role == DOCUMENT)
        values = measure(texts.codes, texts.starts, texts.sample, is_answer, self.question_end)
        answers = texts.answers
        owner = texts.sample[answers]
        worst = _largest(values[answers, LOOP], owner, answers)
        turn = worst - np.searchsorted(texts.sample, texts.sample[worst])
        found = {
            "loop": values[worst, LOOP],
            "loop_share": values[worst, SHARE],
            "loop_copies": values[worst, COPIES],
            "loop_period": np.rint(values[worst, PERIOD]),
            "loop_turn": np.where(values[worst, LOOP] > 0, turn, -1),
            "loop_start": values[worst, START],
            "loop_chars": values[worst, CHARS],
        }
        later = answers[1:][owner[1:] == owner[:-1]]
        said, fresh = (texts.per_sample(values[later, row], later, "sum", pl.Float64) for row in (SAID, FRESH))
        columns = [
            texts.per_sample(column, worst, "sum", self.writes[name], empty=-1 if name == "loop_turn" else 0).alias(
                name
            )
            for name, column in found.items()
        ]
        return pl.DataFrame(
            [
                *columns,
                texts.per_sample(values[answers, LZ], answers, "min", pl.Float64, empty=1).alias("lz_share"),
                (said / fresh.clip(_ENOUGH)).alias("turn_repeat_share"),
            ]
        )


def _largest(values: np.ndarray, owner: np.ndarray, messages: np.ndarray) -> np.ndarray:
    """The message with the largest value of each owner (ascending), the first of equals."""
    order = np.lexsort((-values, owner))  # stable
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = owner[1:] != owner[:-1]
    return messages[order[first]]
