"""Compiled kernels: which of many hashes, n-grams or pieces of a text occurred earlier in it.

Everything is told apart by 64-bit hashes. Most n-grams of most texts occur once; a table of bytes that may mistake some
for repeated ones finds them cheaply, and only the rest is looked up by its whole hash.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from filters.compiled import compiled

Codes = npt.NDArray[np.uint32]
Hashes = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.int32]
Offsets = npt.NDArray[np.int64]

BASE: Final = np.uint64(0xD6E8FEB86659FD93)  # odd, without pattern
STEP: Final = np.uint64(0x9E3779B97F4A7C15)  # odd: 2**64 / golden ratio
ONE: Final = np.uint64(1)
_HALF: Final = np.uint64(32)


@compiled
def bits_for(count: int) -> int:
    """Binary logarithm of the size of a table that `count` hashes fill to a half at most."""
    bits = 4
    while (1 << bits) < 2 * count:
        bits += 1
    return bits


@compiled
def maybe_repeated(hashes: Hashes) -> Positions:
    """Positions, ascending, of all hashes that occur more than once, and of some that do not."""
    bits = bits_for(2 * len(hashes))
    shift = np.uint64(64 - bits)
    seen = np.zeros(1 << bits, dtype=np.uint8)
    for value in hashes:
        place = (value * STEP) >> shift
        seen[place] += seen[place] < 2  # noqa: PLR2004  one and more than one is all that matters
    found = np.empty(len(hashes) + 1, dtype=np.int32)
    size = 0
    for k in range(len(hashes)):  # without a branch: whether an n-gram is repeated cannot be foretold
        found[size] = k
        size += seen[(hashes[k] * STEP) >> shift] > 1
    return found[:size]


@compiled
def count_equal(hashes: Hashes, chosen: Positions, first: Positions, counts: Positions) -> tuple[int, int]:
    """Count equal hashes among the chosen ones.

    Args:
        hashes: (k,) in order.
        chosen: (c,) positions, ascending.
        first: (c,) filled: index in `chosen` of the first equal hash.
        counts: (c,) filled: how often the hash occurs, at its first index; 0 at the others.

    Returns:
        The highest count, and of the hashes that have it the earliest position; 1 and 0 where all differ.
    """
    bits = bits_for(len(chosen))
    shift = np.uint64(64 - bits)
    mask = np.int64((1 << bits) - 1)
    table = np.zeros(1 << bits, dtype=np.int32)  # index in `chosen` and one; 0: free
    best, where = 1, 0
    for i in range(len(chosen)):
        value = hashes[chosen[i]]
        place = np.int64((value * STEP) >> shift)
        while table[place] != 0 and hashes[chosen[table[place] - 1]] != value:
            place = (place + 1) & mask
        if table[place] == 0:
            table[place] = i + 1
            first[i], counts[i] = i, 1
            continue
        found = table[place] - 1
        first[i], counts[i] = found, 0
        counts[found] += 1
        if counts[found] > best:
            best, where = counts[found], chosen[found]
        elif counts[found] == best:
            where = min(where, chosen[found])
    return best, where


@compiled
def find(table: Hashes, shift: np.uint64, value: np.uint64) -> np.int64:
    """Place of a hash (not 0) in an open-addressed table, or the free place where it belongs."""
    mask = np.int64(len(table) - 1)
    place = np.int64((value * STEP) >> shift)
    while table[place] != 0 and table[place] != value:
        place = (place + 1) & mask
    return place


@compiled
def piece_hash(text: Codes, begin: int, end: int) -> np.uint64:
    """Hash of a part of a text, four characters a step."""
    value = STEP
    place = begin
    while place + 3 < end:
        left = np.uint64(text[place]) * BASE + np.uint64(text[place + 1])
        right = np.uint64(text[place + 2]) * BASE + np.uint64(text[place + 3])
        value = (value ^ (value >> _HALF)) * STEP + left * BASE + (right ^ (right >> _HALF)) * STEP
        place += 4
    while place < end:
        value = (value + np.uint64(text[place]) + ONE) * BASE
        place += 1
    return value ^ (value >> _HALF)


@compiled
def dup_pieces(text: Codes, starts: Offsets, ends: Offsets, count: int) -> tuple[int, int]:
    """How many of the pieces `text[starts[i]:ends[i]]` occurred before, and their characters."""
    if count < 2:  # noqa: PLR2004
        return 0, 0
    bits = bits_for(count)
    table = np.zeros(1 << bits, dtype=np.uint64)
    shift = np.uint64(64 - bits)
    pieces, chars = 0, 0
    for i in range(count):
        value = max(piece_hash(text, starts[i], ends[i]), ONE)  # 0 is a free place
        place = find(table, shift, value)
        if table[place] == value:
            pieces += 1
            chars += ends[i] - starts[i]
        table[place] = value
    return pieces, chars
