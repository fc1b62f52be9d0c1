"""Which samples may show near pictures, by hashes: samples of the same hashes are one form, and forms are near or not.

Only forms of one group (of the same text, where the level asks for that) are held against one another. Small groups
have all their pairs looked at; larger ones are joined by `hamming_pairs`.
"""

from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numba import njit
from numpy.typing import NDArray

from manifests.hamming import hamming_pairs, set_bits, with_room
from manifests.near import INNER, MIRROR, WHOLE, Mask, Numbers, Place, Places, Words, first_equal

SMALL: Final = 1000
"""Forms of a group up to which all pairs are looked at, which takes as long there as a join: a microsecond a form."""

FAR: Final = np.uint64(255)


class Hashes(NamedTuple):
    """Hashes of pictures, (m, 3) uint64, those of a flat picture void, and which of them count.

    `inside`: whole pictures are held against what lies inside of others; `mirrors`: against what a mirror shows.
    """

    values: Words
    flat: Mask
    radius: int
    inside: bool
    mirrors: bool


class Edges(NamedTuple):
    """Pairs of near forms, each in both directions, sorted by the first: (e,) of either form, (e,) uint8 bits.

    The bits are those between the pictures that differ most.
    """

    left: Places
    right: Places
    distance: NDArray[np.uint8]


def near_forms(groups: Places, lists: Place, looks: Places, hashes: Hashes) -> Edges:
    """Pairs of forms of one group whose pictures are all near, one by one.

    Args:
        groups: (f,) of each form; all forms of a group have the same number of pictures.
        lists: where their pictures lie among the looks.
        looks: (m,) places of pictures in `hashes`; equal hashes have the same place.
        hashes: of the pictures.

    Returns:
        Places of forms.
    """
    order = np.argsort(groups, kind="stable")
    bounds = np.flatnonzero(np.diff(groups[order], prepend=-1, append=-2))
    large = np.diff(bounds) > SMALL
    kinds = np.uint64(hashes.radius), hashes.inside, hashes.mirrors
    known = (*lists, looks, hashes.values, hashes.flat, *kinds)
    small = np.stack([bounds[:-1][~large], bounds[1:][~large]], axis=1)
    found = [_all_pairs(order, small, *known)]
    for begin, end in np.stack([bounds[:-1][large], bounds[1:][large]], axis=1).tolist():
        left, right = _candidates(order[begin:end], lists, looks, hashes)
        found.append(_these_pairs(left, right, *known))
    pairs = np.concatenate(found)
    both = np.concatenate([pairs, pairs[:, [1, 0, 2]]])
    both = both[np.lexsort((both[:, 1], both[:, 0]))]
    return Edges(both[:, 0], both[:, 1], both[:, 2].astype(np.uint8))


class Listed(NamedTuple):
    """Values and the members that have them: those of value v are `members[begins[v] : begins[v] + counts[v]]`."""

    members: Numbers
    begins: Numbers
    counts: Numbers

    @classmethod
    def of(cls, values: Numbers | Places, members: Numbers, number: int) -> "Listed":
        """Members by value, of which there are so many; values are 0..number - 1."""
        counts = np.bincount(values, minlength=number)
        return cls(members[np.argsort(values, kind="stable")], np.cumsum(counts) - counts, counts)

    def crossed(self, mine: Numbers, theirs: Numbers, other: "Listed") -> tuple[Numbers, Numbers]:
        """Every member of each of my values with every member of the other's value beside it."""
        width = other.counts[theirs]
        sizes = self.counts[mine] * width
        pair = np.repeat(np.arange(len(mine)), sizes)
        step = np.arange(len(pair)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        left = self.members[self.begins[mine[pair]] + step // width[pair]]
        return left, other.members[other.begins[theirs[pair]] + step % width[pair]]


def _candidates(forms: Numbers, lists: Place, looks: Places, hashes: Hashes) -> tuple[Numbers, Numbers]:
    """Pairs of forms of a group that are near at one place, the one where the group has most to tell."""
    size = int(lists.sizes[forms[0]])
    if size == 1:  # no two forms have one look
        left, right = _near_looks(looks[lists.begins[forms]], hashes)
        return forms[left], forms[right]
    places = (looks[lists.begins[forms] + place] for place in range(size))
    distinct, of = np.unique(max(places, key=lambda each: len(np.unique(each))), return_inverse=True)
    by_look = Listed.of(of, forms, len(distinct))
    one, other = by_look.crossed(*_near_looks(distinct, hashes), by_look)
    same = np.flatnonzero(by_look.counts > 1)  # forms that differ at other places
    mine, theirs = by_look.crossed(same, same, by_look)
    return np.concatenate([one, mine[mine < theirs]]), np.concatenate([other, theirs[mine < theirs]])


def _near_looks(distinct: Places, hashes: Hashes) -> tuple[Numbers, Numbers]:
    """Pairs of places in `distinct` whose pictures have near hashes of kinds that are held against one another."""
    kinds = [WHOLE, *([INNER] if hashes.inside else []), *([MIRROR] if hashes.mirrors else [])]
    clear = np.flatnonzero(~hashes.flat[distinct])
    values = pl.Series(np.concatenate([hashes.values[distinct[clear], kind] for kind in kinds]))
    pairs = hamming_pairs(values, hashes.radius)
    one, other, distance = (pairs[name].to_numpy() for name in pairs.columns)
    # a value is spoken of by the first of its entries, which are pictures by kind
    first = np.arange(len(values), dtype=np.uint32)
    first[other[distance == 0]] = one[distance == 0]
    asked = np.zeros(len(first), np.bool_)
    asked[one] = asked[other] = True
    entries = np.flatnonzero(asked)
    number = np.cumsum(asked, dtype=np.int32) - 1
    whole = entries[entries < len(clear)]
    of_whole = Listed.of(number[first[whole]], clear[whole], len(entries))
    of_any = Listed.of(number[first[entries]], clear[entries % max(len(clear), 1)], len(entries))
    shared = np.unique(one[distance == 0])
    one, other = one[distance > 0], other[distance > 0]
    mine, theirs = np.concatenate([one, other, shared]), np.concatenate([other, one, shared])
    left, right = of_whole.crossed(number[mine], number[theirs], of_any)
    apart = left != right
    left, right = np.minimum(left, right)[apart], np.maximum(left, right)[apart]
    single = first_equal(left, right) == np.arange(len(left))
    return left[single], right[single]


@njit(cache=True)
def _between(values, mine, theirs, radius, inside, mirrors):  # type: ignore[no-untyped-def]
    # compiled: bits between two pictures as they are, else, if that is too far, in a mirror; FAR beyond the radius
    bits = set_bits(values[mine, 0] ^ values[theirs, 0])
    if inside:
        crop, border = values[mine, 1] ^ values[theirs, 0], values[mine, 0] ^ values[theirs, 1]
        bits = min(bits, set_bits(crop), set_bits(border))
    if bits > radius and mirrors:
        bits = min(set_bits(values[mine, 2] ^ values[theirs, 0]), set_bits(values[mine, 0] ^ values[theirs, 2]))
    return bits if bits <= radius else FAR


@njit(cache=True)
def _distance(one, other, size, looks, values, flat, radius, inside, mirrors):  # type: ignore[no-untyped-def]
    # compiled: bits between the pictures that differ most, of lists of pictures that begin at `one` and `other`
    most = np.uint64(0)
    for place in range(size):
        mine, theirs = looks[one + place], looks[other + place]
        if mine == theirs:
            continue
        if flat[mine] or flat[theirs]:
            return FAR
        most = max(most, _between(values, mine, theirs, radius, inside, mirrors))
        if most == FAR:
            return most
    return most


@njit(cache=True)
def _worth_a_look(shown, i, last, radius, inside, mirrors, found):  # type: ignore[no-untyped-def]
    # compiled: fills in the places after `i` of forms whose first picture may be near that of form `i`, returns how
    # many; `shown` has a row for each hash of the first picture, the last says which picture it is
    whole, inner, mirror, look = shown[0, i], shown[1, i], shown[2, i], shown[3, i]
    size = 0
    for j in range(i + 1, last):
        other = shown[0, j]
        near = (set_bits(whole ^ other) <= radius) | (look == shown[3, j])
        if inside:
            near |= (set_bits(inner ^ other) <= radius) | (set_bits(whole ^ shown[1, j]) <= radius)
        if mirrors:
            near |= (set_bits(mirror ^ other) <= radius) | (set_bits(whole ^ shown[2, j]) <= radius)
        found[size] = j
        size += near
    return size


@njit(cache=True)
def _all_pairs(order, bounds, begins, sizes, looks, values, flat, radius, inside, mirrors):  # type: ignore[no-untyped-def]
    # compiled: near pairs of the forms between each two bounds of the order, with their distances, (p, 3) int32
    pairs = np.empty((1024, 3), dtype=np.int32)
    shown = np.empty((4, SMALL), dtype=np.uint64)
    found = np.empty(SMALL, dtype=np.int64)
    size = 0
    for group in range(len(bounds)):
        forms = order[bounds[group, 0] : bounds[group, 1]]
        for i in range(len(forms)):
            look = looks[begins[forms[i]]]
            shown[0, i], shown[1, i], shown[2, i] = values[look, 0], values[look, 1], values[look, 2]
            shown[3, i] = look
        for i in range(len(forms)):
            one = forms[i]
            for j in found[: _worth_a_look(shown, i, len(forms), radius, inside, mirrors, found)]:
                other = forms[j]
                bits = _distance(begins[one], begins[other], sizes[one], looks, values, flat, radius, inside, mirrors)
                if bits != FAR:
                    pairs = with_room(pairs, size)
                    pairs[size, 0], pairs[size, 1], pairs[size, 2] = one, other, bits
                    size += 1
    return pairs[:size].copy()


@njit(cache=True)
def _these_pairs(left, right, begins, sizes, looks, values, flat, radius, inside, mirrors):  # type: ignore[no-untyped-def]
    # compiled: those of the given pairs that are near, with their distances, (p, 3) int32
    pairs = np.empty((len(left), 3), dtype=np.int32)
    size = 0
    for i in range(len(left)):
        one, other = left[i], right[i]
        bits = _distance(begins[one], begins[other], sizes[one], looks, values, flat, radius, inside, mirrors)
        if bits != FAR:
            pairs[size, 0], pairs[size, 1], pairs[size, 2] = one, other, bits
            size += 1
    return pairs[:size].copy()
