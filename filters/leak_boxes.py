"""Hashes of parts of a picture, by which a copy is found that was cut, or that has a strip of something else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import ClassVar, Final

import polars as pl

from filters.base import Columns
from filters.phash import SIDE, frequencies_of, hash_of
from filters.pictures import gray_std
from shards.picture import SAMPLE_PX, Picture

Box = tuple[float, float, float, float]
"""Shares (0..1) of the picture that are left out: left, top, right, bottom."""

INSETS: Final = (
    *((0.0, 0.0), (0.025, 0.025), (0.05, 0.05), (0.075, 0.075), (0.1, 0.1)),
    *((0.05, 0.0), (0.0, 0.05), (0.1, 0.0), (0.0, 0.1)),
)
"""What is left out at the two ends of a side, as shares: the middle, and one end only, up to a tenth at each."""

BOXES: Final[tuple[Box, ...]] = tuple(
    (left, top, right, bottom) for (left, right), (top, bottom) in product(INSETS, INSETS)
)
"""Parts of a benchmark's picture that are hashed, 81: the first is the whole. A cut of up to a tenth at any side leaves
nearly one of them. Ours, from docs/leakage.md."""

STRIPS: Final = (0.04, 0.07, 0.1)
"""Shares of a training picture that are left out at the top or at the bottom, where somebody may have put a caption."""


CUTS: Final[tuple[Box, ...]] = (
    *((0.0, share, 0.0, 0.0) for share in STRIPS),
    *((0.0, 0.0, 0.0, share) for share in STRIPS),
)
"""Strips as boxes, in the order of the columns of `StripCuts`."""


def part_hashes(picture: Picture, boxes: Sequence[Box], *, flat_std: float) -> list[int] | None:
    """The perceptual hash of each part of a picture; None for a picture so flat that the bits are noise.

    Args:
        picture: as `shards.picture.sample` decodes it.
        boxes: parts, each larger than nothing.
        flat_std: gray levels of standard deviation below which a picture is flat, as in `PerceptualHash`.
    """
    from filters.squares import squares  # brings the compiler in

    gray = picture.gray_within(SAMPLE_PX)
    if gray_std(picture, SAMPLE_PX) < flat_std:
        return None
    width, height = gray.size
    parts = [(left * width, top * height, (1 - right) * width, (1 - bottom) * height)
             for left, top, right, bottom in boxes]  # fmt: skip
    return [hash_of(low) for low in frequencies_of(squares(gray, parts, SIDE))]


@dataclass(frozen=True, slots=True)
class StripCuts:
    """Columns `phash_without_top_4` ..., `phash_without_bottom_10`: hashes without a strip at the top or bottom.

    The numbers are percent of the height. A picture below which somebody wrote a caption is, without that strip, the
    picture as it was. All are null for a flat picture, see `PerceptualHash`. No sample has a score of them: the search
    for leaked benchmark pictures reads the per-picture table, and only a recipe that asks for one has them made.

    Source: ours.
    """

    writes: ClassVar[Columns] = {
        f"phash_without_{end}_{round(100 * share)}": pl.UInt64 for end in ("top", "bottom") for share in STRIPS
    }
    reduces: ClassVar[Mapping[str, tuple[str, str]]] = {}
    version: ClassVar[int] = 1

    flat_std: float = 2.0

    def __call__(self, picture: Picture) -> tuple[float | int | None, ...]:
        """Hashes in the order of `writes`; all None for a flat picture."""
        found = part_hashes(picture, CUTS, flat_std=self.flat_std)
        return (None,) * len(CUTS) if found is None else tuple(found)
