"""Hashes of normalised text, by which dedup finds rows that say the same."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from filters.base import Columns
from shards.schema import IMAGE_MARKER, VIDEO_MARKER


@dataclass(frozen=True, slots=True)
class TextHash:
    """Scores `instruction_hash` and `text_hash`: 64-bit hashes of the questions, and of the whole conversation.

    Text is lower-cased, white space folded and picture markers removed. References to videos count as text, since two
    rows about different clips are different rows. A document has no question; its whole text is its instruction.
    A sample without any text hashes as the empty text: dedup then goes by pictures alone.

    Source: ours.
    """

    reads: ClassVar[tuple[str, ...]] = ("messages", "videos")
    writes: ClassVar[Columns] = {"instruction_hash": pl.UInt64, "text_hash": pl.UInt64}
    version: ClassVar[int] = 1

    def __call__(self, batch: pl.DataFrame) -> pl.DataFrame:
        """Both hashes of each sample; never null."""
        # A loop over rows: a hash that stays the same over versions of polars is Python's to make.
        rows = [_hashes(messages, videos) for messages, videos in batch.select(self.reads).iter_rows()]
        return pl.DataFrame(rows, schema=dict(self.writes), orient="row")


def _hashes(messages: Iterable[Mapping[str, str]], videos: list[str]) -> tuple[int, int]:
    texts = [(message["role"], normalise(message["text"])) for message in messages]
    asked = [text for role, text in texts if role != "assistant"]
    return _hash([*videos, *asked]), _hash([*videos, *(text for _, text in texts)])


def normalise(text: str) -> str:
    r"""Fold case and white space and take picture markers out.

    >>> normalise("<image>\nHow  MANY?")
    'how many?'
    """
    plain = text.replace(IMAGE_MARKER, " ").replace(VIDEO_MARKER, " ")
    return " ".join(plain.lower().split())


def _hash(texts: list[str]) -> int:
    digest = hashlib.blake2b("\0".join(texts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")
