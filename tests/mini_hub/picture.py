"""Small pictures, good and bad, each drawn anew."""

import io
from random import Random

from PIL import Image, ImageDraw

_MODES = {
    "png": "RGB",
    "alpha": "RGBA",
    "palette": "P",
    "cmyk": "CMYK",
    "grey": "L",
    "webp": "RGB",
    "gif": "P",
    "bits": "1",
}
_FORMATS = {"png": "PNG", "alpha": "PNG", "palette": "PNG", "webp": "WEBP", "gif": "GIF", "bits": "PNG"}


def draw(random: Random, kind: str = "jpeg") -> bytes:
    """Bytes of a picture of 64 to 200 pixels a side.

    Kinds: `jpeg`, `png`, `alpha` and `palette` (PNG), `cmyk` and `grey` (JPEG), `webp`, `gif`, `flat` (PNG of one
    colour, which a person has to see), and the broken ones `truncated`, `html`, `empty` and `huge` (120 million pixels
    in few bytes).
    """
    if kind == "huge":
        return _encoded(Image.new("1", (20_000, 6_000)), "bits")
    if kind == "empty":
        return b""
    if kind == "html":
        return f"<!DOCTYPE html><title>404</title><p>{random.random()}</p>".encode()
    if kind == "flat":
        return _encoded(Image.new("RGB", (random.randint(64, 200), 80), _colour(random)), "png")
    data = _encoded(_drawn(random), kind)
    return data[: len(data) // 2] if kind == "truncated" else data


def _drawn(random: Random) -> Image.Image:
    image = Image.new("RGB", (random.randint(64, 200), random.randint(64, 200)), _colour(random))
    pen = ImageDraw.Draw(image)
    for _ in range(6):
        left, top = random.randrange(image.width), random.randrange(image.height)
        pen.rectangle((left, top, left + random.randint(4, 90), top + random.randint(4, 90)), _colour(random))
    return image


def _encoded(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.convert(_MODES.get(kind, "RGB")).save(buffer, _FORMATS.get(kind, "JPEG"))
    return buffer.getvalue()


def _colour(random: Random) -> tuple[int, int, int]:
    return random.randrange(256), random.randrange(256), random.randrange(256)
