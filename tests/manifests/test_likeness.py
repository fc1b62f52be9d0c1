"""Copies and look-alikes of drawn pictures."""

import io
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont, ImageOps

from manifests.likeness import FINE, SIDE, likeness, shrunk

SIZE = 16


def page(*, number: str = "482.17", header: str = "Receipt of the corner shop") -> Image.Image:
    """Lines of words with an amount each; `number` stands in the fourth."""
    rng = np.random.default_rng(3)
    image = Image.new("L", (300, 400), 250)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(SIZE)
    draw.text((60, 12), header, font=font, fill=20)
    for line in range(12):
        words = " ".join("".join(rng.choice(list("abdeghnoprstu"), rng.integers(3, 8))) for _ in range(2))
        amount = number if line == 3 else f"{rng.integers(100, 900)}.{rng.integers(10, 99)}"
        draw.text((16, 60 + 26 * line), words, font=font, fill=20)
        draw.text((220, 60 + 26 * line), amount, font=font, fill=20)
    return image


def chart(*, heights: tuple[int, ...] = (40, 120, 90, 150, 60)) -> Image.Image:
    image = Image.new("L", (360, 240), 255)
    draw = ImageDraw.Draw(image)
    for bar, height in enumerate(heights):
        draw.rectangle((40 + 60 * bar, 210 - height, 75 + 60 * bar, 210), fill=90 + 25 * bar)
        draw.text((48 + 60 * bar, 216), f"Q{bar}", font=ImageFont.load_default(SIZE), fill=0)
    draw.line((30, 210, 350, 210), fill=0)
    return image


def photo(seed: int = 5) -> Image.Image:
    """Soft shapes under fine ones: noise of four sizes."""
    rng = np.random.default_rng(seed)
    layers = [rng.normal(0, 1, (240 // step, 320 // step)) for step in (4, 10, 20, 80)]
    grown = [np.asarray(Image.fromarray(layer).resize((320, 240), Image.Resampling.BICUBIC)) for layer in layers]
    mixed = sum(weight * layer for weight, layer in zip((8, 12, 18, 40), grown, strict=True))
    return Image.fromarray(np.clip(128 + mixed, 0, 255).astype(np.uint8))


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    target = io.BytesIO()
    image.save(target, "JPEG", quality=quality)
    return Image.open(target)


def scaled(image: Image.Image, factor: float) -> Image.Image:
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS)


def cropped(image: Image.Image, share: float) -> Image.Image:
    width, height = image.size
    return image.crop((round(share * width), round(share * height / 2), width, height - round(share * height / 2)))


def captioned(image: Image.Image) -> Image.Image:
    copy = image.copy()
    draw = ImageDraw.Draw(copy)
    draw.rectangle((0, 0, image.width, 20), fill=0)
    draw.text((6, 2), "photo archive, 3rd of May", font=ImageFont.load_default(14), fill=255)
    return copy


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "jpeg40": lambda image: jpeg(image, 40),
    "smaller": lambda image: scaled(image, 0.6),
    "larger": lambda image: scaled(image, 1.25),
    "crop2": lambda image: cropped(image, 0.02),
    "crop6": lambda image: cropped(image, 0.06),
    "border": lambda image: ImageOps.expand(image, 6, fill=0),
    "gamma": lambda image: image.point([round(255 * (value / 255) ** 1.25) for value in range(256)]),
    "bright": lambda image: image.point([min(255, round(1.1 * value)) for value in range(256)]),
    "several": lambda image: jpeg(scaled(cropped(image, 0.04), 0.7), 50),
}

LOOK_ALIKES = {
    "one digit": (page(), page(number="432.17")),
    "one number": (page(), page(number="961.35")),
    "header": (page(), page(header="Invoice for the town hall ")),
    "one bar": (chart(), chart(heights=(40, 120, 100, 150, 60))),
    "photo": (photo(5), photo(6)),
    "next crop": (scaled(photo(), 1.6).crop((0, 0, 320, 240)), scaled(photo(), 1.6).crop((150, 0, 470, 240))),
}


@pytest.mark.parametrize("name", COPIES)
@pytest.mark.parametrize("made", [page, chart, photo], ids=lambda made: made.__name__)
def test_copies_are_the_same(made: Callable[[], Image.Image], name: str) -> None:
    found = likeness(shrunk(made()), shrunk(COPIES[name](made())))
    assert found.same, found
    assert found.reason == "agrees"
    assert found.difference is not None and found.bound is not None and found.difference <= found.bound


@pytest.mark.parametrize("quality", [None, 60])
@pytest.mark.parametrize("pair", LOOK_ALIKES.values(), ids=list(LOOK_ALIKES))
def test_look_alikes_are_not(pair: tuple[Image.Image, Image.Image], quality: int | None) -> None:
    other = jpeg(pair[1], quality) if quality else pair[1]
    found = likeness(shrunk(pair[0]), shrunk(other))
    assert not found.same
    assert found.reason in {"inside", "apart"}


def test_the_place_of_a_changed_digit_is_named() -> None:
    found = likeness(shrunk(page()), shrunk(page(number="432.17")))
    assert len(found.places) == 1
    place = found.places[0]
    assert 220 / 300 - 0.02 < place.left < place.right < 0.95
    assert 138 / 400 - 0.02 < place.top < place.bottom < 158 / 400 + 0.02
    assert found.sentence.startswith("differ inside: 1 place, largest at 7")


@pytest.mark.parametrize("made", [page, chart, photo], ids=lambda made: made.__name__)
def test_a_caption_at_the_edge_changes_nothing(made: Callable[[], Image.Image]) -> None:
    picture = ImageOps.expand(made(), 12, fill=250) if made is page else made()
    found = likeness(shrunk(picture), shrunk(captioned(picture)))
    assert found.same, found
    assert found.reason == "edge"


def test_the_same_caption_inside_does() -> None:
    picture = photo()
    other = picture.copy()
    other.paste(captioned(picture).crop((0, 0, 200, 21)), (60, 110))
    assert likeness(shrunk(picture), shrunk(other)).reason == "inside"


def stripped(image: Image.Image, *, fill: int, top: bool, depth: int = 24) -> Image.Image:
    """With a box of text laid over the whole width."""
    copy, first = image.copy(), 0 if top else image.height - depth
    draw = ImageDraw.Draw(copy)
    draw.rectangle((0, first, image.width, first + depth), fill=fill)
    draw.text((6, first + 4), "downloaded from example.org", font=ImageFont.load_default(12), fill=128)
    return copy


@pytest.mark.parametrize("top", [True, False])
@pytest.mark.parametrize("fill", [0, 255])
@pytest.mark.parametrize("size", [(320, 240), (128, 128), (200, 100)])
def test_a_strip_of_text_over_a_photo_changes_nothing(size: tuple[int, int], fill: int, top: bool) -> None:
    picture = photo().resize(size)
    found = likeness(shrunk(picture), shrunk(stripped(picture, fill=fill, top=top, depth=16)))
    assert (found.same, found.reason) == (True, "edge"), found


@pytest.mark.parametrize("top", [True, False])
@pytest.mark.parametrize("made", [page, chart], ids=lambda made: made.__name__)
def test_a_black_strip_over_print_changes_nothing(made: Callable[[], Image.Image], top: bool) -> None:
    found = likeness(shrunk(made()), shrunk(stripped(made(), fill=0, top=top)))
    assert (found.same, found.reason) == (True, "edge"), found


@pytest.mark.parametrize("quality", [None, 60])
def test_a_strip_hides_no_other_digit(quality: int | None) -> None:
    other = stripped(page(number="432.17"), fill=0, top=True)
    found = likeness(shrunk(page()), shrunk(jpeg(other, quality) if quality else other))
    assert (found.same, found.reason) == (False, "inside"), found


@pytest.mark.parametrize("fill", [0, 90, 255])
@pytest.mark.parametrize("size", [(47, 500), (400, 60)])
def test_a_wide_frame_around_a_narrow_picture_changes_nothing(size: tuple[int, int], fill: int) -> None:
    picture = photo().resize((400, 500)).crop((0, 0, *size))
    framed = ImageOps.expand(picture, 15, fill=fill)
    found = likeness(shrunk(picture), shrunk(framed))
    assert found.same and found.reason == "agrees", found
    assert found.covered > 0.8
    assert found.scale == pytest.approx([side / (side + 30) for side in size], abs=0.03)  # less a rim that bleeds
    assert likeness(shrunk(framed), shrunk(picture)) == found


@pytest.mark.parametrize("colours", [("red", "black"), ("lime", "black"), ("blue", "yellow"), ("white", "black")])
def test_ringing_beside_coloured_letters_is_no_difference(colours: tuple[str, str]) -> None:
    image = Image.new("RGB", (300, 100), colours[1])
    draw = ImageDraw.Draw(image)
    for line in range(3):
        draw.text((8, 6 + 30 * line), "you are awesome"[line:], font=ImageFont.load_default(24), fill=colours[0])
    found = likeness(shrunk(image), shrunk(jpeg(image, 30)))
    assert found.same, found


@pytest.mark.parametrize("quality", [None, 90])
def test_forms_of_one_template_are_laid_on_one_another_as_they_are(quality: int | None) -> None:
    other = jpeg(page(number="432.17"), quality) if quality else page(number="432.17")
    found = likeness(shrunk(page()), shrunk(other))
    assert not found.same
    assert (found.scale, found.shift, found.correlation) == ((1.0, 1.0), (0.0, 0.0), 1.0)


def test_a_gradient_of_other_gamma_is_no_other_extent() -> None:
    y, x = np.mgrid[-1:1:200j, -1:1:200j]
    picture = Image.fromarray((255 * np.clip(1 - np.hypot(x + 0.4, y + 0.4) / 1.6, 0, 1)).astype(np.uint8))
    found = likeness(shrunk(picture), shrunk(picture.point([round(255 * (v / 255) ** 1.4) for v in range(256)])))
    assert (found.same, found.reason) == (True, "agrees"), found


@pytest.mark.parametrize("share", [0.01, 0.02, 0.04])
@pytest.mark.parametrize("marked", [False, True])
def test_soft_shapes_are_placed_before_they_are_told_apart(marked: bool, share: float) -> None:
    for seed in range(8):
        spots = np.random.default_rng(seed).integers(40, 216, (4, 5), dtype=np.uint8)
        picture = Image.fromarray(spots).resize((400, 300), Image.Resampling.BICUBIC)
        if marked:
            ImageDraw.Draw(picture).ellipse((190, 140, 210, 160), fill=0)  # where a crop moves nothing
        found = likeness(shrunk(picture), shrunk(cropped(picture, share)))
        assert found.same, (seed, found)


@pytest.mark.parametrize("pair", LOOK_ALIKES.values(), ids=list(LOOK_ALIKES))
@pytest.mark.parametrize("name", ["several", "border"])
def test_the_order_of_the_arguments_says_nothing(pair: tuple[Image.Image, Image.Image], name: str) -> None:
    for left, right in (pair, (pair[0], COPIES[name](pair[0]))):
        assert likeness(shrunk(left), shrunk(right)) == likeness(shrunk(right), shrunk(left))


def test_two_calls_say_the_same() -> None:
    left, right = shrunk(page()), shrunk(COPIES["several"](page()))
    assert likeness(left, right) == likeness(left.copy(), right.copy())


def test_a_mirrored_copy_is_one_only_when_mirrored_back() -> None:
    left = shrunk(photo())
    right = np.ascontiguousarray(left[:, ::-1])
    assert not likeness(left, right).same
    assert likeness(left, np.ascontiguousarray(right[:, ::-1])).reason == "equal"


def test_where_a_crop_lies_is_told() -> None:
    found = likeness(shrunk(photo()), shrunk(photo().crop((16, 0, 320, 240))))
    assert found.scale == pytest.approx((0.95, 1.0), abs=0.005)
    assert found.shift == pytest.approx((0.025, 0.0), abs=0.005)
    assert found.covered == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize(("left", "right", "same"), [(255, 255, True), (255, 254, True), (255, 0, False)])
def test_pictures_without_contrast_are_compared_by_their_thumbnails(left: int, right: int, same: bool) -> None:
    found = likeness(np.full((60, 90), left, np.uint8), np.full((64, 90), right, np.uint8))
    assert (found.same, found.reason) == (same, "flat")


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (17, 17), (500, 2)])
def test_tiny_and_narrow_pictures_get_an_answer(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    left = rng.integers(0, 256, shape, dtype=np.uint8)
    assert likeness(left, left.copy()).same
    assert not likeness(left, 255 - left).same


def test_a_negative_is_another_picture() -> None:
    assert not likeness(shrunk(page()), 255 - shrunk(page())).same


@cache
def letter(*, number: str = "48217.30", size: tuple[int, int] = (1100, 1500)) -> Image.Image:
    """A page of 22-pixel type, of which digits are five pixels high at 512; `number` stands on the ninth line."""
    rng = np.random.default_rng(7)
    image = Image.new("L", (1100, 1500), 255)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(22)
    for line in range(44):
        words = " ".join("".join(rng.choice(list("abdeghnoprstu"), rng.integers(2, 9))) for _ in range(12))
        draw.text((90, 80 + 31 * line), f"{words} {number}" if line == 8 else words, font=font, fill=15)
    return image.resize(size, Image.Resampling.BICUBIC)


@pytest.mark.parametrize("number", ["48217.80", "43217.30"])
@pytest.mark.parametrize(
    "changed",
    [
        lambda image: image,
        lambda image: jpeg(image, 60),
        lambda image: ImageOps.expand(image, 24, fill=90),
        lambda image: cropped(image, 0.03),
    ],
    ids=["as it is", "jpeg60", "border", "crop"],
)
def test_a_digit_of_a_large_page_is_seen_at_a_second_look(
    number: str, changed: Callable[[Image.Image], Image.Image]
) -> None:
    mine, other = letter(), changed(letter(number=number))
    assert likeness(shrunk(mine, SIDE), shrunk(other, SIDE)).same
    found = likeness(shrunk(mine), shrunk(other))
    assert (found.same, found.reason) == (False, "inside"), found
    assert likeness(shrunk(other), shrunk(mine)) == found
    place = found.places[0]
    assert 0.15 < place.top < place.bottom < 0.30


@pytest.mark.parametrize("name", COPIES)
def test_a_second_look_loses_no_copy_of_a_large_page(name: str) -> None:
    found = likeness(shrunk(letter()), shrunk(COPIES[name](letter())))
    assert (found.same, found.reason) == (True, "agrees"), found


@pytest.mark.parametrize(("size", "same"), [((440, 600), True), ((880, 1200), False)])
def test_there_is_none_where_one_picture_has_no_more_pixels(size: tuple[int, int], same: bool) -> None:
    assert likeness(shrunk(letter()), shrunk(letter(number="48217.80", size=size))).same == same


@pytest.mark.parametrize("size", [(4000, 10), (300, 200), (1500, 1100)])
def test_pictures_are_shrunk_not_grown(size: tuple[int, int]) -> None:
    image = Image.new("RGB", size, "white")
    for array, side in ((shrunk(image), FINE), (shrunk(image, SIDE), SIDE)):
        assert max(array.shape) == min(side, max(size))
        assert array.dtype == np.uint8 and min(array.shape) >= 1


@pytest.mark.parametrize("height", [9, 17, 18, 20, 35, 36, 37])
def test_thin_strips_are_compared(height: int) -> None:
    strip = np.random.default_rng(height).integers(0, 256, (height, 300), dtype=np.uint8)
    assert not likeness(strip, strip[::-1].copy()).same
    assert likeness(strip, strip.copy()).same
