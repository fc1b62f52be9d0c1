"""Charts: what they say and how they are drawn."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from PIL import Image

from flows.demo.drawing import GREY, INK, PALETTES, PAPERS, RULE, Canvas, Colour, ink_on
from flows.demo.phrases import bounds, groups, pick, words

SIZES = ((480, 360), (520, 380), (560, 400), (440, 360), (600, 400))
TICKS = 4
WIDE_SLOT = 62  # pixels from which the longest label fits in the larger font


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart; `values` are printed beside the marks and differ from each other."""

    kind: str
    noun: str
    place: str
    year: int
    unit: str
    labels: tuple[str, ...]
    values: tuple[int, ...]
    palette: tuple[Colour, ...]
    paper: Colour
    size: tuple[int, int]

    @property
    def title(self) -> str:
        """The title as printed."""
        return f"{self.noun} in {self.place}, {self.year}"


def sample_chart(look: Random, numbers: Random) -> Chart:
    """A chart whose looks come from `look` and whose values come from `numbers`.

    The same `look` with other `numbers` gives a chart of the same template: a lookalike.
    """
    theme = f"chart.theme.{look.choice(groups('chart.theme'))}"
    kind = look.choice(("bar", "bar", "horizontal bar", "line", "pie"))
    labels = words(f"{theme}.labels")
    chosen = sorted(look.sample(range(len(labels)), look.randint(4, min(7, len(labels)))))
    low, high = bounds(f"{theme}.range")
    values = _shares(numbers, len(chosen)) if kind == "pie" else numbers.sample(range(low, high), len(chosen))
    shift = look.randrange(7)
    palette = look.choice(PALETTES)
    return Chart(
        kind=kind,
        noun=words(f"{theme}.noun")[0],
        place=pick(look, "places"),
        year=look.randint(1995, 2024),
        unit="percent" if kind == "pie" else words(f"{theme}.unit")[0],
        labels=tuple(labels[i] for i in chosen),
        values=tuple(values),
        palette=palette[shift:] + palette[:shift],
        paper=look.choice(PAPERS),
        size=look.choice(SIZES),
    )


def _shares(rng: Random, n: int) -> list[int]:
    """`n` different whole percentages that add up to 100."""
    while True:
        cuts = sorted(rng.sample(range(4, 97), n - 1))
        parts = [b - a for a, b in zip([0, *cuts], [*cuts, 100], strict=True)]
        if len(set(parts)) == n and min(parts) > TICKS:
            return parts


def draw_chart(chart: Chart) -> Image.Image:
    """The chart as a picture with every value printed."""
    canvas = Canvas(chart.size, chart.paper)
    canvas.text(chart.size[0] / 2, 14, chart.title, 19, anchor="ma")
    canvas.text(chart.size[0] / 2, 39, f"in {chart.unit}", 13, GREY, "ma")
    DRAW[chart.kind](canvas, chart)
    return canvas.finish()


def _top_of_axis(chart: Chart) -> int:
    step = 10.0 ** (len(str(max(chart.values))) - 1)
    return int(math.ceil(max(chart.values) * 1.08 / step) * step)


def _upright_axis(canvas: Canvas, top: int) -> tuple[float, float, float]:
    """Grid and tick labels; returns left edge, base line and pixels per unit."""
    width, height = canvas.size
    left, base = 54.0, height - 40.0
    per = (base - 72) / top
    for i in range(TICKS + 1):
        y = base - per * top * i / TICKS
        canvas.line([(left, y), (width - 22, y)], RULE if i else GREY)
        canvas.text(left - 7, y, f"{top * i / TICKS:g}", 12, GREY, "rm")
    return left, base, per


def _bars(canvas: Canvas, chart: Chart) -> None:
    left, base, per = _upright_axis(canvas, _top_of_axis(chart))
    slot = (canvas.size[0] - 22 - left) / len(chart.values)
    for i, (label, value) in enumerate(zip(chart.labels, chart.values, strict=True)):
        x, y = left + slot * (i + 0.5), base - per * value
        canvas.box(x - slot * 0.32, y, x + slot * 0.32, base, chart.palette[i])
        canvas.text(x, y - 5, str(value), 14, INK, "ms")
        canvas.text(x, base + 7, label, 13 if slot > WIDE_SLOT else 11, INK, "ma")


def _line(canvas: Canvas, chart: Chart) -> None:
    left, base, per = _upright_axis(canvas, _top_of_axis(chart))
    slot = (canvas.size[0] - 22 - left) / len(chart.values)
    points = [(left + slot * (i + 0.5), base - per * value) for i, value in enumerate(chart.values)]
    canvas.line(points, chart.palette[0], 2.5)
    for i, ((x, y), label, value) in enumerate(zip(points, chart.labels, chart.values, strict=True)):
        canvas.oval(x, y, 5, 5, chart.palette[0])
        canvas.oval(x, y, 2.5, 2.5, chart.paper)
        # A value stands below its point in a valley, where the line would run through it, unless the axis is too near.
        valley = value < min(chart.values[max(i - 1, 0) : i] + chart.values[i + 1 : i + 2]) and y + 26 < base
        canvas.text(x, y + 20 if valley else y - 9, str(value), 14, INK, "ms")
        canvas.text(x, base + 7, label, 13 if slot > WIDE_SLOT else 11, INK, "ma")


def _lying_bars(canvas: Canvas, chart: Chart) -> None:
    width, height = canvas.size
    left, top = 98.0, 68.0
    slot = (height - 20 - top) / len(chart.values)
    per = (width - left - 62) / max(chart.values)
    for i, (label, value) in enumerate(zip(chart.labels, chart.values, strict=True)):
        y = top + slot * (i + 0.5)
        canvas.box(left, y - slot * 0.32, left + per * value, y + slot * 0.32, chart.palette[i], 3)
        canvas.text(left - 9, y, label, 14, INK, "rm")
        canvas.text(left + per * value + 7, y, str(value), 14, INK, "lm")
    canvas.line([(left, top), (left, height - 20)], GREY)


def _pie(canvas: Canvas, chart: Chart) -> None:
    width, height = canvas.size
    radius = (height - 92) / 2
    x, y = 30 + radius, 70 + radius
    start = -90.0
    for i, (label, value) in enumerate(zip(chart.labels, chart.values, strict=True)):
        end = start + value * 3.6
        canvas.slice(x, y, radius, start, end, chart.palette[i])
        angle = math.radians((start + end) / 2)
        tx, ty = x + math.cos(angle) * radius * 0.8, y + math.sin(angle) * radius * 0.8
        canvas.text(tx, ty, f"{value}%", 14, ink_on(chart.palette[i]), "mm")
        row = 84 + i * 30
        canvas.box(width - 146, row, width - 130, row + 16, chart.palette[i], 3)
        canvas.text(width - 121, row + 8, f"{label} ({value}%)", 14, INK, "lm")
        start = end


DRAW: dict[str, Callable[[Canvas, Chart], None]] = {
    "bar": _bars,
    "horizontal bar": _lying_bars,
    "line": _line,
    "pie": _pie,
}
