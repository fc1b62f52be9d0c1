"""Duplicate clusters among many rows: CPU seconds and memory of the search behind the hashes; synthetic rows.

    python -m benchmarks.clusters --rows 10000000 [--level picture]

Every size is a process of its own. One row in ten is a copy of another, half of them with the same bytes, half with
two bits of the hash flipped; 50,000 rows show one placeholder, and 1,000 rows fill in one form: hashes that differ by
at most two bits, pictures that a comparison calls different. `pair`: one question serves 1,000 rows, and answers are
few (`yes`, `no`), so that near pictures are looked for among rows of the same text. `picture`: text counts for nothing,
so that every picture is held against all. Comparisons are answered by a table: their cost is not part of this.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl

from manifests.clusters import find_clusters
from manifests.near import Compared, Evidence, Numbers, Pair, Pictures, Samples
from manifests.near_text import TextRows
from manifests.recipe import Dedup

SIZES: Final = (1_000_000, 10_000_000)
PLACEHOLDERS: Final = 50_000
FORMS: Final = 1_000
QUESTION: Final = 1_000
"""Rows that share a question."""
ANSWERS: Final = 2
FORM: Final = np.uint64(0xF0F0_F0F0_0F0F_0F0F)


def origins(number: int) -> Numbers:
    """(n,) the row that each is a copy of, itself where it is none; see the head of this file."""
    rng = np.random.default_rng(2)
    found = np.arange(number)
    found[-(number // 10) :] = rng.integers(0, number // 2, number // 10)
    found[number // 2 : number // 2 + PLACEHOLDERS] = 0
    return found


def samples(number: int) -> Samples:
    """Rows of one source, with one picture each."""
    rng = np.random.default_rng(1)
    question = rng.integers(0, number // QUESTION, number, dtype=np.uint64)[origins(number)]
    text = question * np.uint64(ANSWERS) + rng.integers(0, ANSWERS, number, dtype=np.uint64)[origins(number)]
    return Samples(("bench",), np.zeros(number, np.int32), np.arange(number), question, text)


def pictures(number: int) -> Pictures:
    """Random pictures with the copies that the head of this file names."""
    rng = np.random.default_rng(0)
    of = origins(number)
    digests = rng.integers(0, 2**64, (number, 4), dtype=np.uint64)
    hashes = rng.integers(0, 2**64, (number, 3), dtype=np.uint64)
    near = np.flatnonzero(of != np.arange(number))[::2]
    near = near[near >= number - number // 10]
    flips = np.uint64(1) << rng.integers(0, 64, (2, len(near)), dtype=np.uint64)
    copies = np.flatnonzero(of != np.arange(number))
    hashes[copies] = hashes[of[copies]]
    hashes[near, 0] ^= flips[0] ^ flips[1]
    alike = np.setdiff1d(copies, near)
    digests[alike] = digests[of[alike]]
    forms = slice(number // 2 + PLACEHOLDERS, number // 2 + PLACEHOLDERS + FORMS)
    hashes[forms, 0] = FORM ^ (np.uint64(1) << rng.integers(0, 64, FORMS, dtype=np.uint64))
    digests[forms, 0] = FORM  # so that the comparison knows them
    ones = np.ones(number, np.int64)
    return Pictures(ones, ones, digests, hashes, np.zeros(number, np.bool_))


def compare(pairs: Sequence[Pair]) -> dict[Pair, Compared]:
    """Forms differ inside; all other near pictures are the same."""
    form = f"{int(FORM):016x}"
    same, other = Compared(True, "agrees", 0.05), Compared(False, "inside", 0.9)
    return {pair: other if pair.left.startswith(form) and pair.right.startswith(form) else same for pair in pairs}


def no_texts(*_: object) -> TextRows:
    """All rows have pictures."""
    raise AssertionError


def measure(number: int, level: str, radius: int) -> None:
    """Print one line."""
    made: list[Pictures] = [pictures(number)]
    rows = [samples(number)]
    asked: list[Pair] = []

    def look(_: str, places: Numbers) -> Pictures:
        assert len(places) == number, "every row has company"
        return made.pop()  # so that the search alone holds them

    def counted(pairs: Sequence[Pair]) -> dict[Pair, Compared]:
        asked.extend(pairs)
        return compare(pairs)

    def keys(_: str, places: Numbers) -> pl.Series:
        return pl.Series(places).cast(pl.String)

    dedup = Dedup.model_validate({"level": level, "distance": radius})
    before = peak()
    begin = time.process_time()
    found = find_clusters(rows.pop(), dedup, Evidence(look, counted, no_texts), keys)
    seconds = time.process_time() - begin
    reasons = dict(found.group_by("reason").len().sort("reason").iter_rows())
    print(
        f"{level:<8} radius {radius} {number:>11,} rows {seconds:>7.1f} CPU s  peak {peak():>6,.0f} MiB, "
        f"{before:,.0f} before the search; {len(asked):,} comparisons; {reasons}",
        flush=True,
    )


def peak() -> float:
    """Largest resident set so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure every size in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--level", choices=("pair", "picture"))
    parser.add_argument("--radius", type=int, default=4)
    options = parser.parse_args()
    if options.rows and options.level:
        measure(options.rows, options.level, options.radius)
        return
    for number in [options.rows] if options.rows else SIZES:
        for level in [options.level] if options.level else ("pair", "picture"):
            words = ["--rows", str(number), "--level", level, "--radius", str(options.radius)]
            subprocess.run([sys.executable, "-m", "benchmarks.clusters", *words], check=True, env=os.environ)


if __name__ == "__main__":
    main()
