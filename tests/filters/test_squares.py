import numpy as np
import pytest
from cards import noise
from PIL import Image, features

from filters.squares import squares

SIDE = 32
PARTS = ((0.0, 0.0, 1.0, 1.0), (0.03, 0.03, 0.97, 0.97), (0.1, 0.0, 1.0, 0.925), (0.4, 0.71, 0.45, 0.8))
DOWN_FIRST = pytest.mark.skipif(features.version("pil") < "13", reason="Pillow reduced tall pictures across first")


def pillow(gray, box):
    return np.asarray(gray.resize((SIDE, SIDE), Image.Resampling.LANCZOS, box=box))


def parts_of(gray):
    return [(left * gray.width, top * gray.height, right * gray.width, bottom * gray.height)
            for left, top, right, bottom in PARTS]  # fmt: skip


@pytest.mark.parametrize(
    "size",
    [
        *((1, 1), (3, 9), (9, 3), (31, 33), (32, 32), (33, 32), (64, 64), (250, 188), (256, 31), (97, 64), (700, 601)),
        *(pytest.param(size, marks=DOWN_FIRST) for size in ((32, 33), (64, 96), (64, 97), (5, 700), (120, 256))),
    ],
)
def test_squares_are_those_of_pillow(size):
    for gray in (noise(*size).convert("L"), noise(*size).convert("L").point(lambda value: 255 * (value > 127))):
        boxes = parts_of(gray)
        assert (squares(gray, boxes, SIDE) == np.stack([pillow(gray, box) for box in boxes])).all()


def test_no_part_gives_no_square():
    assert squares(noise(40, 40).convert("L"), [], SIDE).shape == (0, SIDE, SIDE)
