"""Rows packed into training sequences of a token budget: best fit decreasing, exact integers, any number of rows."""

from typing import Final, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]

NONE: Final = -1
"""Sequence of a row that is longer than the budget."""


class Packed(NamedTuple):
    """`sequence` (n,) Int64, the sequence of each row or NONE; `num_sequences` of them, numbered from 0."""

    sequence: Integers
    num_sequences: int


def pack(tokens: Integers, budget: int) -> Packed:
    """Group rows into sequences of at most `budget` tokens.

    Best fit decreasing: rows from long to short, each into the sequence where it leaves least room. With many rows much
    shorter than the budget the fill is near 100 %; at worst 11/9 of the fewest sequences possible plus one.

    Args:
        tokens: (n,) Int64, tokens of each row; rows of 0 tokens take the room of 1.
        budget: tokens of a sequence, at least 1.

    Returns:
        Sequences numbered in the order of their longest rows; equal lengths in the order given, so equal input gives
        equal output.

    Source: Johnson 1973, near-optimal bin packing algorithms; used for training sequences in arXiv 2404.10830.
    """
    sizes = np.maximum(tokens, 1).astype(np.int64)
    fitting = np.flatnonzero(sizes <= budget)
    order = fitting[np.argsort(-sizes[fitting], kind="stable")]
    sequence = np.full(len(sizes), NONE, dtype=np.int64)
    if not len(order):
        return Packed(sequence, 0)
    packed, count = _best_fit(sizes[order], budget)
    sequence[order] = packed
    return Packed(sequence, int(count))


@numba.njit(cache=True, nogil=True)
def _best_fit(sizes: Integers, budget: int) -> tuple[Integers, int]:
    """Sequences of rows that come in descending size. Open sequences are chained by their room, lists start at `head`.

    `tree` is a complete binary tree over rooms, 1 where some list below is not empty: the smallest sufficient room is
    found in log2(budget) steps.
    """
    leaves = 1
    while leaves < budget + 1:
        leaves *= 2
    tree = np.zeros(2 * leaves, dtype=np.uint8)
    head = np.full(budget + 1, -1, dtype=np.int64)
    following = np.full(len(sizes), -1, dtype=np.int64)
    result = np.empty(len(sizes), dtype=np.int64)
    count = 0
    for row in range(len(sizes)):
        size = sizes[row]
        room = _smallest(tree, leaves, size)
        if room < 0:
            bin_, room = count, budget
            count += 1
        else:
            bin_ = head[room]
            head[room] = following[bin_]
            if head[room] < 0:
                _mark(tree, leaves + room, 0)
        result[row] = bin_
        left = room - size
        following[bin_] = head[left]
        head[left] = bin_
        _mark(tree, leaves + left, 1)
    return result, count


@numba.njit(cache=True, nogil=True)
def _smallest(tree: npt.NDArray[np.uint8], leaves: int, size: int) -> int:
    """Smallest room of at least `size` with an open sequence, or -1."""
    node = leaves + size
    if node >= 2 * leaves:
        return -1
    if tree[node]:
        return node - leaves
    # climb until there is something to the right, then go down on its left edge
    while node > 1 and not (node % 2 == 0 and tree[node + 1]):
        node //= 2
    if node <= 1:
        return -1
    node += 1
    while node < leaves:
        node = 2 * node if tree[2 * node] else 2 * node + 1
    return node - leaves


@numba.njit(cache=True, nogil=True)
def _mark(tree: npt.NDArray[np.uint8], node: int, value: int) -> None:
    tree[node] = value
    while node > 1:
        node //= 2
        tree[node] = tree[2 * node] | tree[2 * node + 1]
