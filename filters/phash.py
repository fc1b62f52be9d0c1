"""The perceptual hash that near-duplicate search works on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import polars as pl
from PIL import Image

from filters.base import Columns
from shards.picture import Picture

_SIDE: Final = 32
_LOW: Final = 8


@dataclass(frozen=True, slots=True)
class PerceptualHash:
    """Column `phash`: 64 bits that look-alike pictures share most of, the same as `imagehash.phash` gives.

    Gray, 32 x 32, cosine transform, the 8 x 8 lowest frequencies; a bit is set where the coefficient is above their
    median. The highest bit is the constant part, then row by row (vertical frequency 0 first), so that the value is
    `int(str(imagehash.phash(image)), 16)`. A sample has no score of it: clusters read the per-picture table.

    Source: imagehash 4.3.2, `phash` with hash_size 8 and highfreq_factor 4.
    """

    writes: ClassVar[Columns] = {"phash": pl.UInt64}
    reduces: ClassVar[Mapping[str, tuple[str, str]]] = {}
    version: ClassVar[int] = 1

    def __call__(self, picture: Picture) -> tuple[float | int | None, ...]:
        """Hash one picture; never None."""
        from scipy.fftpack import dct

        pixels = np.asarray(picture.gray().resize((_SIDE, _SIDE), Image.Resampling.LANCZOS))
        low = dct(dct(pixels, axis=0), axis=1)[:_LOW, :_LOW]
        bits = np.packbits(low > np.median(low))
        return (int.from_bytes(bits.tobytes(), "big"),)
