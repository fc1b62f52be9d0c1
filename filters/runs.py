"""Compiled kernel: runs of one character."""

from typing import Final

import numpy as np
import numpy.typing as npt

from filters.classes import SPACE, kind_of
from filters.compiled import compiled

Codes = npt.NDArray[np.uint32]
Indices = npt.NDArray[np.int64]

_BLOCK: Final = 32
_BACK: Final = 4  # characters that a loose run of three or of two with a space after it may take, less one


@compiled
def _quiet(codes: Codes, place: int) -> bool:
    """Whether no loose run of three and no two of white space end in the block that starts here.

    It may say no where there are none. All comparisons are made, many at once.
    """
    found = np.uint32(0)
    block = codes[place - _BACK : place + _BLOCK]  # whose places are known not to be negative, as `codes[place]` is not
    for i in range(_BLOCK):
        code, one, two, three, four = block[i + 4], block[i + 3], block[i + 2], block[i + 1], block[i]
        found |= np.uint32(code == one) & (np.uint32(code == two) | np.uint32(code == three))
        found |= np.uint32(code == two) & (np.uint32(code == three) | np.uint32(code == four))
        found |= _maybe_space(code) & _maybe_space(one)
    return bool(found == 0)


@compiled
def _maybe_space(code: np.uint32) -> np.uint32:
    """1 for white space and some other characters."""
    low = np.uint32(code <= 0x20) | np.uint32(code == 0x85) | np.uint32(code == 0xA0)  # noqa: PLR2004
    return low | np.uint32(code - np.uint32(0x1680) <= np.uint32(0x3000 - 0x1680))


@compiled
def longest_runs(codes: Codes, starts: Indices, messages: Indices) -> npt.NDArray[np.int32]:
    """Longest runs of one character in each of the chosen messages, in characters.

    Returns:
        (3, k) int32: row 0 unbroken runs of a character that is not white space; row 1 such runs in which single
        white-space characters may stand, not counted; row 2 runs of white space.
    """
    longest = np.zeros((3, len(messages)), dtype=np.int32)
    for k in range(len(messages)):
        first, end = starts[messages[k]], starts[messages[k] + 1]
        longest[0, k], longest[1, k], longest[2, k] = _longest(codes, first, end)
    return longest


@compiled
def _longest(codes: Codes, first: int, end: int) -> tuple[int, int, int]:
    tight = loose = gap = 0
    longest_tight = longest_loose = longest_gap = 0
    last = np.uint32(0)
    place, checked = first, first + _BACK
    while place < end:
        if place >= checked and longest_tight > 1 and longest_gap > 0 and place + _BLOCK <= end:
            # doubled letters and single spaces are known of: most of a text has nothing longer
            checked = place + _BLOCK
            if _quiet(codes, place):
                place = checked - _BACK
                tight = loose = gap = 0
        code = codes[place]
        place += 1
        if kind_of(code) == SPACE:
            gap += 1
            longest_gap = max(longest_gap, gap)
            continue
        if code == last and loose > 0 and gap <= 1:
            tight = tight + 1 if gap == 0 else 1
            loose += 1
            longest_tight, longest_loose = max(longest_tight, tight), max(longest_loose, loose)
        else:
            tight = loose = 1
        last = code
        gap = 0
    if last != 0 or loose > 0:
        longest_tight, longest_loose = max(longest_tight, 1), max(longest_loose, 1)
    return longest_tight, longest_loose, longest_gap
