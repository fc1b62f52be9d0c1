"""What dedup asks for, read from the store: hashes and sizes of pictures, comparisons, texts."""

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import accumulate, pairwise
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from filters.phash import PerceptualHash
from flows.comparing import PictureComparison
from flows.comparing_texts import StoredTexts
from flows.scoring import picture_table, score_box
from manifests.near import Evidence, Numbers, Pictures, Words, first_equal
from shards.errors import StoreError
from shards.sample import ShardsIndex, read_samples, sample_path
from shards.store import Box, Store

_HASHES: Final = ("phash", "phash_inner", "phash_mirror")
"""In the order of `manifests.near.WHOLE`."""

_NAMES: Final = 1 << 16
"""Names of pictures that are decoded at once."""


def evidence(store: Store, shards: Mapping[str, Box], compare: PictureComparison) -> Evidence:
    """Evidence about the samples in these shards, by source name."""
    return Evidence(StoredPictures(store, shards), compare, partial(StoredTexts, store, shards))


class StoredPictures:
    """Pictures of samples, read from shards and picture tables when it is asked; one shard is in memory at a time."""

    def __init__(self, store: Store, shards: Mapping[str, Box]) -> None:
        self._store = store
        self._shards = shards

    def __call__(self, source: str, rows: Numbers) -> Pictures:
        """Pictures of the samples of a source at these places, which ascend.

        Raises:
            StoreError: the measures that the mixture was made with are gone.
        """
        shards = self._shards[source]
        parts = list(self._parts(shards, rows))
        counts, pixels, digests = (
            np.concatenate(column) for column in (zip(*parts, strict=True) if parts else [()] * 3)
        )
        if not len(digests):
            return Pictures.join([])._replace(counts=counts, pixels=pixels)
        hashes, flat = self._hashes(shards, digests)
        return Pictures(counts, pixels, digests, hashes, flat)

    def _parts(self, shards: Box, rows: Numbers) -> Iterator[tuple[Numbers, Numbers, Words]]:
        """Counts, pixels and digests of each shard that holds a wanted sample."""
        ends = accumulate((shard.samples for shard in shards.index(ShardsIndex).shards), initial=0)
        for number, (begin, end) in enumerate(pairwise(ends)):
            wanted = rows[np.searchsorted(rows, begin) : np.searchsorted(rows, end)] - begin
            if not len(wanted):
                continue
            images = read_samples(sample_path(shards.path, number), ["images"])["images"].gather(wanted)
            counts = images.list.len().cast(pl.Int64).to_numpy()
            shown = images.filter(pl.Series(counts > 0)).explode().struct.unnest()
            areas = np.concatenate([[0], (shown["width"].cast(pl.Int64) * shown["height"]).to_numpy().cumsum()])
            ends_of = counts.cumsum()
            yield counts, areas[ends_of] - areas[ends_of - counts], _words(shown["sha256"])

    def _hashes(self, shards: Box, digests: Words) -> tuple[Words, NDArray[np.bool_]]:
        """Perceptual hashes of pictures, (m, 3), and which of them are flat."""
        if not score_box(self._store, shards, PerceptualHash()).done:
            remedy = "run `vlmix run build-sft-mix` again"
            raise StoreError(f"no PerceptualHash of the pictures in `{shards.name}`; {remedy}")
        table = picture_table(self._store, PerceptualHash(), shards).select("sha256", *_HASHES)
        known = np.concatenate([_words(table["sha256"]), digests])
        place = first_equal(*known.T)[table.height :]
        flat = table[_HASHES[0]].is_null().to_numpy()[place]
        return np.stack([table[name].fill_null(0).to_numpy()[place] for name in _HASHES], axis=1), flat


def _words(names: pl.Series) -> Words:
    """SHA-256 in hex digits as (m, 4) uint64, the highest word first."""
    found = np.empty((len(names), 4), np.uint64)
    for begin in range(0, len(names), _NAMES):
        digits = "".join(names[begin : begin + _NAMES].to_list())
        found[begin : begin + _NAMES] = np.frombuffer(bytes.fromhex(digits), ">u8").reshape(-1, 4)
    return found
