"""Windows of two pictures against plain loops, bit by bit."""

import numpy as np
import pytest
from scipy import ndimage

from manifests.likeness_windows import differences, raised, strongest_near, window_moments

RNG = np.random.default_rng(4)


@pytest.mark.parametrize("reach", [0, 1, 4, 60])
def test_strongest_near_is_a_maximum_filter(reach: int) -> None:
    values = RNG.random((23, 41))
    assert np.array_equal(strongest_near(values, reach), ndimage.maximum_filter(values, 2 * reach + 1))


def along(line, side: int):
    """Sums of the last `side` values: each adds what it joins less what leaves."""
    total, sums = 0.0, []
    for x, value in enumerate(line):
        total += value - (line[x - side] if x >= side else 0.0)
        sums.append(total)
    return np.array(sums[side - 1 :])


@pytest.mark.parametrize("shape", [(9, 9), (10, 11), (25, 18), (40, 57)])
@pytest.mark.parametrize("step", [1, 2, 3])
def test_moments_are_sums_in_the_order_of_plain_loops(shape: tuple[int, int], step: int) -> None:
    side, pixels = 9, 81
    a, b = (RNG.uniform(0, 255, shape).astype(np.float32) for _ in range(2))
    parts = [part.astype(np.float64) for part in (a, b, a * a, b * b, (a - b) * (a - b))]
    strips = np.zeros((5, shape[1]))
    apart, stands = window_moments(a, b, side, step)
    for y in range(shape[0]):
        strips += [part[y] for part in parts]
        strips -= [part[y - side] for part in parts] if y >= side else 0.0
        top = y - side + 1
        if top >= 0 and top % step == 0:
            s, t, ss, tt, off = (along(strip, side)[::step] / pixels for strip in strips)
            assert np.array_equal(stands[top // step], np.maximum(ss - s * s, 0) + np.maximum(tt - t * t, 0))
            assert np.array_equal(apart[top // step], np.maximum(off - (s - t) * (s - t), 0))
    assert apart.shape == tuple((length - side) // step + 1 for length in shape)


def test_moments_are_variances() -> None:
    a, b = (RNG.uniform(0, 255, (31, 44)).astype(np.float32) for _ in range(2))
    apart, stands = window_moments(a, b, 9, 2)
    for i, j in ((0, 0), (3, 7), (11, 17)):
        part = slice(2 * i, 2 * i + 9), slice(2 * j, 2 * j + 9)
        assert apart[i, j] == pytest.approx((a[part] - b[part]).var(dtype=float), rel=1e-4)
        assert stands[i, j] == pytest.approx(a[part].var(dtype=float) + b[part].var(dtype=float), rel=1e-4)


def test_differences_divide_by_what_stands_there_or_rings() -> None:
    apart, stands, beside = (RNG.uniform(0, 90, (13, 17)) for _ in range(3))
    found, printed = differences(apart, stands, beside, 32.0, 0.5)
    assert np.array_equal(found, apart / (stands + np.maximum(32.0, 0.5 * beside)))
    assert np.array_equal(printed, stands > 32)


@pytest.mark.parametrize("shape", [(40, 52), (45, 60), (14, 14), (100, 90)])
@pytest.mark.parametrize("times", [1, 4])
def test_coarse_values_stand_for_blocks(shape: tuple[int, int], times: int) -> None:
    fine, coarse, first = RNG.random(shape), RNG.random((10, 13)), 6
    spread = np.zeros(shape)
    near = np.kron(coarse, np.ones((times, times)))[: shape[0] - first, : shape[1] - first]
    spread[first : first + near.shape[0], first : first + near.shape[1]] = near
    assert np.array_equal(raised(fine, coarse, first, times), np.maximum(fine, spread))
