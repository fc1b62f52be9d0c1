"""Scenes: places with things in them, and how they are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flows.demo.drawing import Canvas, Colour, blend, gradient
from flows.demo.things import DRAW_THING

COLOURS: dict[str, Colour] = {
    "red": (200, 54, 52),
    "blue": (52, 98, 180),
    "yellow": (240, 198, 60),
    "orange": (234, 128, 44),
    "purple": (126, 74, 160),
    "white": (246, 244, 238),
    "pink": (236, 140, 172),
    "brown": (134, 90, 58),
}
# Things that stand on the ground, things that float in the air.
GROUND = {
    "sea": ("boat", "boat", "lighthouse"),
    "meadow": ("house", "tree"),
    "snow": ("house", "tree", "snowman"),
    "desert": ("tent", "cactus"),
    "shapes": ("circle", "square", "triangle", "star"),
}
AIR = {"sea": ("balloon", "kite"), "meadow": ("kite", "balloon"), "snow": ("balloon",), "desert": ("balloon", "kite")}
FIXED = {"tree": "green", "cactus": "green", "snowman": "white"}
SKY: dict[str, tuple[Colour, Colour]] = {
    "day": ((84, 156, 220), (208, 232, 246)),
    "sunset": ((92, 84, 148), (252, 176, 110)),
    "night": ((12, 18, 48), (52, 68, 118)),
    "grey": ((150, 158, 168), (216, 220, 224)),
}
LAND: dict[str, tuple[Colour, Colour]] = {
    "sea": ((96, 160, 196), (28, 86, 138)),
    "meadow": ((156, 192, 110), (66, 122, 58)),
    "snow": ((206, 218, 236), (244, 247, 252)),
    "desert": ((236, 206, 150), (196, 146, 84)),
}
ORB: dict[str, Colour] = {
    "day": (255, 240, 150),
    "sunset": (255, 214, 120),
    "night": (240, 240, 224),
    "grey": (236, 236, 230),
}
SIZES = ((512, 384), (480, 360), (560, 400), (448, 448), (400, 520), (600, 400))
HORIZON = 0.56
CLEAR_OF_ORB = 0.17


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing: `x`, `y` is its middle and `size` its height, as shares of the picture's width and height."""

    name: str
    colour: str
    x: float
    y: float
    size: float


@dataclass(frozen=True, slots=True)
class Scene:
    """One scene; `things` run from left to right, `orb` is the sun or moon as shares of width and height."""

    place: str
    light: str
    things: tuple[Thing, ...]
    orb: tuple[float, float]
    waves: tuple[float, ...]
    size: tuple[int, int]

    def named(self, name: str) -> list[Thing]:
        """The things of one name from left to right."""
        return [thing for thing in self.things if thing.name == name]


def sample_scene(rng: Random) -> Scene:
    """A scene with two to eight things that do not cover each other."""
    place = rng.choice(("sea", "sea", "meadow", "meadow", "snow", "desert", "shapes"))
    light = "plain" if place == "shapes" else rng.choice(("day", "day", "sunset", "night", "grey"))
    orb = (rng.uniform(0.12, 0.88), rng.uniform(0.1, 0.3))
    if place == "shapes":
        things = _row(rng, GROUND[place], rng.randint(2, 3), (0.26, 0.3), (0.2, 0.28))
        things += _row(rng, GROUND[place], rng.randint(2, 4), (0.7, 0.74), (0.2, 0.28))
    else:
        things = _row(rng, GROUND[place], rng.randint(1, 4), (0.64, 0.82), (0.2, 0.3))
        air = _row(rng, AIR[place], rng.randint(0, 3), (0.14, 0.34), (0.14, 0.2))
        # The sun stays free: a thing in front of it would hide what the caption says.
        things += [thing for thing in air if abs(thing.x - orb[0]) > CLEAR_OF_ORB]
    ordered = tuple(sorted(things, key=lambda thing: thing.x))
    return Scene(place, light, ordered, orb, tuple(rng.uniform(0, 6.28) for _ in range(6)), rng.choice(SIZES))


def _row(
    rng: Random, names: tuple[str, ...], n: int, ys: tuple[float, float], sizes: tuple[float, float]
) -> list[Thing]:
    """`n` things side by side, each within its own slot."""
    few = rng.sample(names, min(len(names), 2))
    things = []
    for i in range(n):
        name = rng.choice(few)
        colour = FIXED.get(name) or rng.choice([c for c in COLOURS if not (c == "white" and n > 1)])
        x = (i + 0.5 + rng.uniform(-0.14, 0.14)) / n
        things.append(
            Thing(name, colour, min(max(x, 0.14), 0.86), rng.uniform(*ys), min(rng.uniform(*sizes), 0.72 / n))
        )
    return things


def draw_scene(scene: Scene) -> Image.Image:
    """The scene as a picture with a light grain."""
    canvas = _shapes_ground(scene) if scene.place == "shapes" else _land(scene)
    width, height = scene.size
    for thing in sorted(scene.things, key=lambda t: t.y):
        colour = COLOURS.get(thing.colour, (54, 112, 62))
        dark = 0.35 if scene.light == "night" else 0.0
        px = thing.size * min(width, height)
        DRAW_THING[thing.name](canvas, thing.x * width, thing.y * height, px, blend(colour, (16, 22, 52), dark))
    pixels = np.asarray(canvas.finish(), dtype=np.float32) + _speckle()[:height, :width]
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@cache
def _speckle() -> NDArray[np.float32]:
    """One grain for all pictures; drawing it anew for each would double the time."""
    return np.random.default_rng(20241206).normal(0, 3.0, (640, 640, 1)).astype(np.float32)


def _shapes_ground(scene: Scene) -> Canvas:
    tint = (round(200 + 8 * scene.waves[0]), round(196 + 8 * scene.waves[1]), round(192 + 8 * scene.waves[2]))
    return Canvas(scene.size, gradient(scene.size, blend(tint, (255, 255, 255), 0.6), blend(tint, (90, 96, 110), 0.15)))


def _land(scene: Scene) -> Canvas:
    width, height = scene.size
    sky = SKY[scene.light]
    canvas = Canvas(scene.size, gradient(scene.size, *sky))
    _sky_things(canvas, scene)
    dim = {"day": 0.0, "sunset": 0.22, "night": 0.62, "grey": 0.12}[scene.light]
    far, near = (blend(c, sky[0], dim) for c in LAND[scene.place])
    layers = 5 if scene.place == "sea" else 4
    for i in range(layers):
        base = HORIZON + (1 - HORIZON) * i / layers
        swell = 0.002 if scene.place == "sea" else 0.03
        wave = scene.waves[i]
        xs = np.linspace(0, 1, 48)
        ys = base + swell * np.sin(xs * (4 + i) + wave) + swell * 0.5 * np.sin(xs * 9 + wave * 2)
        edge = [(float(x) * width, float(y) * height) for x, y in zip(xs, ys, strict=True)]
        canvas.shape([*edge, (width, height), (0, height)], blend(far, near, i / (layers - 1)))
    _texture(canvas, scene, blend(near, (255, 255, 255), 0.16), blend(near, (0, 0, 0), 0.12))
    return canvas


def _sky_things(canvas: Canvas, scene: Scene) -> None:
    width, height = scene.size
    orb = ORB[scene.light]
    sky = blend(*SKY[scene.light], scene.orb[1])
    if scene.light == "night":
        for i in range(60):
            x, y = (i * 0.75488 + scene.waves[0]) % 1, (i * 0.56984 + scene.waves[1]) % 1 * HORIZON * 0.9
            canvas.oval(x * width, y * height, 0.9, 0.9, (226, 230, 246))
    x, y, radius = scene.orb[0] * width, scene.orb[1] * height, min(width, height) * 0.055
    for ring in (1.9, 1.6, 1.3, 1.0):
        canvas.oval(x, y, radius * ring, radius * ring, blend(orb, sky, 0.0 if ring == 1.0 else 0.4 + 0.28 * ring))
    if scene.light in {"day", "grey"}:
        for i, wave in enumerate(scene.waves[3:]):
            cx, cy = ((wave / 6.28 + i * 0.37) % 1) * width, (0.07 + 0.1 * i) * height
            if abs(cx - x) < width * 0.2:
                continue
            for dx, r in ((-0.07, 0.024), (-0.025, 0.036), (0.025, 0.032), (0.07, 0.022)):
                canvas.oval(cx + dx * width, cy, r * width * 1.5, r * width, blend((255, 255, 255), sky, 0.1))


def _texture(canvas: Canvas, scene: Scene, light: Colour, dark: Colour) -> None:
    """Ripples on water, blades on grass, specks on sand; snow stays smooth."""
    width, height = scene.size
    for i in range(0 if scene.place == "snow" else 70):
        x = (i * 0.618 + scene.waves[2]) % 1 * width
        depth = (i * 0.7548 + scene.waves[3]) % 1
        y = (HORIZON + 0.05 + 0.93 * (1 - HORIZON) * depth) * height
        size = 3 + 12 * depth
        if scene.place == "sea":
            canvas.line([(x, y), (x + size * 2, y)], light, 0.8)
        elif scene.place == "meadow":
            canvas.line([(x, y), (x + size * 0.2, y - size * 0.6)], dark if i % 2 else light, 0.8)
        else:
            canvas.line([(x, y), (x + size, y + size * 0.15)], dark, 0.6)
