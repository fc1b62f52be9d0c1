"""Compiled kernel: how much of one text is taken word for word from another."""

from typing import Final

import numpy as np
import numpy.typing as npt

from filters.compiled import compiled
from filters.kinds import COMBINING, DIGIT, kind_of
from filters.letters import HAN
from filters.repeats import fill_windows

Codes = npt.NDArray[np.uint32]
Indices = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

GRAM: Final = 5
_SEED: Final = np.uint64(0xCBF29CE484222325)
_PRIME: Final = np.uint64(0x100000001B3)
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
_SHIFT: Final = np.uint64(29)
_PLANE: Final = 0x10000
_ASCII: Final = 0x80
_ONE: Final = np.uint32(1)
_SINGLE: Final = np.uint32(0x80000000)  # a character that is a word by itself; all beyond the plane are


def _folded() -> npt.NDArray[np.uint32]:
    """What each character counts as within words: itself, ASCII in lower case; 0 parts words."""
    folded = np.zeros(_PLANE, dtype=np.uint32)
    for code in range(_PLANE):
        if DIGIT <= kind_of(code) <= COMBINING:
            folded[code] = ord(chr(code).lower()) if code < _ASCII else code
    for low, high in HAN:
        folded[low : min(high, _PLANE - 1) + 1] |= _SINGLE
    return folded


_FOLDED: Final = _folded()


@compiled
def _word_hashes(codes: Codes, first: int, last: int, hashes: Hashes) -> int:
    """Hashes of the words of a text: runs of letters and digits without case, and single Han characters; how many.

    There is no branch where a word ends, which no processor foretells: each character writes what would be the hash,
    and truth is 0 or 1, since with booleans the compiler puts the branch back.
    """
    size = inside = 0
    value = _SEED
    for place in range(first, last):
        code = codes[place]
        folded = _FOLDED[code] if code < _PLANE else code | _SINGLE
        inner = int(folded - _ONE < _SINGLE - _ONE)  # 0 wraps around
        hashes[size] = value * _MIX
        size += inside & (inner ^ 1)
        grown = (value ^ np.uint64(folded)) * _PRIME
        value = grown if inner else _SEED
        inside = inner
        if folded >= _SINGLE:
            hashes[size] = (_SEED ^ np.uint64(folded)) * _PRIME * _MIX
            size += 1
    if inside:
        hashes[size] = value * _MIX
        size += 1
    return size


@compiled
def _to_grams(hashes: Hashes, grams: Hashes) -> int:
    """Write the hash of each five words in a row to `grams`: how many."""
    count = fill_windows(hashes, GRAM, _MIX, grams)
    for i in range(count):
        grams[i] |= np.uint64(1)  # 0 marks a free place in the table
    return count


@compiled
def _seek(table: Hashes, mask: int, value: np.uint64) -> int:
    """Place of a value in an open-addressed table, or the free place where it belongs."""
    place = np.int64((value * _MIX) >> _SHIFT) & mask
    while table[place] != 0 and table[place] != value:
        place = (place + 1) & mask
    return int(place)


@compiled
def overlaps(
    codes: Codes, starts: Indices, sources: Indices, texts: Indices
) -> tuple[Indices, Indices, npt.NDArray[np.bool_]]:
    """Words of some texts that lie in five words in a row which the text's source has, too.

    Args:
        codes: (c,) code points of all texts.
        starts: (m + 1,) text i is `codes[starts[i]:starts[i + 1]]`.
        sources: (p,) what may have been copied.
        texts: (p,) what may be a copy of the source in the same place.

    Returns:
        (p,) int64 words in common rows of five; (p,) int64 all words; (p,) bool whether both have the same words, at
        least one, in the same order.
    """
    taken = np.zeros(len(texts), dtype=np.int64)
    words = np.zeros(len(texts), dtype=np.int64)
    same = np.zeros(len(texts), dtype=np.bool_)
    longest = 0
    for row in range(len(texts)):
        longest = max(longest, starts[sources[row] + 1] - starts[sources[row]])
        longest = max(longest, starts[texts[row] + 1] - starts[texts[row]])
    asked = np.empty(longest, dtype=np.uint64)
    said = np.empty(longest, dtype=np.uint64)
    grams = np.empty(longest, dtype=np.uint64)
    space = np.empty(4 * longest + 16, dtype=np.uint64)
    for row in range(len(texts)):
        size = _word_hashes(codes, starts[sources[row]], starts[sources[row] + 1], asked)
        count = _word_hashes(codes, starts[texts[row]], starts[texts[row] + 1], said)
        words[row] = count
        same[row] = count > 0 and count == size and np.all(asked[:size] == said[:count])
        if size < GRAM or count < GRAM:
            continue
        room = 16
        while room < 2 * size:
            room *= 2
        table = space[:room]
        table[:] = 0
        for value in grams[: _to_grams(asked[:size], grams)]:
            table[_seek(table, room - 1, value)] = value
        covered = 0
        for place in range(_to_grams(said[:count], grams)):
            value = grams[place]
            if table[_seek(table, room - 1, value)] == value:
                taken[row] += place + GRAM - max(covered, place)
                covered = place + GRAM
    return taken, words, same
