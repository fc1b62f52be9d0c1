"""Charts as inline SVG.

Colours come from classes (`v-keep`, `v-drop` ...), so that one style sheet rules light, dark and print.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from flows.report.distribution import VERDICT_ORDER, Bar, Distribution, Scale
from flows.report.number import count, short
from review.visible import plain

WIDTH: Final = 1000
"""Units of a bar's full length; bars stretch to the width that the page gives them."""
_THIN: Final = 4.0  # units: what is there can be seen
_RECT: Final = Markup('<rect class="v-{}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>')
_STRIP: Final = Markup(
    '<svg class="strip" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
)
_TEXT: Final = Markup('<text class="{}" x="{}" y="{}" text-anchor="{}">{}</text>')
_LINE: Final = Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>')


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a bar: class of its colour, amount, what it is."""

    kind: str
    amount: float
    label: str


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def strip(parts: Sequence[Part], whole: float, height: int = 16) -> Markup:
    """One bar: parts side by side, in shares of `whole`; a part above 0 is never too thin to see."""
    drawn: list[Markup] = []
    at = 0.0
    for part in parts:
        width = WIDTH * part.amount / whole if whole else 0.0
        seen = max(width, _THIN) if part.amount else 0.0
        if seen:
            left = min(at, WIDTH - seen)
            drawn.append(_RECT.format(part.kind, _n(left), 0, _n(seen), height, part.label))
        at += width
    return _STRIP.format(WIDTH, height, "; ".join(part.label for part in parts), Markup("").join(drawn))


@dataclass(frozen=True, slots=True)
class Frame:
    """The plotting area of a histogram, in SVG units."""

    width: float = 360
    height: float = 190
    left: float = 38
    right: float = 10
    top: float = 26
    bottom: float = 24

    def x(self, share: float) -> float:
        """From 0..1 to units."""
        return self.left + share * (self.width - self.left - self.right)

    def y(self, share: float) -> float:
        """From 0..1, upwards."""
        return self.height - self.bottom - share * (self.height - self.top - self.bottom)


FRAME: Final = Frame()
_LABEL_ROW: Final = 11.0
_CROWDED: Final = 50.0  # largest over smallest bar from which on small ones would vanish
_MIDDLE: Final = 0.5  # labels of thresholds stand on the side with more room


def histogram(spread: Distribution) -> Markup:
    """Stacked bars by verdict, thresholds as labelled lines; heights are logarithmic where counts differ a lot."""
    rows = len(spread.thresholds) if spread.scale else 0
    frame = Frame(top=max(FRAME.top, 8 + _LABEL_ROW * (rows + 1)), height=FRAME.height + _LABEL_ROW * max(0, rows - 1))
    sizes = [sum(bar.rows) for bar in spread.bars]
    most = max(sizes, default=0)
    log = logarithmic(spread)
    drawn = [*_levels(frame, most, log=log)]
    for number, bar in enumerate(spread.bars):
        drawn += _stack(frame, spread, bar, number, _share(sum(bar.rows), most, log=log))
    if spread.scale:
        drawn += _ticks(frame, spread.scale)
        drawn += _thresholds(frame, spread, spread.scale)
    else:
        drawn += _names(frame, spread.bars)
    label = f"{spread.score}: {count(spread.scored)} rows. {spread.summary}"
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        _n(frame.width), _n(frame.height), label, Markup("").join(drawn)
    )


def logarithmic(spread: Distribution) -> bool:
    """Whether the heights of a histogram are logarithms of counts."""
    sizes = [sum(bar.rows) for bar in spread.bars if sum(bar.rows)]
    return bool(sizes) and max(sizes) > _CROWDED * min(sizes)


def _share(rows: int, most: int, *, log: bool) -> float:
    if not most:
        return 0.0
    return math.log1p(rows) / math.log1p(most) if log else rows / most


def _stack(frame: Frame, spread: Distribution, bar: Bar, number: int, share: float) -> list[Markup]:
    total = sum(bar.rows)
    num_bars = len(spread.bars)
    gap = 0.06 if spread.scale else 0.25
    left = frame.x((number + gap / 2) / num_bars)
    width = frame.x((number + 1 - gap / 2) / num_bars) - left
    base = frame.y(0)
    drawn: list[Markup] = []
    for verdict, rows in zip(VERDICT_ORDER, bar.rows, strict=True):
        if rows:
            height = (frame.y(0) - frame.y(share)) * rows / total
            base -= height
            where = plain(bar.label) if spread.scale is None else _between(spread.scale, number, num_bars)
            text = f"{where}: {count(rows)} {verdict}"
            drawn.append(_RECT.format(verdict, _n(left), _n(base), _n(width), _n(height), text))
    return drawn


def _between(scale: Scale, number: int, num_bars: int) -> str:
    return f"{short(_value(scale, number / num_bars))} to {short(_value(scale, (number + 1) / num_bars))}"


def _value(scale: Scale, share: float) -> float:
    if not scale.log:
        return scale.low + share * (scale.high - scale.low)
    low, high = math.log1p(scale.low), math.log1p(scale.high)
    return math.expm1(low + share * (high - low))


def _levels(frame: Frame, most: int, *, log: bool) -> list[Markup]:
    """Horizontal lines with their counts."""
    if not most:
        return []
    levels = [10**power for power in range(len(str(most)))] if log else [round_up(most / 2), most]
    drawn = [_LINE.format("axis", _n(frame.x(0)), _n(frame.y(0)), _n(frame.x(1)), _n(frame.y(0)))]
    for level in sorted({level for level in levels if level <= most}):
        y = frame.y(_share(level, most, log=log))
        drawn.append(_LINE.format("grid", _n(frame.x(0)), _n(y), _n(frame.x(1)), _n(y)))
        drawn.append(_TEXT.format("tick", _n(frame.x(0) - 5), _n(y + 3.5), "end", _brief(level)))
    return drawn


def round_up(value: float) -> int:
    """The next number of one digit and zeros.

    >>> round_up(1234), round_up(7), round_up(0.4)
    (2000, 7, 1)
    """
    unit: int = 10 ** max(0, math.floor(math.log10(max(value, 1))))
    return math.ceil(max(value, 1) / unit) * unit


def _brief(level: int) -> str:
    for unit, name in ((1_000_000, "M"), (1_000, "k")):
        if level >= unit:
            return f"{level / unit:.3g}{name}"
    return str(level)


def _ticks(frame: Frame, scale: Scale) -> list[Markup]:
    if scale.log:
        powers = [0.0, *(float(10**power) for power in range(10))]
        values = [value for value in powers if scale.low <= value <= scale.high]
    else:
        step = _nice_step((scale.high - scale.low) / 5)
        first = math.ceil(scale.low / step)
        values = [step * number for number in range(first, math.floor(scale.high / step) + 1)]
    y = frame.y(0)
    drawn: list[Markup] = []
    for value in values:
        x = _n(frame.x(scale(value)))
        drawn += [
            _LINE.format("axis", x, _n(y), x, _n(y + 4)),
            _TEXT.format("tick", x, _n(y + 16), "middle", short(value)),
        ]
    return drawn


def _nice_step(rough: float) -> float:
    unit = 10.0 ** math.floor(math.log10(rough))
    return next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough * 0.999)


def _thresholds(frame: Frame, spread: Distribution, scale: Scale) -> list[Markup]:
    """A line for each threshold from the axis up to its own row of labels."""
    drawn: list[Markup] = []
    # labels point to the middle: with the outer ones on top, no label crosses the line of another on its side
    ordered = sorted(spread.thresholds, key=lambda mark: (-abs(scale(mark.value) - _MIDDLE), mark.rule, mark.operator))
    for row, mark in enumerate(ordered):
        share = scale(mark.value)
        x, y = frame.x(share), 4 + _LABEL_ROW * (row + 1)
        side, anchor = (-4, "end") if share > _MIDDLE else (4, "start")
        drawn.append(_LINE.format("threshold", _n(x), _n(y - 8), _n(x), _n(frame.y(0))))
        drawn.append(_TEXT.format("label", _n(x + side), _n(y), anchor, mark.label))
    return drawn


def _names(frame: Frame, bars: Sequence[Bar]) -> list[Markup]:
    drawn: list[Markup] = []
    for number, bar in enumerate(bars):
        x = _n(frame.x((number + 0.5) / len(bars)))
        drawn.append(_TEXT.format("tick", x, _n(frame.y(0) + 16), "middle", plain(bar.label)[:16]))
    return drawn
