"""All pairs of 64-bit hashes within a Hamming radius, by the pigeonhole principle."""

from itertools import pairwise

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray

_BITS = 64
_MAX_RADIUS = 16


def hamming_pairs(hashes: pl.Series, radius: int) -> pl.DataFrame:
    """All pairs of hashes at most `radius` bits apart.

    Two hashes that differ in at most r bits agree in one of r + 1 chunks of their bits, so only hashes with an equal
    chunk are compared: recall is 1.0 by construction. Equal hashes are paired through their first occurrence only, so
    that a thousand copies give 999 pairs.

    Args:
        hashes: (n,) UInt64; nulls are skipped.
        radius: bits, 0..16.

    Returns:
        (m, 3) frame `left` < `right` (UInt32 positions) and `distance` (UInt8, bits), sorted by left, right.

    Raises:
        ValueError: `radius` outside 0..16.

    Source: multi-index hashing, Norouzi et al. 2012, section 3.
    """
    if not 0 <= radius <= _MAX_RADIUS:
        raise ValueError(f"radius must be 0..{_MAX_RADIUS}, found {radius}")
    types = [pl.col("left", "right").cast(pl.UInt32), pl.col("distance").cast(pl.UInt8)]
    frame = pl.DataFrame({"hash": hashes}).with_row_index("row").drop_nulls()
    first = frame.group_by("hash", maintain_order=True).agg(pl.col("row").min().alias("left"))
    equal = frame.join(first, on="hash").filter(pl.col("row") > pl.col("left"))
    copies = equal.select("left", pl.col("row").alias("right"), pl.lit(0, pl.UInt8).alias("distance"))
    left, right, distance = _near(first["hash"].to_numpy().copy(), radius)
    rows = first["left"].to_numpy()
    pairs = pl.DataFrame(
        {"left": np.minimum(rows[left], rows[right]), "right": np.maximum(rows[left], rows[right]), "d": distance}
    )
    near = pairs.rename({"d": "distance"})
    return pl.concat([copies.select(types), near.select(types)]).sort("left", "right")


def _near(distinct: NDArray[np.uint64], radius: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]:
    """Pairs of distinct hashes, each found once: in the first chunk where the two agree."""
    bounds = [round(_BITS * chunk / (radius + 1)) for chunk in range(radius + 2)]
    shifts = np.array(bounds[:-1], dtype=np.uint64)
    masks = np.array([(1 << (high - low)) - 1 for low, high in pairwise(bounds)], dtype=np.uint64)
    found = []
    if radius:
        for chunk in range(radius + 1):
            values = (distinct >> shifts[chunk]) & masks[chunk]
            order = np.argsort(values, kind="stable")
            found.append(_compare(distinct, values, order, shifts[:chunk], masks[:chunk], radius))
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.uint8)
    left, right, distance = (np.concatenate(part) for part in zip(*found, strict=True))
    return left, right, distance


@njit(cache=True)
def _bits(value):  # type: ignore[no-untyped-def]  # compiled: uint64 -> number of set bits
    value = value - ((value >> np.uint64(1)) & np.uint64(0x5555555555555555))
    value = (value & np.uint64(0x3333333333333333)) + ((value >> np.uint64(2)) & np.uint64(0x3333333333333333))
    value = (value + (value >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (value * np.uint64(0x0101010101010101)) >> np.uint64(56)


@njit(cache=True)
def _agree(apart, shifts, masks):  # type: ignore[no-untyped-def]  # compiled: whether any of the chunks is equal
    equal = False  # numba compiles no generators, so no `any(...)`
    for chunk in range(len(shifts)):
        equal = equal or (apart >> shifts[chunk]) & masks[chunk] == np.uint64(0)
    return equal


@njit(cache=True)
def _compare(hashes, values, order, shifts, masks, radius):  # type: ignore[no-untyped-def]  # compiled, see _near
    left = [np.int64(0) for _ in range(0)]
    right = [np.int64(0) for _ in range(0)]
    distance = [np.uint8(0) for _ in range(0)]
    start = 0
    for stop in range(1, len(order) + 1):
        if stop < len(order) and values[order[stop]] == values[order[start]]:
            continue
        for i in range(start, stop):
            for j in range(i + 1, stop):
                apart = hashes[order[i]] ^ hashes[order[j]]
                bits = _bits(apart)
                if bits <= radius and not _agree(apart, shifts, masks):
                    left.append(order[i])
                    right.append(order[j])
                    distance.append(np.uint8(bits))
        start = stop
    return np.array(left, dtype=np.int64), np.array(right, dtype=np.int64), np.array(distance, dtype=np.uint8)
