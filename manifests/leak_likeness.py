"""Whether a picture shows one of a benchmark: both whole, or the parts of both whose hashes are near."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from manifests.likeness import Likeness, likeness

Box = tuple[float, float, float, float]
"""Shares (0..1) of a picture that are left out: left, top, right, bottom."""

WHOLE: Final[Box] = (0.0, 0.0, 0.0, 0.0)


def likeness_of_parts(
    mine: NDArray[np.uint8], other: NDArray[np.uint8], *, mine_without: Box = WHOLE, other_without: Box = WHOLE
) -> Likeness:
    """Compare two pictures as they are, and where that says no, without what one of them may lack.

    A cut of a tenth at every side leaves less than a comparison of whole pictures asks for, and a strip with a caption
    is more than one allows for; near hashes say which parts correspond.

    Args:
        mine: (h, w) uint8 gray as of `manifests.likeness.shrunk`.
        other: the same of the benchmark's.
        mine_without: what is left out of `mine`, such as a strip.
        other_without: what is left out of `other`, such as what was cut off.
    """
    found = likeness(mine, other)
    if found.same or mine_without == other_without == WHOLE:
        return found
    inner = likeness(_inside(mine, mine_without), _inside(other, other_without))
    return inner if inner.same else found


def _inside(gray: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    height, width = gray.shape
    left, top, right, bottom = box
    rows = slice(round(top * height), max(round((1 - bottom) * height), round(top * height) + 1))
    columns = slice(round(left * width), max(round((1 - right) * width), round(left * width) + 1))
    return np.ascontiguousarray(gray[rows, columns])
