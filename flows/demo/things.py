"""How single things of a scene are drawn: a canvas, a middle, a height in pixels, a colour."""

from __future__ import annotations

import math
from collections.abc import Callable

from flows.demo.drawing import Canvas, Colour, blend

DARK: Colour = (58, 46, 42)
LIGHT: Colour = (250, 246, 236)
Draw = Callable[[Canvas, float, float, float, Colour], None]


def _boat(canvas: Canvas, x: float, y: float, h: float, colour: Colour) -> None:
    canvas.line([(x, y - h * 0.5), (x, y + h * 0.25)], DARK, 2)
    canvas.shape([(x + h * 0.04, y - h * 0.48), (x + h * 0.04, y + h * 0.16), (x + h * 0.4, y + h * 0.16)], colour)
    canvas.shape(
        [(x - h * 0.04, y - h * 0.36), (x - h * 0.04, y + h * 0.16), (x - h * 0.3, y + h * 0.16)],
        blend(colour, LIGHT, 0.25),
    )
    hull = [
        (x - h * 0.46, y + h * 0.24),
        (x + h * 0.46, y + h * 0.24),
        (x + h * 0.3, y + h * 0.42),
        (x - h * 0.34, y + h * 0.42),
    ]
    canvas.shape(hull, (96, 66, 48))
    canvas.line([(x - h * 0.5, y + h * 0.44), (x + h * 0.5, y + h * 0.44)], LIGHT, 1)


def _lighthouse(canvas: Canvas, x: float, y: float, h: float, colour: Colour) -> None:
    canvas.oval(x, y + h * 0.5, h * 0.42, h * 0.1, (92, 88, 84))
    tower = [
        (x - h * 0.1, y - h * 0.28),
        (x + h * 0.1, y - h * 0.28),
        (x + h * 0.17, y + h * 0.48),
        (x - h * 0.17, y + h * 0.48),
    ]
    canvas.shape(tower, LIGHT)
    for t in (0.15, 0.55):
        a, b = 0.1 + 0.07 * t, 0.1 + 0.07 * (t + 0.22)
        top, low = y + h * (-0.28 + 0.76 * t), y + h * (-0.28 + 0.76 * (t + 0.22))
        canvas.shape([(x - h * a, top), (x + h * a, top), (x + h * b, low), (x - h * b, low)], colour)
    canvas.box(x - h * 0.08, y - h * 0.42, x + h * 0.08, y - h * 0.28, (252, 224, 120))
    canvas.shape([(x - h * 0.13, y - h * 0.4), (x, y - h * 0.54), (x + h * 0.13, y - h * 0.4)], colour)


def _house(canvas: Canvas, x: float, y: float, h: float, colour: Colour) -> None:
    canvas.box(x - h * 0.4, y - h * 0.08, x + h * 0.4, y + h * 0.46, colour)
    canvas.shape(
        [(x - h * 0.5, y - h * 0.06), (x, y - h * 0.46), (x + h * 0.5, y - h * 0.06)], blend(colour, DARK, 0.68)
    )
    canvas.box(x - h * 0.07, y + h * 0.16, x + h * 0.09, y + h * 0.46, blend(colour, DARK, 0.78))
    for side in (-0.24, 0.25):
        canvas.box(x + h * (side - 0.07), y + h * 0.08, x + h * (side + 0.07), y + h * 0.24, (252, 232, 160))
        canvas.line([(x + h * side, y + h * 0.08), (x + h * side, y + h * 0.24)], DARK, 0.6)


def _tree(canvas: Canvas, x: float, y: float, h: float, colour: Colour) -> None:
    canvas.box(x - h * 0.05, y + h * 0.2, x + h * 0.05, y + h * 0.5, (98, 70, 48))
    for i, (top, half) in enumerate(((-0.1, 0.34), (-0.3, 0.27), (-0.5, 0.19))):
        shade = blend(colour, LIGHT, 0.08 * i)
        canvas.shape(
            [(x, y + h * top), (x - h * half, y + h * (top + 0.42)), (x + h * half, y + h * (top + 0.42))], shade
        )


def _snowman(canvas: Canvas, x: float, y: float, h: float, colour: Colour) -> None:
    for dy, r in ((0.26, 0.25), (-0.1, 0.18), (-0.36, 0.12)):
        canvas.oval(x + h * 0.02, y + h * dy, h * r, h * r, blend(colour, (96, 110, 150), 0.38))
        canvas.oval(x, y + h * dy, h * r, h * r, colour)
    canvas.shape([(x, y - h * 0.36), (x, y - h * 0.32), (x + h * 0.16, y - h * 0.34)], (234, 128, 44))
    for dx in (-0.05, 0.05):
        canvas.oval(x + h * dx, y - h * 0.4, 1.4, 1.4, DARK)
    canvas.box(x - h * 0.12, y - h * 0.5, x + h * 0.12, y - h * 0.46, DARK)
    canvas.box(x - h * 0.08, y - h * 0.6, x + h * 0.08, y - h * 0.48, DARK)


def _tent(canvas: Canvas, x: float, y: float, h: float, colour: Colour) -> None:
    canvas.shape([(x - h * 0.6, y + h * 0.4), (x, y - h * 0.4), (x + h * 0.6, y + h * 0.4)], colour)
    canvas.shape([(x - h * 0.14, y + h * 0.4), (x, y - h * 0.4), (x + h * 0.16, y + h * 0.4)], blend(colour, DARK, 0.7))
    canvas.line([(x, y - h * 0.5), (x, y - h * 0.38)], DARK, 1.5)


def _cactus(canvas: Canvas, x: float, y: float, h: float, colour: Colour) -> None:
    stem = h * 0.1
    canvas.box(x - stem, y - h * 0.5, x + stem, y + h * 0.5, colour, stem)
    for side, top in ((-1, -0.12), (1, -0.26)):
        arm = x + side * h * 0.27
        canvas.box(arm - stem * 0.7, y + h * top, arm + stem * 0.7, y + h * (top + 0.34), colour, stem * 0.7)
        canvas.box(min(x, arm), y + h * (top + 0.24), max(x, arm), y + h * (top + 0.36), colour, stem * 0.5)
    canvas.line([(x, y - h * 0.42), (x, y + h * 0.46)], blend(colour, LIGHT, 0.3), 0.8)


def _kite(canvas: Canvas, x: float, y: float, h: float, colour: Colour) -> None:
    tail = [(x + math.sin(t) * h * 0.05 * t, y + h * (0.4 + t * 0.07)) for t in (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0)]
    canvas.line(tail, blend(colour, DARK, 0.3), 1.2)
    canvas.shape(
        [(x, y - h * 0.5), (x + h * 0.34, y - h * 0.1), (x, y + h * 0.42), (x - h * 0.34, y - h * 0.1)], colour
    )
    canvas.shape([(x, y - h * 0.5), (x + h * 0.34, y - h * 0.1), (x, y - h * 0.1)], blend(colour, LIGHT, 0.3))
    canvas.shape([(x, y + h * 0.42), (x - h * 0.34, y - h * 0.1), (x, y - h * 0.1)], blend(colour, LIGHT, 0.3))


def _balloon(canvas: Canvas, x: float, y: float, h: float, colour: Colour) -> None:
    for dx in (-0.09, 0.09):
        canvas.line([(x + h * dx * 2.2, y + h * 0.1), (x + h * dx, y + h * 0.38)], DARK, 0.8)
    canvas.oval(x, y - h * 0.14, h * 0.34, h * 0.36, colour)
    canvas.oval(x, y - h * 0.14, h * 0.16, h * 0.36, blend(colour, LIGHT, 0.3))
    canvas.box(x - h * 0.1, y + h * 0.36, x + h * 0.1, y + h * 0.5, (124, 86, 54), 2)


def _circle(canvas: Canvas, x: float, y: float, h: float, colour: Colour) -> None:
    canvas.oval(x, y, h / 2, h / 2, colour)


def _square(canvas: Canvas, x: float, y: float, h: float, colour: Colour) -> None:
    canvas.box(x - h / 2, y - h / 2, x + h / 2, y + h / 2, colour)


def _triangle(canvas: Canvas, x: float, y: float, h: float, colour: Colour) -> None:
    canvas.shape([(x, y - h / 2), (x + h * 0.56, y + h / 2), (x - h * 0.56, y + h / 2)], colour)


def _star(canvas: Canvas, x: float, y: float, h: float, colour: Colour) -> None:
    radii = [h * (0.56 if i % 2 == 0 else 0.23) for i in range(10)]
    angles = [math.pi * i / 5 - math.pi / 2 for i in range(10)]
    canvas.shape([(x + r * math.cos(a), y + r * math.sin(a)) for r, a in zip(radii, angles, strict=True)], colour)


DRAW_THING: dict[str, Draw] = {
    "boat": _boat,
    "lighthouse": _lighthouse,
    "house": _house,
    "tree": _tree,
    "snowman": _snowman,
    "tent": _tent,
    "cactus": _cactus,
    "kite": _kite,
    "balloon": _balloon,
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
}
