"""Texts that are nearly the same: found by shared bands, each compared with kept ones alone, so that none chain."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from manifests.near_text_kernels import MOST_KEPT, by_row, join, unfilled

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class TextSets:
    """Shingles of k texts: a shingle is some words in a row, by 32 bits of a hash.

    Attributes:
        values: (s,) uint32; may be mapped from a file.
        places: (k, 3) int64; the questions of text i are `values[places[i, 0]:places[i, 1]]`, sorted and distinct, its
            answers go from there to `places[i, 2]`.
        numbers: (k,) uint64, a hash of the numbers in each text.
    """

    values: NDArray[np.uint32]
    places: Rows
    numbers: NDArray[np.uint64]


class TextRows(Protocol):
    """What is asked of n texts, by their row."""

    def bands(self) -> Iterator[NDArray[np.uint64]]:
        """(n,) hashes, one array for each band; 0 where a text has none."""
        ...

    def sets(self, rows: Rows) -> TextSets:
        """Shingles of some texts, in ascending order of their rows."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class NearTexts:
    """Which of n texts duplicate which.

    Attributes:
        kept: (n,) int64, the row that each duplicates, a kept one; its own where it is kept itself.
        similarity: (n,) float64, with that row, `similarity` .. 1; nan where a row is kept.
    """

    kept: Rows
    similarity: NDArray[np.float64]


def near_texts(texts: TextRows, similarity: float, *, same_numbers: bool = True) -> NearTexts:
    """Duplicates among n texts in order of preference: earlier rows are kept.

    Each text in turn is compared with the kept ones that share a band with it and joins the most similar one, the
    earliest of such, or is kept itself. The similarity of two texts is the Jaccard similarity of the shingles of their
    questions or of their answers, whichever is lower: a long passage in common makes no duplicates of two questions
    about it. Where an answer is a few words, which may well be the same, questions differ in a word at most, see
    `FEW_SAID`. Similarity is counted on the texts' own shingles; bands only say what is worth a comparison.

    Where a kept text and `FEWEST_FILLED` or more others are so similar, and nearly all of those differ from it at one
    place, each in its own way, they fill in a form: what stands there tells them apart, and all are kept.

    Time grows with the texts, whatever they are: see `MOST_KEPT` and `MOST_COMPARED`. Only texts that share a band
    with another have their shingles read.

    Args:
        texts: distinct samples without pictures.
        similarity: 0..1, from which on two texts are duplicates.
        same_numbers: texts in which other numbers stand are no duplicates, however similar.
    """
    owners, buckets, number = _entries(texts)
    kept, alike = np.arange(number, dtype=np.int64), np.full(number, np.nan)
    if len(owners):
        shares, buckets = by_row(owners, buckets, number)
        rows = np.flatnonzero(shares)
        starts = np.concatenate([[0], np.cumsum(shares[rows])])
        slots = np.concatenate([[0], np.cumsum(np.minimum(np.bincount(buckets), MOST_KEPT))])
        sets = texts.sets(rows)
        places = sets.values, sets.places
        joined, found = join(starts, buckets, slots, *places, sets.numbers, similarity, same_numbers)
        joined, alike[rows] = unfilled(joined, found, *places)
        kept[rows] = rows[joined]
    return NearTexts(kept, alike)


def _entries(texts: TextRows) -> tuple[NDArray[np.uint32], NDArray[np.uint32], int]:
    """Rows and numbers of the bands that several texts share, and n; one band is in memory at a time."""
    owners, buckets = [np.empty(0, np.uint32)], [np.empty(0, np.uint32)]
    count = number = 0
    for values in texts.bands():
        number = len(values)
        order = np.argsort(values)
        ordered = values[order]
        again = np.concatenate([[False], (ordered[1:] == ordered[:-1]) & (ordered[1:] != 0)])[:number]
        shared = again.copy()
        shared[:-1] |= again[1:]
        firsts = np.cumsum(~again[shared], dtype=np.int64)
        owners.append(order[shared].astype(np.uint32))
        buckets.append((firsts + (count - 1)).astype(np.uint32))
        count += int(firsts[-1]) if len(firsts) else 0
    return np.concatenate(owners), np.concatenate(buckets), number
