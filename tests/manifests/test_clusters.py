from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from manifests.clusters import CLUSTERS, Item, find_clusters
from manifests.recipe import Dedup

LEVELS = ("pair", "row", "picture", "exact", "off")


def item(
    key: str, picture: str = "x", near: int | None = 0, *, instruction: int = 1, text: int = 11, pixels: int = 100
) -> Item:
    return Item(key, 0, (picture,), (near,), instruction, text, pixels)


def text_only(key: str, text: int, instruction: int = 1) -> Item:
    return Item(key, 0, (), (), instruction, text, 0)


def gallery(key: str, *pictures: tuple[str, int | None], instruction: int = 1, text: int = 11) -> Item:
    return Item(key, 0, tuple(sha for sha, _ in pictures), tuple(near for _, near in pictures), instruction, text, 100)


def duplicates(items: list[Item], **policy: Any) -> dict[str, tuple[str, int | None, str]]:
    """key -> (duplicate_of, distance, reason)"""
    frame = find_clusters(items, Dedup(**policy)).filter(pl.col("duplicate_of").is_not_null())
    return {key: (of, distance, reason) for key, _, of, distance, reason in frame.iter_rows()}


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
    frame = find_clusters([item("a"), item("b")], Dedup(level="off"))
    assert frame.height == 0
    assert frame.schema == CLUSTERS


@pytest.mark.parametrize("level", LEVELS)
def test_nothing_and_single_rows_give_an_empty_table(level: str) -> None:
    assert find_clusters([], Dedup(level=level)).schema == CLUSTERS
    assert find_clusters([item("a")], Dedup(level=level)).rows() == []


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
    assert set(find_clusters(rows, Dedup())["cluster"]) == {"s/train/99"}


def test_sources_stand_in_order_of_their_names() -> None:
    # as text `s-b/...` would stand before `s/...`
    rows = [item("s-b/train/0"), item("s/train/7")._replace(position=7)]
    assert duplicates(rows) == {"s-b/train/0": ("s/train/7", 0, "same_bytes")}


def test_the_table_lists_kept_first_and_is_named_by_the_first_member() -> None:
    items = [item("a", pixels=1), item("b", pixels=9), item("c", pixels=5), text_only("t", 3), text_only("s", 3)]
    assert find_clusters(items, Dedup(keep="largest")).rows() == [
        ("b", "a", None, None, "kept"),
        ("a", "a", "b", 0, "same_bytes"),
        ("c", "a", "b", 0, "same_bytes"),
        ("s", "s", None, None, "kept"),
        ("t", "s", "s", None, "same_text"),
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
        hits = [(match[0] or 0, rank, other.key, *match) for rank, other, match in matches if match]
        if hits:
            found[one.key] = min(hits)[2:]
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
    keep=st.sampled_from(["first", "largest"]),
)


@settings(max_examples=150, deadline=None)
@given(samples(), POLICIES, st.randoms(use_true_random=False))
def test_equals_the_reference_in_any_order(items: list[Item], dedup: Dedup, random: Any) -> None:
    frame = find_clusters(items, dedup)
    assert duplicates(items, **dedup.model_dump()) == reference(items, dedup)
    assert_frame_equal(find_clusters(random.sample(items, len(items)), dedup), frame)
    assert frame["key"].is_unique().all()
    for _, members in frame.group_by("cluster"):
        assert members.height > 1
        assert members["cluster"][0] == min((each for each in items if each.key in set(members["key"])), key=place).key
        assert members["reason"].to_list().count("kept") == 1
        (kept,) = members.filter(pl.col("reason") == "kept")["key"]
        assert set(members["duplicate_of"].drop_nulls()) == {kept}
    near = frame.filter(pl.col("reason") == "near_picture")["distance"]
    assert (near <= dedup.distance).all()
