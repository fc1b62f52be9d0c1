"""Numbers of equal rows, and near forms against a slow reference."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests import forms
from manifests.forms import Hashes, near_forms
from manifests.near import Place, first_alike, first_equal

ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2**64 - 1) | st.integers(0, 2)), max_size=30)


@settings(max_examples=100, deadline=None)
@given(ROWS)
def test_the_first_equal_row_is_found(rows: list[tuple[int, int]]) -> None:
    columns = [np.array([row[place] for row in rows], np.uint64) for place in range(2)]
    assert first_equal(*columns).tolist() == [rows.index(row) for row in rows]
    assert first_equal(columns[0]).tolist() == [[one for one, _ in rows].index(row[0]) for row in rows]


def test_rows_of_one_hash_that_differ_are_told_apart() -> None:
    spread = 0x9E3779B97F4A7C15
    mixed = [(value ^ (value >> 29)) * spread % 2**64 for value in (5, 6)]
    # both kinds of rows have the hash of (5, 1), and stand in turns
    rows = [(5, 1), (6, (mixed[0] + 1 - mixed[1]) % 2**64)] * 3
    columns = [np.array([row[place] for row in rows], np.uint64) for place in range(2)]
    assert first_equal(*columns).tolist() == [0, 1, 0, 1, 0, 1]


def test_lists_are_equal_as_wholes() -> None:
    lists = [[1, 2], [1], [1, 2], [2, 1], [1], [1, 2, 3]]
    values = np.array([value for each in lists for value in each], np.int32)
    place = Place.of(np.array([len(each) for each in lists]))
    assert first_alike([], place, values).tolist() == [0, 1, 0, 3, 1, 5]
    groups = np.array([7, 7, 8, 7, 7, 7])
    assert first_alike([groups], place, values).tolist() == [0, 1, 2, 3, 1, 5]


# near forms

WORDS = st.integers(0, 2**64 - 1) | st.integers(0, 31)


@st.composite
def scenes(draw: Any) -> tuple[list[tuple[int, list[int]]], list[tuple[list[int], bool]], Hashes]:
    """Forms as (group, looks), and looks as (three hashes, flat)."""
    looks = draw(st.lists(st.tuples(st.lists(WORDS, min_size=3, max_size=3), st.sampled_from([False] * 4 + [True]))))
    looks = looks or [([0, 0, 0], False)]
    pictures = st.integers(0, len(looks) - 1)
    shown = draw(st.lists(st.tuples(st.integers(0, 1), st.lists(pictures, min_size=1, max_size=2)), max_size=14))
    distinct = [list(each) for each in dict.fromkeys((group, tuple(each)) for group, each in shown)]
    made = [(2 * group + len(each), list(each)) for group, each in distinct]
    values = np.array([hashes for hashes, _ in looks], np.uint64)
    flat = np.array([each for _, each in looks])
    return made, looks, Hashes(values, flat, draw(st.integers(0, 6)), draw(st.booleans()), draw(st.booleans()))


def between(mine: list[int], theirs: list[int], hashes: Hashes) -> int | None:
    """Bits between two pictures as they are, else in a mirror; None where that is too far."""
    kinds = [(0, 0), *([(0, 1), (1, 0)] if hashes.inside else [])]
    ways = [kinds, *([[(0, 2), (2, 0)]] if hashes.mirrors else [])]
    found = (min((mine[a] ^ theirs[b]).bit_count() for a, b in way) for way in ways)
    return next((bits for bits in found if bits <= hashes.radius), None)


@pytest.mark.parametrize("small", [1000, 1])
@settings(max_examples=100, deadline=None)
@given(scene=scenes())
def test_near_forms_equal_the_reference(small: int, scene: Any) -> None:
    made, looks, hashes = scene
    expected = {}
    for one, other in combinations(range(len(made)), 2):
        (group, mine), (another, theirs) = made[one], made[other]
        if group != another:
            continue
        places = [(a, b) for a, b in zip(mine, theirs, strict=True) if a != b]
        if any(looks[a][1] or looks[b][1] for a, b in places):
            continue
        bits = [between(looks[a][0], looks[b][0], hashes) for a, b in places]
        if None not in bits:
            expected[one, other] = expected[other, one] = max(each for each in bits if each is not None)
    values = np.array([look for _, each in made for look in each], np.int32)
    lists = Place.of(np.array([len(each) for _, each in made], np.int64))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forms, "SMALL", small)
        found = near_forms(np.array([group for group, _ in made], np.int32), lists, values, hashes)
    pairs = list(zip(found.left.tolist(), found.right.tolist(), strict=True))
    assert pairs == sorted(expected)
    assert dict(zip(pairs, found.distance.tolist(), strict=True)) == expected
