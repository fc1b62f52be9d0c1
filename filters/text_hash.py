"""Hashes of normalised text, by which dedup finds rows that say the same."""

import hashlib
from dataclasses import dataclass
from itertools import accumulate, compress, pairwise
from typing import ClassVar

import numpy as np
import polars as pl
import pyarrow as pa

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
        ends = accumulate(batch["messages"].list.len().fill_null(0).to_list(), initial=0)
        texts, asking = _normal(batch["messages"])
        rows = []
        for (start, end), videos in zip(pairwise(ends), batch["videos"].to_list(), strict=True):
            shown, own = [video.encode() for video in videos], texts[start:end]
            rows.append((_hash([*shown, *compress(own, asking[start:end])]), _hash([*shown, *own])))
        return pl.DataFrame(rows, schema=dict(self.writes), orient="row")


def _normal(messages: pl.Series) -> tuple[list[bytes], list[bool]]:
    """Normal text, in UTF-8, of all messages of a column, and whether it is no assistant's."""
    from filters.folding import folded, lower_table

    turns = messages.to_arrow(compat_level=pl.CompatLevel.oldest()).flatten()
    strings = turns.field("text").cast(pa.large_string())
    if not len(strings):
        return [], []
    _, offsets, data = strings.buffers()
    places = np.frombuffer(offsets, np.int64)[strings.offset : strings.offset + len(strings) + 1]
    made, starts, alone = folded(np.frombuffer(data or b"", np.uint8), places, lower_table())
    whole = made.tobytes()
    texts = [whole[start:end] for start, end in pairwise(starts.tolist())]
    for index in np.flatnonzero(alone).tolist():
        texts[index] = normalise(strings[index].as_py()).encode()
    roles = turns.field("role").dictionary_encode()
    asks = np.array([role != "assistant" for role in roles.dictionary.to_pylist()])
    # not by way of `__array__`, for which pyarrow imports pandas: 0.2 s and 20 MB in each process
    return texts, asks[np.frombuffer(roles.indices.buffers()[1], np.int32)].tolist()


def normalise(text: str) -> str:
    r"""Fold case and white space and take picture markers out.

    >>> normalise("<image>\nHow  MANY?")
    'how many?'
    """
    plain = text.replace(IMAGE_MARKER, " ").replace(VIDEO_MARKER, " ")
    return " ".join(plain.lower().split())


def _hash(texts: list[bytes]) -> int:
    return int.from_bytes(hashlib.blake2b(b"\0".join(texts), digest_size=8).digest(), "big")
