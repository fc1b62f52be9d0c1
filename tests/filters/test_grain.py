import numpy as np
import pytest
from cards import encoded, noise, page, scene, table, text_card
from PIL import Image, ImageFilter

from filters.grain import PictureGrain
from shards.picture import decode


def grain(image, kind="PNG", **options):
    return PictureGrain()(decode(encoded(image, kind, **options)))


def test_a_slope_has_a_64th_and_an_edge_an_eighth():
    slope = Image.fromarray(np.tile(np.arange(200, dtype=np.uint8), (100, 1)))
    assert grain(slope)[0] == pytest.approx(1 / 64)
    edge = Image.new("L", (200, 200))
    edge.paste(255, (100, 0, 200, 200))
    assert grain(edge)[0] == pytest.approx(1 / 8)


@pytest.mark.parametrize("image", [noise(300, 300), noise(160, 160, "L"), noise(1500, 900), noise(30, 200)])
def test_noise_is_noise_everywhere(image):
    sharpness, floor = grain(image)
    assert sharpness == pytest.approx(1, abs=0.1)
    assert floor >= 0.7


@pytest.mark.parametrize("image", [page(margin=0.02), page(), table(), text_card(), scene()])
def test_nothing_else_is(image):
    assert grain(image)[1] < 0.55
    assert grain(image, "JPEG", quality=60)[1] < 0.55


@pytest.mark.parametrize("width", [500, 600, 850, 1300, 1654])
@pytest.mark.parametrize("margin", [0.02, 0.1])
def test_pages_of_any_line_distance_are_not(width, margin):
    image = page(margin=margin)
    assert grain(image.resize((width, round(width * 1.3)), Image.Resampling.LANCZOS))[1] < 0.7


def test_blur_lowers_sharpness_step_by_step():
    values = [grain(scene().filter(ImageFilter.GaussianBlur(radius)))[0] for radius in (0, 6, 15)]
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0] / 2


def test_flat_and_small_pictures():
    assert grain(Image.new("L", (50, 50), 9)) == (None, 0)
    assert grain(noise(23, 500)) == (None, None)
    assert None not in grain(noise(24, 24))


def test_contrast_does_not_matter():
    faint = Image.eval(noise(200, 200, "L"), lambda value: 100 + value // 4)
    assert grain(faint)[1] == pytest.approx(grain(noise(200, 200, "L"))[1], abs=0.05)
