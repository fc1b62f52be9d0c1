from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from manifests.hamming import chunks_for, hamming_pairs

WORD = st.integers(0, 2**64 - 1)


def series(*hashes: int | None) -> pl.Series:
    return pl.Series("phash", list(hashes), pl.UInt64)


def brute_force(hashes: list[int | None], radius: int) -> list[tuple[int, int, int]]:
    """The definition: near pairs of first occurrences, and each copy with its first occurrence."""
    first = {value: row for row, value in reversed(list(enumerate(hashes)))}
    pairs = []
    for left, one in enumerate(hashes):
        for right in range(left + 1, len(hashes)):
            other = hashes[right]
            if one is None or other is None or first[one] != left:
                continue
            distance = (one ^ other).bit_count()
            if distance <= radius and (distance == 0 or first[other] == right):
                pairs.append((left, right, distance))
    return pairs


@st.composite
def near_hashes(draw: Any) -> list[int | None]:
    """Few centres with few bits flipped, copies and nulls: much closer together than pictures are."""
    centres = draw(st.lists(WORD, min_size=1, max_size=3))
    flips = st.lists(st.integers(0, 63), max_size=18)
    drawn = draw(st.lists(st.none() | st.tuples(st.sampled_from(centres), flips), max_size=25))
    hashes: list[int | None] = []
    for item in drawn:
        hashes.append(None if item is None else item[0])
        for bit in item[1] if item else ():
            hashes[-1] ^= 1 << bit  # type: ignore[operator]  # not null here
    return hashes


@settings(max_examples=150, deadline=None)
@given(near_hashes(), st.integers(0, 16))
def test_equals_brute_force(hashes: list[int | None], radius: int) -> None:
    assert hamming_pairs(series(*hashes), radius).rows() == brute_force(hashes, radius)


@settings(max_examples=150, deadline=None)
@given(near_hashes(), st.integers(0, 16), st.integers(0, 26))
def test_new_hashes_against_all(hashes: list[int | None], radius: int, since: int) -> None:
    expected = [pair for pair in brute_force(hashes, radius) if pair[1] >= since]
    assert hamming_pairs(series(*hashes), radius, since=since).rows() == expected


@pytest.mark.parametrize("number", [1, 1000, 10**6, 10**8])
@pytest.mark.parametrize("radius", range(1, 17))
def test_no_pair_within_the_radius_is_far_in_every_chunk(number: int, radius: int) -> None:
    chunks = chunks_for(number, radius)
    # far in every chunk that is looked at takes one error more than the radius of each
    assert sum(chunk.radius + 1 for chunk in chunks) == radius + 1
    bits = [bit for chunk in chunks for bit in range(chunk.shift, chunk.shift + chunk.width)]
    assert len(bits) == len(set(bits)) and max(bits) < 64


@pytest.fixture(scope="module")
def planted() -> NDArray[np.uint64]:
    """2,000 random hashes, the last 600 of them 0..19 flipped bits away from one of the first."""
    random, count = np.random.default_rng(0), 2000
    hashes = random.integers(0, 2**64, count, dtype=np.uint64)
    for row in range(count - 600, count):
        flips = random.choice(64, size=row % 20, replace=False)
        mask = sum(1 << int(bit) for bit in flips)
        hashes[row] = int(hashes[random.integers(0, 700)]) ^ mask
    return hashes


@pytest.fixture(scope="module")
def apart(planted: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Bits between each two of them."""
    return np.bitwise_count(planted[:, None] ^ planted[None, :])


@pytest.mark.parametrize("radius", range(17))
def test_finds_every_planted_pair(planted: NDArray[np.uint64], apart: NDArray[np.uint8], radius: int) -> None:
    found = hamming_pairs(pl.Series(planted), radius)
    first = (apart == 0).argmax(axis=1) == np.arange(len(planted))
    left, right = np.nonzero(np.triu(apart <= radius, 1))
    shown = first[left] & (first[right] | (apart[left, right] == 0))
    expected = np.stack([left[shown], right[shown], apart[left, right][shown]], axis=1)
    assert len(expected) >= 30 * (radius + 1)
    assert np.array_equal(found.to_numpy(), expected)


def test_copies_go_through_their_first_occurrence() -> None:
    frame = hamming_pairs(series(7, 6, 7, None, 6, 7), 1)
    assert frame.rows() == [(0, 1, 1), (0, 2, 0), (0, 5, 0), (1, 4, 0)]


def test_a_thousand_copies_give_999_pairs() -> None:
    assert hamming_pairs(series(*[5] * 1000), 4).height == 999


@pytest.mark.parametrize(
    ("apart", "radius", "found"),
    [(0, 0, True), (1, 0, False), (4, 4, True), (5, 4, False), (16, 16, True), (17, 16, False)],
)
def test_the_radius_is_inclusive(apart: int, radius: int, found: bool) -> None:
    assert bool(hamming_pairs(series(0, (1 << apart) - 1), radius).height) == found


def test_both_ends_of_the_word_count() -> None:
    assert hamming_pairs(series(0, 1 << 63, 1), 2).rows() == [(0, 1, 1), (0, 2, 1), (1, 2, 2)]


@pytest.mark.parametrize("hashes", [[], [None], [None, None], [3], [3, None]])
@pytest.mark.parametrize("radius", [0, 16])
def test_no_pairs_keep_the_types(hashes: list[int | None], radius: int) -> None:
    frame = hamming_pairs(series(*hashes), radius)
    assert frame.height == 0
    assert frame.schema == {"left": pl.UInt32, "right": pl.UInt32, "distance": pl.UInt8}


def test_types_of_found_pairs() -> None:
    assert hamming_pairs(series(1, 1, 3), 2).schema == {"left": pl.UInt32, "right": pl.UInt32, "distance": pl.UInt8}


@pytest.mark.parametrize("radius", [-1, 17])
def test_a_radius_outside_the_range(radius: int) -> None:
    with pytest.raises(ValueError, match=rf"radius must be 0\.\.16, found {radius}"):
        hamming_pairs(series(1, 2), radius)
