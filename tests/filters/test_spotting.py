import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.spotting import build, count, word_characters
from filters.texts import read_texts

GROUPS = {
    ("|gene|", "|genes|"): r"\b(?:gene|genes)\b",
    ("|atom*|", "|world war|"): r"\b(?:atom\w*|world war)\b",
    ("|war gene|",): r"\bwar gene\b",
    ("```",): "```",
    ("sk", "\u0434\u043e"): "sk|\u0434\u043e",
    ("k|10|", "k||10|"): r"k\W{1,2}10\b",
}
PARTS = [
    *(
        "gene",
        "GENES",
        "s",
        "k",
        "\u212a",
        "\u017f",
        "\u00e9",
        "_",
        " ",
        " ",
        ".",
        "\u2019",
        "\u6c34",
        "atom",
        "ATOMIC",
    ),
    *(
        "world",
        "war",
        "`",
        "```",
        "10",
        "\u0414",
        "\u041e",
        "\u1c82",
        "\u0301",
        "\U0001f600",
        "\U00020000",
        "\U0010ffff",
        "-",
    ),
]


@pytest.fixture(scope="module")
def spotter():
    return build(list(GROUPS))


@settings(deadline=None, max_examples=300)
@given(st.lists(st.lists(st.sampled_from(PARTS), max_size=12).map("".join), min_size=1, max_size=3), st.integers(0, 30))
def test_phrases_are_found_where_rust_finds_them(batch_of, spotter, answers, most):
    texts = read_texts(batch_of([("assistant", answer) for answer in answers]))
    ends = np.array([0, len(answers)])
    found = count(texts.codes, texts.starts, texts.answers, ends, spotter, most=most)[0]
    joined = pl.Series(["\n".join(answers)[:most]])
    for label, expression in enumerate(GROUPS.values()):
        expected = joined.str.count_matches(f"(?i){expression}").item()
        # a run of back ticks holds a phrase at each place, an expression counts it once in three
        assert (found[label] > 0) == (expected > 0) if label == 3 else found[label] == expected


def test_many_times_are_255(batch_of, spotter):
    texts = read_texts(batch_of([("assistant", "gene " * 300)]))
    assert count(texts.codes, texts.starts, texts.answers, np.array([0, 1]), spotter)[0].tolist()[:2] == [255, 0]


def test_no_text_at_all(batch_of, spotter):
    texts = read_texts(batch_of([], []))
    assert count(texts.codes, texts.starts, texts.answers, np.zeros(3, np.int64), spotter).shape == (2, len(GROUPS))


def every_character(below: int) -> pl.Series:
    codes = np.arange(below, dtype=np.uint32)
    codes[0xD800:0xE000] = ord(" ")  # surrogates
    return pl.Series([codes.tobytes().decode("utf-32-le")])


def test_word_characters_are_those_of_regular_expressions() -> None:
    expected = every_character(0x110000).str.extract_all(r"\w").explode()
    assert np.flatnonzero(word_characters()).tolist() == list(map(ord, expected))


def test_cases_are_folded_as_regular_expressions_do() -> None:
    chars = "abcdefghijklmnopqrstuvwxyz\u00e5\u00df\u03c3\u0434\u0450"
    made = build([(char,) for char in chars])
    every = every_character(0x110000)
    for char in chars:
        expected = every.str.extract_all(f"(?i){char}").item()
        assert np.flatnonzero(made.classes == made.classes[ord(char)]).tolist() == list(map(ord, expected)), char
