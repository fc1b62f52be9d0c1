"""The sums of a Gauss-Newton step against plain loops, bit by bit."""

import numpy as np
import pytest

from manifests.likeness_equations import normal_equations

RNG = np.random.default_rng(6)
NOISE = 8.0


def pixel(m, upper, lower, x: int, fv: float, place, half_height: float):
    """x in half sides, slopes, value, residual and weight of one pixel; None beyond the second picture.

    Differences of two float32 are rounded to float32.
    """
    width = len(m)
    px = (x + 0.5) / width * 2 - 1
    u = (place[0] * px + place[1] + 1) * 0.5 * width - 0.5
    if u < 0 or u > width - 1:
        return None
    left = min(int(u), width - 2)
    fu = float(u - left)
    rise, below = upper[left + 1] - upper[left], lower[left + 1] - lower[left]
    above = float(upper[left]) + fu * float(rise)
    h = float(lower[left]) + fu * float(below) - above
    value = above + fv * h
    g = (float(rise) + fv * float(below - rise)) * 0.5 * width
    r = value - place[4] * float(m[x]) - place[5]
    off = r / (3 * NOISE)
    return px, g, h * half_height, float(m[x]), value, r, 1 / (1 + off * off)


def plain(a, b, place):
    """Matrix, vector, sums and mean residual, row after row, pixel after pixel."""
    height, width = a.shape
    matrix, vector, sums = np.zeros((6, 6)), np.zeros(6), np.zeros(8)
    for y in range(height):
        p = (y + 0.5) / height * 2 - 1
        v = (place[2] * p + place[3] + 1) * 0.5 * height - 0.5
        if v < 0 or v > height - 1:
            continue
        top = min(int(v), height - 2)
        row, parts = np.zeros(8), np.zeros(17)
        for x in range(width):
            found = pixel(a[y], b[top], b[top + 1], x, float(v - top), place, 0.5 * height)
            if found:
                px, g, h, m, value, r, w = found
                wg, wh, wm, wv = w * g, w * h, w * m, w * value
                row += (1, w, wm, wv, wm * m, wv * value, wm * value, min(abs(r), 3 * NOISE))
                parts += (wg * g, wg * g * px, wg * g * px * px, wg * h, wg * h * px, wh * h, wm * g, wm * g * px, wg,
                          wg * px, wm * h, wh, wg * r, wg * r * px, wh * r, wm * r, w * r)  # fmt: skip
        gg, ggx, ggxx, gh, ghx, hh, ga, gax, g1, g1x, ha, h1, gr, grx, hr, ar, r1 = parts
        matrix += [
            (ggxx, ggx, ghx * p, ghx, -gax, -g1x),
            (ggx, gg, gh * p, gh, -ga, -g1),
            (ghx * p, gh * p, hh * p * p, hh * p, -ha * p, -h1 * p),
            (ghx, gh, hh * p, hh, -ha, -h1),
            (-gax, -ga, -ha * p, -ha, row[4], row[2]),
            (-g1x, -g1, -h1 * p, -h1, row[2], row[1]),
        ]
        vector += (grx, gr, hr * p, hr, -ar, -r1)
        sums += row
    return matrix, vector, sums[:7], sums[7] / max(sums[0], 1.0)


@pytest.mark.parametrize("shape", [(2, 2), (5, 9), (24, 31), (40, 17)])
@pytest.mark.parametrize("strayed", [0.0, 0.02, 0.2])
def test_sums_are_those_of_plain_loops(shape: tuple[int, int], strayed: float) -> None:
    a = RNG.uniform(0, 255, shape).astype(np.float32)
    b = (a + RNG.normal(0, 20, shape)).astype(np.float32)
    for _ in range(3):
        place = np.array([1.0, 0, 1, 0, 1, 0]) + strayed * RNG.normal(0, 1, 6)
        for found, expected in zip(normal_equations(a, b, place, NOISE), plain(a, b, place), strict=True):
            assert np.array_equal(found, expected)


def test_what_lies_beyond_the_second_picture_counts_nothing() -> None:
    a = RNG.uniform(0, 255, (8, 8)).astype(np.float32)
    matrix, vector, sums, away = normal_equations(a, a, np.array([1.0, 5, 1, 0, 1, 0]), NOISE)
    assert not matrix.any() and not vector.any() and not sums.any() and away == 0
