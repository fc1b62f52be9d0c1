"""Compiled sums of a Gauss-Newton step; float64 sums in a fixed order, so that every machine finds the same.

Differences of two float32 are float32 here, as compiled code has them.
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def _columns(place, width):  # type: ignore[no-untyped-def]  # compiled
    # Columns of the first picture that lie on the second: their number, x in half sides, the column of the second left
    # of where they lie, and how far beyond it.
    number, px = 0, np.empty(width)
    own, left, beyond = np.empty(width, np.int64), np.empty(width, np.int64), np.empty(width)
    for x in range(width):
        p = (x + 0.5) / width * 2 - 1
        u = (place[0] * p + place[1] + 1) * 0.5 * width - 0.5
        if u < 0 or u > width - 1:
            continue
        own[number], px[number], left[number] = x, p, min(int(u), width - 2)
        beyond[number] = u - left[number]
        number += 1
    return own[:number], px[:number], left[:number], beyond[:number]


@njit(cache=True, nogil=True)
def _between(row, left, beyond, values, rises):  # type: ignore[no-untyped-def]  # compiled
    # A row of the second picture where columns of the first lie on it, and its slopes there.
    for i in range(len(left)):
        here = row[left[i]]
        rises[i] = row[left[i] + 1] - here
        values[i] = here + beyond[i] * rises[i]


@njit(cache=True, nogil=True, error_model="numpy")
def _weighted(m, upper, lower, rises, rises_below, fv, place, noise, half_height, terms):  # type: ignore[no-untyped-def]
    # What the sums of one row are made of, by pixel; a loop that the compiler does four at a time.
    gs, hs, values, rs, weights = terms
    half, width, three = 0.5, place[6], 3 * noise
    gain, offset = place[4], place[5]
    for i in range(len(m)):
        h = lower[i] - upper[i]
        value = upper[i] + fv * h
        values[i] = value
        hs[i] = h * half_height
        gs[i] = (rises[i] + fv * (rises_below[i] - rises[i])) * half * width
        r = value - gain * m[i] - offset
        rs[i] = r
        off = r / three
        weights[i] = 1 / (1 + off * off)


@njit(cache=True, nogil=True)
def _row_sums(m, px, terms, noise, out):  # type: ignore[no-untyped-def]  # compiled
    # One row of `normal_equations`. The sums are scalars, which stay in registers: three times as fast as filling the
    # matrix pixel by pixel.
    gs, hs, values, rs, weights = terms
    w1 = wa = wb = waa = wbb = wab = far = 0.0
    gg = ggx = ggxx = gh = ghx = hh = ga = gax = g1 = g1x = ha = h1 = 0.0
    gr = grx = hr = ar = r1 = 0.0
    most = 3 * noise
    for i in range(len(m)):
        x, a, g, h, value, r, weight = px[i], m[i], gs[i], hs[i], values[i], rs[i], weights[i]
        wg, wh, wm, wv = weight * g, weight * h, weight * a, weight * value
        wgx, wgg, wgh = wg * x, wg * g, wg * h
        w1, far = w1 + weight, far + min(abs(r), most)
        wa, waa, wb, wbb, wab = wa + wm, waa + wm * a, wb + wv, wbb + wv * value, wab + wm * value
        gg, ggx, ggxx = gg + wgg, ggx + wgg * x, ggxx + wgg * x * x
        gh, ghx, hh = gh + wgh, ghx + wgh * x, hh + wh * h
        ga, gax, g1, g1x = ga + wm * g, gax + wm * g * x, g1 + wg, g1x + wgx
        ha, h1 = ha + wm * h, h1 + wh
        gr, grx, hr, ar, r1 = gr + wg * r, grx + wg * r * x, hr + wh * r, ar + wm * r, r1 + weight * r
    out[:8] = (float(len(m)), w1, wa, wb, waa, wbb, wab, far)
    out[8:20] = (gg, ggx, ggxx, gh, ghx, hh, ga, gax, g1, g1x, ha, h1)
    out[20:] = (gr, grx, hr, ar, r1)


@njit(cache=True, nogil=True)
def _add(row, p, matrix, vector, sums):  # type: ignore[no-untyped-def]  # compiled
    # The sums of one row, at height p.
    for k in range(8):
        sums[k] += row[k]
    gg, ggx, ggxx, gh, ghx, hh, ga, gax, g1, g1x, ha, h1 = row[8:20]
    gr, grx, hr, ar, r1 = row[20:]
    lines = (
        (ggxx, ggx, ghx * p, ghx, -gax, -g1x),
        (ggx, gg, gh * p, gh, -ga, -g1),
        (ghx * p, gh * p, hh * p * p, hh * p, -ha * p, -h1 * p),
        (ghx, gh, hh * p, hh, -ha, -h1),
        (-gax, -ga, -ha * p, -ha, row[4], row[2]),
        (-g1x, -g1, -h1 * p, -h1, row[2], row[1]),
    )
    for k in range(6):
        for j in range(6):
            matrix[k, j] += lines[k][j]
    values = (grx, gr, hr * p, hr, -ar, -r1)
    for k in range(6):
        vector[k] += values[k]


@njit(cache=True, nogil=True)
def normal_equations(a, b, place, noise):  # type: ignore[no-untyped-def]  # compiled
    """Sums of one Gauss-Newton step of `b at place = gain * a + offset`, see manifests.likeness_align.

    a, b: (h, w) float32. place: (6,) scale x, shift x, scale y, shift y (of half sides), gain, offset. noise: gray
    levels; a residual weighs 1 / (1 + (residual / (3 * noise)) ** 2).

    Returns the weighted 6 x 6 matrix and 6 vector, seven sums (pixels; weights; weighted a, b, a * a, b * b, a * b)
    and the mean |residual|, those beyond 3 * noise taken as that.
    """
    height, width = a.shape
    matrix, vector, sums, row = np.zeros((6, 6)), np.zeros(6), np.zeros(8), np.zeros(25)
    own, px, left, beyond = _columns(place, width)
    number = len(own)
    values, rises, known = np.empty((2, number)), np.empty((2, number), np.float32), np.full(2, -1)
    buffers, m = np.empty((5, number)), np.empty(number)
    terms = (buffers[0], buffers[1], buffers[2], buffers[3], buffers[4])
    for y in range(height):
        p = (y + 0.5) / height * 2 - 1
        v = (place[2] * p + place[3] + 1) * 0.5 * height - 0.5
        if v < 0 or v > height - 1:
            continue
        top = min(int(v), height - 2)
        for line in (top, top + 1):
            if known[line % 2] != line:
                _between(b[line], left, beyond, values[line % 2], rises[line % 2])
                known[line % 2] = line
        for i in range(number):
            m[i] = a[y, own[i]]
        i, j = top % 2, (top + 1) % 2
        scaled = (place[0], place[1], place[2], place[3], place[4], place[5], width)
        _weighted(m, values[i], values[j], rises[i], rises[j], v - top, scaled, noise, 0.5 * height, terms)
        _row_sums(m, px, terms, noise, row)
        _add(row, p, matrix, vector, sums)
    return matrix, vector, sums[:7], sums[7] / max(sums[0], 1.0)
