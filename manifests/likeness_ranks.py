"""Quantiles of many values at once: numpy's to the last bit, of a fraction of the work."""

from dataclasses import dataclass
from math import floor

import numpy as np
from numba import njit
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Ranked:
    """Values of which quantiles are asked: sorted into buckets by their leading bits, as far as that goes.

    `values`: float64, none below 0 and none that is no number; where `mask` is false they do not count. `counts`:
    (32768,) values of each bucket.
    """

    values: NDArray[np.float64]
    mask: NDArray[np.bool_]
    counts: NDArray[np.int64]
    number: int

    def quantile(self, share: float) -> float:
        """As `np.quantile(values[mask], share)`, one value at least.

        Source: numpy 2.4, lib/_function_base_impl.py: method `linear`, `_lerp`.
        """
        place = (self.number - 1) * share
        first = floor(place)
        low, high = self._two(first)
        beyond, apart = place - first, high - low
        return high - apart * (1 - beyond) if 2 * beyond >= 1 else low + apart * beyond

    def median(self) -> float:
        """As `np.median(values[mask])`, one value at least."""
        low, high = self._two((self.number - 1) // 2)
        return low if self.number % 2 else (low + high) / 2

    def _two(self, rank: int) -> tuple[float, float]:
        """The value of a rank and that of the next, or the last twice."""
        bucket, below = _bucket_of(self.counts, rank)
        members = np.sort(_members(self.values, self.mask, bucket, self.counts[bucket]))
        low, place = float(members[rank - below]), rank - below + 1
        if place < len(members):
            return low, float(members[place])
        if rank + 1 >= self.number:
            return low, low
        bucket, _ = _bucket_of(self.counts, rank + 1)
        return low, float(_members(self.values, self.mask, bucket, self.counts[bucket]).min())


def ranked(values: NDArray[np.float64], mask: NDArray[np.bool_] | None = None) -> Ranked:
    """Values of any shape, and which of them count: all, if not said."""
    flat, chosen = values.ravel(), np.ones(values.size, np.bool_) if mask is None else mask.ravel()
    counts = _counts(flat.view(np.int64), chosen)
    return Ranked(flat, chosen, counts, int(counts.sum()))


@njit(cache=True, nogil=True)
def _counts(bits, mask):  # type: ignore[no-untyped-def]  # compiled
    # The leading bits of floats that are not negative are in the order of the floats; the sign of -0.0 is left out.
    counts = np.zeros(32768, np.int64)
    for i in range(len(bits)):
        counts[bits[i] >> 48 & 32767] += mask[i]
    return counts


@njit(cache=True, nogil=True)
def _bucket_of(counts, rank):  # type: ignore[no-untyped-def]  # compiled
    below = 0
    for bucket in range(len(counts)):
        if below + counts[bucket] > rank:
            return bucket, below
        below += counts[bucket]
    return -1, below


@njit(cache=True, nogil=True)
def _members(values, mask, bucket, number):  # type: ignore[no-untyped-def]  # compiled
    found = np.empty(number)
    bits, place = values.view(np.int64), 0
    for i in range(len(values)):
        if bits[i] >> 48 & 32767 == bucket and mask[i]:
            found[place] = values[i]
            place += 1
    return found
