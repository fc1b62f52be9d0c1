"""Resampling against Pillow's, byte by byte."""

import numpy as np
import pytest
from PIL import Image, features

from shards.resampling import fixed, resized, turned

METHODS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
THIRTEEN = pytest.mark.skipif(features.version("pil") < "13", reason="Pillow reduced tall pictures across first")


def gray(width: int, height: int, *, seed: int = 0, drawn: bool = False):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    return 255 * (pixels >> 7) if drawn else pixels


@THIRTEEN
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("drawn", [False, True])
def test_bytes_are_those_of_pillow(method: str, drawn: bool) -> None:
    rng = np.random.default_rng(5)
    for seed in range(150):
        (width, height), size = (tuple(int(side) for side in rng.integers(1, 120, 2)) for _ in range(2))
        size = (width if seed % 5 == 0 else size[0], height if seed % 7 == 0 else size[1])
        x, y = (np.sort(rng.uniform(0, side - 1e-3, 2)) for side in (width, height))
        part = (x[0], y[0], x[1] + 1e-3, y[1] + 1e-3)
        for box in (None, part, (0.0, part[1], float(width), part[3]), (0, 0, width, height)):
            pixels = gray(width, height, seed=seed, drawn=drawn)
            expected = np.asarray(Image.fromarray(pixels).resize(size, METHODS[method], box=box))
            assert np.array_equal(resized(pixels, size, method, box), expected), (pixels.shape, size, box)


@THIRTEEN
@pytest.mark.parametrize(
    ("size", "wanted"), [((640, 480), (512, 384)), ((300, 900), (171, 512)), ((500, 333), (77, 51))]
)
def test_pictures_are_those_of_pillow(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    pixels = gray(*size)
    for method, number in METHODS.items():
        assert np.array_equal(
            resized(pixels, wanted, method), np.asarray(Image.fromarray(pixels).resize(wanted, number))
        )


def test_the_same_size_is_the_same_picture() -> None:
    pixels = gray(9, 7)
    assert np.shares_memory(resized(pixels, (9, 7), "bicubic"), pixels)


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (7, 9), (16, 24), (33, 31), (64, 5), (3, 100)])
def test_turned_pictures_are_turned(shape: tuple[int, int]) -> None:
    pixels = gray(*shape)
    made = turned(pixels)
    assert all(0 <= side - wanted < 8 for side, wanted in zip(made.shape, shape, strict=True))
    assert np.array_equal(made[: shape[0], : shape[1]], pixels.T)


def test_fixed_pixels_cannot_be_written_to() -> None:
    pixels = gray(12, 10)
    for part in (pixels, pixels[::2, 1:5], pixels.T):
        kept = fixed(part)
        assert np.array_equal(kept, part) and kept.flags.c_contiguous
        with pytest.raises(ValueError, match="read-only"):
            kept[0, 0] = 1
    pixels[0, 0] += 1  # the picture itself still can
