"""Where two pictures that lie on one another disagree: windows joined to regions, and captions among them."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from manifests.likeness_kernels import Gray, rows_apart
from manifests.likeness_windows import strongest_near

WINDOW: Final = 9
"""Pixels a side: the height of a digit in a receipt of 512 pixels. Ours."""

STEP: Final = 2
"""Pixels between windows."""

_NEAR_EDGE: Final = 0.04
_STRIP: Final = 0.18
_LINE: Final = 0.15
_CAPTION: Final = 0.18
"""A caption starts within the first share of the height from the top or bottom and is no deeper than the second; all
of them are at least as long as the third, of the width, or a digit of a tight table would be one, and cover no more
than the fourth of the picture. What differs at the left or right is content: legends stand there. Ours: a word, a line
or two of text."""

_SMALLEST: Final = 24
"""Pixels of depth that a caption may have where a quarter of the height is as much: a line of print of 12 with its
margins, and what windows and blur reach beyond."""

_FEWEST: Final = 6
"""Windows of a region that counts, as many fewer as they are above the bound: a digit of 4 by 6 pixels makes ten."""

_GAP: Final = 4
"""Steps by which regions grow when they are joined: letters of a word, words of a caption."""

_PAPER: Final = 32.0
"""Gray levels between medians beyond which print does not stand on the same paper: a box was laid over."""

_EVEN: Final = 12.0
_PRINTED: Final = 0.5
"""Gray levels by which paper strays from its median; share of pixels that are paper where letters stand on it."""


@dataclass(frozen=True, slots=True)
class Place:
    """A part that disagrees: box in shares (0..1) of the smaller picture, and its largest difference."""

    left: float
    top: float
    right: float
    bottom: float
    difference: float


@dataclass(frozen=True, slots=True)
class Region:
    """Adjacent windows that differ, in pixels of the overlap."""

    left: int
    top: int
    right: int
    bottom: int
    windows: int
    difference: float

    def place(self, box: tuple[int, int, int, int], size: tuple[int, int]) -> Place:
        """In shares of a picture of `size` pixels (width, height), of which `box` is the overlap."""
        x, y = (box[0] + self.left) / size[0], (box[1] + self.top) / size[1]
        right, bottom = (box[0] + self.right) / size[0], (box[1] + self.bottom) / size[1]
        return Place(x, y, right, bottom, self.difference)


def regions_of(differences: NDArray[np.float64], bound: float, size: tuple[int, ...]) -> list[Region]:
    """Windows that differ, joined over gaps of a letter; a region ends at the middles of its outermost windows."""
    from scipy import ndimage

    differ = differences > bound
    if not differ.any():
        return []
    grown = strongest_near(differ.astype(np.float64), _GAP) > 0  # a dilation, in a tenth of the time of scipy's
    labels, number = ndimage.label(grown, structure=np.ones((3, 3)))
    labels[~differ] = 0
    weights = np.bincount(labels.ravel(), differences.ravel(), number + 1) / bound
    counts = np.bincount(labels.ravel(), minlength=number + 1)
    found = []
    for label, part in enumerate(ndimage.find_objects(labels), start=1):
        if weights[label] < _FEWEST:
            continue
        top, bottom = _ends(part[0], differences.shape[0], size[0])
        left, right = _ends(part[1], differences.shape[1], size[1])
        most = differences[part][labels[part] == label].max()
        found.append(Region(left, top, right, bottom, int(counts[label]), float(most)))
    return found


def _ends(windows: slice, number: int, size: int) -> tuple[int, int]:
    """Pixels from the middle of the first window to that of the last, or to the edge that they touch."""
    first = windows.start * STEP + WINDOW // 2 if windows.start else 0
    last = (windows.stop - 1) * STEP + WINDOW // 2 + 1 if windows.stop < number else size
    return first, last


def captions_among(found: list[Region], mine: Gray, other: Gray) -> list[Region]:
    """The regions that a caption explains; none if together they are more, or less, than a line of text."""
    if not found:
        return []
    width = mine.shape[1]
    strips = strips_of(mine, other)
    captions = [region for region in found if is_in(region, strips) or _is_caption(region, mine, other)]
    area = sum((region.right - region.left) * (region.bottom - region.top) for region in captions)
    length = sum((region.right - region.left) / width for region in captions)
    most = max(_CAPTION * mine.size, _deepest(len(mine)) * width)
    return captions if area <= most and length >= _LINE else []


def strips_of(mine: Gray, other: Gray) -> list[Region]:
    """Boxes laid over the whole width at the top or bottom: paper on other paper.

    Windows see no paper, only print: of a box on an empty margin they find no more than its rim.
    """
    height, width = mine.shape
    above, below = rows_apart(mine, other, _PAPER)
    found = []
    for top, bottom in ((0, above), (height - below, height)):
        if 0 < bottom - top <= _deepest(height) and max(_paper(part[top:bottom]) for part in (mine, other)) > _PRINTED:
            found.append(Region(0, top, width, bottom, 0, 0.0))
    return found


def _deepest(height: int) -> float:
    """Pixels that a caption may be deep in a picture of so many."""
    return max(_STRIP * height, min(_SMALLEST, height / 4))


def is_in(region: Region, strips: list[Region]) -> bool:
    """Whether a region lies in a strip, but for the reach of windows and of what blurs the rim."""
    return any(each.top - WINDOW <= region.top and region.bottom <= each.bottom + WINDOW for each in strips)


def _paper(part: Gray) -> float:
    """Share (0..1) of pixels of the most frequent gray, about: paper between letters, not a photo."""
    return float((np.abs(part - np.median(part)) <= _EVEN).mean())


def _is_caption(region: Region, mine: Gray, other: Gray) -> bool:
    """A shallow region at the top or bottom, and not just another line of print in the same place."""
    height = len(mine)
    if min(region.top, height - region.bottom) > max(_NEAR_EDGE * height, WINDOW):
        return False
    if region.bottom - region.top > _deepest(height):
        return False
    part = slice(region.top, region.bottom), slice(region.left, region.right)
    return not _is_retyped(mine[part], other[part])


def _is_retyped(mine: Gray, other: Gray) -> bool:
    """Whether both hold as much ink in the same rows: other words of the same document."""
    if abs(float(np.median(mine)) - float(np.median(other))) > _PAPER:
        return False
    if (_paper(mine) > _PRINTED) != (_paper(other) > _PRINTED):
        return False  # print on one, a photo on the other
    if mine.shape[1] < 2:  # noqa: PLR2004  nothing to tell ink by
        return True
    rows = [np.abs(np.diff(part, axis=1)).mean(axis=1, dtype=np.float64) for part in (mine, other)]
    ink = [float(row.sum()) for row in rows]
    if min(ink) < 0.5 * max(ink):
        return False
    spread = rows[0].std() * rows[1].std()
    return bool(spread > 0 and ((rows[0] - rows[0].mean()) * (rows[1] - rows[1].mean())).mean() > 0.7 * spread)
