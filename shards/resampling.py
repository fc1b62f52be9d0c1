"""Gray pictures at other sizes: the bytes of Pillow's resampling, in a fraction of its time.

Hashes and comparisons shall not depend on the Pillow that is installed: before 13 it always went across first.
"""

from functools import lru_cache
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from numba import njit

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, in pixels; borders may run through pixels."""

Pixels = npt.NDArray[np.uint8]
Weights = tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]
"""First line that each line of the result is made of, (side,), and the weights of that and the following, (side, n)."""

Method = Literal["bilinear", "bicubic", "lanczos"]

_REACH: Final[dict[Method, float]] = {"bilinear": 1.0, "bicubic": 2.0, "lanczos": 3.0}
_ONE: Final = 22
"""Bits after the point of a weight: the largest sum that fits 32 bits."""

_KEPT: Final = 512
_WORD: Final = 8
"""Pixels of a word."""


def resized(gray: Pixels, size: tuple[int, int], method: Method, box: Box | None = None) -> Pixels:
    """As `np.asarray(Image.fromarray(gray).resize(size, resample, box))` of Pillow 13, which may be `gray` itself.

    Args:
        gray: (h, w) uint8.
        size: width and height of the result, pixels.
        method: Pillow's `Resampling` of that name.
        box: part of the picture that is resampled, larger than nothing; without one all of it.

    Returns:
        (height, width) uint8.

    Source: Pillow 13.0.0, src/libImaging/Resample.c: `ImagingResample`.
    """
    (height, width), (wide, high) = gray.shape, size
    gray = fixed(gray)
    left, top, right, bottom = box or (0.0, 0.0, width, height)
    across = None if (wide, left, right) == (width, 0, width) else weights_of(width, left, right, wide, method)
    down = None if (high, top, bottom) == (height, 0, height) else weights_of(height, top, bottom, high, method)
    if goes_down_first((width, height), size):
        return _across(_down(gray, down), across)
    return _down(_across(gray, across), down)


def goes_down_first(size: tuple[int, int], to: tuple[int, int]) -> bool:
    """Whether a picture is resampled down before across; width and height of the whole picture, and of the result.

    Source: as `resized`. Across first, but down first where the height shrinks by more than twice as many pixels as the
    width.
    """
    (width, height), (wide, high) = size, to
    return height > high and height - high > 2 * (width - wide)


def fixed(gray: Pixels) -> Pixels:
    """The same pixels, row after row, of which nobody can change one: compiled loops know a single kind of array."""
    view = np.ascontiguousarray(gray).view()
    view.flags.writeable = False
    return view


def _down(gray: Pixels, weights: Weights | None) -> Pixels:
    return gray if weights is None else fixed(resampled(gray, *weights))


def _across(gray: Pixels, weights: Weights | None) -> Pixels:
    if weights is None:
        return gray
    made = turned(resampled(fixed(turned(gray)), *weights))
    return fixed(made[: len(gray), : len(weights[0])])


def turned(gray: Pixels) -> Pixels:
    """(n, m) uint8 to (m, n), and up to seven rows and columns of anything beyond, in a third of numpy's time."""
    height, width = (-(-side // _WORD) * _WORD for side in gray.shape)
    if gray.shape != (height, width):
        whole = np.zeros((height, width), np.uint8)
        whole[: gray.shape[0], : gray.shape[1]] = gray
        gray = whole
    words = _turned_words(fixed(gray).view(np.uint64))
    return np.asarray(words.view(np.uint8))


@njit(cache=True, nogil=True)
def _turned_words(words):  # type: ignore[no-untyped-def]  # compiled
    # Eight rows of eight pixels at a time, in eight words: halves change places, then quarters, then pixels.
    # Source: Hacker's Delight (Warren 2012), section 7-3, for pixels of eight bits; pixels of low addresses are low.
    rows, columns = words.shape
    made = np.empty((8 * columns, rows // 8), np.uint64)
    block = np.empty(8, np.uint64)
    for y in range(rows // 8):
        for x in range(columns):
            for k in range(8):
                block[k] = words[8 * y + k, x]
            for k in range(4):
                moved = ((block[k] >> np.uint64(32)) ^ block[k + 4]) & np.uint64(0x00000000FFFFFFFF)
                block[k + 4] ^= moved
                block[k] ^= moved << np.uint64(32)
            for i in range(4):
                k = 4 * (i // 2) + i % 2
                moved = ((block[k] >> np.uint64(16)) ^ block[k + 2]) & np.uint64(0x0000FFFF0000FFFF)
                block[k + 2] ^= moved
                block[k] ^= moved << np.uint64(16)
            for k in range(0, 8, 2):
                moved = ((block[k] >> np.uint64(8)) ^ block[k + 1]) & np.uint64(0x00FF00FF00FF00FF)
                block[k + 1] ^= moved
                block[k] ^= moved << np.uint64(8)
            for k in range(8):
                made[8 * x + k, y] = block[k]
    return made


@njit(cache=True, nogil=True)
def resampled(lines, starts, weights):  # type: ignore[no-untyped-def]  # compiled
    """(n, m) uint8 to (side, m): weighted sums of lines, rounded."""
    side, number = weights.shape
    width = lines.shape[1]
    sums = np.empty(width, np.int32)
    made = np.empty((side, width), np.uint8)
    for i in range(side):
        sums[:] = 1 << (_ONE - 1)
        first, odd = starts[i], number % 2
        if odd:
            w, one = weights[i, 0], lines[first]
            for j in range(width):
                sums[j] += w * np.int32(one[j])
        for k in range(odd, number, 2):
            w, v = weights[i, k], weights[i, k + 1]
            one, other = lines[first + k], lines[first + k + 1]
            for j in range(width):
                sums[j] += np.int32(w * np.int32(one[j])) + np.int32(v * np.int32(other[j]))
        for j in range(width):
            made[i, j] = min(max(sums[j] >> _ONE, 0), 255)
    return made


@lru_cache(maxsize=_KEPT)
def weights_of(size: int, start: float, end: float, side: int, method: Method) -> Weights:
    """What each of `side` lines is made of, of a picture of `size` lines from `start` to `end`.

    Source: Pillow 13.0.0, src/libImaging/Resample.c: `precompute_coeffs`, `normalize_coeffs_8bpc`.
    """
    low, high = np.float32(start), np.float32(end)  # what Pillow hands to C
    scale = float(high - low) / side
    wide, reach = max(scale, 1.0), _REACH[method]
    middles = float(low) + (np.arange(side) + 0.5) * scale
    first = np.maximum((middles - reach * wide + 0.5).astype(np.int64), 0)
    last = np.minimum((middles + reach * wide + 0.5).astype(np.int64), size)
    number = int((last - first).max())
    starts = np.minimum(first, size - number)
    lines = starts[:, None] + np.arange(number)
    values = _CURVES[method]((lines - middles[:, None] + 0.5) * (1 / wide))
    values[(lines < first[:, None]) | (lines >= last[:, None])] = 0.0
    values /= np.add.accumulate(values, axis=1)[:, -1:]  # one after the other, as the loop in C
    return starts, np.trunc(values * (1 << _ONE) + np.copysign(0.5, values)).astype(np.int32)


def _lanczos(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    found = np.zeros_like(x)
    near = (x >= -_REACH["lanczos"]) & (x < _REACH["lanczos"])
    found[near] = _sinc(x[near]) * _sinc(x[near] / _REACH["lanczos"])
    return found


def _sinc(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    angles = np.where(x == 0, 1.0, x * np.pi)
    return np.where(x == 0, 1.0, np.sin(angles) / angles)


def _bicubic(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    far = np.abs(x)
    inner, outer = (1.5 * far - 2.5) * far * far + 1, (((far - 5) * far + 8) * far - 4) * -0.5
    return np.where(far < 1, inner, np.where(far < _REACH["bicubic"], outer, 0.0))


def _bilinear(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(np.maximum(1 - np.abs(x), 0.0))


_CURVES: Final = {"bilinear": _bilinear, "bicubic": _bicubic, "lanczos": _lanczos}
