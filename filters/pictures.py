"""Plain facts about each picture: size, shape, contrast, frames."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl
from PIL import Image

from filters.base import Columns
from shards.picture import Picture


@dataclass(frozen=True, slots=True)
class PictureBasics:
    """Scores `min_side_px`, `aspect`, `gray_std`, `num_frames`, `exif_rotated`, `bytes_per_px` of the worst picture.

    Per picture: `side_px`, the shorter side as stored; `aspect`, longer by shorter side; `gray_std`, standard deviation
    (0..127.5) of the gray values once the picture is averaged down by a whole factor to at most `sample_px` a side,
    so that 0 is blank; `num_frames`; `exif_rotated`, where the EXIF orientation is not upright, which trainers ignore;
    `bytes_per_px`, file size by number of pixels of one frame.

    Args of the dataclass:
        sample_px: pixels, at most 256; the deviation needs no more, and large pictures would cost ten times as much.

    Source: ours.
    """

    writes: ClassVar[Columns] = {
        "side_px": pl.Int32,
        "aspect": pl.Float64,
        "gray_std": pl.Float64,
        "num_frames": pl.Int32,
        "exif_rotated": pl.Boolean,
        "bytes_per_px": pl.Float64,
    }
    reduces: ClassVar[Mapping[str, tuple[str, str]]] = {
        "min_side_px": ("side_px", "min"),
        "aspect": ("aspect", "max"),
        "gray_std": ("gray_std", "min"),
        "num_frames": ("num_frames", "max"),
        "exif_rotated": ("exif_rotated", "max"),
        "bytes_per_px": ("bytes_per_px", "min"),
    }
    version: ClassVar[int] = 2

    sample_px: int = 256

    def __call__(self, picture: Picture) -> tuple[float | int | None, ...]:
        """Values in the order of `writes`; never None."""
        short, long = sorted((picture.width, picture.height))
        return (
            short,
            long / short,
            gray_std(picture, self.sample_px),
            picture.num_frames,
            picture.orientation != 1,
            picture.num_bytes / (short * long),
        )


def gray_std(picture: Picture, side: int) -> float:
    """Standard deviation (0..127.5) of the values of `picture.gray_within(side)`; found once and kept."""
    return picture.once("gray_std", side, lambda: _deviation(picture.gray_within(side)))


def _deviation(gray: Image.Image) -> float:
    from filters.picture_kernels import gray_counts  # brings the compiler in

    counts = gray_counts(np.asarray(gray))  # a tenth of the time that floats of all pixels take
    values = np.arange(len(counts)) - counts @ np.arange(len(counts)) / counts.sum()
    return float(np.sqrt(counts @ values**2 / counts.sum()))
