"""For each of many hashes the nearest ones of a table, within a Hamming radius, exactly."""

from typing import Final

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray

from manifests.hamming import Chunk, chunks_for, set_bits

Words = NDArray[np.uint64]
Places = NDArray[np.uint32]

_NOBODY: Final = 0xFFFFFFFF
_BLOCK: Final = 1 << 18
"""Queries asked at once, so that memory does not grow with their number."""


class HashTable:
    """Hashes with their owners, made once and asked many times.

    Args:
        hashes: (n,) uint64, equal ones may stand several times.
        owners: (n,) uint32, what each hash is of.
        radius: bits within which a hash is found.
    """

    def __init__(self, hashes: Words, owners: Places, radius: int) -> None:
        self.radius = radius
        self._chunks = chunks_for(max(len(hashes), 1), radius)
        self._sides = [_side(hashes, owners, chunk) for chunk in self._chunks]

    def nearest(self, queries: Words, most: int) -> pl.DataFrame:
        """The owners of hashes within the radius of each query, the nearest first.

        Every chunk of a hash is looked up with every value within the chunk's radius, so that nothing is missed; see
        `manifests.hamming`. An owner stands once for a query, by its nearest hash.

        Args:
            queries: (m,) uint64.
            most: owners of one query at most, those of the smallest numbers where several are as far; bounds memory.

        Returns:
            (k, 3) frame `query` (UInt32 position), `owner` (UInt32), `distance` (UInt8, bits), sorted by query,
            distance, owner.
        """
        schema = {"query": pl.UInt32, "owner": pl.UInt32, "distance": pl.UInt8}
        blocks = [self._block(queries[at : at + _BLOCK], at, most) for at in range(0, len(queries), _BLOCK)]
        return pl.concat([pl.DataFrame(schema=schema), *(pl.DataFrame(block, schema) for block in blocks)])

    def _block(self, queries: Words, at: int, most: int) -> dict[str, NDArray[np.generic]]:
        owners = np.full((len(queries), most), _NOBODY, dtype=np.uint32)
        distances = np.full((len(queries), most), self.radius + 1, dtype=np.uint8)
        for chunk, (words, own, starts) in zip(self._chunks, self._sides, strict=True):
            bits = np.uint64(chunk.shift), np.uint64((1 << chunk.width) - 1)
            order = np.argsort((queries >> bits[0]) & bits[1])
            _look(
                queries[order],
                order.astype(np.uint32),
                words,
                own,
                starts,
                chunk.flips,
                *bits,
                self.radius,
                owners,
                distances,
            )
        query, place = np.nonzero(distances <= self.radius)
        owner, distance = owners[query, place], distances[query, place]
        order = np.lexsort((owner, distance, query))
        return {"query": (query[order] + at).astype(np.uint32), "owner": owner[order], "distance": distance[order]}


def _side(hashes: Words, owners: Places, chunk: Chunk) -> tuple[Words, Places, Places]:
    """Hashes and owners by the value of a chunk, and the first place of each value."""
    value = (hashes >> np.uint64(chunk.shift)) & np.uint64((1 << chunk.width) - 1)
    order = np.argsort(value, kind="stable")
    starts = np.searchsorted(value[order], np.arange((1 << chunk.width) + 1, dtype=np.uint64)).astype(np.uint32)
    return hashes[order], owners[order], starts


@njit(cache=True, nogil=True)
def _nearer(distance, owner, other_distance, other):  # type: ignore[no-untyped-def]  # compiled
    return distance < other_distance or (distance == other_distance and owner < other)


@njit(cache=True, nogil=True)
def _enter(owners, distances, owner, distance):  # type: ignore[no-untyped-def]
    # compiled: keep an owner among the nearest of a query, which stand in any order, once each
    worst = 0
    for place in range(len(owners)):
        if owners[place] == owner:
            distances[place] = min(distance, distances[place])
            return
        if _nearer(distances[worst], owners[worst], distances[place], owners[place]):
            worst = place
    if _nearer(distance, owner, distances[worst], owners[worst]):
        owners[worst], distances[worst] = owner, distance


@njit(cache=True, nogil=True)
def _look(queries, order, words, own, starts, flips, shift, mask, radius, owners, distances):  # type: ignore[no-untyped-def]
    # compiled, see HashTable.nearest: `words` and `own` by the value of the chunk, and so the queries, which were at
    # `order`: a flip reads the table nearly in order then, in a third of the time
    for flip in flips:
        for i in range(len(queries)):
            at = ((queries[i] >> shift) & mask) ^ flip
            for j in range(starts[at], starts[at + np.uint64(1)]):
                distance = set_bits(queries[i] ^ words[j])
                if distance <= radius:
                    _enter(owners[order[i]], distances[order[i]], own[j], np.uint8(distance))
