"""Which rows of a source enter: the operators of published recipes, with their rounding."""

import hashlib
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import polars as pl

from manifests.recipe import Take


def amount(take: Take, rows: int) -> int:
    """Rows that a take asks for, out of `rows` published ones; never more than there are."""
    if take.percent is not None:
        exact = Fraction(str(take.percent)) * rows / 100
        wanted = math.ceil(exact) if take.rounding == "ceil" else math.floor(exact)
    else:
        wanted = rows if take.rows is None else take.rows
    return min(wanted, rows)


def taken(take: Take, keys: pl.Series, positions: pl.Series, published: int, *, seed: int, entry: str) -> pl.Series:
    """Mask of the samples that a take selects.

    Args:
        take: the operator.
        keys: (n,) String, sample keys.
        positions: (n,) Int64, index of each sample in the source as published; quarantined rows leave gaps.
        published: rows as published, quarantined ones included.
        seed: of the recipe.
        entry: id of the entry; the random order depends on it, not on its place in the YAML.

    Returns:
        (n,) Boolean. `end` with 0 rows takes none (in LLaVA-NeXT's loader `[-0:]` takes all).
    """
    wanted = amount(take, published)
    if take.kind == "random":
        return pl.Series(hash_order(keys.to_list(), seed=seed, entry=entry) < wanted)
    if take.kind == "end":
        return positions >= published - wanted
    return positions < wanted


def hash_order(keys: Sequence[str], *, seed: int, entry: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Rank of each key (0 first) in the order of a hash of (seed, entry, key): stable under any reordering of rows."""
    prefix = hashlib.blake2b(f"{seed}\0{entry}\0".encode(), digest_size=8)
    hashes = np.empty(len(keys), dtype=np.uint64)
    for row, key in enumerate(keys):  # the work per row is hashing, which numpy cannot do
        digest = prefix.copy()
        digest.update(key.encode())
        hashes[row] = int.from_bytes(digest.digest(), "big")
    ranks = np.empty(len(keys), dtype=np.int64)
    # equal hashes (2^-64) are ordered by key, so that row order never matters
    ranks[np.lexsort((np.array(keys, dtype=object).astype(str), hashes))] = np.arange(len(keys))
    return ranks


def emitted(repeat: float, order: np.ndarray[tuple[int], np.dtype[np.int64]]) -> pl.Series:
    """Times that each written row is emitted.

    A repeat factor r gives every row floor(r) copies and, in hash order, the first ones another, so that the total is
    floor(r x rows) with r taken as the decimal number that was written.

    Args:
        repeat: factor, above 0.
        order: (n,) rank of each row, from `hash_order`.

    Returns:
        (n,) Int64.
    """
    exact = Fraction(str(repeat))
    whole = math.floor(exact)
    extra = math.floor(exact * len(order)) - whole * len(order)
    return pl.Series(whole + (order < extra).astype(np.int64), dtype=pl.Int64)
