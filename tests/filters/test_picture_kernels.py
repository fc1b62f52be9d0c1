import numpy as np
import pytest

from filters.grain import _blocks, _energies, _energy
from filters.picture_kernels import block_energies, colour_counts, gray_counts, ink_box

STEPS = np.array([1, 5, 6, 7, 8])
RNG = np.random.default_rng(7)
CHECKERS = np.kron(np.indices((40, 40)).sum(axis=0) % 2, np.ones((5, 5))).astype(np.uint8) * 255
GRAYS = {
    "noise": RNG.integers(0, 256, (120, 160), dtype=np.uint8),
    "one block": RNG.integers(0, 256, (24, 24), dtype=np.uint8),
    "a part of a block": RNG.integers(0, 256, (55, 31), dtype=np.uint8),
    "flat": np.full((64, 64), 9, np.uint8),
    "black and white": RNG.integers(0, 2, (200, 90), dtype=np.uint8) * 255,
    "sums that floats round": CHECKERS,
}


@pytest.mark.parametrize("gray", GRAYS.values(), ids=GRAYS)
def test_energies_are_those_of_plain_arithmetic(gray) -> None:
    wide = gray.astype(np.int64)
    height, width = (side - 8 for side in gray.shape)
    here = wide[:height, :width]
    for step, found in zip(STEPS, block_energies(gray, STEPS, 16), strict=True):
        across, down = wide[:height, step : width + step], wide[step : height + step, :width]
        squares = (across - here) ** 2 + (down - here) ** 2
        rows, columns = height // 16, width // 16
        assert (found == squares[: rows * 16, : columns * 16].reshape(rows, 16, columns, 16).sum(axis=(1, 3))).all()


@pytest.mark.parametrize("gray", GRAYS.values(), ids=GRAYS)
def test_floats_are_the_ones_that_numpy_sums_up(gray) -> None:
    plain = [_blocks(_energy(gray.astype(np.float32), step)) for step in STEPS.tolist()]
    assert np.array_equal(_energies(gray), np.stack(plain)) and _energies(gray).dtype == np.float32


def test_checkers_have_sums_that_floats_round() -> None:
    assert block_energies(CHECKERS, STEPS, 16).max() > 1 << 24


def test_every_pixel_is_counted_at_its_levels() -> None:
    pixels = RNG.integers(0, 256, (37, 50, 3), dtype=np.uint8)
    codes = (pixels.astype(int) >> 4) @ [256, 16, 1]
    assert (colour_counts(pixels) == np.bincount(codes.ravel(), minlength=4096)).all()


@pytest.mark.parametrize("shape", [(1, 1), (3, 8), (41, 77)])
def test_every_gray_value_is_counted(shape) -> None:
    gray = RNG.integers(0, 256, shape, dtype=np.uint8)
    assert (gray_counts(gray) == np.bincount(gray.ravel(), minlength=256)).all()


@pytest.mark.parametrize("paper", [0, 100, 255])
@pytest.mark.parametrize("pixels", [0, 1, 2, 5, 300])
def test_the_box_of_ink_is_the_smallest(pixels: int, paper: int) -> None:
    for _ in range(20):
        gray = np.clip(paper + RNG.integers(-10, 11, (23, 37)), 0, 255).astype(np.uint8)
        gray[RNG.integers(0, 23, pixels), RNG.integers(0, 37, pixels)] = RNG.choice([0, 90, 111, 255], pixels)
        ink = np.abs(gray.astype(int) - paper) > 10
        rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
        expected = (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1) if len(rows) else (0, 0, 0, 0)
        assert ink_box(gray, paper, 10) == expected
