"""Compiled lookup of what kind of character a code point is; made from the ranges of `filters.letters`."""

from typing import Final

import numpy as np
import numpy.typing as npt

from filters.compiled import compiled
from filters.letters import DIGITS, HAN, LETTERS, SPACES, UNSPACED, Ranges

SPACE, LETTER, DIGIT, SINGLE, MARK = range(5)
"""White space; letters and combining marks; digits; characters of scripts without spaces; everything else."""

_PLANE: Final = 0x10000
_FAR_HAN: Final = (0x20000, 0x3FFFF)


def table(default: int, *layers: tuple[int, Ranges]) -> npt.NDArray[np.uint8]:
    """(65536,) a value for each code point of the Basic Multilingual Plane; later layers win over earlier ones."""
    values = np.full(_PLANE, default, dtype=np.uint8)
    for value, ranges in layers:
        for low, high in ranges:
            values[low : min(high, _PLANE - 1) + 1] = value
    return values


_KINDS: Final = table(MARK, (LETTER, LETTERS), (DIGIT, DIGITS), (SINGLE, HAN), (SINGLE, UNSPACED), (SPACE, SPACES))


@compiled
def kind_of(code: int) -> int:
    """Kind of a code point, one of the constants of this module."""
    if code < _PLANE:
        return int(_KINDS[code])
    return SINGLE if _FAR_HAN[0] <= code <= _FAR_HAN[1] else MARK
