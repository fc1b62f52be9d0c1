"""All pairs of 64-bit hashes within a Hamming radius, exactly, by the pigeonhole principle."""

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray

_BITS: Final = 64
_MAX_RADIUS: Final = 16
_MOST_BITS: Final = 22
"""Bits of the widest chunk: its table of places, 16 MB, stays in the caches of one core."""

Words = NDArray[np.uint64]
Places = NDArray[np.uint32]
Mask = NDArray[np.bool_]


def hamming_pairs(hashes: pl.Series, radius: int, *, since: int = 0) -> pl.DataFrame:
    """All pairs of hashes at most `radius` bits apart.

    The 64 bits are cut in chunks, and each chunk is given a radius so that two hashes within `radius` are within the
    chunk's radius in at least one chunk: recall is 1.0 by construction. Chunks are wide, 21 bits up to a radius of 8 in
    a million hashes, and all values within the chunk's radius of a value are visited, flip by flip, so that memory is
    read nearly in order. Equal hashes are paired through their first occurrence only, so that a thousand copies give
    999 pairs.

    Args:
        hashes: (n,) UInt64; nulls are skipped.
        radius: bits, 0..16.
        since: only pairs with at least one position from this one on; the positions before were compared earlier.

    Returns:
        (m, 3) frame `left` < `right` (UInt32 positions) and `distance` (UInt8, bits), sorted by left, right.

    Raises:
        ValueError: `radius` outside 0..16.

    Source: multi-index hashing, Norouzi et al. 2012, section 3; radii of chunks: the general pigeonhole principle.
    """
    if not 0 <= radius <= _MAX_RADIUS:
        raise ValueError(f"radius must be 0..{_MAX_RADIUS}, found {radius}")
    rows = np.flatnonzero(hashes.is_not_null().to_numpy()).astype(np.uint32)
    values = hashes.drop_nulls().to_numpy()
    order = np.argsort(values, kind="stable").astype(np.uint32)
    values, rows = values[order], rows[order]
    del order  # ten million hashes are some hundred megabytes here
    begins = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]])[: len(values)]).astype(np.uint32)
    first = rows[begins]
    copies = _copies(rows, begins, since)
    left, right, distance = _near(values[begins], radius, first >= since)
    left, right = first[left], first[right]
    found = pl.DataFrame(
        {
            "left": np.concatenate([copies[0], np.minimum(left, right)]),
            "right": np.concatenate([copies[1], np.maximum(left, right)]),
            "distance": np.concatenate([np.zeros(len(copies[0]), np.uint8), distance]),
        },
        schema={"left": pl.UInt32, "right": pl.UInt32, "distance": pl.UInt8},
    )
    return found.sort("left", "right")


def _copies(rows: Places, begins: Places, since: int) -> tuple[Places, Places]:
    """First occurrence and other one of every equal pair that has a position from `since` on; rows sorted by hash."""
    first = np.repeat(rows[begins], np.diff(begins, append=np.uint32(len(rows))))
    shown = (rows != first) & (rows >= since)
    return first[shown], rows[shown]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some adjacent bits of a hash; `radius` is the number of them that may differ."""

    shift: int
    width: int
    radius: int

    @property
    def flips(self) -> Words:
        """Every way of flipping at most `radius` of the chunk's bits, none first."""
        ways = (way for size in range(self.radius + 1) for way in combinations(range(self.width), size))
        return np.array([sum(1 << bit for bit in way) for way in ways], dtype=np.uint64)


def chunks_for(number: int, radius: int) -> list[Chunk]:
    """The cheapest cut for so many hashes: the radii plus one each add up to `radius` + 1 over the chunks."""
    most = max(radius + 1, math.ceil(_BITS / _MOST_BITS))
    cuts = [_cut(count, radius) for count in range(math.ceil(_BITS / _MOST_BITS), most + 1)]
    return min(cuts, key=lambda cut: sum(_cost(chunk, number) for chunk in cut))


def _cut(count: int, radius: int) -> list[Chunk]:
    bounds = [round(_BITS * part / count) for part in range(count + 1)]
    shares = [(radius + 1) // count + (part < (radius + 1) % count) for part in range(count)]
    chunks = [Chunk(bounds[part], bounds[part + 1] - bounds[part], shares[part] - 1) for part in range(count)]
    return [chunk for chunk in chunks if chunk.radius >= 0]  # with fewer errors than chunks, some need not be looked at


def _cost(chunk: Chunk, number: int) -> float:
    """Steps: making the table, for each hash and flip a look into it, and the hashes that stand there."""
    flips = sum(math.comb(chunk.width, size) for size in range(chunk.radius + 1))
    return float(1 << chunk.width) + float(flips * number) * (1 + number / (1 << chunk.width))


def _near(distinct: Words, radius: int, new: Mask) -> tuple[Places, Places, NDArray[np.uint8]]:
    """Pairs of distinct hashes of which one is new, each found once: in the first chunk where they are near enough."""
    found: list[tuple[Places, Places, NDArray[np.uint8]]] = []
    chunks = chunks_for(len(distinct), radius) if radius and new.any() else []
    for number, chunk in enumerate(chunks):
        order, starts = _sorted(distinct, np.uint64(chunk.shift), chunk.width)
        words = distinct[order]
        fresh = new[order]
        earlier = np.array([(each.shift, (1 << each.width) - 1, each.radius) for each in chunks[:number]], np.uint64)
        bits = (np.uint64(chunk.shift), np.uint64((1 << chunk.width) - 1), np.uint64(radius), earlier.reshape(-1, 3))
        if new.all():
            found.append(_join(words, order, starts, chunk.flips, *bits))
        else:
            found.append(_join_new(words, order, starts, np.flatnonzero(fresh), fresh, chunk.flips, *bits))
    if not found:
        return np.empty(0, np.uint32), np.empty(0, np.uint32), np.empty(0, np.uint8)
    left, right, distance = (np.concatenate(part) for part in zip(*found, strict=True))
    return left, right, distance


@njit(cache=True)
def _sorted(words, shift, width):  # type: ignore[no-untyped-def]  # compiled: (n,) order, (2**width + 1,) first places
    mask = np.uint64((1 << width) - 1)
    starts = np.zeros((1 << width) + 1, dtype=np.uint32)
    for word in words:
        starts[((word >> shift) & mask) + np.uint64(1)] += 1
    for value in range(1 << width):
        starts[value + 1] += starts[value]
    free = starts[:-1].copy()
    order = np.empty(len(words), dtype=np.uint32)
    for i in range(len(words)):
        value = (words[i] >> shift) & mask
        order[free[value]] = i
        free[value] += 1
    return order, starts


@njit(cache=True)
def set_bits(value):  # type: ignore[no-untyped-def]  # compiled
    """Number of set bits of a uint64; LLVM makes it one instruction."""
    value = value - ((value >> np.uint64(1)) & np.uint64(0x5555555555555555))
    value = (value & np.uint64(0x3333333333333333)) + ((value >> np.uint64(2)) & np.uint64(0x3333333333333333))
    value = (value + (value >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (value * np.uint64(0x0101010101010101)) >> np.uint64(56)


@njit(cache=True)
def _seen(apart, earlier):  # type: ignore[no-untyped-def]  # compiled: whether an earlier chunk finds the pair
    found = False  # numba compiles no generators, so no `any(...)`
    for chunk in range(len(earlier)):
        found = found or set_bits((apart >> earlier[chunk, 0]) & earlier[chunk, 1]) <= earlier[chunk, 2]
    return found


@njit(cache=True)
def with_room(values, size):  # type: ignore[no-untyped-def]  # compiled
    """(n, 3) values of which `size` are filled: the same, twice as long where it is full."""
    if size < len(values):
        return values
    more = np.empty((2 * len(values), 3), dtype=values.dtype)
    more[: len(values)] = values
    return more


@njit(cache=True)
def _kept(pairs, size):  # type: ignore[no-untyped-def]  # compiled: the three columns of the places that are filled
    filled = pairs[:size]
    return filled[:, 0].copy(), filled[:, 1].copy(), filled[:, 2].astype(np.uint8)


@njit(cache=True)
def _join(words, order, starts, flips, shift, mask, most, earlier):  # type: ignore[no-untyped-def]
    # compiled, see _near: `words` and `order` by the value of the chunk. Every pair of two values is visited from
    # the lower one, and of two hashes with the same value from the first.
    pairs = np.empty((1024, 3), dtype=np.uint32)
    size = 0
    for flip in flips:
        for i in range(len(words)):
            word = words[i]
            value = (word >> shift) & mask
            other = value ^ flip
            if other < value:
                continue
            begin = i + 1 if flip == np.uint64(0) else starts[other]
            for j in range(begin, starts[other + np.uint64(1)]):
                apart = word ^ words[j]
                bits = set_bits(apart)
                if bits > most or (len(earlier) and _seen(apart, earlier)):
                    continue
                pairs = with_room(pairs, size)
                pairs[size, 0], pairs[size, 1], pairs[size, 2] = order[i], order[j], bits
                size += 1
    return _kept(pairs, size)


@njit(cache=True)
def _join_new(words, order, starts, asked, fresh, flips, shift, mask, most, earlier):  # type: ignore[no-untyped-def]
    # compiled, see _near: only the places in `asked`, which are `fresh`, are held against all. Two fresh hashes meet
    # twice, from either side; the meeting from the smaller place counts.
    pairs = np.empty((1024, 3), dtype=np.uint32)
    size = 0
    for flip in flips:
        for i in asked:
            word = words[i]
            other = ((word >> shift) & mask) ^ flip
            for j in range(starts[other], starts[other + np.uint64(1)]):
                apart = word ^ words[j]
                bits = set_bits(apart)
                if bits > most or (fresh[j] and j <= i):
                    continue
                if len(earlier) and _seen(apart, earlier):
                    continue
                pairs = with_room(pairs, size)
                pairs[size, 0], pairs[size, 1], pairs[size, 2] = order[i], order[j], bits
                size += 1
    return _kept(pairs, size)
