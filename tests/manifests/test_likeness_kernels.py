"""Compiled loops against plain array arithmetic."""

import numpy as np
import pytest

from manifests.likeness_kernels import (
    levels_of,
    moments,
    quarter,
    rows_apart,
    sixteenths,
    smooth,
    smooth_apart,
    square_apart,
    strokes_moved,
    tone_counts,
    tone_sums,
    toned,
)

RNG = np.random.default_rng(2)
ONE, OTHER = (RNG.uniform(0, 255, (37, 53)).astype(np.float32) for _ in range(2))


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


SHAPES = [(1, 1), (1, 6), (6, 1), (2, 2), (3, 19), (37, 53)]


def smoothed(values):
    """1-2-1 each way, in float64, rounded to float32 after each."""
    wide = np.pad(values, ((0, 0), (1, 1)), "edge").astype(np.float64)
    across = (0.25 * wide[:, :-2] + 0.5 * wide[:, 1:-1] + 0.25 * wide[:, 2:]).astype(np.float32)
    tall = np.pad(across, ((1, 1), (0, 0)), "edge").astype(np.float64)
    return (0.25 * tall[:-2] + 0.5 * tall[1:-1] + 0.25 * tall[2:]).astype(np.float32)


@pytest.mark.parametrize("shape", SHAPES)
def test_smoothing_is_plain_arithmetic(shape: tuple[int, int]) -> None:
    values = RNG.uniform(0, 255, shape).astype(np.float32)
    assert np.array_equal(smooth(values), smoothed(values))
    gray = values.astype(np.uint8)
    assert np.array_equal(levels_of(sixteenths(gray)), smoothed(gray.astype(np.float32)))


def test_smoothing_ends_where_the_limit_is_reached() -> None:
    soft = smoothed(ONE)
    apart = square_apart(soft, OTHER, 24.0)
    assert smooth_apart(ONE, OTHER, 24.0, np.inf)[1] == apart
    found, below = smooth_apart(ONE, OTHER, 24.0, np.nextafter(apart, np.inf))
    assert np.array_equal(found, soft) and below == apart
    assert smooth_apart(ONE, OTHER, 24.0, apart)[1] == smooth_apart(ONE, OTHER, 24.0, apart / 2)[1] == np.inf


@pytest.mark.parametrize("reach", [0.0, 3.5, 48.0])
def test_tone_counts_are_tone_sums_of_whole_sixteenths(reach: float) -> None:
    one = RNG.integers(0, 4081, (41, 67), dtype=np.uint16)
    other = np.clip(one + RNG.integers(-900, 900, one.shape), 0, 4080).astype(np.uint16)
    one[0], other[0] = 4080, 4080
    expected = tone_sums(levels_of(one), levels_of(other), 1.0, 0.0, reach)
    assert np.array_equal(tone_counts(one, other, reach), expected)
    assert expected[0].any() == (reach > 0)


def test_a_curve_is_looked_up() -> None:
    tones = RNG.integers(0, 4081, (11, 13), dtype=np.uint16)
    curve = RNG.random(4081).astype(np.float32)
    assert np.array_equal(toned(tones, curve), curve[tones])


@pytest.mark.parametrize("shape", [(36, 36), (37, 53), (39, 40), (96, 128), (130, 67), (384, 512)])
def test_quarters_are_means_of_numpy(shape: tuple[int, int]) -> None:
    values = RNG.uniform(0, 255, shape).astype(np.float32)
    height, width = (side // 4 * 4 for side in shape)
    blocks = values[:height, :width].reshape(height // 4, 4, width // 4, 4)
    assert np.array_equal(quarter(values), blocks.mean(axis=(1, 3)))


@pytest.mark.parametrize(("above", "below"), [(0, 0), (3, 0), (0, 2), (7, 4), (20, 20)])
def test_rows_apart_are_counted_from_both_ends(above: int, below: int) -> None:
    one, other = np.zeros((20, 9), np.float32), np.zeros((20, 9), np.float32)
    other[:above, :5] = other[20 - below :, 4:] = 33
    assert rows_apart(one, other, 32.0) == (above, below)
    other[other > 0] = 32
    assert rows_apart(one, other, 32.0) == (0, 0)
    other[:, :4] = 99  # fewer than half of a row
    assert rows_apart(one, other, 32.0) == (0, 0)


def test_moments_are_whole_numbers() -> None:
    gray = RNG.integers(0, 256, (50, 70), dtype=np.uint8)
    assert moments(gray) == (gray.sum(dtype=int), (gray.astype(int) ** 2).sum())
