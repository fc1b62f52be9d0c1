"""Compiled kernels: UTF-8 as it lies in Arrow buffers to code points, without picture and video markers."""

from typing import Final

import numpy as np
import numpy.typing as npt

from filters.compiled import compiled, is_space
from shards.schema import IMAGE_MARKER, VIDEO_MARKER

Bytes = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint32]

_IMAGE: Final = np.frombuffer(IMAGE_MARKER.encode(), dtype=np.uint8).copy()
_VIDEO: Final = np.frombuffer(VIDEO_MARKER.encode(), dtype=np.uint8).copy()
_OPEN: Final = ord("<")
_THREE: Final = 0xE0  # first bytes from which on a character has three bytes, and four
_FOUR: Final = 0xF0
_ASCII: Final = 0x80
_BLOCK: Final = 32


@compiled
def _starts_with(data: Bytes, place: int, end: int, marker: Bytes) -> bool:
    if place + len(marker) > end:
        return False
    for i in range(len(marker)):  # noqa: SIM110  numba compiles no generators
        if data[place + i] != marker[i]:
            return False
    return True


@compiled
def marker_size(data: Bytes, place: int, end: int) -> int:
    """Bytes of the picture or video marker that starts at `place` of a text which ends at `end`; 0 without one."""
    if data[place] != _OPEN:
        return 0
    if _starts_with(data, place, end, _IMAGE):
        return len(_IMAGE)
    return len(_VIDEO) if _starts_with(data, place, end, _VIDEO) else 0


@compiled
def _plain(data: Bytes, codes: Codes) -> bool:
    """Copy a block of bytes, many at once; whether they are code points, being ASCII without the start of a marker."""
    found = np.uint8(0)
    for i in range(_BLOCK):
        codes[i] = data[i]
        found |= np.uint8(data[i] >= _ASCII) | np.uint8(data[i] == _OPEN)
    return bool(found == 0)


@compiled
def code_points(  # noqa: C901  one walk
    data: Bytes, offsets: Indices
) -> tuple[Codes, Indices, npt.NDArray[np.bool_]]:
    """Code points of texts in valid UTF-8 (Arrow strings are), markers left out.

    Args:
        data: bytes of all texts.
        offsets: (m + 1,) text i is `data[offsets[i]:offsets[i + 1]]`.

    Returns:
        (c,) uint32 code points, (m + 1,) int64 places where each text starts among them, and (m,) bool: which texts
        hold a marker.
    """
    texts = len(offsets) - 1
    codes = np.empty(offsets[texts] - offsets[0], dtype=np.uint32)
    starts = np.zeros(texts + 1, dtype=np.int64)
    marked = np.zeros(texts, dtype=np.bool_)
    size = 0
    for text in range(texts):
        place, end = offsets[text], offsets[text + 1]
        checked = place
        while place < end:
            if place >= checked and place + _BLOCK <= end:
                checked = place + _BLOCK
                if _plain(data[place:checked], codes[size : size + _BLOCK]):
                    place = checked
                    size += _BLOCK
                    continue
            first = np.uint32(data[place])
            if first < _ASCII:
                marker = marker_size(data, place, end)
                if marker:
                    marked[text] = True
                    place += marker
                    continue
                codes[size] = first
                place += 1
            elif first < _THREE:
                codes[size] = ((first & 0x1F) << 6) | (data[place + 1] & 0x3F)
                place += 2
            elif first < _FOUR:
                codes[size] = (
                    ((first & 0x0F) << 12) | (np.uint32(data[place + 1] & 0x3F) << 6) | (data[place + 2] & 0x3F)
                )
                place += 3
            else:
                codes[size] = (
                    ((first & 0x07) << 18)
                    | (np.uint32(data[place + 1] & 0x3F) << 12)
                    | (np.uint32(data[place + 2] & 0x3F) << 6)
                    | (data[place + 3] & 0x3F)
                )
                place += 4
            size += 1
        starts[text + 1] = size
    return codes[:size], starts, marked


@compiled
def any_text(codes: Codes, starts: Indices) -> npt.NDArray[np.bool_]:
    """Whether each text holds anything but white space: (m,) bool."""
    found = np.zeros(len(starts) - 1, dtype=np.bool_)
    for text in range(len(starts) - 1):
        for place in range(starts[text], starts[text + 1]):
            if not is_space(codes[place]):
                found[text] = True
                break
    return found


@compiled
def trimmed_sizes(codes: Codes, starts: Indices, chosen: Indices) -> Indices:
    """Characters between the white space at both ends of some texts: (k,) int64."""
    sizes = np.zeros(len(chosen), dtype=np.int64)
    for row in range(len(chosen)):
        first, last = starts[chosen[row]], starts[chosen[row] + 1]
        while first < last and is_space(codes[first]):
            first += 1
        while last > first and is_space(codes[last - 1]):
            last -= 1
        sizes[row] = last - first
    return sizes
