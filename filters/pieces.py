"""Compiled kernels: a text as pieces (words and marks), and which pieces only go on with what was said before.

A piece is a run of letters, a run of digits, one character of a script without spaces, or one mark; white space only
parts pieces. Of a run longer than `LONGEST` characters each further one is a piece, so that a text without any space
is searched, too.

A piece is a copy if the piece a certain distance before it is the same, and that distance comes from four pieces in a
row that are the same there. The distance survives two changed pieces, so a counter or another word costs one piece and
no more. All is one pass with a table of the last place of each four pieces: linear on any input.

Source: LZ77 (Ziv and Lempel 1977) that knows the last place of each start of a match only, as fast compressors do;
keeping a distance over a changed word is ours.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from filters.classes import DIGIT, LETTER, MARK, SPACE, kind_of
from filters.compiled import compiled

Codes = npt.NDArray[np.uint32]
Hashes = npt.NDArray[np.uint32]
Places = npt.NDArray[np.int32]
Kinds = npt.NDArray[np.uint8]
Table = npt.NDArray[np.int64]

LONGEST: Final = 16
GRAM: Final = 4
"""Pieces that must be the same for a distance to begin."""
WORD_WEIGHT: Final = 4
"""Weight of a piece that is no mark; a mark weighs 1. About the characters of a word, and of a mark."""

_LONG_KINDS: Final = np.array([kind in (LETTER, DIGIT) for kind in range(MARK + 1)], dtype=np.int64)
_PATIENCE: Final = 3  # changed pieces in a row after which a distance is given up
_LARGEST: Final = 1 << 22  # places of the table: in longer texts some far copies are missed, as beyond gzip's window
_PROBES: Final = 32  # places of a crowded table that are tried; half of the places are free below `_LARGEST`
_SEED: Final = np.uint64(0xCBF29CE484222325)  # FNV-1a's offset and prime
_PRIME: Final = np.uint64(0x100000001B3)
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)  # odd: 2**64 / golden ratio
_HALF: Final = np.uint64(32)


@compiled
def weight(kind: int) -> int:
    """What a piece counts for."""
    return 1 if kind == MARK else WORD_WEIGHT


@compiled
def cut(text: Codes, hashes: Hashes, places: Places, kinds: Kinds, size: int) -> int:
    """Append the pieces of a text at `size`: hash, place of the first character, kind; the new size.

    There is no branch where a piece ends, which no processor foretells: each character writes what would be the piece,
    and truth is 0 or 1, since with booleans the compiler puts the branch back.
    """
    value = _SEED
    before = run = 0
    for place in range(len(text)):
        kind = kind_of(text[place])
        goes_on = int(kind == before) & int(_LONG_KINDS[kind])
        run = run * goes_on + 1
        goes_on &= int(run <= LONGEST)
        # the piece that the character before belongs to
        hashes[size] = np.uint32((value * _MIX) >> _HALF)
        size += (goes_on ^ 1) & int(before != SPACE)
        places[size] = place - (run - 1) * goes_on
        kinds[size] = kind
        begun = value if goes_on else _SEED
        value = (begun ^ np.uint64(text[place])) * _PRIME
        before = kind
    if before != SPACE:
        hashes[size] = np.uint32((value * _MIX) >> _HALF)
        size += 1
    return size


@compiled
def table_size(pieces: int) -> int:
    """Places of a table for so many pieces: a power of two."""
    size = 16
    while size < 2 * pieces and size < _LARGEST:
        size *= 2
    return size


@compiled
def same(hashes: Hashes, left: int, right: int) -> bool:
    """Whether the four pieces that end at two places are the same."""
    for k in range(GRAM):  # noqa: SIM110  numba compiles no generators
        if hashes[left - k] != hashes[right - k]:
            return False
    return True


@compiled
def slot_of(hashes: Hashes, last: int, base: int, table: Table, size: int) -> np.int64:
    """Place in the table, of which `size` places are used, of the four pieces that end at `last`; see `link`."""
    key = np.uint64(hashes[last])
    for k in range(1, GRAM):
        key = key * _PRIME + np.uint64(hashes[last - k])
    home = np.int64(((key * _MIX) >> _HALF) & np.uint64(size - 1))
    for probe in range(_PROBES):
        slot = (home + probe) & (size - 1)
        if table[slot] <= base or same(hashes, last, table[slot] - 1 - base):
            return slot
    return home  # in a crowded table the newest wins


@compiled
def jump(back: Places, last: int, distance: int) -> None:
    """Enter that the four pieces that end at `last` go on from another place; those that are copies already stay so."""
    first = last
    while first > last - GRAM + 1 and back[first - 1] == 0:
        first -= 1
    back[first] = -distance
    for i in range(first + 1, last + 1):
        back[i] = distance


@compiled
def link(hashes: Hashes, low: int, high: int, base: int, table: Table, size: int, back: Places) -> tuple[int, int]:
    """Distance from each of the pieces `low..high` (one text) to the piece it copies, in `back`; 0 where it is new.

    A distance is negative where it differs from that of the piece before: a jump. `table` holds the last place of each
    four pieces, counted from 1 + `base`; pieces before `low` are those of earlier texts, of which no piece is a copy.

    Returns:
        How many fours the text says for the first time, and how many of these the earlier texts say.
    """
    distance = missed = fresh = said = 0
    for i in range(low, high):
        slot = slot_of(hashes, i, base, table, size) if i >= low + GRAM - 1 else np.int64(-1)
        if distance > 0 and hashes[i] == hashes[i - distance]:
            back[i], missed = distance, 0
        else:
            back[i], missed = 0, missed + 1
            if missed == _PATIENCE:
                distance = 0
            other = table[slot] - 1 - base if slot >= 0 else -1
            found = other >= 0 and same(hashes, i, other)
            if found and other >= low:
                distance, missed = i - other, 0
                jump(back, i, distance)
            elif slot >= 0:
                fresh += 1
                said += found
        if slot >= 0:
            table[slot] = i + 1 + base
    return fresh, said


@compiled
def recall(hashes: Hashes, low: int, high: int, base: int, table: Table, size: int, known: Kinds) -> None:
    """Mark in `known` which of the pieces `low..high` occurred before among them; the table is none of fours."""
    for i in range(low, high):
        slot = home = np.int64(hashes[i]) & (size - 1)
        for probe in range(_PROBES):
            slot = (home + probe) & (size - 1)
            if table[slot] <= base or hashes[table[slot] - 1 - base] == hashes[i]:
                break
        known[i] = table[slot] > base and hashes[table[slot] - 1 - base] == hashes[i]
        table[slot] = i + 1 + base
