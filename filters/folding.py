"""Compiled kernel: text with case and white space folded, as UTF-8."""

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from filters.compiled import compiled
from filters.decoding import marker_size

Bytes = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint32]

_CASED: Final = 0x20000
"""Code points from here on have no other case."""
_SPACE: Final = 0xFFFFFFFF
_ALONE: Final = 0xFFFFFFFE
"""Marks of `lower_table`: white space, and what depends on its neighbours or becomes several characters."""
_FIRST_OF_TWO, _FIRST_OF_THREE, _FIRST_OF_FOUR = 0x80, 0xE0, 0xF0
_BLANK: Final = 0x20
_OPEN: Final = ord("<")


@cache
def lower_table() -> Codes:
    """(0x20000,) the small letter of each code point as Python has it, or one of the marks above."""
    table = np.arange(_CASED, dtype=np.uint32)
    for code in range(_CASED):
        small = chr(code).lower()
        table[code] = ord(small) if len(small) == 1 else _ALONE
        if chr(code).isspace():
            table[code] = _SPACE
    table[0x3A3] = _ALONE  # the capital sigma is another letter at the end of a word
    return table


@compiled
def _written(code: int, made: Bytes, size: int) -> int:
    """Write a code point as UTF-8; the place after it."""
    if code < 0x80:  # noqa: PLR2004
        made[size] = code
        return size + 1
    if code < 0x800:  # noqa: PLR2004
        made[size] = 0xC0 | (code >> 6)
        made[size + 1] = 0x80 | (code & 0x3F)
        return size + 2
    if code < 0x10000:  # noqa: PLR2004
        made[size] = 0xE0 | (code >> 12)
        made[size + 1] = 0x80 | ((code >> 6) & 0x3F)
        made[size + 2] = 0x80 | (code & 0x3F)
        return size + 3
    made[size] = 0xF0 | (code >> 18)
    made[size + 1] = 0x80 | ((code >> 12) & 0x3F)
    made[size + 2] = 0x80 | ((code >> 6) & 0x3F)
    made[size + 3] = 0x80 | (code & 0x3F)
    return size + 4


@compiled
def _read(data: Bytes, place: int, end: int) -> tuple[int, int]:
    """The code point at a place and its bytes; a marker reads as a space."""
    first = np.int64(data[place])
    if first < _FIRST_OF_TWO:
        marker = marker_size(data, place, end)
        if marker:
            return _BLANK, marker
        return int(first), 1
    second = np.int64(data[place + 1] & 0x3F)
    if first < _FIRST_OF_THREE:
        return int((first & 0x1F) << 6 | second), 2
    third = np.int64(data[place + 2] & 0x3F)
    if first < _FIRST_OF_FOUR:
        return int((first & 0x0F) << 12 | second << 6 | third), 3
    return int((first & 0x07) << 18 | second << 12 | third << 6 | np.int64(data[place + 3] & 0x3F)), 4


@compiled
def folded(  # noqa: C901  one walk
    data: Bytes, offsets: Indices, small: Codes
) -> tuple[Bytes, Indices, npt.NDArray[np.bool_]]:
    """Texts in small letters with single spaces between words, where each marker is a space; see `lower_table`.

    Args:
        data: bytes of all texts in valid UTF-8.
        offsets: (m + 1,) text i is `data[offsets[i]:offsets[i + 1]]`.
        small: `lower_table()`.

    Returns:
        UTF-8 of all texts, (m + 1,) int64 where each starts there, and (m,) bool: texts that are not made, as they
        hold a character that small letters one by one do not do.
    """
    texts = len(offsets) - 1
    # a small letter may have a byte more than the capital of two
    made = np.empty((offsets[texts] - offsets[0]) * 3 // 2 + 4, dtype=np.uint8)
    starts = np.zeros(texts + 1, dtype=np.int64)
    alone = np.zeros(texts, dtype=np.bool_)
    size = 0
    for text in range(texts):
        place, end = offsets[text], offsets[text + 1]
        begin = size
        gap = False
        while place < end:
            # most characters are ASCII: a call for each would take four times as long
            code, step = int(data[place]), 1
            if code >= _FIRST_OF_TWO or code == _OPEN:
                code, step = _read(data, place, end)
            place += step
            if code < _CASED:
                code = int(small[code])
            if code == _SPACE:
                gap = size > begin
                continue
            if code == _ALONE:
                alone[text] = True
                break
            if gap:
                made[size] = _BLANK
                size += 1
                gap = False
            if code < _FIRST_OF_TWO:
                made[size] = code
                size += 1
            else:
                size = _written(code, made, size)
        starts[text + 1] = size
    return made[:size], starts, alone
