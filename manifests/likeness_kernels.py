"""Compiled loops of the picture comparison; float64 sums in a fixed order, so that every machine finds the same."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Gray = NDArray[np.float32]
Vector = NDArray[np.float64]


@njit(cache=True, nogil=True)
def smooth(a):  # type: ignore[no-untyped-def]  # compiled
    """(h, w) float32 through a 1-2-1 filter each way; the border is repeated."""
    height, width = a.shape
    across = np.empty((height, width), np.float32)
    out = np.empty((height, width), np.float32)
    for y in range(height):
        for x in range(width):
            across[y, x] = 0.25 * a[y, max(x - 1, 0)] + 0.5 * a[y, x] + 0.25 * a[y, min(x + 1, width - 1)]
    for y in range(height):
        above, below = max(y - 1, 0), min(y + 1, height - 1)
        for x in range(width):
            out[y, x] = 0.25 * across[above, x] + 0.5 * across[y, x] + 0.25 * across[below, x]
    return out


@njit(cache=True, nogil=True)
def _row_sums(mine, upper, lower, fv, place, noise, half_height, out):  # type: ignore[no-untyped-def]  # compiled
    # One row of `normal_equations`: `mine` of the first picture lies `fv` (0..1) between two rows of the second. The
    # sums are scalars, which stay in registers: three times as fast as filling the matrix pixel by pixel.
    width = len(mine)
    n = w1 = wa = wb = waa = wbb = wab = far = 0.0
    gg = ggx = ggxx = gh = ghx = hh = ga = gax = g1 = g1x = ha = h1 = 0.0
    gr = grx = hr = ar = r1 = 0.0
    for x in range(width):
        px = (x + 0.5) / width * 2 - 1
        u = (place[0] * px + place[1] + 1) * 0.5 * width - 0.5
        if u < 0 or u > width - 1:
            continue
        left = min(int(u), width - 2)
        fu = u - left
        rise, rise_below = float(upper[left + 1]) - upper[left], float(lower[left + 1]) - lower[left]
        above = upper[left] + fu * rise
        h = lower[left] + fu * rise_below - above
        value = above + fv * h
        h *= half_height
        g = (rise + fv * (rise_below - rise)) * 0.5 * width
        m = float(mine[x])
        r = value - place[4] * m - place[5]
        off = r / (3 * noise)
        weight = 1 / (1 + off * off)
        wg, wh, wm, wv = weight * g, weight * h, weight * m, weight * value
        n, w1, far = n + 1, w1 + weight, far + min(abs(r), 3 * noise)
        wa, waa, wb, wbb, wab = wa + wm, waa + wm * m, wb + wv, wbb + wv * value, wab + wm * value
        gg, ggx, ggxx = gg + wg * g, ggx + wg * g * px, ggxx + wg * g * px * px
        gh, ghx, hh = gh + wg * h, ghx + wg * h * px, hh + wh * h
        ga, gax, g1, g1x = ga + wm * g, gax + wm * g * px, g1 + wg, g1x + wg * px
        ha, h1 = ha + wm * h, h1 + wh
        gr, grx, hr, ar, r1 = gr + wg * r, grx + wg * r * px, hr + wh * r, ar + wm * r, r1 + weight * r
    out[:8] = (n, w1, wa, wb, waa, wbb, wab, far)
    out[8:20] = (gg, ggx, ggxx, gh, ghx, hh, ga, gax, g1, g1x, ha, h1)
    out[20:] = (gr, grx, hr, ar, r1)


@njit(cache=True, nogil=True)
def normal_equations(a, b, place, noise):  # type: ignore[no-untyped-def]  # compiled
    """Sums of one Gauss-Newton step of `b at place = gain * a + offset`, see manifests.likeness_align.

    a, b: (h, w) float32. place: (6,) scale x, shift x, scale y, shift y (of half sides), gain, offset. noise: gray
    levels; a residual weighs 1 / (1 + (residual / (3 * noise)) ** 2).

    Returns the weighted 6 x 6 matrix and 6 vector, seven sums (pixels; weights; weighted a, b, a * a, b * b, a * b)
    and the mean |residual|, those beyond 3 * noise taken as that.
    """
    height = len(a)
    matrix = np.zeros((6, 6))
    vector = np.zeros(6)
    sums = np.zeros(8)
    row = np.zeros(25)
    for y in range(height):
        p = (y + 0.5) / height * 2 - 1
        v = (place[2] * p + place[3] + 1) * 0.5 * height - 0.5
        if v < 0 or v > height - 1:
            continue
        top = min(int(v), height - 2)
        _row_sums(a[y], b[top], b[top + 1], v - top, place, noise, 0.5 * height, row)
        sums += row[:8]
        gg, ggx, ggxx, gh, ghx, hh, ga, gax, g1, g1x, ha, h1 = row[8:20]
        matrix[0] += np.array((ggxx, ggx, ghx * p, ghx, -gax, -g1x))
        matrix[1] += np.array((ggx, gg, gh * p, gh, -ga, -g1))
        matrix[2] += np.array((ghx * p, gh * p, hh * p * p, hh * p, -ha * p, -h1 * p))
        matrix[3] += np.array((ghx, gh, hh * p, hh, -ha, -h1))
        matrix[4] += np.array((-gax, -ga, -ha * p, -ha, row[4], row[2]))
        matrix[5] += np.array((-g1x, -g1, -h1 * p, -h1, row[2], row[1]))
        gr, grx, hr, ar, r1 = row[20:]
        vector += np.array((grx, gr, hr * p, hr, -ar, -r1))
    return matrix, vector, sums[:7], sums[7] / max(sums[0], 1.0)


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
def strongest_near(a, reach):  # type: ignore[no-untyped-def]  # compiled
    """(rows, columns) float64: the largest value no further than `reach` rows and columns away."""
    rows, columns = a.shape
    across, out = np.empty((rows, columns)), np.empty((rows, columns))
    for y in range(rows):
        for x in range(columns):
            most = a[y, x]
            for k in range(max(x - reach, 0), min(x + reach + 1, columns)):
                most = max(most, a[y, k])
            across[y, x] = most
    for y in range(rows):
        out[y] = across[y]
        for k in range(max(y - reach, 0), min(y + reach + 1, rows)):
            for x in range(columns):
                out[y, x] = max(out[y, x], across[k, x])
    return out


@njit(cache=True, nogil=True)
def window_moments(a, b, side, step):  # type: ignore[no-untyped-def]  # compiled
    """Variances of a - b, of a and of b in each window of side x side pixels, every `step` pixels.

    a, b: (h, w) float32. Returns three (rows, columns) float64.
    """
    height, width = a.shape
    rows, columns = (height - side) // step + 1, (width - side) // step + 1
    apart = np.zeros((rows, columns))
    left = np.zeros((rows, columns))
    right = np.zeros((rows, columns))
    strip = np.zeros((5, width))  # sums of the last `side` rows: a, b, a * a, b * b, (a - b) ** 2
    pixels = side * side
    for y in range(height):
        for x in range(width):
            p, q = float(a[y, x]), float(b[y, x])
            strip[0, x] += p
            strip[1, x] += q
            strip[2, x] += p * p
            strip[3, x] += q * q
            strip[4, x] += (p - q) * (p - q)
            if y >= side:
                p, q = float(a[y - side, x]), float(b[y - side, x])
                strip[0, x] -= p
                strip[1, x] -= q
                strip[2, x] -= p * p
                strip[3, x] -= q * q
                strip[4, x] -= (p - q) * (p - q)
        top = y - side + 1
        if top < 0 or top % step:
            continue
        sums = np.zeros(5)
        for x in range(width):
            for k in range(5):
                sums[k] += strip[k, x] - (strip[k, x - side] if x >= side else 0.0)
            first = x - side + 1
            if first < 0 or first % step:
                continue
            mean_a, mean_b = sums[0] / pixels, sums[1] / pixels
            i, j = top // step, first // step
            left[i, j] = max(sums[2] / pixels - mean_a * mean_a, 0.0)
            right[i, j] = max(sums[3] / pixels - mean_b * mean_b, 0.0)
            apart[i, j] = max(sums[4] / pixels - (mean_a - mean_b) ** 2, 0.0)
    return apart, left, right
