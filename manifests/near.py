"""What dedup knows of kept samples, in columns, and what it may ask for: pictures, comparisons, texts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from manifests.near_text import TextRows

Numbers = NDArray[np.int64]
Places = NDArray[np.int32]
Words = NDArray[np.uint64]
Mask = NDArray[np.bool_]

WHOLE, INNER, MIRROR = range(3)
"""Columns of hashes: of the picture, of what lies inside it, of what a mirror shows."""

_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)


class Pair(NamedTuple):
    """Two pictures by SHA-256, the smaller one first; `mirrored`: the second is to be looked at in a mirror."""

    left: str
    right: str
    mirrored: bool = False


class Compared(NamedTuple):
    """What a comparison of two pictures says: see `manifests.likeness.Likeness`; `reason` may be `unreadable` too."""

    same: bool
    reason: str
    difference: float | None


Compare = Callable[[Sequence[Pair]], Mapping[Pair, Compared]]
"""Pairs of pictures, sorted, to what a comparison of each says."""


class Place(NamedTuple):
    """Where the pictures of n samples lie among all m: (n,) first one, (n,) how many."""

    begins: Places
    sizes: Places

    @classmethod
    def of(cls, counts: Numbers) -> "Place":
        """Of pictures that lie in the order of their samples."""
        return cls((np.cumsum(counts) - counts).astype(np.int32), counts.astype(np.int32))

    def at(self, rows: Numbers | Mask) -> "Place":
        """Those of some of the samples."""
        return Place(self.begins[rows], self.sizes[rows])


class Pictures(NamedTuple):
    """The m pictures of n samples, those of one sample next to each other.

    * `counts`, `pixels`: (n,) int64, pictures of each sample and what they have of pixels together.
    * `digests`: (m, 4) uint64, SHA-256 in words, the highest first.
    * `hashes`: (m, 3) uint64, see `WHOLE`; of a flat picture anything.
    * `flat`: (m,) bool, pictures without contrast: the bits of their hashes are noise.
    """

    counts: Numbers
    pixels: Numbers
    digests: Words
    hashes: Words
    flat: Mask

    @classmethod
    def join(cls, parts: list["Pictures"]) -> "Pictures":
        """The pictures of the samples of all parts, in order; the list is emptied on the way, to hold them once."""
        none = cls(np.empty(0, np.int64), np.empty(0, np.int64), *_no_pictures())
        columns = [list(column) for column in zip(*(parts or [none]), strict=True)]
        parts.clear()
        joined = []
        while columns:
            column = columns.pop(0)
            joined.append(column[0] if len(column) == 1 else np.concatenate(column))
        return cls(*joined)


def _no_pictures() -> tuple[Words, Words, Mask]:
    return np.empty((0, 4), np.uint64), np.empty((0, 3), np.uint64), np.empty(0, np.bool_)


@dataclass(frozen=True, slots=True)
class Samples:
    """n distinct kept samples, sorted by source name and as published.

    * `names`: of the sources, sorted.
    * `source`: (n,) int32, place of the sample's source among them.
    * `row`: (n,) int64, the sample's place among those of its source.
    * `instruction`, `text`: (n,) uint64, hashes of the questions and of all text.
    * `value`: (n,) float64, the score of which the highest is kept, nan where it is null; null where none is asked for.
    """

    names: tuple[str, ...]
    source: Places
    row: Numbers
    instruction: Words
    text: Words
    value: NDArray[np.float64] | None = None

    @classmethod
    def join(cls, names: tuple[str, ...], parts: Sequence["Samples"]) -> "Samples":
        """The samples of all parts, in order."""
        if not parts:
            words = np.empty(0, np.uint64)
            return cls(names, np.empty(0, np.int32), np.empty(0, np.int64), words, words)
        value = [part.value for part in parts if part.value is not None]
        return cls(
            names,
            np.concatenate([part.source for part in parts]),
            np.concatenate([part.row for part in parts]),
            np.concatenate([part.instruction for part in parts]),
            np.concatenate([part.text for part in parts]),
            np.concatenate(value) if value else None,
        )

    def __len__(self) -> int:
        return len(self.source)

    def at(self, places: Numbers | Mask) -> "Samples":
        """The samples at these places."""
        return Samples(
            self.names,
            self.source[places],
            self.row[places],
            self.instruction[places],
            self.text[places],
            None if self.value is None else self.value[places],
        )


@dataclass(frozen=True, slots=True)
class Evidence:
    """What dedup may ask for.

    * `pictures`: (source name, places among its samples) -> their pictures.
    * `compare`: what a comparison of pictures says.
    * `texts`: (names of sources, (k,) place of the source among them, (k,) place among its samples) -> their texts.
    """

    pictures: Callable[[str, Numbers], Pictures]
    compare: Compare
    texts: Callable[[Sequence[str], Places, Numbers], TextRows]


def first_equal(*columns: NDArray[np.generic]) -> Places:
    """For each of n rows the first row that is equal to it in all columns, perhaps itself: (n,) int32.

    Rows are sorted by a hash of their columns, which takes one sort for any number of columns, and compared with their
    neighbours; should two different rows share a hash, they are sorted by all columns instead.
    """
    words = [column.astype(np.uint64, copy=False) for column in columns]
    mixed = words[0]
    for word in words[1:]:
        mixed = (mixed ^ (mixed >> np.uint64(29))) * _SPREAD + word
    order = np.argsort(mixed)
    begins = _changes(words, order)
    if len(words) > 1 and (begins & ~_changes([mixed], order)).any():
        order = np.lexsort(words[::-1])
        begins = _changes(words, order)
    del mixed, words
    starts = np.flatnonzero(begins)
    found = np.empty(len(order), np.int32)
    if len(starts):
        first = np.minimum.reduceat(order, starts)
        found[order] = np.repeat(first, np.diff(starts, append=len(order)))
    return found


def _changes(columns: Sequence[Words], order: Numbers) -> Mask:
    """(n,) bool: the rows that differ from the one before them in the order in some column; the first always does."""
    changed = np.ones(len(order), np.bool_)
    changed[1:] = False
    for column in columns:
        ordered = column[order]
        changed[1:] |= ordered[1:] != ordered[:-1]
    return changed


def first_alike(starts: Sequence[NDArray[np.generic]], lists: Place, values: Places) -> Places:
    """For each of n rows the first one that is equal in `starts` and in its list of values: (n,) int32.

    Args:
        starts: columns of (n,).
        lists: where a row's list lies among the values; none is empty.
        values: (m,).
    """
    found = np.empty(len(lists.sizes), np.int32)
    for size in np.unique(lists.sizes).tolist():
        rows = np.flatnonzero(lists.sizes == size)
        columns = [values[lists.begins[rows] + place] for place in range(size)]
        found[rows] = rows[first_equal(*[column[rows] for column in starts], *columns)]
    return found
