"""Bands of hashes by which texts that are nearly the same are found; kept apart from the scores."""

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import polars as pl

from filters.base import Columns
from filters.texts import ASSISTANT, DOCUMENT, Indices, Mask, Texts, read_texts

NUM_BANDS: Final = 21
HASHES_PER_BAND: Final = 6
"""Two texts share a band with the chance 1 - (1 - s**6)**21: 0.998 at a similarity of 0.8, 0.93 at 0.7, 0.28 at 0.5."""

SHINGLE_WORDS: Final = 5
"""Words of a shingle. As datatrove (5) and data-juicer (5)."""


@dataclass(frozen=True, slots=True)
class TextBands:
    """Writes `band_00` .. `band_20`: 64-bit hashes of parts of a MinHash over all words of a sample.

    Two samples whose sets of word shingles have a Jaccard similarity s share a band with the chance
    1 - (1 - s**6)**21. Null for samples with pictures or videos, which are other samples however near their texts are,
    and for those without a word.

    Source: Broder 1997; bands and rows: Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", section 3.4.
    """

    reads: ClassVar[tuple[str, ...]] = ("messages", "images", "videos")
    writes: ClassVar[Columns] = {f"band_{band:02d}": pl.UInt64 for band in range(NUM_BANDS)}
    version: ClassVar[int] = 1

    def __call__(self, batch: pl.DataFrame) -> pl.DataFrame:
        """All bands of each sample; all null or none."""
        from filters.signatures import band_hashes, characters, multipliers

        alone = batch.select((pl.col("images").list.len() == 0) & (pl.col("videos").list.len() == 0)).to_series()
        texts = read_texts(batch.filter(alone))
        factors = multipliers(NUM_BANDS * HASHES_PER_BAND)
        found = band_hashes(
            texts.codes,
            texts.starts,
            answer_sides(texts),
            message_bounds(texts),
            SHINGLE_WORDS,
            characters(),
            factors,
            HASHES_PER_BAND,
        )
        bands = np.zeros((NUM_BANDS, batch.height), dtype=np.uint64)
        bands[:, alone.to_numpy()] = found
        columns = [pl.Series(name, row) for name, row in zip(self.writes, bands, strict=True)]
        return pl.DataFrame(columns).select(pl.when(pl.all() != 0).then(pl.all()))


def answer_sides(texts: Texts) -> Mask:
    """(m,) bool: messages that are answers."""
    return np.isin(texts.role, (ASSISTANT, DOCUMENT))


def message_bounds(texts: Texts) -> Indices:
    """(n + 1,) int64: messages of sample i are the i-th value up to the next."""
    return np.searchsorted(texts.sample, np.arange(texts.num_samples + 1))
