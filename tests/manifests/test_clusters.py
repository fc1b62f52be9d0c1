from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from manifests.clusters import CLUSTERS
from manifests.near import Compare, Compared, Pair
from manifests.recipe import Dedup
from manifests.visit import MOST_COMPARED
from tests.kept import Item, clusters

LEVELS = ("pair", "row", "picture", "exact", "off")


def item(
    key: str, picture: str = "x", near: int | None = 0, *, instruction: int = 1, text: int = 11, pixels: int = 100
) -> Item:
    return Item(key, 0, (picture,), (near,), instruction, text, pixels)


def text_only(key: str, text: int, instruction: int = 1) -> Item:
    return Item(key, 0, (), (), instruction, text, 0)


def gallery(key: str, *pictures: tuple[str, int | None], instruction: int = 1, text: int = 11) -> Item:
    return Item(key, 0, tuple(sha for sha, _ in pictures), tuple(near for _, near in pictures), instruction, text, 100)


class Eyes:
    """Compares pictures by what they are said to show; unnamed ones show what nothing else does."""

    def __init__(self, *same: set[str]) -> None:
        self.same = same
        self.asked: list[Pair] = []

    def __call__(self, pairs: Sequence[Pair]) -> Mapping[Pair, Compared]:
        self.asked += pairs
        return {pair: self.look(pair) for pair in pairs}

    def look(self, pair: Pair) -> Compared:
        shown = {pair.left, f"mirrored {pair.right}" if pair.mirrored else pair.right}
        same = any(shown <= each for each in self.same)
        return Compared(same, "agrees" if same else "inside", 0.05 if same else 0.87654)


def unasked(pairs: Sequence[Pair]) -> Mapping[Pair, Compared]:
    raise AssertionError(f"without `verify` nobody compares {pairs}")


def duplicates(items: list[Item], compare: Compare = unasked, **policy: Any) -> dict[str, tuple[str, int | None, str]]:
    """key -> (duplicate_of, distance, reason); hashes decide unless `verify` is said."""
    dedup = Dedup(**{"verify": False, **policy})
    frame = clusters(items, dedup, compare).filter(pl.col("duplicate_of").is_not_null())
    return {key: (of, distance, reason) for key, _, of, distance, reason, *_ in frame.iter_rows()}


# What the second of two rows is at levels pair, row, picture, exact: B same_bytes, N near_picture, T same_text, - kept.
MATRIX = [
    ("same picture, question, answer", item("b"), "BBBB"),
    ("same picture and question, other answer", item("b", text=12), "B-BB"),
    ("same picture, other question", item("b", instruction=2, text=12), "--B-"),
    ("near picture, same text", item("b", "y", 0b1111), "NNN-"),
    ("near picture, other answer", item("b", "y", 0b1111, text=12), "--N-"),
    ("near picture, other question", item("b", "y", 0b1111, instruction=2, text=12), "--N-"),
    ("same hash of other bytes, same text", item("b", "y", 0), "NNN-"),
    ("picture one bit too far", item("b", "y", 0b11111), "----"),
    ("flat picture of other bytes", item("b", "y", None), "----"),
    ("two pictures against one", gallery("b", ("x", 0), ("x", 0)), "----"),
    ("no picture, same text", text_only("b", 11), "----"),
]


@pytest.mark.parametrize(("second", "expected"), [row[1:] for row in MATRIX], ids=[row[0] for row in MATRIX])
@pytest.mark.parametrize("column", range(4))
def test_levels(second: Item, expected: str, column: int) -> None:
    found = duplicates([item("a"), second], level=LEVELS[column], distance=4)
    reasons = {"B": "same_bytes", "N": "near_picture"}
    assert {key: reason for key, (_, _, reason) in found.items()} == (
        {} if expected[column] == "-" else {"b": reasons[expected[column]]}
    )


@pytest.mark.parametrize("level", LEVELS)
def test_text_only_rows_go_by_all_their_text(level: str) -> None:
    items = [text_only("a", 11), text_only("b", 11), text_only("c", 12), text_only("d", 11, instruction=2)]
    expected = {} if level == "off" else {"b": ("a", None, "same_text"), "d": ("a", None, "same_text")}
    assert duplicates(items, level=level) == expected


def test_off_finds_nothing() -> None:
    frame = clusters([item("a"), item("b")], Dedup(level="off"), unasked)
    assert frame.height == 0
    assert frame.schema == CLUSTERS


@pytest.mark.parametrize("level", LEVELS)
def test_nothing_and_single_rows_give_an_empty_table(level: str) -> None:
    assert clusters([], Dedup(level=level), unasked).schema == CLUSTERS
    assert clusters([item("a")], Dedup(level=level), unasked).rows() == []


def test_members_do_not_chain() -> None:
    a, b, c = item("a", "x", 0b0), item("b", "y", 0b1111), item("c", "z", 0b11111111)
    assert duplicates([a, b, c], distance=4) == {"b": ("a", 4, "near_picture")}
    # with the middle one kept, both ends are within its radius
    assert duplicates([a._replace(key="n"), b, c], distance=4) == {
        "n": ("b", 4, "near_picture"),
        "c": ("b", 4, "near_picture"),
    }


def test_a_row_joins_the_nearest_kept_one() -> None:
    items = [item("a", "x", 0b0), item("b", "y", 0b11111), item("c", "z", 0b11110)]
    assert duplicates(items, distance=4) == {"c": ("b", 1, "near_picture")}


def test_of_two_equally_near_ones_the_first_is_joined() -> None:
    items = [item("a", "x", 0b000000), item("b", "y", 0b111111), item("c", "z", 0b000111)]
    assert duplicates(items, distance=4) == {"c": ("a", 3, "near_picture")}


def test_the_first_in_published_order_is_kept() -> None:
    rows = [item(f"s/train/{row}")._replace(position=row) for row in (101, 99, 1000)]
    assert duplicates(rows) == {
        "s/train/101": ("s/train/99", 0, "same_bytes"),
        "s/train/1000": ("s/train/99", 0, "same_bytes"),
    }
    assert set(clusters(rows, Dedup(), unasked)["cluster"]) == {"s/train/99"}


def test_sources_stand_in_order_of_their_names() -> None:
    # as text `s-b/...` would stand before `s/...`
    rows = [item("s-b/train/0"), item("s/train/7")._replace(position=7)]
    assert duplicates(rows) == {"s-b/train/0": ("s/train/7", 0, "same_bytes")}


def test_the_table_lists_kept_first_and_is_named_by_the_first_member() -> None:
    items = [item("a", pixels=1), item("b", pixels=9), item("c", pixels=5), text_only("t", 3), text_only("s", 3)]
    assert clusters(items, Dedup(keep="largest"), unasked).rows() == [
        ("b", "a", None, None, "kept", None, None, None, 9),
        ("a", "a", "b", 0, "same_bytes", None, None, None, 1),
        ("c", "a", "b", 0, "same_bytes", None, None, None, 5),
        ("s", "s", None, None, "kept", None, None, None, 0),
        ("t", "s", "s", None, "same_text", None, None, None, 0),
    ]


def test_of_equally_large_rows_the_first_is_kept() -> None:
    assert duplicates([item("b"), item("a"), item("c")], keep="largest") == {
        "b": ("a", 0, "same_bytes"),
        "c": ("a", 0, "same_bytes"),
    }


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ([("x", 0), ("y", 0)], (0, "same_bytes")),
        ([("p", 0b1), ("q", 0b111)], (3, "near_picture")),
        ([("x", 0), ("q", 0b1)], (1, "near_picture")),
        ([("p", 0b11111), ("y", 0)], None),
        ([("x", 0), ("q", 0b11111)], None),
        ([("y", 0), ("x", 0)], (0, "near_picture")),  # other bytes at each place, the same hash
        ([("x", 0)], None),
        ([("x", 0), ("y", 0), ("y", 0)], None),
    ],
)
@pytest.mark.parametrize("level", ["pair", "row", "picture"])
def test_all_pictures_must_match_in_order(level: str, second: list[Any], expected: tuple[int, str] | None) -> None:
    first = gallery("a", ("x", 0), ("y", 0))
    assert duplicates([first, gallery("b", *second)], level=level, distance=4) == (
        {} if expected is None else {"b": ("a", *expected)}
    )


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(("same_bytes", "found"), [(True, {"b": ("a", 1, "near_picture")}), (False, {})])
def test_a_flat_picture_in_a_gallery_matches_by_bytes_alone(
    place: int, same_bytes: bool, found: dict[str, Any]
) -> None:
    flat, other = ("flat", None), ("flat" if same_bytes else "also flat", None)
    first, second = [("x", 0), ("y", 0b1)]
    pairs = [(flat, first), (other, second)] if place == 0 else [(first, flat), (second, other)]
    assert duplicates([gallery("a", *pairs[0]), gallery("b", *pairs[1])], distance=4) == found


def test_flat_pictures_of_equal_bytes_are_duplicates() -> None:
    assert duplicates([item("a", "flat", None), item("b", "flat", None)]) == {"b": ("a", 0, "same_bytes")}


def test_distance_zero_still_joins_equal_hashes() -> None:
    items = [item("a", "x", 0b1), item("b", "y", 0b1), item("c", "z", 0b0)]
    assert duplicates(items, distance=0) == {"b": ("a", 0, "near_picture")}


# comparing pictures


def test_a_near_picture_that_shows_something_else_stays() -> None:
    items = [item("a", "x", 0b0), item("b", "y", 0b1), item("c", "z", 0b11)]
    eyes = Eyes({"x", "z"})
    assert duplicates(items, eyes, verify=True) == {"c": ("a", 2, "near_picture")}
    # the look-alike was kept, and the third compared with it too: it is nearer
    assert sorted(eyes.asked) == [("x", "y", False), ("x", "z", False), ("y", "z", False)]


def test_what_the_comparison_said_stands_in_the_table() -> None:
    items = [gallery("a", ("x", 0), ("p", 0)), gallery("b", ("x", 0), ("q", 0b1)), item("c", "x", 0), item("d", "x", 0)]
    frame = clusters(items, Dedup(), Eyes({"p", "q"}))
    assert frame.select("key", "reason", "likeness", "difference").rows() == [
        ("a", "kept", None, None),
        ("b", "near_picture", "agrees", 0.05),
        ("c", "kept", None, None),
        ("d", "same_bytes", None, None),
    ]


def test_pictures_of_a_gallery_must_all_be_the_same() -> None:
    items = [gallery("a", ("x", 0), ("p", 0)), gallery("b", ("y", 1), ("q", 1)), gallery("c", ("y", 1), ("r", 1))]
    assert duplicates(items, Eyes({"x", "y"}, {"p", "r"}), verify=True) == {"c": ("a", 1, "near_picture")}


def test_copies_cost_one_comparison_each() -> None:
    names = [f"p{number}" for number in range(40)]
    eyes = Eyes(set(names))
    items = [item(name, name, 0) for name in names]
    assert duplicates(items, eyes, verify=True) == {name: ("p0", 0, "near_picture") for name in names[1:]}
    assert sorted(eyes.asked) == sorted(Pair("p0", name) for name in names[1:])


def test_one_row_is_compared_with_the_nearest_ones_only() -> None:
    items = [item(f"{number:03}", f"p{number:03}", 0) for number in range(100)]
    eyes = Eyes()
    assert duplicates(items, eyes, verify=True) == {}
    assert len(eyes.asked) == len(set(eyes.asked))
    assert Counter(pair.right for pair in eyes.asked)["p099"] == MOST_COMPARED


@pytest.mark.parametrize("level", ["exact", "off"])
def test_levels_without_looks_compare_nothing(level: str) -> None:
    assert duplicates([item("a", "x", 0), item("b", "y", 0)], unasked, level=level, verify=True) == {}


def seen(key: str, picture: str, *, whole: int, inner: int = 0, mirror: int = 0) -> Item:
    return Item(key, 0, (picture,), (whole,), 1, 11, 100, (inner,), (mirror,))


FAR, FAR_TOO = 0xFFFF << 40, 0xFFFF << 20


@pytest.mark.parametrize("first", [True, False])
def test_a_crop_is_found_by_the_inside_of_the_other(first: bool) -> None:
    whole, crop = seen("w", "x", whole=0, inner=FAR), seen("c", "y", whole=FAR ^ 0b111, inner=FAR_TOO)
    kept, other = (whole, crop) if first else (crop, whole)
    items = [kept._replace(key="a"), other._replace(key="b")]
    assert duplicates(items, Eyes({"x", "y"}), verify=True) == {"b": ("a", 3, "near_picture")}
    assert duplicates(items, verify=False) == {}


@pytest.mark.parametrize("verify", [True, False])
def test_a_mirrored_copy_is_another_picture_unless_flips_are_the_same(verify: bool) -> None:
    items = [seen("a", "x", whole=0, mirror=FAR), seen("b", "y", whole=FAR ^ 1, mirror=0b11)]
    eyes = Eyes({"x", "mirrored y"})
    assert duplicates(items, eyes, verify=verify, flips="same") == {"b": ("a", 1, "mirrored_picture")}
    assert duplicates(items, eyes, verify=verify) == {}


def test_a_picture_that_is_near_in_both_ways_is_looked_at_in_both() -> None:
    items = [seen("a", "x", whole=0, mirror=0), seen("b", "y", whole=0, mirror=0)]
    eyes = Eyes({"x", "mirrored y"})
    assert duplicates(items, eyes, verify=True, flips="same") == {"b": ("a", 0, "mirrored_picture")}
    assert eyes.asked == [("x", "y", False), ("x", "y", True)]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("pqrstuvw"), st.integers(0, 7)), max_size=14),
    st.frozensets(st.sampled_from("pqrstuvw")),
    st.randoms(use_true_random=False),
)
def test_comparisons_decide_as_if_all_were_known(
    drawn: list[tuple[str, int]], alike: frozenset[str], random: Any
) -> None:
    bits = {picture: near for picture, near in reversed(drawn)}
    items = [
        item(f"s/train/{row}", picture, bits[picture])._replace(position=row) for row, (picture, _) in enumerate(drawn)
    ]
    eyes = Eyes(set(alike))
    found = duplicates(items, eyes, verify=True)
    kept: list[Item] = []
    for one in sorted(items, key=place):
        hits = [
            (other.pictures != one.pictures, (one.hashes[0] ^ other.hashes[0]).bit_count(), rank)
            for rank, other in enumerate(kept)
            if one.pictures == other.pictures or {one.pictures[0], other.pictures[0]} <= alike
        ]
        if hits:
            assert found.pop(one.key)[0] == kept[min(hits)[2]].key
        else:
            kept.append(one)
    assert found == {}
    assert len(eyes.asked) == len(set(eyes.asked))
    again = clusters(random.sample(items, len(items)), Dedup(), Eyes(set(alike)))
    assert_frame_equal(again, clusters(items, Dedup(), eyes))


# a slow reference: compare with every kept row


def duplicate(kept: Item, other: Item, dedup: Dedup) -> tuple[int | None, str] | None:
    same_text, same_question = kept.text == other.text, kept.instruction == other.instruction
    if len(kept.pictures) != len(other.pictures):
        return None
    if not kept.pictures:
        return (None, "same_text") if same_text else None
    bytes_count = {"pair": same_question, "row": same_question and same_text, "picture": True, "exact": same_question}
    if kept.pictures == other.pictures:
        return (0, "same_bytes") if bytes_count[dedup.level] else None
    looks_count = {"pair": same_question and same_text, "row": same_question and same_text, "picture": True}
    if not looks_count.get(dedup.level, False):
        return None
    largest = 0
    for mine, theirs, left, right in zip(kept.pictures, other.pictures, kept.hashes, other.hashes, strict=True):
        if mine == theirs:
            continue
        if left is None or right is None or (left ^ right).bit_count() > dedup.distance:
            return None
        largest = max(largest, (left ^ right).bit_count())
    return largest, "near_picture"


def place(one: Item) -> tuple[str, int]:
    return one.key.split("/")[0], one.position


def reference(items: list[Item], dedup: Dedup) -> dict[str, tuple[str, int | None, str]]:
    kept: list[Item] = []
    found = {}
    for one in sorted(items, key=lambda each: (-each.pixels if dedup.keep == "largest" else 0, *place(each))):
        matches = [(rank, other, duplicate(other, one, dedup)) for rank, other in enumerate(kept)]
        hits = [
            (match[1] == "near_picture", match[0] or 0, rank, other.key, *match)
            for rank, other, match in matches
            if match
        ]
        if hits:
            found[one.key] = min(hits)[3:]
        else:
            kept.append(one)
    return found


# the hash belongs to the bytes; hashes lie close together and one picture is flat
PICTURES: list[tuple[str, int | None]] = [
    ("p0", 0b0),
    ("p1", 0b1),
    ("p2", 0b111),
    ("p3", 0b11111),
    ("p4", 0b11111 << 59),
    ("p5", 0b0),
    ("flat", None),
    ("also flat", None),
]


@st.composite
def samples(draw: Any) -> list[Item]:
    shape = st.tuples(
        st.sampled_from(["s", "s-b"]),
        st.lists(st.sampled_from(PICTURES), max_size=2),
        st.integers(0, 1),
        st.integers(0, 1),
        st.integers(1, 2),
    )
    drawn = draw(st.lists(shape, max_size=14))
    return [
        Item(
            f"{source}/train/{row}",
            row,
            tuple(sha for sha, _ in pictures),
            tuple(near for _, near in pictures),
            instruction,
            # all text holds the instruction, so equal text means equal instruction
            10 * instruction + answer,
            pixels,
        )
        for row, (source, pictures, instruction, answer, pixels) in enumerate(drawn, start=95)
    ]


POLICIES = st.builds(
    Dedup,
    level=st.sampled_from(LEVELS[:4]),
    distance=st.integers(0, 6),
    verify=st.just(False),
    keep=st.sampled_from(["first", "largest"]),
)


@settings(max_examples=150, deadline=None)
@given(samples(), POLICIES, st.randoms(use_true_random=False))
def test_equals_the_reference_in_any_order(items: list[Item], dedup: Dedup, random: Any) -> None:
    frame = clusters(items, dedup, unasked)
    assert duplicates(items, **dedup.model_dump()) == reference(items, dedup)
    assert_frame_equal(clusters(random.sample(items, len(items)), dedup, unasked), frame)
    assert frame["key"].is_unique().all()
    for _, members in frame.group_by("cluster"):
        assert members.height > 1
        assert members["cluster"][0] == min((each for each in items if each.key in set(members["key"])), key=place).key
        assert members["reason"].to_list().count("kept") == 1
        (kept,) = members.filter(pl.col("reason") == "kept")["key"]
        assert set(members["duplicate_of"].drop_nulls()) == {kept}
    near = frame.filter(pl.col("reason") == "near_picture")["distance"]
    assert (near <= dedup.distance).all()
