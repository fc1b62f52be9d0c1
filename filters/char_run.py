"""Runs of one character."""

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from filters.base import Columns
from filters.texts import Texts


@dataclass(frozen=True, slots=True)
class CharRuns:
    """Scores `char_run`, `char_run_spaced` and `space_run`: longest run of one character in any answer, in characters.

    White space makes no run in the first two. In `char_run_spaced` single white-space characters may stand inside the
    run and are not counted, so "0 0 0 000 00" has 8, and a `char_run` of 3. `space_run` is the longest run of white
    space of any kind, the answer's end included. Table rules, lines of dashes and the dots of a table of contents are
    runs like others: sparing them is the business of the recipe's threshold.

    Source: InternVL2.5 (arXiv 2412.05271), figure 6: answers that end in long runs of zeros, partly broken by spaces.
    Floods of line breaks and tabs: seen in outputs of weak models in alpaca_eval.
    """

    writes: ClassVar[Columns] = {"char_run": pl.Int32, "char_run_spaced": pl.Int32, "space_run": pl.Int32}
    version: ClassVar[int] = 1

    def __call__(self, texts: Texts) -> pl.DataFrame:
        """Scores of each sample; null where no text filter applies."""
        from filters.runs import longest_runs

        answers = texts.answers
        rows = longest_runs(texts.codes, texts.starts, answers)
        columns = zip(self.writes.items(), rows, strict=True)
        return pl.DataFrame([texts.per_sample(row, answers, "max", of).alias(name) for (name, of), row in columns])
