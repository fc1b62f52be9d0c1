import numpy as np
import pytest
from cards import encoded, noise, scene
from PIL import Image, ImageOps

from filters.leak_boxes import BOXES, STRIPS, StripCuts, part_hashes
from filters.phash import PerceptualHash
from shards.picture import decode, sample


def bits(left: int, right: int) -> int:
    return (left ^ right).bit_count()


def parts(image: Image.Image) -> list[int]:
    found = part_hashes(sample(encoded(image)), BOXES, flat_std=2.0)
    assert found is not None
    return found


def test_the_first_part_is_the_whole() -> None:
    assert BOXES[0] == (0, 0, 0, 0)
    assert len(set(BOXES)) == len(BOXES) == 81
    image = noise(200, 150)
    assert parts(image)[0] == PerceptualHash()(decode(encoded(image)))[0]


@pytest.mark.parametrize("box", [(0.1, 0.1, 0.1, 0.1), (0, 0.08, 0.03, 0), (0.06, 0, 0, 0.09), (0.02, 0.03, 0.01, 0.1)])
def test_a_cut_of_up_to_a_tenth_is_near_one_of_the_parts(box: tuple[float, ...]) -> None:
    image = scene(400, 300)
    left, top, right, bottom = box
    cut = image.crop((round(400 * left), round(300 * top), round(400 * (1 - right)), round(300 * (1 - bottom))))
    whole = PerceptualHash()(sample(encoded(cut)))[0]
    assert whole is not None
    assert min(bits(int(whole), part) for part in parts(image)) <= 8


@pytest.mark.parametrize("share", [0.04, 0.06, 0.08, 0.1])
@pytest.mark.parametrize("above", [True, False])
def test_without_the_strip_a_picture_is_as_it_was(share: float, above: bool) -> None:
    image = scene(400, 300)
    band = round(300 * share / (1 - share))
    strip = ImageOps.expand(image, (0, band, 0, 0) if above else (0, 0, 0, band), fill="black")
    cuts = StripCuts()(sample(encoded(strip)))
    ends = np.array_split(np.array([int(cut) for cut in cuts if cut is not None], dtype=object), 2)
    whole = parts(image)[0]
    assert min(bits(int(cut), whole) for cut in ends[0 if above else 1]) <= 8
    assert len(cuts) == 2 * len(STRIPS) == len(StripCuts.writes)


def test_flat_pictures_have_no_hash() -> None:
    flat = sample(encoded(Image.new("RGB", (90, 60), (200, 200, 200))))
    assert part_hashes(flat, BOXES, flat_std=2.0) is None
    assert set(StripCuts()(flat)) == {None}
