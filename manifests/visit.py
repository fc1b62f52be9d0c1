"""The visit of all samples in order of preference: each joins a kept one that it duplicates, or is kept itself."""

from collections.abc import Iterator, Mapping
from heapq import nsmallest
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from manifests.forms import Edges, Hashes, near_forms
from manifests.near import (
    INNER,
    MIRROR,
    WHOLE,
    Compare,
    Compared,
    Mask,
    Numbers,
    Pair,
    Pictures,
    Place,
    Places,
    Samples,
    first_alike,
    first_equal,
)
from manifests.recipe import Dedup

MOST_COMPARED: Final = 16
"""Kept rows that one row is compared with by its pictures, the nearest ones. A thousand forms that differ in a digit
would otherwise cost half a million comparisons. Ours."""

KEPT, SAME_BYTES, SAME_TEXT, NEAR_PICTURE, MIRRORED_PICTURE, NEAR_TEXT, NONE_KEPT = range(7)
REASONS: Final = (
    *("kept", "same_bytes", "same_text", "near_picture", "mirrored_picture", "near_text"),
    "none_kept",
)
"""Reasons by their code."""


class Asked(NamedTuple):
    """Two pictures by their places, the smaller one first; see `manifests.near.Pair`."""

    left: int
    right: int
    mirrored: bool


class Match(NamedTuple):
    """The kept sample that another duplicates: reason, bits, and the pairs of pictures that were compared."""

    kept: int
    reason: int
    distance: int = 0
    asked: tuple[Asked, ...] = ()


class Members(NamedTuple):
    """What became of n samples.

    * `kept`: (n,) int64, the sample that each duplicates, its own place where it is kept.
    * `reasons`: (n,) uint8, places in `REASONS`. `distances`: (n,) int16, bits; -1 without pictures and where kept.
    * `said`: by place of a sample, what was said of the pictures that differ most.
    """

    kept: Numbers
    reasons: NDArray[np.uint8]
    distances: NDArray[np.int16]
    said: Mapping[int, Compared]


class Shown(NamedTuple):
    """What n samples show, in order of preference.

    * `lists`: where their pictures lie.
    * `same`, `looks`: (m,) the first picture of the same bytes, and of the same hashes.
    * `first`: (n,) the first sample that is the same by bytes, or without pictures by its text.
    """

    lists: Place
    same: Places
    looks: Places
    first: Places


def shown(rows: Samples, lists: Place, pictures: Pictures, hashes: Hashes, dedup: Dedup) -> Shown:
    """Find samples of equal pictures or, without pictures, of equal text."""
    same = first_equal(*pictures.digests.T)
    used = [kind for kind, counts in ((WHOLE, True), (INNER, hashes.inside), (MIRROR, hashes.mirrors)) if counts]
    looks = same.copy()
    clear = np.flatnonzero(~hashes.flat)
    if dedup.looks:
        looks[clear] = clear[first_equal(*(hashes.values[clear, kind] for kind in used))]
    first = np.arange(len(rows), dtype=np.int32)
    bare, pictured = np.flatnonzero(lists.sizes == 0), np.flatnonzero(lists.sizes)
    first[bare] = bare[first_equal(rows.text[bare])]
    asked = {"picture": (), "row": (rows.instruction, rows.text)}.get(dedup.level, (rows.instruction,))
    first[pictured] = pictured[first_alike([column[pictured] for column in asked], lists.at(pictured), same)]
    return Shown(lists, same, looks, first)


def forms(rows: Samples, show: Shown, hashes: Hashes, dedup: Dedup) -> tuple[Places, Edges]:
    """Samples of one text and the same hashes are one form, named by its first sample: (n,) int32 and what is near.

    -1 for samples without pictures, and for those whose text no other sample has.
    """
    form = np.full(len(rows), -1, np.int32)
    pictured = np.flatnonzero(show.lists.sizes) if dedup.looks else np.empty(0, np.int64)
    asked = () if dedup.level == "picture" else (rows.instruction, rows.text)
    group = first_equal(*(column[pictured] for column in (*asked, show.lists.sizes)))
    crowded = np.bincount(group, minlength=len(group))[group] > 1
    pictured, group = pictured[crowded], group[crowded]
    leaders = pictured[first_alike([group], show.lists.at(pictured), show.looks)]
    form[pictured] = leaders
    lead = leaders == pictured
    named = pictured[lead]
    edges = near_forms(group[lead], show.lists.at(named), show.looks, hashes)
    return form, Edges(named[edges.left].astype(np.int32), named[edges.right].astype(np.int32), edges.distance)


class Visit:
    """Visits samples with what is known of their pictures, as often as something is asked that is not known.

    Samples that are equal to others and near to none need no visit: the first is kept. The others are visited one by
    one, in Python: each is a comparison of pictures, or takes the place of one.
    """

    def __init__(self, rows: Samples, lists: Place, pictures: Pictures, dedup: Dedup) -> None:
        inside, mirrors = dedup.looks and dedup.verify, dedup.looks and dedup.flips == "same"
        self._hashes = Hashes(pictures.hashes, pictures.flat, dedup.distance, inside, mirrors)
        self._dedup, self._digests, self._lists = dedup, pictures.digests, lists
        self.show = shown(rows, lists, pictures, self._hashes, dedup)
        self._form, self._edges = forms(rows, self.show, self._hashes, dedup)
        self._known: dict[Asked, Compared] = {}
        self._ways_between: dict[tuple[int, int], tuple[tuple[int, bool], ...]] = {}

    def until_known(self, compare: Compare) -> Members:
        """Visit, compare what was asked, and visit again.

        The first time every picture that is near counts as the same, so that few pairs have to be compared: mostly
        they are the same, and that was all. Otherwise none counts as the same from then on unless it was compared,
        until the comparisons say nothing else than a visit took for granted.
        """
        trusting = True
        rows = np.flatnonzero(self._active())
        while True:
            asked: set[Asked] = set()
            matches = self._visit(rows, asked, trusting=trusting)
            if asked:
                pairs = {self._pair(each): each for each in asked}
                said = compare(sorted(pairs))
                self._known |= {each: said[pair] for pair, each in pairs.items()}
            if all(self._known[each].same == trusting for each in asked):
                return self._members(rows, matches)
            trusting = False

    def _active(self) -> Mask:
        """(n,) bool: samples of forms that are near to another or hold other bytes, and those equal to such."""
        first, form = self.show.first, self._form
        formed = np.flatnonzero(form >= 0)
        near = np.zeros(len(form), np.bool_)
        near[self._edges.left] = True
        near[form[formed[first[formed] != first[form[formed]]]]] = True
        touched = np.zeros(len(form), np.bool_)
        touched[first[formed[near[form[formed]]]]] = True
        return touched[first]

    def _visit(self, rows: Numbers, asked: set[Asked], *, trusting: bool) -> dict[int, Match]:
        """What each of some samples duplicates; nothing of those that are kept."""
        kept_first: dict[int, int] = {}
        kept_form: dict[int, list[int]] = {}
        matches = {}
        first, form = self.show.first[rows], self._form[rows]
        begins, ends = (np.searchsorted(self._edges.left, form, side).tolist() for side in ("left", "right"))
        for row, equal, own, begin, end in zip(rows.tolist(), first.tolist(), form.tolist(), begins, ends, strict=True):
            match = None
            if equal in kept_first:
                match = Match(kept_first[equal], SAME_BYTES)
            elif own >= 0:
                others = [(own, 0), *self._near(begin, end)]
                near = [(distance, kept) for other, distance in others for kept in kept_form.get(other, ())]
                nearest = (kept for _, kept in nsmallest(MOST_COMPARED, near))
                found = (self._judged(row, kept, asked, trusting=trusting) for kept in nearest)
                match = next((each for each in found if each), None)
            if match:
                matches[row] = match
                continue
            kept_first[equal] = row
            of_form = kept_form.setdefault(own, [])
            if len(of_form) < MOST_COMPARED:  # all of a form are equally far, so that no later one is among the nearest
                of_form.append(row)
        return matches

    def _near(self, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """Forms that are near, with their distances."""
        edges = self._edges
        return zip(edges.right[begin:end].tolist(), edges.distance[begin:end].tolist(), strict=True)

    def _judged(self, row: int, kept: int, asked: set[Asked], *, trusting: bool) -> Match | None:
        """The match that a near sample is, as far as is known."""
        chosen = []
        for mine, theirs in zip(self._pictures_of(row), self._pictures_of(kept), strict=True):
            if self.show.same[mine] != self.show.same[theirs]:
                chosen.append(self._same(mine, theirs, asked, trusting=trusting))
        options = [each for each in chosen if each]
        if len(options) < len(chosen):
            return None
        reason = MIRRORED_PICTURE if any(each.mirrored for _, each in options) else NEAR_PICTURE
        pairs = tuple(each for _, each in options) if self._dedup.verify else ()
        return Match(kept, reason, max(distance for distance, _ in options), pairs)

    def _pictures_of(self, row: int) -> range:
        begin = int(self._lists.begins[row])
        return range(begin, begin + int(self._lists.sizes[row]))

    def _same(self, mine: int, theirs: int, asked: set[Asked], *, trusting: bool) -> tuple[int, Asked] | None:
        """The way in which two pictures are the same, with its bits; None where they are not."""
        left, right = sorted((int(self.show.same[mine]), int(self.show.same[theirs])))
        for distance, mirrored in self._ways(int(self.show.looks[mine]), int(self.show.looks[theirs])):
            way = Asked(left, right, mirrored)
            known = self._known.get(way)
            if known is None and self._dedup.verify:
                asked.add(way)
            if not self._dedup.verify or (known.same if known else trusting):
                return distance, way
        return None

    def _ways(self, mine: int, theirs: int) -> tuple[tuple[int, bool], ...]:
        """In which ways two pictures are near: bits, and whether in a mirror; as they are first."""
        place = (mine, theirs)
        if place not in self._ways_between:
            one, other = self._hashes.values[mine].tolist(), self._hashes.values[theirs].tolist()
            kinds = [(WHOLE, WHOLE), *([(INNER, WHOLE), (WHOLE, INNER)] if self._hashes.inside else [])]
            ways = [(min((one[a] ^ other[b]).bit_count() for a, b in kinds), False)]
            if self._hashes.mirrors:
                turned = ((MIRROR, WHOLE), (WHOLE, MIRROR))
                ways.append((min((one[a] ^ other[b]).bit_count() for a, b in turned), True))
            self._ways_between[place] = tuple(way for way in ways if way[0] <= self._dedup.distance)
        return self._ways_between[place]

    def _pair(self, asked: Asked) -> Pair:
        """The same with the names of the pictures."""
        left, right = sorted(
            "".join(f"{word:016x}" for word in self._digests[place].tolist()) for place in (asked.left, asked.right)
        )
        return Pair(left, right, asked.mirrored)

    def _members(self, rows: Numbers, matches: Mapping[int, Match]) -> Members:
        kept = self.show.first.astype(np.int64)
        kept[rows] = rows
        kept[list(matches)] = [match.kept for match in matches.values()]
        joined = kept != np.arange(len(kept))
        reasons = np.where(joined, np.where(self._lists.sizes > 0, SAME_BYTES, SAME_TEXT), KEPT).astype(np.uint8)
        reasons[list(matches)] = [match.reason for match in matches.values()]
        distances = np.where(joined & (self._lists.sizes > 0), 0, -1).astype(np.int16)
        distances[list(matches)] = [match.distance for match in matches.values()]
        said = {row: self._worst(match.asked) for row, match in matches.items() if match.asked}
        return Members(kept, reasons, distances, said)

    def _worst(self, asked: tuple[Asked, ...]) -> Compared:
        """What was said of the pictures that differ most."""
        return max((self._known[each] for each in asked), key=lambda one: one.difference or 0.0)
