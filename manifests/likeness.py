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

from manifests.likeness_align import WHOLE, Placement, align, closer, overlap
from manifests.likeness_kernels import (
    Gray,
    smooth,
    square_apart,
    strokes_moved,
    strongest_near,
    tone_sums,
    window_moments,
)
from manifests.likeness_regions import STEP, WINDOW, Place, Region, captions_among, is_in, regions_of, strips_of

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

_OUTLIER: Final = 24.0
"""Gray levels: a pixel further from what it should be says nothing of tones and sharpness."""

_BEND: Final = 48.0
"""Gray levels that a tone curve may lie off a straight one: a gamma of 1.5 reaches 40."""

_FINE: Final = 16
_TONES: Final = 255 * _FINE + 1
"""Steps by gray level, and tones, that a picture has once smoothed: whole sixteenths."""

_BLURS: Final = 4


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


def shrunk(image: Image.Image, side: int = FINE) -> NDArray[np.uint8]:
    """The picture as `likeness` wants it: (h, w) uint8 gray, longest side at most `side` pixels.

    Averaged, not sampled: box or nearest resampling by a factor near 1 breaks thin lines, which then differ.
    """
    return _within(image if image.mode == "L" else image.convert("L"), side, 3.0)


def _within(gray: Image.Image, side: int, gap: float) -> NDArray[np.uint8]:
    """With a longest side of at most so many pixels; blocks are averaged first where `gap` times as many are left."""
    factor = side / max(gray.size)
    if factor >= 1:
        return np.asarray(gray)
    size = (max(1, round(gray.width * factor)), max(1, round(gray.height * factor)))
    return np.asarray(gray.resize(size, Image.Resampling.BICUBIC, reducing_gap=gap))


def likeness(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> Likeness:
    """Compare two pictures of near hashes.

    Colour is not seen, nor a mirrored copy: pass the mirrored array to ask for that.

    Args:
        left: (h, w) uint8 gray, longest side at most 1,024 pixels; fewer hide small print, no less than 512.
        right: the same, of any other size.

    Returns:
        The same for both orders of the arguments.

    Source: ours; the window difference is 1 minus the contrast and structure terms of SSIM (Wang et al. 2004).
    """
    if left.shape == right.shape and np.array_equal(left, right):
        return Likeness(True, "equal", 0.0, _LEAST, 0.0, 0.0)
    first, second = sorted((left, right), key=lambda array: (array.size, array.shape, array.tobytes()))
    found, placement = _at_side(*(_within(Image.fromarray(each), SIDE, 1.0) for each in (first, second)))
    if found.reason != "agrees" or min(max(first.shape), max(second.shape)) <= _FINER * SIDE:
        return found
    pictures = Image.fromarray(first), Image.fromarray(second)
    finer, _ = _compared(*pictures, closer(*pictures, placement), _LEAST_FINE)
    return found if finer.same else finer


def _at_side(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> tuple[Likeness, Placement]:
    """What is seen at no more than 512 pixels, and how they lie on one another."""
    if min(first.shape + second.shape) < 2 * WINDOW or min(float(first.std()), float(second.std())) < _FLAT:
        return _flat(first, second), WHOLE
    pictures = Image.fromarray(first), Image.fromarray(second)
    if found := _as_they_are(*pictures):
        return found, WHOLE
    placement = align(*pictures)
    if placement.correlation < _CORRELATION:
        return Likeness(False, "apart", correlation=placement.correlation), placement
    return _compared(*pictures, placement)[0], placement


def _as_they_are(first: Image.Image, second: Image.Image) -> Likeness | None:
    """What is certain where strokes stand where they stand in the other: forms of a template, copies nobody cropped."""
    if abs(first.width * second.height - first.height * second.width) > max(*first.size, *second.size):
        return None  # other proportions
    scaled = second if second.size == first.size else second.resize(first.size, Image.Resampling.BICUBIC)
    strokes, moved = strokes_moved(np.asarray(first), np.asarray(scaled), _STROKE, _MOVED)
    if moved > _FEW * strokes:
        return None
    found, unlike = _compared(first, second, WHOLE)
    certain = unlike <= _SURE if found.same else strokes and unlike <= _EQUAL
    return found if certain else None


def _compared(
    first: Image.Image, second: Image.Image, placement: Placement, least: float = _LEAST
) -> tuple[Likeness, float]:
    """What a placement says, and the difference that nine tenths of the windows with print do not exceed."""
    mine, other, box = overlap(first, second, placement)
    shown = mine.size / (first.width * first.height)
    covered = min(shown / placement.parts[0], shown * placement.scale_x * placement.scale_y / placement.parts[1])
    if covered < _OVERLAP or min(mine.shape) < 2 * WINDOW:
        return Likeness(False, "apart", correlation=placement.correlation, covered=covered), _MOST
    mine, other, fine, printed, over = _seen(mine, other, placement, least)
    worst = fine
    if min(mine.shape) >= WINDOW * _COARSER:  # a thin strip has no window at a quarter of its size
        reduced = _reduced(_without(over, mine, other)), _reduced(other)
        worst = np.maximum(fine, _spread(_differences(*reduced)[0], fine.shape))
    bound = _bound(worst[printed & _free(worst.shape, over)], least)
    found = regions_of(worst, bound, mine.shape)
    captions = captions_among(found, mine, other)
    inside = [region for region in found if region not in captions]
    outside = worst[_free(worst.shape, captions)]
    listed = sorted(inside or captions, key=lambda region: (-region.windows, region.top, region.left))
    size = (first.width, first.height)
    answer = Likeness(
        same=not inside,
        reason="inside" if inside else "edge" if captions else "agrees",
        difference=max([float(outside.max(initial=0.0)), *(region.difference for region in inside)]),
        bound=bound,
        typical=float(np.median(fine)),
        disagreeing=float((worst > bound).mean()),
        correlation=placement.correlation,
        covered=covered,
        scale=(placement.scale_x, placement.scale_y),
        shift=(placement.shift_x / 2, placement.shift_y / 2),
        places=tuple(region.place(box, size) for region in listed[:8]),
    )
    return answer, float(np.quantile(fine[printed], 1 - _FEW)) if printed.any() else _MOST


def _seen(
    mine: Gray, other: Gray, placement: Placement, least: float
) -> tuple[Gray, Gray, NDArray[np.float64], NDArray[np.bool_], list[Region]]:
    """Both in the same tones, differences of their windows, whether those hold print, and the captions among them.

    A caption covers whole tones of a picture that has few, and is kept out of the curve once it is known.
    """
    smoothed = smooth(mine), smooth(other)
    straight = np.float32(placement.gain) * smoothed[0] + np.float32(placement.offset)
    known = strips = strips_of(straight, smoothed[1])
    for _ in range(2):
        mine, other = _matched(*smoothed, placement, known)
        fine, printed = _differences(mine, other)
        over = captions_among(regions_of(fine, _bound(fine[printed], least), mine.shape), mine, other)
        if not over or known != strips or all(is_in(region, strips) for region in over):
            break
        known = over
    return mine, other, fine, printed, [*over, *strips] if over else over


def _spread(coarse: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Differences of the coarser comparison at the windows of the finer one whose middles are nearest."""
    out = np.zeros(shape)
    first = ((_COARSER - 1) * WINDOW // 2) // STEP
    near = np.kron(coarse, np.ones((_COARSER, _COARSER)))[: shape[0] - first, : shape[1] - first]
    out[first : first + near.shape[0], first : first + near.shape[1]] = near
    return out


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


def _bound(differences: NDArray[np.float64], least: float) -> float:
    """The difference above which a window differs, from those of windows with print."""
    return min(max(_BEYOND * _usual(differences), least), _MOST)


def _usual(differences: NDArray[np.float64]) -> float:
    if not len(differences):
        return 0.0
    least, most, windows = _RARE
    return float(np.quantile(differences, 1 - max(least, min(most, windows / len(differences)))))


def _differences(mine: Gray, other: Gray) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(rows, columns) difference of each window: variance of what is left by variance of what stands there.

    And whether anything but noise stands there.
    """
    apart, left, right = window_moments(mine, other, WINDOW, STEP)
    stands = left + right
    strong = np.percentile(stands, 98) / 2
    noise = 2 * max(_NOISE**2, _FAINT**2 * strong)
    beside = _RINGING * strongest_near(stands, _BLOCK // STEP)
    return apart / (stands + np.maximum(noise, beside)), stands > noise


def _matched(mine: Gray, other: Gray, placement: Placement, captions: list[Region]) -> tuple[Gray, Gray]:
    """The first picture in the tones of the second, and the sharper one blurred as long as that brings them nearer."""
    mine = _toned(mine, other, placement, captions)
    apart = _apart(mine, other)
    for blur_mine in (True, False):
        blurred = False
        for _ in range(_BLURS):
            pair = (smooth(mine), other) if blur_mine else (mine, smooth(other))
            left = _apart(*pair)
            if left >= 0.97 * apart:
                break
            (mine, other), apart, blurred = pair, left, True
        if blurred:
            break
    return mine, other


def _toned(mine: Gray, other: Gray, placement: Placement, captions: list[Region]) -> Gray:
    """A curve through the mean tone of the second at each of 32 tones of the first, of pixels near a straight one.

    The straight one is that of the placement, which no caption bends; the tones that few pixels have follow it.
    """
    shown = other.copy() if captions else other
    for region in captions:
        shown[region.top : region.bottom, region.left : region.right] = np.nan
    number, tones, bends = tone_sums(mine, shown, placement.gain, placement.offset, _BEND)
    known = number > 1e-4 * mine.size
    levels = np.arange(_TONES, dtype=np.float64) / _FINE
    curve = placement.gain * levels + placement.offset
    if known.any():
        curve += np.interp(levels, tones[known] / number[known], bends[known] / number[known])
    return curve.astype(np.float32)[np.rint(mine * _FINE).astype(np.int32)]


def _apart(mine: Gray, other: Gray) -> float:
    """Mean square in gray levels, of what lies within the reach of blur and noise."""
    return float(square_apart(mine, other, _OUTLIER))


def _reduced(array: Gray) -> Gray:
    height, width = (side // _COARSER * _COARSER for side in array.shape)
    blocks = array[:height, :width].reshape(height // _COARSER, _COARSER, width // _COARSER, _COARSER)
    return np.asarray(blocks.mean(axis=(1, 3)))


def _thumbnail(array: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.asarray(Image.fromarray(array).resize((32, 32), Image.Resampling.BOX), dtype=np.float64)


def _flat(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Likeness:
    apart = float(np.abs(_thumbnail(first) - _thumbnail(second)).max())
    return Likeness(apart <= _FLAT, "flat")
