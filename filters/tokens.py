"""Tokens of a sample's text: a fast estimate that needs no model."""

from dataclasses import dataclass
from typing import ClassVar, Final

import polars as pl

from filters.answer import ANSWER_ROLES, bare
from filters.base import Columns
from filters.letters import HAN, Ranges

_HANGUL: Final[Ranges] = ((0x1100, 0x11FF), (0x3130, 0x318F), (0xAC00, 0xD7A3))
CHARS_PER_TOKEN: Final = 4
"""Characters of alphabetic text per token: English prose in byte-pair vocabularies of 32 k to 150 k. Ours, rounded."""


def _class(ranges: Ranges) -> str:
    return "[" + "".join(f"\\x{{{low:x}}}-\\x{{{high:x}}}" for low, high in ranges) + "]"


_WIDE: Final = _class(HAN + _HANGUL)


@dataclass(frozen=True, slots=True)
class TokenEstimate:
    """Scores `num_tokens` of all messages, and `answer_tokens` of the answers alone; never null.

    One token for each Han, kana and Hangul character, and one for every four other characters, rounded up per message.
    Picture markers count nothing. It is an estimate: markup, digits and rare scripts take more.

    Source: ours.
    """

    reads: ClassVar[tuple[str, ...]] = ("messages",)
    writes: ClassVar[Columns] = {"num_tokens": pl.Int32, "answer_tokens": pl.Int32}
    version: ClassVar[int] = 1

    def __call__(self, batch: pl.DataFrame) -> pl.DataFrame:
        """Scores of each sample."""
        turn = pl.element()
        answers = turn.filter(turn.struct.field("role").is_in(list(ANSWER_ROLES)))
        return batch.select(
            pl.col("messages").list.eval(_estimate(turn.struct.field("text"))).list.sum().alias("num_tokens"),
            pl.col("messages").list.eval(_estimate(answers.struct.field("text"))).list.sum().alias("answer_tokens"),
        ).select(pl.all().fill_null(0).cast(pl.Int32))


def _estimate(text: pl.Expr) -> pl.Expr:
    shown = bare(text)
    wide = shown.str.count_matches(_WIDE)
    narrow = shown.str.len_chars() - wide
    return wide + (narrow + CHARS_PER_TOKEN - 1) // CHARS_PER_TOKEN
