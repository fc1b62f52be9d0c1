"""The measures of Gopher, C4, FineWeb and data-juicer against slow references."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from published import c4, fineweb, gopher, juicer

from filters.c4 import C4
from filters.code_bits import ALPHA, ANCHOR, BLANK, DIGIT, SPECIAL, TERMINAL, classes, lowered
from filters.data_juicer import DataJuicer
from filters.fineweb import FineWeb
from filters.gopher import Gopher
from filters.texts import read_texts

PAIRS = [(Gopher, gopher), (C4, c4), (FineWeb, fineweb), (DataJuicer, juicer)]
PARTS = [
    *(
        "the",
        "and",
        "of",
        "to",
        "a",
        "b",
        "ab",
        "bc",
        "Tree",
        "1",
        "12",
        "3.5",
        "x_y",
        "\u0413",
        "\u00c9t\u00e9",
        "\u6c34\u6cb3",
    ),
    *(" ", " ", " ", "  ", "\t", "\n", "\n", "\n\n", "\r\n", "\u3000", "\x0b", "\u2028", "\x1f", "\u3002", "\u3001"),
    *(".", "...", "..", "\u2026", "!", "?", '"', ".)", "- ", "\u2022 ", "#", "[1]", "[edit]", "[citation needed]", "{"),
    *(
        "Lorem IPSUM",
        "JavaScript",
        "use coo\u212aies",
        "Privacy Policy",
        "terms of use",
        "\U0001f600",
        "\x00",
        "w" * 1001,
    ),
    *("It is so. ", "Is it? ", "Go on and on!", 'He said: "No." '),
    *(
        "a line that is said more than once.\n",
        "go on and on and on ",
        "one two three four five six seven eight nine ten ",
    ),
]
TEXT = st.lists(st.sampled_from(PARTS), max_size=60).map("".join)
LOOPS = st.builds(lambda text, times, tail: text * times + tail, TEXT, st.integers(1, 6), TEXT)


def scores(kind, batch):
    return kind()(read_texts(batch))


@pytest.mark.parametrize(("kind", "reference"), PAIRS)
@settings(max_examples=250, deadline=None)
@given(st.one_of(TEXT, LOOPS))
def test_scores_equal_the_reference(batch_of_answers, kind, reference, text):
    found = scores(kind, batch_of_answers([text]))
    expected = dict(zip(found.columns, reference(text), strict=True))
    assert found.row(0, named=True) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("kind", "reference"), PAIRS)
def test_answers_of_a_dialogue_are_one_text(batch_of, kind, reference):
    turns = [
        ("system", "no"),
        ("user", "q"),
        ("assistant", "One two three."),
        ("user", "q"),
        ("assistant", "One two three."),
    ]
    found = scores(kind, batch_of(turns, [("user", "no answer")], [("document", "one <image>two")]))
    expected = [reference(text) for text in ("One two three.\n\nOne two three.", "", "one two")]
    assert [list(row) for row in found.rows()] == [pytest.approx(row) for row in expected]


FORTY = " ".join(f"word{number}" for number in range(40))


@pytest.mark.parametrize(
    ("text", "score", "expected"),
    [
        ("a b c d", "gopher_top_2_gram_char_share", 3 / 7),  # all differ: the first one counts
        ("a b a b c", "gopher_top_2_gram_char_share", 6 / 9),
        ("aa b cc d aa b cc d", "gopher_top_2_gram_char_share", 8 / 19),  # of several the first one
        (f"{FORTY} {FORTY}", "gopher_dup_10_gram_char_share", 230 / 539),
        ("1 1 11 1 1 11 1 1 1 1", "gopher_dup_5_gram_char_share", 7 / 21),  # cut otherwise, written together the same
        ("a b c d e a b c d e a b c d e", "gopher_dup_5_gram_char_share", 10 / 29),  # the second loop learns nothing
        ("3 a b c d x 4 a b c d", "gopher_dup_5_gram_char_share", 0.0),  # the first characters are neighbours
        ("same\nsame\n\nsame", "gopher_dup_line_share", 2 / 3),
        ("\nsame\n", "gopher_dup_line_share", 1 / 3),  # two empty pieces
        ("p q\n\n\np q", "gopher_dup_paragraph_char_share", 3 / 9),
        ("one. two", "gopher_stop_words", 0),
        ("the cat and The,", "gopher_stop_words", 2),
        ("#### ....... x", "gopher_ellipses_per_word", 2 / 3),
        ("- a\n \u2022 b\nc -", "gopher_bullet_line_share", 2 / 3),
        ("+ -- x1", "gopher_words", 1),
        ('It is so. He said: "No." Is 3.5 more? Yes', "c4_sentences", 0),
        ('It is so. He said: "No." Is 3.5 more? Yes!', "c4_sentences", 4),
        ("This ends here [1].", "c4_kept_line_share", 1.0),
        ("This ends here. [1]", "c4_kept_line_share", 0.0),  # a space is left behind it
        ("Two words.\nNow three words.\n\nand no end", "c4_kept_line_share", 1 / 3),
        ("We use cookies on it.", "c4_kept_line_share", 0.0),
        ("Lorem ipsum dolor sit amet.", "c4_lorem_ipsum", True),
        ("lorem ipsum dolor sit amet", "c4_lorem_ipsum", False),  # the line goes for another reason
        ("a b c { d }.", "c4_curly_bracket", True),
        ("An end\u3002\nnone \nshort.", "fineweb_terminal_line_share", 2 / 3),
        ("x" * 30 + "\n" + "x" * 31, "fineweb_short_line_share", 0.5),
        ("ab\nab\n\n", "fineweb_dup_line_char_share", 0.5),
        ("ab" * 50, "juicer_char_ngram_share", 46 / 91),  # of two n-grams one counts
        (" ".join(["Go", "go,", "*GO*"] * 5), "juicer_word_ngram_share", 1.0),
        ("one \u0413 2", "juicer_words", 1),
        ("a\r\nbcd\n", "juicer_mean_line_chars", 3.5),
    ],
)
def test_odd_ways_of_the_publishers(batch_of_answers, text, score, expected):
    (kind,) = [kind for kind, _ in PAIRS if score in kind.writes]
    assert scores(kind, batch_of_answers([text]))[score].item() == pytest.approx(expected)


@pytest.mark.parametrize(
    "text", ["\n" * 300_000, "ab " * 100_000, "\u6c34" * 100_000, "{[" * 100_000, ".)" * 100_000, "k" * 300_000]
)
def test_hostile_text_takes_a_pass(batch_of_answers, text):
    for kind, _ in PAIRS:
        assert scores(kind, batch_of_answers([text])).null_count().sum_horizontal().item() == 0


def test_bits_say_what_python_says():
    bits = classes()
    for code in (*range(0x3100), 0x1F600, 0x10FFFF):
        character = chr(code)
        kinds = [character.isalpha(), character.isspace(), character.isdecimal()]
        assert [bool(bits[code] & bit) for bit in (ALPHA, BLANK, DIGIT)] == kinds, hex(code)
    assert bits[ord(".")] & TERMINAL and bits[0x1F600] & SPECIAL and bits[0x212A] & ANCHOR
    assert not bits[ord("a")] & (TERMINAL | SPECIAL)


def test_letters_are_lowered_one_by_one():
    table = lowered()
    assert [code for code in range(len(table)) if chr(table[code]) != chr(code).lower()] == [0x130]
    assert all(chr(code) == chr(code).lower() for code in range(len(table), 0x110000))
