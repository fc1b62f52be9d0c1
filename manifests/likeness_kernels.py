"""Compiled loops of the picture comparison; float64 sums in a fixed order, so that every machine finds the same."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Gray = NDArray[np.float32]
Vector = NDArray[np.float64]


@njit(cache=True, nogil=True)
def levels_of(tones):  # type: ignore[no-untyped-def]  # compiled
    """Gray levels, (h, w) float32, of (h, w) uint16 in sixteenths; no bit of them is rounded."""
    out = np.empty(tones.shape, np.float32)
    for y in range(tones.shape[0]):
        source, line = tones[y], out[y]
        for x in range(len(source)):
            line[x] = np.float32(source[x]) * np.float32(0.0625)
    return out


@njit(cache=True, nogil=True)
def sixteenths(a):  # type: ignore[no-untyped-def]  # compiled
    """(h, w) uint8 through a 1-2-1 filter each way, the border repeated: uint16, whole sixteenths of gray levels."""
    height, width = a.shape
    out = np.empty((height, width), np.uint16)
    column = np.empty(width + 2, np.uint16)
    for y in range(height):
        above, row, below, line = a[max(y - 1, 0)], a[y], a[min(y + 1, height - 1)], out[y]
        inner = column[1:-1]
        for x in range(width):
            inner[x] = np.uint16(above[x]) + np.uint16(2) * np.uint16(row[x]) + np.uint16(below[x])
        column[0], column[-1] = column[1], column[-2]
        left, right = column[:-2], column[2:]
        for x in range(width):
            line[x] = left[x] + np.uint16(2) * inner[x] + right[x]
    return out


@njit(cache=True, nogil=True)
def _smooth_row(row, out):  # type: ignore[no-untyped-def]  # compiled
    # The ends apart, or the compiler does one pixel at a time.
    last = len(row) - 1
    left, middle, right, inner = row[:-2], row[1:-1], row[2:], out[1:-1]
    for x in range(last - 1):
        inner[x] = 0.25 * left[x] + 0.5 * middle[x] + 0.25 * right[x]
    out[0] = 0.25 * row[0] + 0.5 * row[0] + 0.25 * row[min(1, last)]
    out[last] = 0.25 * row[max(last - 1, 0)] + 0.5 * row[last] + 0.25 * row[last]


@njit(cache=True, nogil=True)
def smooth(a):  # type: ignore[no-untyped-def]  # compiled
    """(h, w) float32 through a 1-2-1 filter each way; the border is repeated."""
    return smooth_apart(a, a, 0.0, np.inf)[0]


@njit(cache=True, nogil=True)
def smooth_apart(a, b, most, limit):  # type: ignore[no-untyped-def]  # compiled
    """`a` through a 1-2-1 filter each way, the border repeated, and `square_apart` of that and b.

    a, b: (h, w) float32. Where the mean square is no less than `limit` it is not brought to its end: infinite.
    """
    height, width = a.shape
    across = np.empty((3, width), np.float32)
    out = np.empty((height, width), np.float32)
    total = 0.0
    _smooth_row(a[0], across[0])
    for y in range(height):
        if y + 1 < height:
            _smooth_row(a[y + 1], across[(y + 1) % 3])
        above, row, below = across[max(y - 1, 0) % 3], across[y % 3], across[min(y + 1, height - 1) % 3]
        line, other = out[y], b[y]
        for x in range(width):
            line[x] = 0.25 * above[x] + 0.5 * row[x] + 0.25 * below[x]
        if most > 0:
            for x in range(width):
                apart = min(abs(line[x] - other[x]), most)
                total += apart * apart
            if total / a.size >= limit:
                return out, np.inf
    return out, total / a.size


@njit(cache=True, nogil=True)
def square_apart(a, b, most):  # type: ignore[no-untyped-def]  # compiled
    """Mean square of a - b, (h, w) float32, each taken as `most` at most."""
    total = 0.0
    for y in range(a.shape[0]):
        for x in range(a.shape[1]):
            apart = min(abs(float(a[y, x]) - b[y, x]), most)
            total += apart * apart
    return total / a.size


@njit(cache=True, nogil=True)
def strokes_moved(a, b, stroke, share):  # type: ignore[no-untyped-def]  # compiled
    """Pixels of either that differ by more than `stroke` from the next; those where a and b differ by `share` of that.

    a, b: (h, w) uint8 of one shape.
    """
    strokes = moved = 0
    for y in range(a.shape[0]):
        for x in range(a.shape[1] - 1):
            p, q = np.int64(a[y, x]), np.int64(b[y, x])  # int() of a uint8 is unsigned here
            step = max(abs(p - np.int64(a[y, x + 1])), abs(q - np.int64(b[y, x + 1])))
            if step > stroke:
                strokes += 1
                moved += abs(p - q) > share * step
    return strokes, moved


@njit(cache=True, nogil=True)
def moments(gray):  # type: ignore[no-untyped-def]  # compiled
    """Sums of the values, and of their squares, of (h, w) uint8."""
    total = squares = np.int64(0)
    for y in range(gray.shape[0]):
        for value in gray[y]:
            total += np.int64(value)
            squares += np.int64(np.int32(value) * np.int32(value))
    return total, squares


@njit(cache=True, nogil=True)
def tone_sums(a, b, gain, offset, reach):  # type: ignore[no-untyped-def]  # compiled
    """How far b lies off `gain * a + offset` at each of 32 tones of a.

    a, b: (h, w) float32; pixels further off than `reach` are left out, and those where b is not a number. Returns three
    (32,) float64: pixels, sums of their tones, sums of how far they are off.
    """
    number, tones, bends = np.zeros(32), np.zeros(32), np.zeros(32)
    for y in range(a.shape[0]):
        for x in range(a.shape[1]):
            tone = float(a[y, x])
            bend = b[y, x] - gain * tone - offset
            if abs(bend) < reach:
                k = min(int(tone / 8), 31)
                number[k] += 1
                tones[k] += tone
                bends[k] += bend
    return number, tones, bends


@njit(cache=True, nogil=True)
def tone_counts(a, b, reach):  # type: ignore[no-untyped-def]  # compiled
    """`tone_sums` of gain 1 and offset 0 for (h, w) uint16 in sixteenths: whole numbers, so in any order.

    Four sums of each kind take turns, or each addition to a tone that returns waits for the one before. A number and
    its tones share 64 bits: more pixels than 2 ** 24 do not fit.
    """
    both, bends = np.zeros((4, 32), np.int64), np.zeros((4, 32), np.int64)
    most, most_tone = np.int32(16 * reach), 31 << 7
    for y in range(a.shape[0]):
        mine, other = a[y], b[y]
        for x in range(len(mine)):
            tone = np.int32(mine[x])
            bend = np.int32(other[x]) - tone
            if abs(bend) < most:
                k = np.int64(tone) >> 7 if tone < most_tone else 31
                both[x & 3, k] += np.int64(1) << 38 | np.int64(tone)
                bends[x & 3, k] += bend
    number, tones, off = np.zeros(32), np.zeros(32), np.zeros(32)
    for i in range(4):
        for k in range(32):
            number[k] += both[i, k] >> 38
            tones[k] += (both[i, k] & ((np.int64(1) << 38) - 1)) / 16
            off[k] += bends[i, k] / 16
    return number, tones, off


@njit(cache=True, nogil=True)
def toned(tones, curve):  # type: ignore[no-untyped-def]  # compiled
    """(h, w) uint16 through a curve of float32."""
    out = np.empty(tones.shape, np.float32)
    for y in range(tones.shape[0]):
        source, line = tones[y], out[y]
        for x in range(len(source)):
            line[x] = curve[source[x]]
    return out


@njit(cache=True, nogil=True)
def quarter(a):  # type: ignore[no-untyped-def]  # compiled
    """Means of 4 x 4 pixels of (h, w) float32, each row of four summed up first, as numpy does; float32."""
    out = np.empty((a.shape[0] // 4, a.shape[1] // 4), np.float32)
    for y in range(out.shape[0]):
        line = out[y]
        line[:] = 0
        for k in range(4):
            row = a[4 * y + k]
            for x in range(len(line)):
                line[x] += row[4 * x] + row[4 * x + 1] + row[4 * x + 2] + row[4 * x + 3]
        for x in range(len(line)):
            line[x] *= np.float32(0.0625)
    return out


@njit(cache=True, nogil=True)
def rows_apart(a, b, most):  # type: ignore[no-untyped-def]  # compiled
    """Rows at the top, and at the bottom, of which most pixels differ by more than `most`; (h, w) float32."""
    height, width = a.shape
    ends = np.zeros(2, np.int64)
    for end in range(2):
        for k in range(height):
            y = height - 1 - k if end else k
            mine, other = a[y], b[y]
            number = 0
            for x in range(width):
                number += abs(mine[x] - other[x]) > most
            if 2 * number <= width:
                break
            ends[end] += 1
    return ends[0], ends[1]
