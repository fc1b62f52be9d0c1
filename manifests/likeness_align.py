"""Laying one picture on another: a scale and a shift each way, found from coarse to fine."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from manifests.likeness_equations import normal_equations
from manifests.likeness_kernels import Gray, Vector, levels_of, sixteenths
from shards.resampling import Pixels, fixed, resized

_COARSE: Final = 64 * 64
"""Pixels of the level at which places are tried; 4 times and 16 times as many at the levels that refine the best."""

_FINEST: Final = 64 * _COARSE
"""Pixels of the level at which a placement is fitted once more for larger pictures."""

_SHORT: Final = 24
"""Pixels: no side of the coarse level is shorter, or the long lines of a receipt melt into each other."""

_CROPS: Final = (0.96, 1.04, 0.92, 1.08)
_BORDERS: Final = (0.015, -0.015, 0.03, -0.03, 0.05, -0.05)
"""Where to start when the pictures do not show the same extent: shares of each side that are left, and widths of a
border, added or cut off, in shares of the longer side."""

_PLAIN: Final = 0.985
"""Correlation of two whole pictures at the finest level above which no other start is tried."""

_EXACT: Final = 0.006
_AS_WELL: Final = 0.0005
"""Of half sides: a placement as near to the whole on the whole gives way to that if it correlates as well, but for the
second."""

_BAND: Final = 0.2
_PART: Final = 0.9
_EXPLAINED: Final = 0.5
"""Share of rows at the top or bottom that a caption may cover, left out to place the rest; that must correlate by the
second, and leave no more than the third of what is not explained with them."""

_SOME: Final = 8
"""Rows that are looked at at a time for the end of a frame."""

_EVEN: Final = 6
_LEAST_INNER: Final = 0.25
"""Gray levels that a frame of one colour may stray by recompression; share of a picture that is left within one."""

_HOPE: Final = 0.45
"""Correlation below which a placement is not refined: copies reach 0.8 at the coarse level."""

_STRETCH: Final = 1.4
_AWAY: Final = 0.4
_SETTLED: Final = 0.02
"""Pixels of a level: a step of less ends its iterations."""

_TRIM: Final = 2
"""Pixels left out where the second picture goes on beyond the first."""

_SPANS: Final = 256

_NOISE: Final = 8.0
"""Gray levels: residuals beyond three times as much hardly count where placements are compared."""


Box = tuple[int, int, int, int]
Overlap = tuple[Pixels, Pixels, Box]
Sides = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the first picture lies on the second.

    `scale_x`, `shift_x`, `scale_y`, `shift_y`: a point at x (-1 left edge, 1 right edge) of the first lies at
    `scale_x * x + shift_x` of the second, and a gray value g of the first is about `gain * g + offset`. `correlation`
    (-1..1) of the gray values where they overlap, outliers weighted down; -1 where no placement was found. `parts`:
    shares (0..1) of the two areas that were laid on one another, without frames of one colour.
    """

    scale_x: float
    shift_x: float
    scale_y: float
    shift_y: float
    gain: float
    offset: float
    correlation: float
    parts: tuple[float, float] = (1.0, 1.0)


WHOLE: Final = Placement(1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0)
"""All of the first on all of the second, in the same tones."""


@dataclass(frozen=True, slots=True)
class _Fit:
    place: Vector  # scale x, shift x, scale y, shift y, gain, offset
    correlation: float
    parts: tuple[float, float] = (1.0, 1.0)


Levels = list[tuple[Gray, Gray]]


def align(left: Pixels, right: Pixels) -> Placement:
    """Find where `left` lies on `right`, both (h, w) uint8 gray.

    Copies are placed as a whole at first; only if that fails, parts of them and other scales are tried. Each level
    fits scale, shift, gain and offset by Gauss-Newton with weights that spare a caption or a stain (Cauchy).

    Source: Lucas and Kanade 1981, coarse to fine; weights: Cauchy, as in Zhang 1997; starts are ours.
    """
    levels = [_level(left, right, _COARSE * factor) for factor in (1, 4, 16)]
    coarse = _refine(levels[0], _WHOLE, 12)
    fit = _refined(levels, [coarse])
    if fit.correlation <= _PLAIN or not _is_whole(fit):
        known = coarse if fit.correlation <= _PLAIN else fit
        fit = _best([fit, *_of_parts(left, right, levels, known)], 1)[0]
    if fit.correlation <= _PLAIN:
        tried = [_refine(levels[0], _start(*scales), 3) for scales in _starts(left, right)]
        fits = [_refine(levels[0], start.place, 9) for start in _best(tried, 3)]
        fit = _best([fit, _refined(levels, _best(fits, 2))], 1)[0]
    return _placement(fit)


def closer(left: Pixels, right: Pixels, placement: Placement) -> Placement:
    """A placement that was found on smaller pictures, fitted to these; what lay whole on the whole stays there."""
    start = _values(placement)
    if np.array_equal(start[:4], _WHOLE[:4]):
        return placement
    fit = _refine(_level(left, right, _FINEST), start, 3, _NOISE)
    if fit.correlation < placement.correlation - _AS_WELL:
        return placement
    return _placement(_Fit(fit.place, fit.correlation, placement.parts))


def _values(place: Placement) -> Vector:
    return np.array([place.scale_x, place.shift_x, place.scale_y, place.shift_y, place.gain, place.offset])


def _placement(fit: _Fit) -> Placement:
    scale_x, shift_x, scale_y, shift_y, gain, offset = (float(value) for value in fit.place)
    return Placement(scale_x, shift_x, scale_y, shift_y, gain, offset, fit.correlation, fit.parts)


def _of_parts(left: Pixels, right: Pixels, levels: Levels, known: _Fit) -> Iterator[_Fit]:
    """Fits without a strip at the top or bottom, which may have been laid over, and without frames of one colour.

    Those that explain most of what `known` leaves, by the coarse level; the others are not refined.
    """
    for top, bottom in ((_BAND, 0.0), (0.0, _BAND)):
        box = (1.0, 0.0, 1 - top - bottom, top - bottom)
        yield from _explaining([_rows(level, top, bottom) for level in levels], known, (box, box), (1.0, 1.0))
    inner = _unframed(left), _unframed(right)
    boxes = _unit(inner[0], left.shape), _unit(inner[1], right.shape)
    if np.abs(np.subtract(*boxes)).max() > _EXACT:
        part = (_level(_crop(left, inner[0]), _crop(right, inner[1]), _COARSE * factor) for factor in (1, 4, 16))
        yield from _explaining(part, known, boxes, (boxes[0][0] * boxes[0][2], boxes[1][0] * boxes[1][2]))


def _explaining(
    levels: Iterable[tuple[Gray, Gray]], known: _Fit, boxes: tuple[Sides, Sides], parts: tuple[float, float]
) -> Iterator[_Fit]:
    finer = iter(levels)
    coarse = next(finer)
    start, enough = _Fit(_WHOLE, 1.0), max(_PART, 1 - _EXPLAINED * (1 - known.correlation))
    for steps in (0, 6):  # copies that nobody cropped lie there at once
        start = _refine(coarse, start.place, steps)
        if start.correlation <= enough:
            return
    fit = _refined([coarse, *finer], [start])
    yield _Fit(_lifted(fit.place, *boxes), fit.correlation, parts)


def _lifted(place: Vector, mine: Sides, other: Sides) -> Vector:
    """A placement of boxes, as one of the pictures that they were cut from."""
    lifted = place.copy()
    for i in (0, 2):
        lifted[i] = other[i] * place[i] / mine[i]
        lifted[i + 1] = other[i + 1] + other[i] * place[i + 1] - lifted[i] * mine[i + 1]
    return lifted


def _rows(level: tuple[Gray, Gray], top: float, bottom: float) -> tuple[Gray, Gray]:
    """Both without a share of their rows."""
    height = len(level[0])
    rows = slice(round(top * height), height - round(bottom * height))
    return level[0][rows], level[1][rows]


def _crop(gray: Pixels, box: Box) -> Pixels:
    left, top, right, bottom = box
    return gray[top:bottom, left:right]


def _unit(box: Box, shape: tuple[int, ...]) -> Sides:
    """Half side and middle of a box, in half sides of the picture, x and y."""
    (left, top, right, bottom), (height, width) = box, shape
    return (right - left) / width, (left + right) / width - 1, (bottom - top) / height, (top + bottom) / height - 1


def _unframed(gray: Pixels) -> Box:
    """Box of what lies within rows and columns of one gray at all sides; the whole picture if that is most of it."""
    height, width = gray.shape
    top, bottom = _even_ends(gray)
    left, right = _even_ends(gray[top:bottom].T)
    if (right - left) * (bottom - top) < _LEAST_INNER * gray.size or min(right - left, bottom - top) < 2:  # noqa: PLR2004
        return 0, 0, width, height
    return left, top, right, bottom


def _even_ends(gray: Pixels) -> tuple[int, int]:
    """First row, and one past the last, that is not of the gray of its end."""
    ends = []
    for rows in (gray, gray[::-1]):
        ordered, half, found = np.sort(rows[0]), len(rows) // 2, 0
        middle = (int(ordered[(len(ordered) - 1) // 2]) + int(ordered[len(ordered) // 2])) // 2
        for start in range(0, half, _SOME):  # few pictures have a frame: most of them end with the first
            odd = (np.abs(rows[start : min(start + _SOME, half)].astype(np.int16) - middle) > _EVEN).any(axis=1)
            if odd.any():
                found = start + int(odd.argmax())
                break
        ends.append(found)
    return ends[0], len(gray) - ends[1]


def _refined(levels: Levels, fits: list[_Fit]) -> _Fit:
    """The best of some fits of the coarsest level, through the other levels."""
    for level, steps in zip(levels[1:], (6, 3), strict=True):
        if max(fit.correlation for fit in fits) < _HOPE:
            break
        if level is levels[-1] and _is_whole(fits[0]):
            whole = _refine(level, np.concatenate([_WHOLE[:4], fits[0].place[4:]]), 0)
            if whole.correlation >= 1 - _AS_WELL:
                return whole
        fits = _best([_refine(level, fit.place, steps, _NOISE) for fit in fits], 1)
    best = _best(fits, 1)[0]
    if best.correlation < _HOPE or not _is_whole(best):
        return best
    whole = _refine(levels[-1], np.concatenate([_WHOLE[:4], best.place[4:]]), 0)
    return whole if whole.correlation >= best.correlation - _AS_WELL else best


def _is_whole(fit: _Fit) -> bool:
    return bool(np.abs(fit.place[:4] - _WHOLE[:4]).max() <= _EXACT)


def _best(fits: list[_Fit], number: int) -> list[_Fit]:
    return sorted(fits, key=lambda fit: -fit.correlation)[:number]


def overlap(left: Pixels, right: Pixels, placement: Placement) -> Overlap:
    """The part of `left` that lies on `right`, that part of `right` on the pixels of `left`, and its box in `left`.

    Source: Pillow's bicubic resampling with a box, which averages where it shrinks; whole-number arithmetic.
    """
    x = _span(left.shape[1], right.shape[1], placement.scale_x, placement.shift_x)
    y = _span(left.shape[0], right.shape[0], placement.scale_y, placement.shift_y)
    (x0, x1, u0, u1), (y0, y1, v0, v1) = x, y
    mine = fixed(left[y0:y1, x0:x1])
    if mine.size == 0:
        return mine, mine, (0, 0, 0, 0)
    return mine, resized(right, (x1 - x0, y1 - y0), "bicubic", (u0, v0, u1, v1)), (x0, y0, x1, y1)


@lru_cache(_SPANS)
def _span(size: int, other: int, scale: float, shift: float) -> tuple[int, int, float, float]:
    """First and last pixel edge of one side whose image lies in the other picture, and where it lies there."""
    edges = ((scale * (2 * np.arange(size + 1) / size - 1) + shift) + 1) / 2 * other
    tolerance = 0.03 + 1e-4 * other  # a placement is no finer: whole pictures shall lie on whole pictures
    inside = np.flatnonzero((edges >= -tolerance) & (edges <= other + tolerance))
    if len(inside) < 2:  # noqa: PLR2004  an edge on each side of a pixel
        return 0, 0, 0.0, 0.0
    first, last = int(inside[0]), int(inside[-1])
    if last - first > 4 * _TRIM:  # what lies beside a border bleeds into it
        first += _TRIM if edges[first] > tolerance else 0
        last -= _TRIM if edges[last] < other - tolerance else 0
    return first, last, max(0.0, float(edges[first])), min(float(other), float(edges[last]))


_WHOLE: Final = np.array([1.0, 0.0, 1.0, 0.0, 1.0, 0.0])


def _start(scale_x: float, scale_y: float) -> Vector:
    return np.array([scale_x, 0.0, scale_y, 0.0, 1.0, 0.0])


def _starts(left: Pixels, right: Pixels) -> Iterator[tuple[float, float]]:
    ratio = (left.shape[1] / right.shape[1], left.shape[0] / right.shape[0])
    if ratio != (1.0, 1.0) and all(1 / _STRETCH < side < _STRETCH for side in ratio):
        yield ratio  # a border was added, or the margin cut off, and nothing was resized
    for scale in _CROPS:
        yield scale, scale
    for border in _BORDERS:
        outer = 2 * abs(border) * max(left.shape)
        y, x = (side / (side + outer) for side in left.shape)
        if min(x, y) > 1 / _STRETCH:
            yield (x, y) if border > 0 else (1 / x, 1 / y)


def _level(left: Pixels, right: Pixels, pixels: int) -> tuple[Gray, Gray]:
    """Both pictures on the same grid of about so many pixels, in the shape of the first, smoothed."""
    height, width = left.shape
    factor = min(1.0, (pixels / (width * height)) ** 0.5)
    factor = min(1.0, max(factor, _SHORT / min(left.shape)))
    size = (max(2, round(width * factor)), max(2, round(height * factor)))
    return _smoothed(left, size), _smoothed(right, size)


def _smoothed(gray: Pixels, size: tuple[int, int]) -> Gray:
    return np.asarray(levels_of(sixteenths(resized(gray, size, "bilinear"))))


def _refine(level: tuple[Gray, Gray], start: Vector, steps: int, noise: float = 2 * _NOISE) -> _Fit:
    place = start.copy()
    side = max(level[0].shape)
    for _ in range(steps):
        matrix, vector, sums, away = normal_equations(*level, place, noise)
        if not _is_sound(place, sums[0] / level[0].size):
            return _Fit(place, -1.0)
        noise = max(1.0, 1.25 * away)  # mean |x| of a normal distribution is 0.8 of its standard deviation
        diagonal = matrix.reshape(-1)[::7]
        diagonal *= 1 + 1e-6
        diagonal += 1e-3
        step = np.linalg.solve(matrix, -vector)
        place = place + step
        if np.abs(step[:4]).max() * side / 2 < _SETTLED:
            break
    _, _, sums, _ = normal_equations(*level, place, _NOISE)
    return _Fit(place, _correlation(sums) if _is_sound(place, sums[0] / level[0].size) else -1.0)


def _is_sound(place: Vector, covered: float) -> bool:
    stretched = any(not 1 / _STRETCH < place[i] < _STRETCH for i in (0, 2))
    return not (stretched or max(abs(place[1]), abs(place[3])) > _AWAY or covered < 0.5)  # noqa: PLR2004


def _correlation(sums: NDArray[np.float64]) -> float:
    _, weight, a, b, aa, bb, ab = (float(value) for value in sums)
    spread = (aa - a * a / weight) * (bb - b * b / weight)
    return (ab - a * b / weight) / spread**0.5 if spread > 0 else -1.0
