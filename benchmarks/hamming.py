"""Pairs of near hashes: our chunk join against comparing all pairs with imagehash, same hashes, one run.

`python -m benchmarks.hamming [--largest ROWS]`. Prints CPU seconds, pairs found and peak memory of the process so far.
"""

import argparse
import resource
import time
from collections.abc import Callable
from functools import partial
from itertools import combinations

import imagehash
import numpy as np
import polars as pl

from manifests.hamming import hamming_pairs

RADIUS = 4
FAR = 8
SMALL = 3_000
SIZES = (100_000, 1_000_000, 10_000_000, 30_000_000, 100_000_000)
NEW = 100_000
"""Hashes that are held against the others of a size in the last line of each."""


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
    begin = time.process_time()
    found = work()
    seconds = time.process_time() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{name:<24} {number:>11,} hashes {seconds:>8.2f} s {found:>10,} pairs  peak {peak:,.0f} MiB", flush=True)
    return seconds


def all_pairs(values: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> int:
    """Compare every pair as imagehash does."""
    made = [imagehash.hex_to_hash(f"{value:016x}") for value in values]
    return sum(left - right <= RADIUS for left, right in combinations(made, 2))


def main() -> None:
    """Run all sizes; imagehash only at the smallest, since its time grows with the square."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", type=int, default=10_000_000)
    largest = parser.parse_args().largest
    warm = pl.Series([1, 2], dtype=pl.UInt64)
    hamming_pairs(warm, RADIUS), hamming_pairs(warm, RADIUS, since=1)  # compile outside the measurement
    ours = measure("hamming_pairs", SMALL, lambda: hamming_pairs(pl.Series(hashes(SMALL)), RADIUS).height)
    theirs = measure("imagehash, all pairs", SMALL, lambda: all_pairs(hashes(SMALL)))
    print(f"ratio at {SMALL:,}: {theirs / ours:,.0f} x")
    for number in (size for size in SIZES if size <= largest):
        values = pl.Series(hashes(number))
        for radius in (RADIUS, FAR):
            measure(f"radius {radius}", number, partial(_found, values, radius, 0))
        measure(f"radius {FAR}, {NEW:,} new", number, partial(_found, values, FAR, number - NEW))


def _found(values: pl.Series, radius: int, since: int) -> int:
    return hamming_pairs(values, radius, since=since).height


if __name__ == "__main__":
    main()
