"""Runs of one character."""

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from filters.answer import code_points
from filters.base import Columns


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

    reads: ClassVar[tuple[str, ...]] = ("messages",)
    writes: ClassVar[Columns] = {"char_run": pl.Int32, "char_run_spaced": pl.Int32, "space_run": pl.Int32}
    version: ClassVar[int] = 1

    def __call__(self, batch: pl.DataFrame) -> pl.DataFrame:
        """Scores of each sample; null where no answer exists."""
        from filters.runs import longest_runs

        points = code_points(batch)
        return points.worst_frame(self.writes, longest_runs(points.codes, points.starts))
