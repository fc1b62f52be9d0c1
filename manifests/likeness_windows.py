"""Compiled loops over the windows of two pictures; sums in a fixed order, so that every machine finds the same."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def _enter(p, q, strip):  # type: ignore[no-untyped-def]  # compiled
    # A row joins the sums of the last rows; each sum in a loop of its own, which the compiler does four at a time.
    one, two, three, four, five = strip
    for x in range(len(p)):
        one[x] += p[x]
        two[x] += q[x]
    for x in range(len(p)):
        three[x] += p[x] * p[x]
        four[x] += q[x] * q[x]
    for x in range(len(p)):
        apart = p[x] - q[x]
        five[x] += apart * apart


@njit(cache=True, nogil=True)
def _pass(p, q, u, v, strip):  # type: ignore[no-untyped-def]  # compiled
    # p and q join, u and v leave.
    one, two, three, four, five = strip
    for x in range(len(p)):
        one[x] = one[x] + p[x] - u[x]
    for x in range(len(p)):
        two[x] = two[x] + q[x] - v[x]
    for x in range(len(p)):
        three[x] = three[x] + p[x] * p[x] - u[x] * u[x]
    for x in range(len(p)):
        four[x] = four[x] + q[x] * q[x] - v[x] * v[x]
    for x in range(len(p)):
        apart, before = p[x] - q[x], u[x] - v[x]
        five[x] = five[x] + apart * apart - before * before


@njit(cache=True, nogil=True)
def _entering(line, side, out):  # type: ignore[no-untyped-def]  # compiled
    # What each column adds to the sum of the last `side` ones.
    for x in range(side):
        out[x] = line[x]
    joins, leaves, change = line[side:], line[: len(line) - side], out[side:]
    for x in range(len(joins)):
        change[x] = joins[x] - leaves[x]


@njit(cache=True, nogil=True)
def _along(changes, side, step, sums):  # type: ignore[no-untyped-def]  # compiled
    # Sums of every window of a row; five at once, or each addition waits for the one before.
    one, two, three, four, five = changes
    a, b, c, d, e = sums
    s = t = u = v = w = 0.0
    for x in range(side - 1):
        s, t, u, v, w = s + one[x], t + two[x], u + three[x], v + four[x], w + five[x]
    x = side - 1
    for j in range(len(a)):
        s, t, u, v, w = s + one[x], t + two[x], u + three[x], v + four[x], w + five[x]
        a[j], b[j], c[j], d[j], e[j] = s, t, u, v, w
        if j + 1 < len(a):
            for y in range(x + 1, x + step):
                s, t, u, v, w = s + one[y], t + two[y], u + three[y], v + four[y], w + five[y]
        x += step


@njit(cache=True, nogil=True, error_model="numpy")
def _variances(sums, pixels, apart, stands):  # type: ignore[no-untyped-def]  # compiled
    a, b, c, d, e = sums
    for j in range(len(apart)):
        mean_a, mean_b = a[j] / pixels, b[j] / pixels
        off = mean_a - mean_b
        left, right, beside = (
            c[j] / pixels - mean_a * mean_a,
            d[j] / pixels - mean_b * mean_b,
            e[j] / pixels - off * off,
        )
        left, right = left if left > 0 else 0.0, right if right > 0 else 0.0
        stands[j] = left + right
        apart[j] = beside if beside > 0 else 0.0


@njit(cache=True, nogil=True)
def window_moments(a, b, side, step):  # type: ignore[no-untyped-def]  # compiled
    """Variance of a - b, and variances of a and of b together, in each window of side x side pixels.

    a, b: (h, w) float32, windows every `step` pixels. Returns two (rows, columns) float64.
    """
    height, width = a.shape
    rows, columns = (height - side) // step + 1, (width - side) // step + 1
    apart, stands = np.empty((rows, columns)), np.empty((rows, columns))
    # of the last `side` rows: a, b, a * a, b * b, (a - b) ** 2; what each column changes; sums of windows
    kept, changed, found = np.zeros((5, width)), np.empty((5, width)), np.empty((5, columns))
    strip = (kept[0], kept[1], kept[2], kept[3], kept[4])
    changes = (changed[0], changed[1], changed[2], changed[3], changed[4])
    sums = (found[0], found[1], found[2], found[3], found[4])
    for y in range(height):
        if y < side:
            _enter(a[y], b[y], strip)
        else:
            _pass(a[y], b[y], a[y - side], b[y - side], strip)
        top = y - side + 1
        if top >= 0 and top % step == 0:
            for k in range(5):
                _entering(kept[k], side, changed[k])
            _along(changes, side, step, sums)
            _variances(sums, float(side * side), apart[top // step], stands[top // step])
    return apart, stands


@njit(cache=True, nogil=True)
def strongest_near(a, reach):  # type: ignore[no-untyped-def]  # compiled
    """(rows, columns) float64: the largest value no further than `reach` rows and columns away."""
    rows, columns = a.shape
    across, out = a.copy(), np.empty((rows, columns))
    for y in range(rows):
        for k in range(1, min(reach, columns - 1) + 1):
            source, right, left = a[y], across[y, k:], across[y, : columns - k]
            ahead = source[k:]
            for x in range(columns - k):
                right[x] = source[x] if source[x] > right[x] else right[x]
            for x in range(columns - k):
                left[x] = ahead[x] if ahead[x] > left[x] else left[x]
    for y in range(rows):
        line = out[y]
        line[:] = across[y]
        for k in range(max(y - reach, 0), min(y + reach + 1, rows)):
            other = across[k]
            for x in range(columns):
                line[x] = other[x] if other[x] > line[x] else line[x]
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def differences(apart, stands, beside, noise, ringing):  # type: ignore[no-untyped-def]  # compiled
    """`apart` by what stands there and its noise, the larger of `noise` and a share of `beside`; and what is no noise.

    apart, stands, beside: (rows, columns) float64. Returns the same shape twice, float64 and bool.
    """
    found, printed = np.empty(apart.shape), np.empty(apart.shape, np.bool_)
    for y in range(apart.shape[0]):
        over, under, strong, out, mark = apart[y], stands[y], beside[y], found[y], printed[y]
        for x in range(len(over)):
            rings = ringing * strong[x]
            out[x] = over[x] / (under[x] + (rings if rings > noise else noise))
        for x in range(len(over)):
            mark[x] = under[x] > noise
    return found, printed


@njit(cache=True, nogil=True)
def raised(fine, coarse, first, times):  # type: ignore[no-untyped-def]  # compiled
    """The larger of `fine` and of `coarse`, each value of which stands for times x times from (first, first) on.

    fine, coarse: (rows, columns) float64, nothing below 0. Returns the shape of `fine`.
    """
    out = fine.copy()
    for y in range(first, min(fine.shape[0], first + times * coarse.shape[0])):
        values, line = coarse[(y - first) // times], out[y]
        for k in range(len(values)):
            for x in range(first + times * k, min(first + times * (k + 1), len(line))):
                line[x] = max(line[x], values[k])
    return out
