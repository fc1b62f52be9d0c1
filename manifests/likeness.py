"""Whether two pictures whose hashes are near show the same: laid on one another, compared window by window.

A hash sees 64 numbers; two receipts of one shop share nearly all of them. A copy differs from its origin in another
way than a look-alike: after a scale, a shift, a tone curve and a blur, every stroke of it lies on a stroke of the
origin. So no kind of picture has thresholds of its own: what counts is whether any place is left that disagrees, and
whether that place is a caption at the edge.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from manifests.likeness_align import WHOLE, Overlap, Placement, align, closer, overlap
from manifests.likeness_kernels import Gray, levels_of, moments, quarter, sixteenths, strokes_moved
from manifests.likeness_ranks import Ranked, ranked
from manifests.likeness_regions import STEP, WINDOW, Place, Region, captions_among, is_in, regions_of, strips_of
from manifests.likeness_tones import matched, straight
from manifests.likeness_windows import differences, raised, strongest_near, window_moments
from shards.resampling import Pixels, fixed, resized

VERSION: Final = 3
"""Raised whenever the same two pictures may get another answer."""

SIDE: Final = 512
"""Pixels of the longest side: digits of a receipt are six wide."""

FINE: Final = 1024
_FINER: Final = 1.25
"""Pixels of the longest side of a second look at what is the same at `SIDE`, if both have more than so many times that:
digits of a page of 1,500 pixels are five high at 512, and their windows are filled by their neighbours."""

Reason = Literal["equal", "agrees", "edge", "inside", "apart", "flat"]

_LEAST: Final = 0.15
_LEAST_FINE: Final = 0.2
_MOST: Final = 0.5
_BEYOND: Final = 4.0
"""A window differs when its difference is above the last times what is usual in this pair, never below the first (of a
second look: the second) nor above the third: a digit stands out from what recompression did to all the rest. Ours, from
the copies and look-alikes of benchmarks/dedup_truth.py and pages with one digit exchanged; of a second look from such
pages, where a 3 for an 8 is 0.3, and other tones of scans, 0.2 and rarely more."""

_RARE: Final = (0.01, 0.05, 100)
"""Usual is the largest difference of windows with print but for a share of them: the first, or as many as make the
third if that is more, but no more than the second: a letter covers a hundred windows."""

_NOISE: Final = 4.0
"""Gray levels: what compression leaves in flat parts."""

_FAINT: Final = 0.15
"""Share of the picture's strong contrast (98th percentile of windows) that is noise too: ringing beside strokes."""

_STRONG: Final = 98 / 100
"""Share of windows that the strong contrast of `_FAINT` is not below."""

_BLOCK: Final = 8
_RINGING: Final = 0.07
"""Pixels of a side of what JPEG compresses as one, and the share of the variance of the strongest window within reach
of it that is noise: a stroke rings all over the blocks it stands in. Ours, from JPEG at quality 30."""

_COARSER: Final = 4
"""The second comparison sees pixels averaged by so many: soft shapes have no contrast within a small window."""

_CORRELATION: Final = 0.5
"""Below it nothing was found to lie on one another. Copies reach 0.95, with a caption 0.8."""

_OVERLAP: Final = 0.7
"""Share of either picture that the other must show: a crop of a tenth leaves 0.8."""

_STROKE: Final = 32
_MOVED: Final = 0.5
_FEW: Final = 0.1
_SURE: Final = 0.05
_EQUAL: Final = 0.01
"""Pixels that differ by the first from the next, gray levels, are strokes; moved where they differ by more than the
second, a share of that, from the other picture. Where no more than a few have (the third, a share of them), pictures
are laid on one another as they are. That they are the same stands if no more than a few windows with print differ by
more than the fourth; that they are not, by the fifth, and never without strokes: no other placement explains more."""

_FLAT: Final = 2.0
"""Gray levels of standard deviation, and of difference between thumbnails, that are nothing."""

_ROUNDED: Final = 1e-6
"""Share by which a variance may be off that floats add up."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """What a comparison found; the same whichever picture comes first.

    * `same`: whether both show the same content.
    * `reason`: `equal` same pixels; `agrees` no window differs; `edge` only captions at the edge differ; `inside`
      something else differs; `apart` they cannot be laid on one another; `flat` both have no contrast, and a thumbnail
      decides.
    * `difference`: 0..2, the largest of any window that is not in a caption: 0 one is the other's tone curve, 1 they
      have nothing in common, 2 opposite. Null where no window was compared.
    * `bound`: the difference above which a window differs, from what is usual in this pair; null as above.
    * `typical`: the median difference of all windows, how much recompression left; null as above.
    * `disagreeing`: share (0..1) of windows that differ, captions included; null as above.
    * `correlation`: -1..1, of gray values once laid on one another, outliers weighted down; null if not needed, 1 where
      strokes stand where they stand in the other and no placement was sought.
    * `covered`: share (0..1) of the two pictures, without frames of one colour, that the other shows, the smaller one.
    * `scale`, `shift`: x and y, the smaller picture's extent in the larger one: 0.96 and 0.02 say that it shows 96 % of
      its width and sits a hundredth of the width right of the middle.
    * `places`: what differs, largest first, at most eight.
    """

    same: bool
    reason: Reason
    difference: float | None = None
    bound: float | None = None
    typical: float | None = None
    disagreeing: float | None = None
    correlation: float | None = None
    covered: float = 1.0
    scale: tuple[float, float] = (1.0, 1.0)
    shift: tuple[float, float] = (0.0, 0.0)
    places: tuple[Place, ...] = ()

    @property
    def sentence(self) -> str:
        """The reason for people."""
        if self.places and self.reason in {"inside", "edge"}:
            place = self.places[0]
            x, y = round(50 * (place.left + place.right)), round(50 * (place.top + place.bottom))
            number = f"{len(self.places)} {'place' if len(self.places) == 1 else 'places'}"
            where = f"{number}, largest at {x} % from the left and {y} % from the top"
            return f"differ inside: {where}" if self.reason == "inside" else f"differ in a caption at the edge: {where}"
        return _SENTENCES[self.reason]


_SENTENCES: Final[dict[Reason, str]] = {
    "equal": "equal pixels",
    "agrees": "everything that both show lies on one another",
    "edge": "differ in a caption at the edge",
    "inside": "differ inside",
    "apart": "cannot be laid on one another",
    "flat": "no contrast; thumbnails compared",
}


def shrunk(image: Image.Image, side: int = FINE) -> Pixels:
    """The picture as `likeness` wants it: (h, w) uint8 gray, longest side at most `side` pixels.

    Averaged, not sampled: box or nearest resampling by a factor near 1 breaks thin lines, which then differ.
    """
    return _within(np.asarray(image if image.mode == "L" else image.convert("L")), side, 3.0)


def _within(gray: Pixels, side: int, gap: float) -> Pixels:
    """With a longest side of at most so many pixels; blocks are averaged first where `gap` times as many are left.

    Source: Pillow 13.0.0, Image.py: `resize` with `reducing_gap`.
    """
    height, width = gray.shape
    factor = side / max(height, width)
    if factor >= 1:
        return fixed(gray)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    blocks = (int(width / size[0] / gap) or 1, int(height / size[1] / gap) or 1)
    if blocks == (1, 1):
        return resized(gray, size, "bicubic")
    reduced = np.asarray(Image.fromarray(gray).reduce(blocks))
    return resized(reduced, size, "bicubic", (0.0, 0.0, width / blocks[0], height / blocks[1]))


def likeness(left: Pixels, right: Pixels) -> Likeness:
    """Compare two pictures of near hashes.

    Colour is not seen, nor a mirrored copy: pass the mirrored array to ask for that.

    Args:
        left: (h, w) uint8 gray, longest side at most 1,024 pixels; fewer hide small print, no less than 512.
        right: the same, of any other size.

    Returns:
        The same for both orders of the arguments.

    Source: ours; the window difference is 1 minus the contrast and structure terms of SSIM (Wang et al. 2004).
    """
    if not (ordered := _in_order(left, right)):
        return Likeness(True, "equal", 0.0, _LEAST, 0.0, 0.0)
    first, second = map(fixed, ordered)
    found, placement = _at_side(_within(first, SIDE, 1.0), _within(second, SIDE, 1.0))
    if found.reason != "agrees" or min(max(first.shape), max(second.shape)) <= _FINER * SIDE:
        return found
    placement = closer(first, second, placement)
    finer, _ = _compared(first.shape, overlap(first, second, placement), placement, _LEAST_FINE)
    return found if finer.same else finer


def _in_order(left: Pixels, right: Pixels) -> tuple[Pixels, Pixels] | None:
    """The same for both orders: the smaller one first, of one shape that of which the first other pixel is lower.

    None for equal pixels.
    """
    if left.shape != right.shape:
        return (left, right) if (left.size, left.shape) < (right.size, right.shape) else (right, left)
    for start in range(0, len(left), WINDOW):  # most end with the first rows
        rows = [array[start : start + WINDOW].tobytes() for array in (left, right)]
        if rows[0] != rows[1]:
            return (left, right) if rows[0] < rows[1] else (right, left)
    return None


def _at_side(first: Pixels, second: Pixels) -> tuple[Likeness, Placement]:
    """What is seen at no more than 512 pixels, and how they lie on one another."""
    if min(first.shape + second.shape) < 2 * WINDOW or _is_flat(first) or _is_flat(second):
        return _flat(first, second), WHOLE
    if found := _as_they_are(first, second):
        return found, WHOLE
    placement = align(first, second)
    if placement.correlation < _CORRELATION:
        return Likeness(False, "apart", correlation=placement.correlation), placement
    return _compared(first.shape, overlap(first, second, placement), placement)[0], placement


def _is_flat(gray: Pixels) -> bool:
    """Whether the standard deviation is below `_FLAT`, by whole numbers unless it is so near that rounding decides."""
    total, squares = moments(gray)
    spread, least = gray.size * squares - total * total, _FLAT**2 * gray.size**2
    return spread < least if abs(spread - least) > _ROUNDED * least else float(gray.std()) < _FLAT


def _as_they_are(first: Pixels, second: Pixels) -> Likeness | None:
    """What is certain where strokes stand where they stand in the other: forms of a template, copies nobody cropped."""
    (height, width), (other_height, other_width) = first.shape, second.shape
    if abs(width * other_height - height * other_width) > max(first.shape + second.shape):
        return None  # other proportions
    laid = overlap(first, second, WHOLE)
    strokes, moved = strokes_moved(laid[0], laid[1], _STROKE, _MOVED)
    if moved > _FEW * strokes:
        return None
    found, unlike = _compared(first.shape, laid, WHOLE)
    certain = unlike <= _SURE if found.same else strokes and unlike <= _EQUAL
    return found if certain else None


def _compared(
    shape: tuple[int, ...], laid: Overlap, placement: Placement, least: float = _LEAST
) -> tuple[Likeness, float]:
    """What a placement says, and the difference that nine tenths of the windows with print do not exceed.

    Of a first picture of `shape` and what of both lies on one another.
    """
    (height, width), (mine, other, box) = shape, laid
    shown = mine.size / (width * height)
    covered = min(shown / placement.parts[0], shown * placement.scale_x * placement.scale_y / placement.parts[1])
    if covered < _OVERLAP or min(mine.shape) < 2 * WINDOW:
        return Likeness(False, "apart", correlation=placement.correlation, covered=covered), _MOST
    toned_mine, toned_other, fine, printed, over = _seen(mine, other, placement, least)
    worst = fine
    if min(mine.shape) >= WINDOW * _COARSER:  # a thin strip has no window at a quarter of its size
        reduced = quarter(_without(over, toned_mine, toned_other)), quarter(toned_other)
        worst = raised(fine, _differences(*reduced)[0], ((_COARSER - 1) * WINDOW // 2) // STEP, _COARSER)
    usual = ranked(fine, printed)
    counted = ranked(worst, printed & _free(worst.shape, over)) if over or worst is not fine else usual
    bound = _bound(counted, least)
    found = regions_of(worst, bound, mine.shape)
    captions = captions_among(found, toned_mine, toned_other)
    inside = [region for region in found if region not in captions]
    outside = worst[_free(worst.shape, captions)] if captions else worst
    listed = sorted(inside or captions, key=lambda region: (-region.windows, region.top, region.left))
    answer = Likeness(
        same=not inside,
        reason="inside" if inside else "edge" if captions else "agrees",
        difference=max([float(outside.max(initial=0.0)), *(region.difference for region in inside)]),
        bound=bound,
        typical=ranked(fine).median(),
        disagreeing=float(np.count_nonzero(worst > bound) / worst.size),
        correlation=placement.correlation,
        covered=covered,
        scale=(placement.scale_x, placement.scale_y),
        shift=(placement.shift_x / 2, placement.shift_y / 2),
        places=tuple(region.place(box, (width, height)) for region in listed[:8]),
    )
    return answer, usual.quantile(1 - _FEW) if usual.number else _MOST


def _seen(
    mine: Pixels, other: Pixels, placement: Placement, least: float
) -> tuple[Gray, Gray, NDArray[np.float64], NDArray[np.bool_], list[Region]]:
    """Both in the same tones, differences of their windows, whether those hold print, and the captions among them.

    A caption covers whole tones of a picture that has few, and is kept out of the curve once it is known.
    """
    tones = sixteenths(mine), sixteenths(other)
    known = strips = strips_of(straight(tones[0], placement), levels_of(tones[1]))
    for _ in range(2):
        pair = matched(*tones, placement, known)
        fine, printed = _differences(*pair)
        found = regions_of(fine, _bound(ranked(fine, printed), least), mine.shape)
        over = captions_among(found, *pair)
        if not over or known != strips or all(is_in(region, strips) for region in over):
            break
        known = over
    return *pair, fine, printed, [*over, *strips] if over else over


def _free(shape: tuple[int, ...], captions: list[Region]) -> NDArray[np.bool_]:
    """Whether a window touches no caption."""
    free = np.ones(shape, dtype=bool)
    for region in captions:
        rows = slice(max(0, (region.top - WINDOW) // STEP), region.bottom // STEP + 1)
        free[rows, max(0, (region.left - WINDOW) // STEP) : region.right // STEP + 1] = False
    return free


def _without(captions: list[Region], mine: Gray, other: Gray) -> Gray:
    """The first with what the second shows where a caption lies."""
    if captions:
        mine = mine.copy()
    for region in captions:
        part = slice(region.top, region.bottom), slice(region.left, region.right)
        mine[part] = other[part]
    return mine


def _bound(printed: Ranked, least: float) -> float:
    """The difference above which a window differs, from those of windows with print."""
    return min(max(_BEYOND * _usual(printed), least), _MOST)


def _usual(printed: Ranked) -> float:
    least, most, windows = _RARE
    return printed.quantile(1 - max(least, min(most, windows / printed.number))) if printed.number else 0.0


def _differences(mine: Gray, other: Gray) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(rows, columns) difference of each window: variance of what is left by variance of what stands there.

    And whether anything but noise stands there.
    """
    apart, stands = window_moments(mine, other, WINDOW, STEP)
    strong = ranked(stands).quantile(_STRONG) / 2
    noise = 2 * max(_NOISE**2, _FAINT**2 * strong)
    found, printed = differences(apart, stands, strongest_near(stands, _BLOCK // STEP), noise, _RINGING)
    return found, printed


def _thumbnail(array: Pixels) -> NDArray[np.float64]:
    return np.asarray(Image.fromarray(array).resize((32, 32), Image.Resampling.BOX), dtype=np.float64)


def _flat(first: Pixels, second: Pixels) -> Likeness:
    apart = float(np.abs(_thumbnail(first) - _thumbnail(second)).max())
    return Likeness(apart <= _FLAT, "flat")
