"""Parts of a gray picture as small squares: the bytes of Pillow's Lanczos resampling, in a fifth of its time."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from filters.compiled import compiled

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, in pixels; borders may run through pixels."""

Pixels = npt.NDArray[np.uint8]
Weights = tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]
"""First line that each line of a square is made of, (side,), and the weights of that and the following, (side, n)."""

_ONE: Final = 22
"""Bits after the point of a weight: the largest sum that fits 32 bits."""

_REACH: Final = 3.0
_KEPT: Final = 512


def squares(gray: Image.Image, boxes: Sequence[Box], side: int) -> Pixels:
    """Each part of a picture resampled, as `gray.resize((side, side), Image.Resampling.LANCZOS, box=box)`.

    Args:
        gray: mode L.
        boxes: n parts within the picture, each larger than nothing.
        side: pixels.

    Returns:
        (n, side, side) uint8.

    Source: Pillow 13.0.0, src/libImaging/Resample.c: `precompute_coeffs`, `normalize_coeffs_8bpc`. Across first, but
    down first where the height shrinks by more than twice as many pixels as the width; before 13 Pillow always went
    across first. Hashes shall not depend on what is installed.
    """
    made = np.empty((len(boxes), side, side), np.uint8)
    down_first = gray.height > side and gray.height - side > 2 * (gray.width - side)
    lines = np.asarray(gray if down_first else gray.transpose(Image.Transpose.TRANSPOSE))
    for square, (left, top, right, bottom) in zip(made, boxes, strict=True):
        across, down = weights_of(gray.width, left, right, side), weights_of(gray.height, top, bottom, side)
        if down_first:
            square[:] = resampled(np.ascontiguousarray(resampled(lines, *down).T), *across).T
        else:
            square[:] = resampled(np.ascontiguousarray(resampled(lines, *across).T), *down)
    return made


@compiled
def resampled(lines: Pixels, starts: npt.NDArray[np.int64], weights: npt.NDArray[np.int32]) -> Pixels:
    """(n, m) uint8 to (side, m): weighted sums of lines, rounded."""
    side, number = weights.shape
    sums = np.empty(lines.shape[1], np.int32)
    made = np.empty((side, lines.shape[1]), np.uint8)
    for i in range(side):
        sums[:] = 1 << (_ONE - 1)
        for k in range(number):
            weight, line = weights[i, k], lines[starts[i] + k]
            for j in range(len(sums)):
                sums[j] += weight * line[j]
        for j in range(len(sums)):
            made[i, j] = min(max(sums[j] >> _ONE, 0), 255)
    return made


@lru_cache(maxsize=_KEPT)
def weights_of(size: int, start: float, end: float, side: int) -> Weights:
    """What each of `side` lines is made of, of a picture of `size` lines from `start` to `end`."""
    low, high = np.float32(start), np.float32(end)  # what Pillow hands to C
    scale = float(high - low) / side
    wide = max(scale, 1.0)
    middles = float(low) + (np.arange(side) + 0.5) * scale
    first = np.maximum((middles - _REACH * wide + 0.5).astype(np.int64), 0)
    last = np.minimum((middles + _REACH * wide + 0.5).astype(np.int64), size)
    number = int((last - first).max())
    starts = np.minimum(first, size - number)
    lines = starts[:, None] + np.arange(number)
    values = _lanczos((lines - middles[:, None] + 0.5) * (1 / wide))
    values[(lines < first[:, None]) | (lines >= last[:, None])] = 0.0
    values /= np.add.accumulate(values, axis=1)[:, -1:]  # one after the other, as the loop in C
    return starts, np.trunc(values * (1 << _ONE) + np.copysign(0.5, values)).astype(np.int32)


def _lanczos(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    found = np.zeros_like(x)
    near = (x >= -_REACH) & (x < _REACH)
    found[near] = _sinc(x[near]) * _sinc(x[near] / _REACH)
    return found


def _sinc(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    angles = np.where(x == 0, 1.0, x * np.pi)
    return np.where(x == 0, 1.0, np.sin(angles) / angles)
