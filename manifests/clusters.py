"""Duplicate clusters of a stage: every member is verified against the kept one, so errors do not chain."""

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import polars as pl
from polars._typing import SchemaDict

from manifests.hamming import hamming_pairs
from manifests.recipe import Dedup

CLUSTERS: SchemaDict = {
    "key": pl.String,
    "cluster": pl.String,  # key of its first member: by source name, then in published order
    "duplicate_of": pl.String,  # key of the kept member; null for that member itself
    "distance": pl.UInt8,  # bits between the pictures that differ most; 0 = same hash; null without pictures
    "reason": pl.String,  # kept | same_bytes | near_picture | same_text
}
"""Members of clusters of two and more, sorted by cluster, kept member first, then key."""


class Item(NamedTuple):
    """What dedup knows of one kept sample."""

    key: str
    position: int  # in its source as published
    pictures: tuple[str, ...]  # sha256 of each
    hashes: tuple[int | None, ...]  # phash of each; null for flat pictures, whose hash bits are noise
    instruction: int
    text: int
    pixels: int


class _Match(NamedTuple):
    representative: int
    distance: int | None
    reason: str


def find_clusters(items: list[Item], dedup: Dedup) -> pl.DataFrame:
    """Clusters among distinct samples.

    Samples are visited in order of preference (`keep`, then source name and published order). Each is compared with
    the kept samples so far and joins the nearest that it duplicates, or is kept itself: a member is always within the
    radius of the kept one.

    Args:
        items: distinct keys, any order.
        dedup: level, distance and preference.

    Returns:
        A frame of schema `CLUSTERS`.
    """
    if dedup.level == "off":
        return pl.DataFrame(schema=CLUSTERS)
    order = sorted(items, key=lambda item: (-item.pixels if dedup.keep == "largest" else 0, *_place(item)))
    index = _Index(order, dedup)
    members: dict[int, list[tuple[int, _Match]]] = defaultdict(list)
    for position, item in enumerate(order):
        match = index.match(item)
        if match is None:
            index.add(position, item)
        else:
            members[match.representative].append((position, match))
    rows: list[tuple[str, str, str | None, int | None, str]] = []
    for kept, others in members.items():
        cluster = min((order[kept], *(order[position] for position, _ in others)), key=_place).key
        rows.append((order[kept].key, cluster, None, None, "kept"))
        rows += [(order[p].key, cluster, order[kept].key, match.distance, match.reason) for p, match in others]
    frame = pl.DataFrame(rows, CLUSTERS, orient="row")
    return frame.sort("cluster", pl.col("duplicate_of").is_not_null(), "key")


def _place(item: Item) -> tuple[str, int, str]:
    """Sort key: source name, then published order (as text, row 101 would stand before row 99)."""
    return item.key.partition("/")[0], item.position, item.key


class _Index:
    """Kept samples, found by what a duplicate must share with them."""

    def __init__(self, items: list[Item], dedup: Dedup) -> None:
        self._items = items
        self._dedup = dedup
        self._kept: dict[tuple[int, int, object], list[int]] = defaultdict(list)
        self._near = _neighbours(items, 0 if dedup.level == "exact" else dedup.distance)

    def match(self, item: Item) -> _Match | None:
        """The kept sample that this one duplicates: the nearest, the earliest of equally near ones."""
        found: list[_Match] = []
        for anchor in self._anchors(item):
            for position in self._kept.get((self._group(item), len(item.pictures), anchor), ()):
                match = self._compare(position, item)
                if match:
                    found.append(match)
        return min(found, key=lambda match: (match.distance or 0, match.representative), default=None)

    def add(self, position: int, item: Item) -> None:
        for anchor in {item.pictures[0], item.hashes[0]} if item.pictures else {None}:
            self._kept[self._group(item), len(item.pictures), anchor].append(position)

    def _group(self, item: Item) -> int:
        if not item.pictures:
            return item.text
        return 0 if self._dedup.level == "picture" else item.instruction

    def _anchors(self, item: Item) -> Iterator[object]:
        """Values under which a duplicate of this sample may stand: its first picture, or a near hash of that."""
        if not item.pictures:
            yield None
            return
        yield item.pictures[0]
        if item.hashes[0] is not None and self._dedup.level != "exact":
            yield item.hashes[0]
            yield from self._near.get(item.hashes[0], ())

    def _compare(self, position: int, item: Item) -> _Match | None:
        other = self._items[position]
        if not item.pictures:
            return _Match(position, None, "same_text")
        level, same_text = self._dedup.level, item.text == other.text
        if item.pictures == other.pictures:
            return _Match(position, 0, "same_bytes") if same_text or level != "row" else None
        if level == "exact" or (level != "picture" and not same_text):
            return None
        pairs = zip(item.pictures, other.pictures, item.hashes, other.hashes, strict=True)
        distances = [0 if mine == theirs else _distance(*hashes) for mine, theirs, *hashes in pairs]
        if any(distance is None or distance > self._dedup.distance for distance in distances):
            return None
        return _Match(position, max(distance for distance in distances if distance is not None), "near_picture")


def _distance(left: int | None, right: int | None) -> int | None:
    return None if left is None or right is None else (left ^ right).bit_count()


def _neighbours(items: list[Item], radius: int) -> dict[int, list[int]]:
    """For each first-picture hash the other ones within the radius."""
    first = sorted({item.hashes[0] for item in items if item.hashes and item.hashes[0] is not None})
    near: dict[int, list[int]] = defaultdict(list)
    for left, right, _ in hamming_pairs(pl.Series(first, dtype=pl.UInt64), radius).iter_rows():
        near[first[left]].append(first[right])
        near[first[right]].append(first[left])
    return near
