"""Lengths of a sample's text and how many turns and pictures it has."""

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from filters.answer import answers, has_text, roles
from filters.base import Columns
from filters.letters import WORD

_EACH = pl.element()
_CHARS = _EACH.str.strip_chars().str.len_chars()


@dataclass(frozen=True, slots=True)
class Lengths:
    """Scores of size; text is measured without picture markers and without white space around each message.

    `answer_chars`: Unicode code points of all answers; `answer_chars_min`: of the shortest one. `answer_words`: words
    of all answers, cut at white space, where each Han or kana character is one word. `question_chars`: code points of
    all user turns, null where there is no user turn. `num_turns`: messages, `num_images` and `num_videos`: pictures and
    videos that the sample holds, whatever its text says; these three are never null.

    Source: ours.
    """

    reads: ClassVar[tuple[str, ...]] = ("messages", "images", "videos")
    writes: ClassVar[Columns] = {
        "answer_chars": pl.Int32,
        "answer_chars_min": pl.Int32,
        "answer_words": pl.Int32,
        "question_chars": pl.Int32,
        "num_turns": pl.Int32,
        "num_images": pl.Int32,
        "num_videos": pl.Int32,
    }
    version: ClassVar[int] = 2

    def __call__(self, batch: pl.DataFrame) -> pl.DataFrame:
        """Scores of each sample; the text scores are null where it has no text."""
        texts = batch.select(
            answers().alias("answers"),
            pl.when(has_text()).then(roles(("user",))).alias("questions"),
            pl.col("messages").list.len().alias("num_turns"),
            pl.col("images").list.len().alias("num_images"),
            pl.col("videos").list.len().alias("num_videos"),
        )
        chars = pl.col("answers").list.eval(_CHARS)
        return texts.select(
            chars.list.sum().alias("answer_chars"),
            chars.list.min().alias("answer_chars_min"),
            pl.col("answers").list.eval(_EACH.str.count_matches(WORD)).list.sum().alias("answer_words"),
            pl.when(pl.col("questions").list.len() > 0)
            .then(pl.col("questions").list.eval(_CHARS).list.sum())
            .alias("question_chars"),
            "num_turns",
            "num_images",
            "num_videos",
        ).cast(pl.Schema(self.writes))
