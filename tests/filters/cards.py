"""Pictures of every kind that the picture scores must tell apart, drawn here, encoded as files are."""

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

FONT = ImageFont.load_default
PALE, GREY = (238, 238, 238), (160, 160, 160)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(width: int, height: int, mode: str = "RGB", seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def scene(width: int = 640, height: int = 480) -> Image.Image:
    """Soft shapes of all sizes in many colours, as photos have them."""
    image = Image.new("RGB", (width, height))
    for size in (4, 12, 40, 120):
        layer = noise(max(2, width * size // 480), max(2, height * size // 480), seed=size).resize((width, height))
        image = Image.blend(image, layer, 0.5 if size < 100 else 0.25)
    return image.filter(ImageFilter.GaussianBlur(1))


def _say(image: Image.Image, text: str, share: float, colour: object, *, down: float = 0.5) -> Image.Image:
    """Write a text in the middle, its letters `share` of the width high."""
    place = (image.width // 2, int(image.height * down))
    ImageDraw.Draw(image).text(place, text, fill=colour, font=FONT(image.width * share), anchor="mm")
    return image


def text_card(width: int = 640, height: int = 480, *, paper: object = "white", ink: object = GREY) -> Image.Image:
    return _say(Image.new("RGB", (width, height), paper), "Image not available", 0.06, ink)


def icon_card(width: int = 500, height: int = 374) -> Image.Image:
    """A framed mountain with a sun and a line below."""
    image = Image.new("RGB", (width, height), PALE)
    draw, (x, y), r = ImageDraw.Draw(image), (width // 2, height * 0.43), min(width, height) * 0.14
    draw.rounded_rectangle((x - r, y - 0.75 * r, x + r, y + 0.75 * r), 6, outline=GREY, width=4)
    draw.ellipse((x - 0.6 * r, y - 0.5 * r, x - 0.2 * r, y - 0.1 * r), fill=GREY)
    draw.polygon([(x - 0.8 * r, y + 0.6 * r), (x, y - 0.2 * r), (x + 0.8 * r, y + 0.6 * r)], fill=GREY)
    return _say(image, "This photo is no longer available", 0.035, GREY, down=0.66)


def framed_card() -> Image.Image:
    image = Image.new("RGB", (600, 400), "white")
    ImageDraw.Draw(image).rectangle((0, 0, 599, 399), outline=GREY, width=3)
    return _say(image, "404", 0.1, GREY)


def cross_card() -> Image.Image:
    image = Image.new("RGB", (300, 300), "white")
    draw = ImageDraw.Draw(image)
    draw.line((120, 120, 180, 180), fill="red", width=8)
    draw.line((120, 180, 180, 120), fill="red", width=8)
    return image


def page(*, lines: int = 45, margin: float = 0.1) -> Image.Image:
    """A page of small text."""
    image = Image.new("RGB", (850, 1100), "white")
    draw = ImageDraw.Draw(image)
    step = image.height * (1 - 2 * margin) / 45
    for line in range(lines):
        place = (image.width * margin, image.height * margin + line * step)
        draw.text(place, "The quick brown fox jumps over lazy dogs. " * 2, fill="black", font=FONT(17))
    return image


def formula_page() -> Image.Image:
    """A white page with one formula at its head."""
    return _say(Image.new("RGB", (1654, 2339), "white"), "E = m c", 0.02, "black", down=0.18)


def text_line() -> Image.Image:
    """The crop of one written line."""
    return _say(Image.new("RGB", (400, 48), "white"), "Invoice 2041, 3 May 1998", 0.08, "black")


def table() -> Image.Image:
    image = Image.new("RGB", (480, 320), "white")
    draw = ImageDraw.Draw(image)
    for row in range(7):
        for column in range(4):
            box = (20 + 110 * column, 20 + 40 * row, 130 + 110 * column, 60 + 40 * row)
            draw.rectangle(box, outline="black")
            draw.text((box[0] + 8, box[1] + 12), f"{row * 37 + column * 5}", fill="black", font=FONT(16))
    return image


def bars() -> Image.Image:
    image = Image.new("RGB", (600, 400), "white")
    draw = ImageDraw.Draw(image)
    for number, height in enumerate((120, 260, 90, 310)):
        draw.rectangle((70 + 130 * number, 360 - height, 150 + 130 * number, 360), fill=(31, 119, 180))
    draw.line((40, 360, 590, 360), fill="black", width=2)
    return image


def product() -> Image.Image:
    """A thing of many colours in the middle of white paper."""
    image = Image.new("RGB", (500, 500), "white")
    image.paste(scene(200, 200), (150, 150))
    return image


def letterboxed() -> Image.Image:
    image = Image.new("RGB", (640, 480), "black")
    image.paste(scene(640, 360), (0, 60))
    return image


def cut(share: float) -> bytes:
    """A JPEG of which the data end early, with an end marker, so that decoders accept it."""
    data = encoded(scene(), "JPEG", quality=90)
    return data[: int(len(data) * share)] + b"\xff\xd9"


def only_in_alpha() -> Image.Image:
    """Black everywhere; the drawing lies in the transparency."""
    image = Image.new("RGBA", (120, 80), (0, 0, 0, 0))
    image.putalpha(table().convert("L").resize((120, 80)))
    return image
