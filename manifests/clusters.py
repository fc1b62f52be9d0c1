"""Duplicate clusters of a stage: every member is verified against the kept one, so errors do not chain."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import polars as pl
from polars._typing import SchemaDict

from manifests.near import Anchor, Anchors, Candidate, Compare, Compared, Item, Option, Pair, candidate
from manifests.recipe import Dedup

CLUSTERS: SchemaDict = {
    "key": pl.String,
    "cluster": pl.String,  # key of its first member: by source name, then in published order
    "duplicate_of": pl.String,  # key of the kept member; null for that member itself
    "distance": pl.UInt8,  # bits between the pictures that differ most; 0 = same hash; null without pictures
    "reason": pl.String,  # kept | same_bytes | near_picture | mirrored_picture | same_text
    "likeness": pl.String,  # what the comparison of the pictures that differ most said; null where none was made
    "difference": pl.Float64,  # 0..2, of that comparison, four digits; null where no window was compared
}
"""Members of clusters of two and more, sorted by cluster, kept member first, then key."""

MOST_COMPARED: Final = 16
"""Kept rows that one row is compared with by its pictures, the nearest ones. A thousand forms that differ in a digit
would otherwise cost half a million comparisons. Ours."""


class _Match(NamedTuple):
    representative: int
    distance: int | None
    reason: str
    pairs: tuple[Pair, ...] = ()  # of pictures that a comparison found to be the same


def find_clusters(items: list[Item], dedup: Dedup, compare: Compare) -> pl.DataFrame:
    """Clusters among distinct samples.

    Samples are visited in order of preference (`keep`, then source name and published order). Each is compared with
    the kept samples so far and joins the nearest that it duplicates, or is kept itself: a member is always within the
    radius of the kept one, and where `verify` is on the comparison of their pictures says that they are the same.

    All samples may be visited several times. The first time every picture that is near counts as the same, so that few
    pairs have to be compared: mostly they are the same, and that was all. Otherwise none counts as the same from then
    on unless it was compared, until the comparisons say nothing else than a visit took for granted.

    Args:
        items: distinct keys, any order.
        dedup: level, distance and preference.
        compare: compares pictures; asked for each pair once, and never without `verify`.

    Returns:
        A frame of schema `CLUSTERS`.
    """
    if dedup.level == "off":
        return pl.DataFrame(schema=CLUSTERS)
    order = sorted(items, key=lambda item: (-item.pixels if dedup.keep == "largest" else 0, *_place(item)))
    anchors = Anchors(order, dedup)
    known: dict[Pair, Compared] = {}
    trusting = True
    while True:
        visit = _Visit(order, dedup, anchors, known, trusting=trusting)
        if visit.asked:
            known |= compare(sorted(visit.asked))
        if all(known[pair].same == trusting for pair in visit.asked):
            return _table(order, visit.members, known)
        trusting = False


def _place(item: Item) -> tuple[str, int, str]:
    """Sort key: source name, then published order (as text, row 101 would stand before row 99)."""
    return item.key.partition("/")[0], item.position, item.key


def _table(
    order: Sequence[Item], members: Mapping[int, list[tuple[int, _Match]]], known: Mapping[Pair, Compared]
) -> pl.DataFrame:
    rows: list[tuple[str, str, str | None, int | None, str, str | None, float | None]] = []
    for kept, others in members.items():
        cluster = min((order[kept], *(order[position] for position, _ in others)), key=_place).key
        rows.append((order[kept].key, cluster, None, None, "kept", None, None))
        for position, match in others:
            said = _worst([known[pair] for pair in match.pairs])
            rows.append((order[position].key, cluster, order[kept].key, match.distance, match.reason, *said))
    frame = pl.DataFrame(rows, CLUSTERS, orient="row")
    return frame.sort("cluster", pl.col("duplicate_of").is_not_null(), "key")


def _worst(compared: Sequence[Compared]) -> tuple[str | None, float | None]:
    """Reason and difference of the pictures that differ most; nulls where none were compared."""
    if not compared:
        return None, None
    worst = max(compared, key=lambda one: one.difference or 0.0)
    return worst.reason, None if worst.difference is None else round(worst.difference, 4)


class _Visit:
    """One visit of all samples with what is known of their pictures; `asked` is what was missing.

    A pair that is not known counts as the same where `trusting`, and otherwise as another.
    """

    def __init__(
        self,
        order: Sequence[Item],
        dedup: Dedup,
        anchors: Anchors,
        known: Mapping[Pair, Compared],
        *,
        trusting: bool,
    ) -> None:
        self._order, self._dedup, self._anchors = order, dedup, anchors
        self._known, self._trusting = known, trusting
        self._kept: dict[tuple[int, int, Anchor], list[int]] = defaultdict(list)
        self.asked: set[Pair] = set()
        self.members: dict[int, list[tuple[int, _Match]]] = defaultdict(list)
        for position, item in enumerate(order):
            match = self._match(item)
            if match is None:
                for anchor in anchors.of(item):
                    self._kept[self._group(item), len(item.pictures), anchor].append(position)
            else:
                self.members[match.representative].append((position, match))

    def _match(self, item: Item) -> _Match | None:
        """The kept sample that this one duplicates: of the same bytes, or the nearest, the earliest of such."""
        nearest = sorted(
            self._candidates(item), key=lambda each: (bool(each.pictures), each.distance or 0, each.position)
        )
        matches = (self._judged(each) for each in nearest[:MOST_COMPARED])
        return next((match for match in matches if match), None)

    def _candidates(self, item: Item) -> list[Candidate]:
        group, size = self._group(item), len(item.pictures)
        positions = {
            position for anchor in self._anchors.near(item) for position in self._kept.get((group, size, anchor), ())
        }
        found = (candidate(position, item, self._order[position], self._dedup) for position in positions)
        return [each for each in found if each]

    def _group(self, item: Item) -> int:
        if not item.pictures:
            return item.text
        return 0 if self._dedup.level == "picture" else item.instruction

    def _judged(self, each: Candidate) -> _Match | None:
        """The match that a candidate is, as far as is known."""
        if not each.pictures:
            return _Match(each.position, each.distance, "same_text" if each.distance is None else "same_bytes")
        chosen = [self._same(options) for options in each.pictures]
        options = [option for option in chosen if option]
        if len(options) < len(chosen):
            return None
        return _Match(
            each.position,
            max(option.distance for option in options),
            "mirrored_picture" if any(option.pair.mirrored for option in options) else "near_picture",
            tuple(option.pair for option in options) if self._dedup.verify else (),
        )

    def _same(self, options: Sequence[Option]) -> Option | None:
        """The way in which two pictures are the same; None where they are not."""
        if not self._dedup.verify:
            return options[0]
        for option in options:
            known = self._known.get(option.pair)
            if known is None:
                self.asked.add(option.pair)
            if known.same if known else self._trusting:
                return option
        return None
