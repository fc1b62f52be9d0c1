import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.markers import escape, escape_literals, pieces, place_in, unescape

TEXTS = st.lists(st.sampled_from(["<", "\\", "image>", "video>", "<image>", "<video>", "<\\image>", "a", "\n"])).map(
    "".join
)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("<image>", "<\\image>"),
        ("<\\image>", "<\\\\image>"),
        ("a <video>b</video>", "a <\\video>b</video>"),
        ("<img> < image> <Image> <image", "<img> < image> <Image> <image"),
        ("<<image>>", "<<\\image>>"),
    ],
)
def test_escape(text: str, escaped: str) -> None:
    assert escape(text) == escaped


def test_escape_literals_leaves_markers() -> None:
    assert escape_literals("<image> <\\image> <\\\\video>") == "<image> <\\\\image> <\\\\\\video>"


@given(TEXTS)
def test_unescape_undoes_both(text: str) -> None:
    assert unescape(escape(text)) == text
    assert unescape(escape_literals(text)) == text


@given(TEXTS)
def test_escaped_text_has_no_marker(text: str) -> None:
    assert "<image>" not in escape(text)
    assert "<video>" not in escape(text)
    assert escape_literals(text).count("<image>") == text.count("<image>")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [""]),
        ("a", ["a"]),
        ("<image>\nWhat?", ["", "<image>", "\nWhat?"]),
        ("a<image><video>b", ["a", "<image>", "", "<video>", "b"]),
        (r"a <\image> b", [r"a <\image> b"]),
    ],
)
def test_pieces_cut_at_markers_and_not_at_literals(text: str, expected: list[str]) -> None:
    assert pieces(text) == expected
    assert "".join(pieces(text)) == text


@pytest.mark.parametrize(
    ("text", "place", "found"),
    [("abc", 1, 1), ("<image>abc", 0, 7), ("a<image>b<video>c", 2, 16), ("a<image>", 0, 0), ("ab", 2, 2)],
)
def test_places_count_without_markers(text: str, place: int, found: int) -> None:
    assert place_in(text, place) == found
