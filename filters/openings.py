"""Compiled kernel: which texts may start with one of some words."""

from typing import Final

import numpy as np
import numpy.typing as npt

from filters.compiled import compiled

Codes = npt.NDArray[np.uint32]
Indices = npt.NDArray[np.int64]

_ASCII: Final = 0x80
_BLANK: Final = 0x20


@compiled
def _symbol(code: int) -> int:
    """A letter in lower case, a digit or an underscore; a space for the rest of ASCII, 0 beyond it."""
    if code >= _ASCII:
        return 0
    small = code | _BLANK
    if 0x61 <= small <= 0x7A:  # noqa: PLR2004  a to z
        return small
    return code if 0x30 <= code <= 0x39 or code == 0x5F else _BLANK  # noqa: PLR2004  0 to 9, underscore


@compiled
def may_open(codes: Codes, starts: Indices, chosen: Indices, openings: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Whether the first two characters that are written, signs before them left out, are among the openings.

    Args:
        codes: (c,) code points of all texts.
        starts: (m + 1,) text i is `codes[starts[i]:starts[i + 1]]`.
        chosen: (k,) texts that are looked at.
        openings: (p, 2) ASCII codes, as `_symbol` has them.

    Returns:
        (k,) bool; true of texts whose first characters are not all of ASCII, which a regular expression knows better.
    """
    found = np.zeros(len(chosen), dtype=np.bool_)
    for row in range(len(chosen)):
        place, last = starts[chosen[row]], starts[chosen[row] + 1]
        while place < last and _symbol(codes[place]) == _BLANK:
            place += 1
        if place + 1 >= last:
            found[row] = place < last and _symbol(codes[place]) == 0
            continue
        first, second = _symbol(codes[place]), _symbol(codes[place + 1])
        found[row] = first == 0 or second == 0
        for i in range(len(openings)):
            found[row] |= first == openings[i, 0] and second == openings[i, 1]
    return found
