import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.pieces import GRAM, LONGEST, cut, link, recall, table_size

PATIENCE = 3


def pieces(text):
    codes = np.array([ord(character) for character in text], dtype=np.uint32)
    hashes, places = np.zeros(len(codes), np.uint32), np.zeros(len(codes), np.int32)
    kinds = np.zeros(len(codes), np.uint8)
    size = cut(codes, hashes, places, kinds, 0)
    return hashes[:size], places[:size].tolist()


def linked(text, said=""):
    before, after = pieces(said)[0], pieces(text)[0]
    hashes = np.concatenate([before, after])
    size = table_size(len(hashes))
    table, back = np.zeros(size, np.int64), np.zeros(len(hashes), np.int32)
    link(hashes, 0, len(before), 7, table, size, back)
    counts = link(hashes, len(before), len(hashes), 7, table, size, back)
    return back[len(before) :].tolist(), counts


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("", []),
        ("  two words ", [2, 6]),
        ("x12,5", [0, 1, 3, 4]),
        ("\u6c34\u6cb3 \u0e01\u0e02", [0, 1, 3, 4]),
        ("\u0645\u0627\u061f", [0, 2]),
        ("e\u0301a", [0]),
        ("a" * (LONGEST + 2), [0, LONGEST, LONGEST + 1]),
        ("\x00\x00\U0001f600", [0, 1, 2]),
    ],
)
def test_where_pieces_begin(text, places):
    assert pieces(text)[1] == places


@pytest.mark.parametrize(
    ("text", "distances"),
    [
        ("a b c d a b c d", [0, 0, 0, 0, -4, 4, 4, 4]),
        ("a b c d a b c", [0] * 7),  # three in a row are no match
        ("a b c d e a b c x e", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("a b c d e f a b c d x f", [0] * 6 + [-6, 6, 6, 6, 0, 6]),  # one changed word
        ("a b c d e f g a b c d x y z", [0] * 7 + [-7, 7, 7, 7, 0, 0, 0]),
        ("a a a a a a", [0, -1, 1, 1, 1, 1]),
    ],
)
def test_what_is_a_copy(text, distances):
    assert linked(text)[0] == distances


def reference(words):
    """Slow and obvious: the last place of each row of four, in a dictionary."""
    last, back, distance, missed, fresh = {}, [], 0, 0, 0
    for i, word in enumerate(words):
        back.append(0)
        four = tuple(words[i - GRAM + 1 : i + 1]) if i >= GRAM - 1 else None
        if distance and words[i - distance] == word:
            back[i], missed = distance, 0
        else:
            missed += 1
            distance = 0 if missed == PATIENCE else distance
            if four in last:
                distance, missed = i - last[four], 0
                first = i
                while first > i - GRAM + 1 and back[first - 1] == 0:
                    first -= 1
                back[first : i + 1] = [-distance] + [distance] * (i - first)
            elif four:
                fresh += 1
        if four:
            last[four] = i
    return back, fresh


WORDS = st.lists(st.sampled_from("abc"), max_size=60) | st.lists(st.sampled_from("abcdefgh"), max_size=12).flatmap(
    lambda unit: st.lists(st.sampled_from("xyz"), max_size=6).map(lambda noise: unit + noise + unit + unit + noise)
)


@settings(max_examples=400, deadline=None)
@given(WORDS)
def test_distances_equal_the_reference(words):
    back, (fresh, said) = linked(" ".join(words))
    assert (back, fresh, said) == (*reference(words), 0)


@settings(max_examples=200, deadline=None)
@given(WORDS, WORDS)
def test_what_earlier_texts_said_is_counted_and_not_copied(before, after):
    back, (fresh, said) = linked(" ".join(after), " ".join(before))
    alone, _ = linked(" ".join(after))
    assert back == alone and 0 <= said <= fresh
    if not set(before) & set(after):
        assert said == 0
    _, (fresh, said) = linked(" ".join(before), " ".join(before))
    assert said == fresh


@settings(max_examples=200, deadline=None)
@given(st.text("ab\u6c34 ,", max_size=40))
def test_what_is_known_equals_a_set(text):
    hashes, _ = pieces(text)
    words = re.findall(r"[ab]+|[\u6c34,]", text)
    size = table_size(len(hashes))
    known = np.full(len(hashes), 9, np.uint8)
    recall(hashes, 0, len(hashes), 3, np.zeros(size, np.int64), size, known)
    long = [part for word in words for part in (word[:LONGEST], *word[LONGEST:]) if part]
    assert known.tolist() == [word in long[:i] for i, word in enumerate(long)]
