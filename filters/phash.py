"""The perceptual hashes that near-duplicate search works on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from filters.base import Columns
from filters.pictures import gray_std
from shards.picture import SAMPLE_PX, Picture

SIDE: Final = 32
"""Pixels a side of the square that a hash is made of."""
_LOW: Final = 8

_MIRRORED: Final = np.where(np.arange(_LOW) % 2, -1.0, 1.0)
"""Of each horizontal frequency; what a mirror does to the coefficients."""

Frequencies = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PerceptualHash:
    """Columns `phash`, `phash_mirror`, `phash_inner`: 64 bits that look-alike pictures share most of.

    Gray, 32 x 32, cosine transform, the 8 x 8 lowest frequencies; a bit is set where the coefficient is above their
    median. The highest bit is the constant part, then row by row (vertical frequency 0 first). A sample has no score of
    them: clusters read the per-picture table. All three are null for a picture whose gray values deviate by less than
    `flat_std`, of which the bits are noise.

    * `phash`: of the whole picture, `int(str(imagehash.phash(image)), 16)` where it was decoded in full and has 8 bits
      a channel. JPEGs over 256 pixels a side are decoded at a fraction of their size: of those 99 in 100 are within two
      bits, as `python -m benchmarks.hashes FOLDER` counts.
    * `phash_mirror`: of the picture seen in a mirror, from the same coefficients: those of an odd horizontal frequency
      change their sign. It is in the radius of another picture's `phash` where that is a mirrored copy.
    * `phash_inner`: of the picture without `inset` of each side. The whole of one against the inside of another is near
      where one of them was cropped by about as much or got a border.

    Args of the dataclass:
        inset: share (0..0.5, exclusive) of a side.
        flat_std: standard deviation (0..127.5) of the gray values once the picture is averaged down to at most 256
            pixels a side, as `gray_std` of `PictureBasics`.

    Source: imagehash 4.3.2, `phash` with hash_size 8 and highfreq_factor 4; mirror and inside: ours.
    """

    writes: ClassVar[Columns] = {"phash": pl.UInt64, "phash_mirror": pl.UInt64, "phash_inner": pl.UInt64}
    reduces: ClassVar[Mapping[str, tuple[str, str]]] = {}
    version: ClassVar[int] = 2

    inset: float = 0.03
    flat_std: float = 2.0

    def __call__(self, picture: Picture) -> tuple[float | int | None, ...]:
        """Hashes in the order of `writes`; all None for a flat picture."""
        from filters.squares import squares  # brings the compiler in

        gray = picture.gray_within(SAMPLE_PX)
        if gray_std(picture, SAMPLE_PX) < self.flat_std:
            return None, None, None
        width, height = size = picture.size_within(SAMPLE_PX)
        box = (self.inset * width, self.inset * height, (1 - self.inset) * width, (1 - self.inset) * height)
        full, size = (gray, size) if picture.scale > 1 else (picture.gray(), picture.gray().size)  # as imagehash
        made = squares(full, [(0.0, 0.0, *size)], SIDE), squares(gray, [box], SIDE)
        whole, inner = frequencies_of(np.concatenate(made))
        return hash_of(whole), hash_of(whole * _MIRRORED), hash_of(inner)


def frequencies_of(squares: npt.NDArray[np.uint8]) -> Frequencies:
    """The lowest coefficients of n squares, (n, 32, 32) uint8 to (n, 8, 8) float64: downwards, across.

    By the routine of imagehash, since ties at the median, as drawings of few lines have, hang on its last bit; it
    takes 12 of the 900 microseconds that a photo costs.
    """
    from scipy.fftpack import dct

    low: Frequencies = dct(dct(squares, axis=1), axis=2)[:, :_LOW, :_LOW]
    return low


def hash_of(low: Frequencies) -> int:
    """The 64 bits of one picture from its (8, 8) coefficients."""
    middle = np.sort(low, axis=None)[low.size // 2 - 1 : low.size // 2 + 1]  # np.median takes ten times as long
    return int.from_bytes(np.packbits(low > middle.sum() / 2).tobytes(), "big")
