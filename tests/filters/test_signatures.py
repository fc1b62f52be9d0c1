"""Shingles and bands against what they stand for: Python sets of tuples of words."""

import random
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.letters import DIGITS, LETTERS, SPACES, UNSPACED, Ranges
from filters.signatures import band_hashes, characters, multipliers, shingle_sets, words_into
from filters.text_bands import HASHES_PER_BAND, NUM_BANDS, SHINGLE_WORDS, answer_sides, message_bounds
from filters.texts import read_texts

PARTS = [
    "a",
    "b",
    "B",
    "7",
    "12",
    " ",
    "\n",
    ".",
    "+",
    "\u00c9",
    "\u6c34",
    "\u30a2",
    "\u0e01",
    "\U00020000",
    "\x00",
    "\ufffd",
]
TEXT = st.lists(st.sampled_from(PARTS), max_size=30).map("".join)
CHATS = st.lists(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), TEXT), max_size=4), max_size=4)


def inside(ranges: Ranges) -> str:
    return "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in ranges)


WORD = re.compile(f"(?:(?![{inside(UNSPACED)}])[{inside(LETTERS + DIGITS)}])+|[^{inside(SPACES)}]")


def words(text: str) -> list[str]:
    small = (char.lower() if len(char.lower()) == 1 else char for char in text)
    return WORD.findall("".join(small))


def sets(turns: list[tuple[str, str]], size: int = SHINGLE_WORDS) -> tuple[set[tuple[str, ...]], set[tuple[str, ...]]]:
    """Shingles of questions and of answers, obviously."""
    said = [
        [w for role, text in turns if (role == "assistant") == answer for w in words(text)] for answer in (False, True)
    ]
    found = []
    for part in said:
        length = min(size, len(part))
        found.append({tuple(part[i : i + length]) for i in range(len(part) - length + 1)} if length else set())
    return found[0], found[1]


def numbers(turns: list[tuple[str, str]]) -> list[list[str]]:
    joined = [[text for role, text in turns if (role == "assistant") == answer] for answer in (False, True)]
    return [sorted(run for text in part for run in re.findall("[0-9]+", text)) for part in joined]


def made(batch_of, chats):
    texts = read_texts(batch_of(*chats))
    sides, bounds = answer_sides(texts), message_bounds(texts)
    return shingle_sets(texts.codes, texts.starts, sides, bounds, SHINGLE_WORDS, characters())


def bands_of(batch_of, *chats):
    texts = read_texts(batch_of(*chats))
    parts = texts.codes, texts.starts, answer_sides(texts), message_bounds(texts)
    factors = multipliers(NUM_BANDS * HASHES_PER_BAND)
    return band_hashes(*parts, SHINGLE_WORDS, characters(), factors, HASHES_PER_BAND)


@settings(deadline=None)
@given(CHATS)
def test_sets_are_those_of_tuples_of_words(batch_of, chats):
    values, places, said = made(batch_of, chats)
    obvious = [sets(turns) for turns in chats]
    found = [[values[places[i, side] : places[i, side + 1]].tolist() for side in (0, 1)] for i in range(len(chats))]
    for i, mine in enumerate(found):
        for side in (0, 1):
            assert mine[side] == sorted(set(mine[side]))
            for j, theirs in enumerate(found):
                for other in (0, 1):
                    both = obvious[i][side] & obvious[j][other] if side == other else set()
                    assert len(set(mine[side]) & set(theirs[other])) == len(both)
    for mine, turns in zip(said, chats, strict=True):
        assert [mine == theirs for theirs in said] == [numbers(turns) == numbers(others) for others in chats]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n\t\u3000 ", []),
        ("one", ["one"]),
        ("One  TWO\nthree", ["one", "two", "three"]),
        ("a+b, c", ["a", "+", "b", ",", "c"]),
        ("\u6c34\u5728x", ["\u6c34", "\u5728", "x"]),
        ("\u00c9t\u00e9 \u0130x", ["\u00e9t\u00e9", "\u0130x"]),  # a letter that grows stays as it is
        ("\u0e01\u0e02", ["\u0e01", "\u0e02"]),
        ("a\x00b", ["a", "\x00", "b"]),
        ("gpt4 v1.5", ["gpt4", "v1", ".", "5"]),
    ],
)
def test_words(text, expected):
    assert words(text) == expected
    room = np.empty(2 * len(text), np.uint64)
    codes = np.array([ord(char) for char in text], dtype=np.uint32)
    count, _ = words_into(codes, characters(), room, 0)
    assert count == len(expected)
    again, _ = words_into(np.array([ord(c) for c in " ".join(expected)], dtype=np.uint32), characters(), room, count)
    assert room[:count].tolist() == room[count:again].tolist()


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("Add 12 and 7.", "add 12 and 7", True),
        ("7 and 12", "12 and 7", True),
        ("12", "1 2", False),
        ("12 and 12", "12", False),
        ("3.5", "35", False),
        ("none", "other", True),
    ],
)
def test_numbers(batch_of, left, right, same):
    _, _, said = made(batch_of, [[("user", left)], [("user", right)]])
    assert (said[0] == said[1]) == same


def test_numbers_of_the_question_are_not_those_of_the_answer(batch_of):
    _, _, said = made(batch_of, [[("user", "1"), ("assistant", "2")], [("user", "2"), ("assistant", "1")]])
    assert said[0] != said[1]


def test_equal_sets_have_equal_bands_and_sides_differ(batch_of):
    line = "one two three four five six seven "
    once, often, other = bands_of(
        batch_of, [("user", line * 2)], [("user", line), ("user", line.upper() * 30)], [("assistant", line * 2)]
    ).T
    assert (once == often).all() and (once != 0).all()
    assert (once != other).all()


def test_no_word_has_no_band_and_one_word_has_all(batch_of):
    none, empty, one = bands_of(batch_of, [], [("user", " \n"), ("assistant", "")], [("assistant", "yes")]).T
    assert not none.any() and not empty.any() and one.all()


def edited(rng: random.Random, text: list[str], edits: int) -> list[str]:
    made = list(text)
    for place in rng.sample(range(len(made)), edits):
        made[place] = f"x{rng.random()}"
    return made


@pytest.mark.parametrize(
    ("edits", "least", "most"),
    # similarities of about 0.8, 0.55 and 0.33: bands share 0.998, 0.44 and 0.03
    [(3, 0.985, 1), (9, 0.2, 0.75), (18, 0, 0.12)],
)
def test_texts_share_a_band_as_often_as_the_formula_says(batch_of, edits, least, most):
    rng = random.Random(edits)
    vocabulary = [f"w{n}" for n in range(5000)]
    texts = [rng.choices(vocabulary, k=150) for _ in range(400)]
    chats = [[("user", " ".join(text))] for text in texts + [edited(rng, text, edits) for text in texts]]
    bands = bands_of(batch_of, *chats)
    share = (bands[:, :400] == bands[:, 400:]).any(axis=0).mean()
    expected = []
    for left, right in zip(chats[:400], chats[400:], strict=True):
        mine, theirs = sets(left)[0], sets(right)[0]
        expected.append(1 - (1 - (len(mine & theirs) / len(mine | theirs)) ** HASHES_PER_BAND) ** NUM_BANDS)
    assert least <= share <= most
    assert abs(share - np.mean(expected)) < 0.05
