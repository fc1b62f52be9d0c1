"""How far the pixels of a picture follow their neighbours: blurred, sharp, or noise."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from filters.base import Columns
from shards.picture import Picture

_FARS: Final = (5, 6, 7, 8)
_FAR: Final = _FARS[-1]
_BLOCK: Final = 16
_LEAST: Final = _BLOCK + _FAR
_STEPS: Final = np.array([1, *_FARS])
_ROUNDED: Final = 1 << 24
"""Whole numbers from here on have no float of 32 bits each."""

Energy = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PictureGrain:
    """Scores `sharpness` (least over the pictures) and `noise_floor` (most): steps to near pixels by steps to far ones.

    Both divide squared differences of gray between neighbours by those between pixels eight apart, across and down,
    once the picture is averaged down to at most `sample_px` a side. A slope has 1/64, an edge 1/8, noise 1, whatever
    the contrast; photos lie between 0.02 (blurred) and 0.6, text between 0.1 and 1.2.

    `sharpness` is that of the whole picture; null for one without any step. `noise_floor` is that of blocks of 16 x 16
    pixels, and the value that a tenth of the blocks do not exceed; flat blocks have 0. Text is as restless as noise,
    but stands on paper, and its lines return: a block is divided by the largest of its steps of five to eight pixels,
    since those of a single distance vanish where it is a multiple of the distance between lines. Both are null for
    pictures with a side below 24 pixels after averaging.

    Args of the dataclass:
        sample_px: pixels a side, at most 256.

    Source: ours.
    """

    writes: ClassVar[Columns] = {"sharpness": pl.Float64, "noise_floor": pl.Float64}
    reduces: ClassVar[Mapping[str, tuple[str, str]]] = {
        "sharpness": ("sharpness", "min"),
        "noise_floor": ("noise_floor", "max"),
    }
    version: ClassVar[int] = 1

    sample_px: int = 256

    def __call__(self, picture: Picture) -> tuple[float | int | None, ...]:
        """Values in the order of `writes`; None as the class says."""
        gray = np.asarray(picture.gray_within(self.sample_px))
        if min(gray.shape) < _LEAST:
            return None, None
        near, *fars = _energies(gray)
        far = np.max(fars, axis=0)
        ratios = np.sort(np.divide(near, far, out=np.zeros_like(near), where=far > 0), axis=None)
        whole = float(fars[-1].sum())
        return float(near.sum()) / whole if whole else None, float(ratios[(len(ratios) - 1) // 10])


def _energies(gray: npt.NDArray[np.uint8]) -> Energy:
    """Of each step, the sums over whole blocks."""
    from filters.picture_kernels import block_energies

    exact = block_energies(gray, _STEPS, _BLOCK)
    if exact.max() < _ROUNDED:
        return exact.astype(np.float32)
    # sums that floats round depend on their order, which is that of numpy
    values = gray.astype(np.float32)
    return np.stack([_blocks(_energy(values, step)) for step in _STEPS.tolist()])


def _energy(gray: Energy, step: int) -> Energy:
    """Squared differences to the pixels `step` to the right and below; without the last `_FAR` rows and columns."""
    height, width = gray.shape[0] - _FAR, gray.shape[1] - _FAR
    here = gray[:height, :width]
    across, down = gray[:height, step : width + step] - here, gray[step : height + step, :width] - here
    return across * across + down * down


def _blocks(energy: Energy) -> Energy:
    """Sums over whole blocks."""
    rows, columns = energy.shape[0] // _BLOCK, energy.shape[1] // _BLOCK
    whole = energy[: rows * _BLOCK, : columns * _BLOCK]
    sums: Energy = whole.reshape(rows, _BLOCK, columns, _BLOCK).sum(axis=(1, 3))
    return sums
