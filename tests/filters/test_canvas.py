import io

import pytest
from cards import (
    bars,
    cross_card,
    cut,
    encoded,
    formula_page,
    framed_card,
    icon_card,
    letterboxed,
    noise,
    only_in_alpha,
    page,
    product,
    scene,
    table,
    text_card,
    text_line,
)
from PIL import Image

from filters.canvas import PictureCanvas
from shards.picture import decode


def canvas(data):
    return dict(zip(PictureCanvas.writes, PictureCanvas()(decode(data)), strict=True))


CARDS = {
    "white": text_card(),
    "pale": text_card(paper=(240, 240, 240)),
    "dark": text_card(paper=(34, 34, 34), ink=(200, 200, 200)),
    "small": text_card(160, 120),
    "tall": text_card(400, 700),
    "icon": icon_card(),
    "large icon": icon_card(1200, 900),
    "framed": framed_card(),
    "cross": cross_card(),
}
NO_CARDS = {
    "page": page(),
    "page with wide margins": page(margin=0.16),
    "half a page": page(lines=20),
    "formula on a page": formula_page(),
    "line": text_line(),
    "table": table(),
    "bars": bars(),
    "product": product(),
    "scene": scene(),
    "letterboxed": letterboxed(),
    "noise": noise(300, 300),
}


@pytest.mark.parametrize("name", CARDS)
@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("JPEG", {"quality": 90}), ("WEBP", {"quality": 60})])
def test_cards_are_small_content_in_the_middle(name, kind, options):
    found = canvas(encoded(CARDS[name], kind, **options))
    assert 0 < found["card_share"] < 0.3
    assert found["gray_range"] > 16


@pytest.mark.parametrize("name", NO_CARDS)
@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("JPEG", {"quality": 75})])
def test_other_pictures_are_no_cards(name, kind, options):
    found = canvas(encoded(NO_CARDS[name], kind, **options))
    assert found["card_share"] >= 0.36
    assert found["gray_range"] > 60
    assert found["cut_share"] == 0


def test_a_card_lies_in_the_middle_and_has_few_colours():
    aside = Image.new("RGB", (600, 400), "white")
    aside.paste(text_card(300, 200), (0, 0))
    found = canvas(encoded(aside))
    assert found["content_share"] < 0.1
    assert found["card_share"] == 1
    found = canvas(encoded(product()))
    assert (found["content_share"], found["card_share"]) == (pytest.approx(0.16, abs=0.02), 1)
    assert found["num_colours"] > 16


def test_the_content_box_is_exact_where_nothing_is_averaged():
    image = Image.new("L", (200, 100), 255)
    image.paste(0, (80, 40, 120, 60))
    assert canvas(encoded(image))["card_share"] == pytest.approx(40 * 20 / (200 * 100))
    image.paste(0, (0, 40, 120, 60))
    assert canvas(encoded(image))["content_share"] == pytest.approx(120 * 20 / (200 * 100))


def test_letterbox_borders_are_outside_the_content():
    assert canvas(encoded(letterboxed()))["content_share"] == pytest.approx(0.75, abs=0.02)
    assert canvas(encoded(scene()))["content_share"] == 1


@pytest.mark.parametrize(
    "image",
    [
        Image.new("RGB", (900, 500), "red"),
        Image.new("1", (1, 1)),
        Image.new("L", (1, 3000), 7),
        Image.new("LA", (40, 40), (255, 0)),
        only_in_alpha(),
        Image.eval(noise(300, 200), lambda value: 120 + value // 32),
    ],
)
def test_blank_pictures_have_next_to_no_range(image):
    found = canvas(encoded(image))
    assert found["gray_range"] < 16
    assert found["content_share"] == 0


def test_a_frame_alone_is_not_blank_but_empty():
    image = Image.new("L", (300, 200), 255)
    image.paste(0, (0, 0, 300, 2))
    found = canvas(encoded(image))
    assert (found["gray_range"], found["content_share"]) == (255, 0)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_the_missing_part_of_a_cut_jpeg_is_measured(share):
    found = canvas(cut(share))["cut_share"]
    assert found == pytest.approx(1 - share, abs=0.12)
    assert found >= 0.05
    # the same picture, saved anew by somebody who did not notice
    again = decode(cut(share)).image
    assert canvas(encoded(again))["cut_share"] == found


@pytest.mark.parametrize("gray", [127, 129])
def test_other_grays_at_the_bottom_are_no_cut(gray):
    image = scene()
    image.paste((gray,) * 3, (0, 300, 640, 480))
    assert canvas(encoded(image))["cut_share"] == 0


def test_colours():
    halves = Image.new("RGB", (200, 100), (200, 40, 40))
    halves.paste((40, 200, 40), (0, 0, 50, 100))
    found = canvas(encoded(halves))
    assert (found["num_colours"], found["top_colour_share"]) == (2, pytest.approx(0.75, abs=0.01))
    rare = Image.new("L", (128, 128), 0)
    rare.putpixel((0, 0), 255)  # one pixel in 16,384
    assert canvas(encoded(rare))["num_colours"] == 1
    found = canvas(encoded(noise(300, 300)))
    assert found["num_colours"] == 0
    assert found["top_colour_share"] < 0.02


def clear_palette(clear):
    image = Image.new("P", (10, 10), 0)
    image.putpalette([255, 255, 255, 0, 0, 0, 90, 90, 90])
    image.paste(1, (0, 0, 10, 2))
    image.paste(2, (0, 2, 10, 3))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=clear)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "share"),
    [
        (encoded(Image.new("RGBA", (10, 10), (0, 0, 0, 127))), 1),
        (encoded(Image.new("RGBA", (10, 10), (0, 0, 0, 128))), 0),
        (encoded(Image.new("LA", (10, 10), (9, 0))), 1),
        (clear_palette(1), 0.2),
        (clear_palette(bytes((255, 0, 100))), 0.3),
        (encoded(Image.new("RGB", (10, 10), (1, 2, 3)), transparency=(1, 2, 3)), 1),
        (encoded(Image.new("L", (10, 10), 5), transparency=6), 0),
        (encoded(scene(), "JPEG"), 0),
    ],
)
def test_transparency(data, share):
    assert canvas(data)["transparent_share"] == share
