"""Compiled loops against plain array arithmetic."""

import numpy as np
import pytest
from scipy import ndimage

from manifests.likeness_kernels import square_apart, strokes_moved, strongest_near, tone_sums

RNG = np.random.default_rng(2)
ONE, OTHER = (RNG.uniform(0, 255, (37, 53)).astype(np.float32) for _ in range(2))


@pytest.mark.parametrize("reach", [0, 1, 4, 60])
def test_strongest_near_is_a_maximum_filter(reach: int) -> None:
    values = RNG.random((23, 41))
    assert np.array_equal(strongest_near(values, reach), ndimage.maximum_filter(values, 2 * reach + 1))


@pytest.mark.parametrize("most", [1.0, 24.0, 300.0])
def test_square_apart_takes_no_pixel_for_more_than_the_limit(most: float) -> None:
    expected = np.minimum(np.abs(ONE.astype(float) - OTHER), most) ** 2
    assert square_apart(ONE, OTHER, most) == pytest.approx(expected.mean())


def test_tone_sums_count_near_pixels_by_tone() -> None:
    shown = OTHER.copy()
    shown[:5] = np.nan
    number, tones, bends = tone_sums(ONE, shown, 0.5, 60.0, 48.0)
    bend = shown - 0.5 * ONE.astype(float) - 60
    for tone in range(32):
        part = (np.abs(bend) < 48) & (tone == ONE // 8)
        assert number[tone] == part.sum()
        assert (tones[tone], bends[tone]) == pytest.approx((ONE[part].sum(), bend[part].sum()), rel=1e-4, abs=1e-3)


def test_strokes_moved_counts_pixels_of_either_picture() -> None:
    left, right = np.full((4, 6), 255, np.uint8), np.full((4, 6), 255, np.uint8)
    left[1, 2] = right[3, 4] = 0
    assert strokes_moved(left, left, 32, 0.5) == (2, 0)
    assert strokes_moved(left, right, 32, 0.5) == (4, 2)
    assert strokes_moved(left, right, 255, 0.5) == (0, 0)


def test_strokes_moved_is_plain_arithmetic() -> None:
    left, right = ONE.astype(np.uint8), OTHER.astype(np.uint8)
    a, b = left.astype(int), right.astype(int)
    step = np.maximum(np.abs(np.diff(a, axis=1)), np.abs(np.diff(b, axis=1)))
    moved = np.abs(a - b)[:, :-1] > 0.5 * step
    assert strokes_moved(left, right, 32, 0.5) == ((step > 32).sum(), (moved & (step > 32)).sum())
