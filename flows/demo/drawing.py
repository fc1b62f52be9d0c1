"""A canvas in final pixels that is painted at twice the size, fonts, colours and encoders."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Point = tuple[float, float]

SCALE = 2
INK: Colour = (40, 44, 52)
GREY: Colour = (120, 126, 136)
BRIGHT = 420  # sum of red, green and blue from which dark ink reads better
RULE: Colour = (222, 225, 230)
PAPERS: tuple[Colour, ...] = ((255, 255, 255), (252, 250, 245), (246, 248, 251), (250, 247, 250))
PALETTES: tuple[tuple[Colour, ...], ...] = (
    ((66, 103, 172), (221, 132, 82), (85, 168, 104), (196, 78, 82), (129, 114, 179), (147, 120, 96), (218, 139, 195)),
    ((0, 107, 164), (255, 128, 14), (89, 89, 89), (95, 158, 209), (200, 82, 0), (137, 137, 137), (163, 200, 236)),
    ((38, 70, 83), (42, 157, 143), (233, 196, 106), (244, 162, 97), (231, 111, 81), (109, 89, 122), (132, 169, 140)),
    ((90, 24, 154), (157, 78, 221), (224, 122, 190), (61, 90, 128), (152, 193, 217), (238, 108, 77), (41, 50, 65)),
    ((27, 94, 32), (102, 187, 106), (255, 179, 0), (141, 110, 99), (0, 131, 143), (216, 67, 21), (84, 110, 122)),
)


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's built-in scalable font at `size` pixels."""
    face = ImageFont.load_default(size=size)
    assert isinstance(face, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
    return face


def text_width(text: str, size: int) -> float:
    """Width of `text` in final pixels."""
    return font(size * SCALE).getlength(text) / SCALE


class Canvas:
    """A picture of `size` final pixels; every coordinate and width below is in final pixels."""

    def __init__(self, size: tuple[int, int], paper: Colour | Image.Image):
        big = (size[0] * SCALE, size[1] * SCALE)
        self.size = size
        self.image = paper if isinstance(paper, Image.Image) else Image.new("RGB", big, paper)
        self.draw = ImageDraw.Draw(self.image)

    def box(self, left: float, top: float, right: float, bottom: float, fill: Colour, radius: float = 0) -> None:
        """A filled rectangle, its corners rounded by `radius`."""
        edges = (left * SCALE, top * SCALE, right * SCALE, bottom * SCALE)
        self.draw.rounded_rectangle(edges, radius * SCALE, fill=fill)

    def oval(self, x: float, y: float, rx: float, ry: float, fill: Colour) -> None:
        """A filled ellipse around (x, y)."""
        self.draw.ellipse(((x - rx) * SCALE, (y - ry) * SCALE, (x + rx) * SCALE, (y + ry) * SCALE), fill=fill)

    def slice(self, x: float, y: float, radius: float, start: float, end: float, fill: Colour) -> None:
        """A slice of a pie, angles in degrees clockwise from three o'clock."""
        edges = tuple(v * SCALE for v in (x - radius, y - radius, x + radius, y + radius))
        self.draw.pieslice(
            (edges[0], edges[1], edges[2], edges[3]), start, end, fill=fill, outline=(255, 255, 255), width=3
        )

    def shape(self, points: list[Point], fill: Colour) -> None:
        """A filled polygon."""
        self.draw.polygon([(x * SCALE, y * SCALE) for x, y in points], fill=fill)

    def line(self, points: list[Point], fill: Colour, width: float = 1) -> None:
        """A polyline."""
        self.draw.line([(x * SCALE, y * SCALE) for x, y in points], fill, round(width * SCALE), joint="curve")

    def text(self, x: float, y: float, text: str, size: int, fill: Colour = INK, anchor: str = "la") -> None:
        """One line of text; `anchor` as in Pillow."""
        self.draw.text((x * SCALE, y * SCALE), text, fill, font(size * SCALE), anchor)

    def finish(self) -> Image.Image:
        """The picture at its final size."""
        return self.image.reduce(SCALE)


def gradient(size: tuple[int, int], top: Colour, bottom: Colour) -> Image.Image:
    """A vertical gradient, painted at the size a canvas of `size` works in."""
    column = np.linspace(top, bottom, 256).round().astype(np.uint8)[:, None, :]
    return Image.fromarray(column).resize((size[0] * SCALE, size[1] * SCALE), Image.Resampling.BILINEAR)


def ink_on(paper: Colour) -> Colour:
    """Dark or white ink, whichever reads better on `paper`."""
    return INK if sum(paper) > BRIGHT else (255, 255, 255)


def blend(one: Colour, other: Colour, share: float) -> Colour:
    """`one` moved towards `other` by `share` of the way."""
    r, g, b = (round(a + (c - a) * share) for a, c in zip(one, other, strict=True))
    return r, g, b


def png(image: Image.Image, colours: int = 0) -> bytes:
    """PNG bytes, with a palette of `colours` if that is not 0."""
    out = io.BytesIO()
    image = image.quantize(colours) if colours else image
    image.save(out, "PNG", compress_level=4)
    return out.getvalue()


def jpeg(image: Image.Image, quality: int = 86) -> bytes:
    """JPEG bytes."""
    out = io.BytesIO()
    image.convert("RGB").save(out, "JPEG", quality=quality)
    return out.getvalue()
