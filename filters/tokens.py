"""Tokens of a sample's text: a fast estimate that needs no model."""

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import polars as pl

from filters.base import Columns
from filters.letters import HAN, Ranges
from filters.texts import Texts

_HANGUL: Final[Ranges] = ((0x1100, 0x11FF), (0x3130, 0x318F), (0xAC00, 0xD7A3))
CHARS_PER_TOKEN: Final = 4
"""Characters of alphabetic text per token: English prose in byte-pair vocabularies of 32 k to 150 k. Ours, rounded."""

WIDE: Final[Ranges] = HAN + _HANGUL
"""Characters that are a token each."""


@dataclass(frozen=True, slots=True)
class TokenEstimate:
    """Scores `num_tokens` of all messages, and `answer_tokens` of the answers alone; never null.

    One token for each Han, kana and Hangul character, and one for every four other characters, rounded up per message.
    Picture markers count nothing. It is an estimate: markup, digits and rare scripts take more.

    Source: ours.
    """

    writes: ClassVar[Columns] = {"num_tokens": pl.Int32, "answer_tokens": pl.Int32}
    version: ClassVar[int] = 1

    def __call__(self, texts: Texts) -> pl.DataFrame:
        """Scores of each sample."""
        from filters.decoding import trimmed_sizes
        from filters.widths import wide_characters

        wide = wide_characters(texts.codes, texts.starts)
        narrow = trimmed_sizes(texts.codes, texts.starts, np.arange(len(texts.role))) - wide
        tokens = wide + (narrow + CHARS_PER_TOKEN - 1) // CHARS_PER_TOKEN
        sums = {"num_tokens": np.arange(len(texts.role)), "answer_tokens": texts.answers}
        return pl.DataFrame(
            {
                name: np.bincount(texts.sample[rows], tokens[rows], texts.num_samples).astype(np.int32)
                for name, rows in sums.items()
            },
            schema=pl.Schema(self.writes),
        )
