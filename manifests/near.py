"""Which samples may hold the same pictures by their hashes: what is left to be compared is few."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import polars as pl

from manifests.hamming import hamming_pairs
from manifests.recipe import Dedup


class Item(NamedTuple):
    """What dedup knows of one kept sample; the hashes of a flat picture are null, since their bits are noise."""

    key: str
    position: int  # in its source as published
    pictures: tuple[str, ...]  # sha256 of each
    hashes: tuple[int | None, ...]  # phash of each
    instruction: int
    text: int
    pixels: int
    inner: tuple[int | None, ...] = ()  # phash_inner of each; empty where nobody asks
    mirrors: tuple[int | None, ...] = ()  # phash_mirror of each; empty where nobody asks


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


class Option(NamedTuple):
    """A way in which two pictures may be the same; `distance` in bits of the hashes that are nearest."""

    distance: int
    pair: Pair


@dataclass(frozen=True, slots=True)
class Candidate:
    """A kept sample that another may duplicate: the ways for each picture that is not of the same bytes."""

    position: int
    distance: int | None  # null without pictures
    pictures: tuple[tuple[Option, ...], ...] = ()


def candidate(position: int, item: Item, other: Item, dedup: Dedup) -> Candidate | None:
    """Whether a sample may duplicate the kept one at `position`, of the same number of pictures, by bytes and hashes.

    Samples without pictures have the same text, others with pictures what the level asks of the instruction.
    """
    if not item.pictures:
        return Candidate(position, None)
    same_text = item.text == other.text
    if item.pictures == other.pictures:
        return Candidate(position, 0) if same_text or dedup.level != "row" else None
    if not dedup.looks or (dedup.level != "picture" and not same_text):
        return None
    places = [place for place, sha in enumerate(item.pictures) if sha != other.pictures[place]]
    options = [_options(item, other, place, dedup) for place in places]
    if not all(options):
        return None
    return Candidate(position, max(each[0].distance for each in options), tuple(options))


def _options(item: Item, other: Item, place: int, dedup: Dedup) -> tuple[Option, ...]:
    """The ways in which the pictures at a place may be the same: as they are, then in a mirror."""
    left, right = sorted((item.pictures[place], other.pictures[place]))
    ways = [(False, list(_apart(item, other, place, inside=dedup.verify)))]
    if dedup.flips == "same":
        ways.append((True, list(_apart_mirrored(item, other, place))))
    found = [(mirrored, min(bits, default=None)) for mirrored, bits in ways]
    return tuple(
        Option(bits, Pair(left, right, mirrored))
        for mirrored, bits in found
        if bits is not None and bits <= dedup.distance
    )


def _apart(item: Item, other: Item, place: int, *, inside: bool) -> Iterator[int]:
    """Bits between the hashes of two pictures, whole against whole, and against what lies inside the other."""
    mine, theirs = item.hashes[place], other.hashes[place]
    if mine is None or theirs is None:
        return
    yield (mine ^ theirs).bit_count()
    if inside and item.inner and other.inner:
        yield from _bits((item.inner[place], theirs), (mine, other.inner[place]))


def _apart_mirrored(item: Item, other: Item, place: int) -> Iterator[int]:
    if item.mirrors and other.mirrors:
        yield from _bits((item.mirrors[place], other.hashes[place]), (item.hashes[place], other.mirrors[place]))


def _bits(*pairs: tuple[int | None, int | None]) -> Iterator[int]:
    for left, right in pairs:
        if left is not None and right is not None:
            yield (left ^ right).bit_count()


Anchor = tuple[str, str | int | None]
"""What two samples must share to be held against one another; its first word says what it is."""


class Anchors:
    """Values under which kept samples are found: bytes and hashes of their first picture.

    The hashes of the samples are joined once, by `hamming_pairs`.
    """

    def __init__(self, items: Sequence[Item], dedup: Dedup) -> None:
        self._dedup = dedup
        self._inside = dedup.looks and dedup.verify
        self._mirrors = dedup.looks and dedup.flips == "same"
        self._near: Mapping[int, list[int]] = _neighbours(self._hashes(items), dedup.distance) if dedup.looks else {}

    def of(self, item: Item) -> Iterator[Anchor]:
        """The values that a sample stands under once it is kept."""
        if not item.pictures:
            yield "none", None
            return
        yield "bytes", item.pictures[0]
        if self._dedup.looks and item.hashes[0] is not None:
            yield "whole", item.hashes[0]
            if self._inside and item.inner:
                yield "inner", item.inner[0]
            if self._mirrors and item.mirrors:
                yield "mirror", item.mirrors[0]

    def near(self, item: Item) -> Iterator[Anchor]:
        """The values under which the samples stand that this one may duplicate, and few others."""
        if not item.pictures:
            yield "none", None
            return
        yield "bytes", item.pictures[0]
        whole = item.hashes[0]
        if not self._dedup.looks or whole is None:
            return
        sought = ["whole", *(["inner"] if self._inside else []), *(["mirror"] if self._mirrors else [])]
        yield from ((kind, value) for value in self._values(whole) for kind in sought)
        others = [*(item.inner[:1] if self._inside else ()), *(item.mirrors[:1] if self._mirrors else ())]
        yield from (("whole", value) for other in others if other is not None for value in self._values(other))

    def _values(self, value: int) -> list[int]:
        return [value, *self._near.get(value, ())]

    def _hashes(self, items: Sequence[Item]) -> set[int]:
        kinds = [[item.hashes[:1] for item in items]]
        kinds += [[item.inner[:1] for item in items]] if self._inside else []
        kinds += [[item.mirrors[:1] for item in items]] if self._mirrors else []
        return {value for kind in kinds for first in kind for value in first if value is not None}


def _neighbours(values: set[int], radius: int) -> dict[int, list[int]]:
    """For each hash the other ones within the radius."""
    ordered = sorted(values)
    near: dict[int, list[int]] = defaultdict(list)
    for left, right, _ in hamming_pairs(pl.Series(ordered, dtype=pl.UInt64), radius).iter_rows():
        near[ordered[left]].append(ordered[right])
        near[ordered[right]].append(ordered[left])
    return near
