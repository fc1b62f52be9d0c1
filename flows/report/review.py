"""What reviewers say of a stage, as the report shows it: agreement, rules held against people, curves of thresholds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from flows.report.number import short
from flows.report.svg import Frame
from flows.review_stats import ReviewStats
from review.calibration import Curve, Point
from review.estimate import Estimate

_FRAME: Final = Frame(width=360, height=170, top=14)
_LINE: Final = Markup('<polyline class="v-{}" points="{}"/>')
_BAND: Final = Markup('<polygon class="v-{}" points="{}"/>')
_TEXT: Final = Markup('<text class="tick" x="{}" y="{}" text-anchor="{}">{}</text>')
_MARK: Final = Markup('<line class="threshold" x1="{0}" y1="{1}" x2="{0}" y2="{2}"/>')
_GRID: Final = Markup('<line class="grid" x1="{}" y1="{}" x2="{}" y2="{}"/>')


@dataclass(frozen=True, slots=True)
class CurveView:
    """A curve with its drawing."""

    curve: Curve
    svg: Markup


@dataclass(frozen=True, slots=True)
class ReviewView:
    """One stage; `curves` are those of its thresholds."""

    stage: str
    stats: ReviewStats
    curves: tuple[CurveView, ...]


def review_views(stats: Sequence[tuple[str, ReviewStats]]) -> tuple[ReviewView, ...]:
    """Views of the stages that somebody has reviewed."""
    return tuple(
        ReviewView(stage, found, tuple(CurveView(curve, draw(curve)) for curve in _curves(found)))
        for stage, found in stats
        if found.reviewers
    )


def _curves(found: ReviewStats) -> list[Curve]:
    return found.calibration.curves if found.calibration else []


def estimate(value: Estimate | None) -> str:
    """A share in percent with its interval, or a dash."""
    if value is None:
        return "-"
    return f"{100 * value.value:.1f} % ({100 * value.low:.1f} to {100 * value.high:.1f})"


def draw(curve: Curve) -> Markup:
    """Rows kept and bad rows among them, by threshold; thresholds stand side by side, whatever their distance."""
    points = curve.points
    last = max(1, len(points) - 1)
    x = [_FRAME.x(place / last) for place in range(len(points))]
    kept = [(at, _FRAME.y(point.kept)) for at, point in zip(x, points, strict=True)]
    bad = [(at, point.bad_kept) for at, point in zip(x, points, strict=True) if point.bad_kept]
    band = [(at, _FRAME.y(each.high)) for at, each in bad] + [(at, _FRAME.y(each.low)) for at, each in reversed(bad)]
    drawn = [_GRID.format(_n(_FRAME.x(0)), _n(_FRAME.y(y)), _n(_FRAME.x(1)), _n(_FRAME.y(y))) for y in (0, 0.5, 1)]
    drawn += [
        _TEXT.format(_n(_FRAME.x(0) - 5), _n(_FRAME.y(y) + 3.5), "end", f"{y:.0%}".replace("%", " %"))
        for y in (0, 0.5, 1)
    ]
    drawn += [_BAND.format("drop", _points(band)), _LINE.format("keep", _points(kept))]
    drawn += [_LINE.format("drop", _points([(at, _FRAME.y(each.value)) for at, each in bad]))]
    drawn += _marks(curve, points, x)
    label = f"{curve.rule}, {curve.score}: share of rows kept, and of bad rows among them, at {len(points)} thresholds"
    body = Markup("").join(drawn)
    return Markup('<svg class="chart curve" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        _n(_FRAME.width), _n(_FRAME.height), label, body
    )


def _marks(curve: Curve, points: Sequence[Point], x: Sequence[float]) -> list[Markup]:
    """The current threshold as a line, and the numbers of the outer ones and of it."""
    foot = _FRAME.y(0)
    ends = {0: "start", len(points) - 1: "end"}
    drawn = []
    for place, point in enumerate(points):
        if point.at == curve.current:
            drawn.append(_MARK.format(_n(x[place]), _n(_FRAME.y(1)), _n(foot)))
            drawn.append(_TEXT.format(_n(x[place]), _n(_FRAME.y(1) - 4), "middle", short(point.at)))
        elif place in ends:
            drawn.append(_TEXT.format(_n(x[place]), _n(foot + 16), ends[place], short(point.at)))
    return drawn


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{_n(x)},{_n(y)}" for x, y in places)


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
