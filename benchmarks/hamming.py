"""Pairs of near hashes: our chunk join against comparing all pairs with imagehash, same hashes, one run.

Run with `make bench`. Prints seconds, pairs found and peak memory of the process so far.
"""

import resource
import time
from collections.abc import Callable
from itertools import combinations

import imagehash
import numpy as np
import polars as pl

from manifests.hamming import hamming_pairs

RADIUS = 4
SMALL = 3_000
SIZES = (SMALL, 100_000, 1_000_000)


def hashes(number: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Random hashes of which one in ten is another one with two bits flipped."""
    rng = np.random.default_rng(0)
    made = rng.integers(0, 2**64, number, dtype=np.uint64)
    copies = number // 10
    bits = np.uint64(1) << rng.integers(0, 64, (2, copies), dtype=np.uint64)
    made[-copies:] = made[:copies] ^ bits[0] ^ bits[1]
    return made


def measure(name: str, number: int, work: Callable[[], int]) -> float:
    """Print one line and return the seconds it took."""
    begin = time.perf_counter()
    found = work()
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{name:<22} {number:>9,} hashes {seconds:>8.2f} s {found:>8,} pairs  peak {peak:,.0f} MiB")
    return seconds


def all_pairs(values: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> int:
    """Compare every pair as imagehash does."""
    made = [imagehash.hex_to_hash(f"{value:016x}") for value in values]
    return sum(left - right <= RADIUS for left, right in combinations(made, 2))


def main() -> None:
    """Run all sizes; imagehash only at the smallest, since its time grows with the square."""
    hamming_pairs(pl.Series([1, 2], dtype=pl.UInt64), RADIUS)  # compile outside the measurement
    ours = measure("hamming_pairs", SMALL, lambda: hamming_pairs(pl.Series(hashes(SMALL)), RADIUS).height)
    theirs = measure("imagehash, all pairs", SMALL, lambda: all_pairs(hashes(SMALL)))
    print(f"ratio at {SMALL:,}: {theirs / ours:,.0f} x")
    for number in SIZES[1:]:
        values = pl.Series(hashes(number))
        measure("hamming_pairs", number, lambda values=values: hamming_pairs(values, RADIUS).height)  # type: ignore[misc]


if __name__ == "__main__":
    main()
