import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.char_run import CharRuns
from filters.texts import read_texts


def runs(batch):
    return CharRuns()(read_texts(batch)).row(0)


@pytest.mark.parametrize(
    ("text", "char_run", "spaced", "space_run"),
    [
        ("", 0, 0, 0),
        ("abc", 1, 1, 0),
        ("aab", 2, 2, 0),
        ("0 0 0 000 00", 3, 8, 1),
        ("0  0", 1, 1, 2),
        ("1 " + "0" * 800 + " 2", 800, 800, 1),
        ("x\ty\n\n\n\n", 1, 1, 4),
        ("\u6c34\u6c34\u3000\u6c34", 2, 3, 1),
        ("\x00\x00\x00", 3, 3, 0),
        ("\x00", 1, 1, 0),
        ("|---|---|", 3, 3, 0),
    ],
)
def test_runs(batch_of_answers, text, char_run, spaced, space_run):
    assert runs(batch_of_answers([text])) == (char_run, spaced, space_run)


def test_the_worst_answer_counts_and_questions_do_not(batch_of):
    turns = [("user", "000000"), ("assistant", "aa"), ("user", "000000"), ("assistant", "bbb")]
    assert runs(batch_of(turns)) == (3, 3, 0)


def reference(text):
    """Slow and obvious: try every part of the text."""
    parts = [text[i:j] for i in range(len(text)) for j in range(i + 1, len(text) + 1)]
    tight = [len(part) for part in parts if len(set(part)) == 1 and not part.isspace()]
    loose = [
        len(part) - part.count(" ")
        for part in parts
        if part[0] != " " and "  " not in part and len(set(part) - {" "}) == 1
    ]
    return (
        max(tight, default=0),
        max(loose, default=0),
        max((len(part) for part in parts if part.isspace()), default=0),
    )


@settings(max_examples=150, deadline=None)
@given(st.text("a0 ", max_size=14))
def test_runs_equal_the_reference(batch_of_answers, text):
    assert runs(batch_of_answers([text])) == reference(text)


PLAIN = "the quick brown fox jumped high over lazy dogs"


RUNS = ["a", "aaa", " ", "  ", "a a", "b b b", "\n", "\u3000 ", "g g", "hh"]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 46), st.sampled_from(RUNS)), max_size=8))
def test_long_runs_stand_out_of_plain_text(batch_of_answers, parts):
    # a doubled letter first: after it, and after a space, blocks of 32 characters are looked at as a whole
    text = "aa b" + "".join(PLAIN[:size] + part for size, part in parts) + PLAIN
    tight = [match.group() for match in re.finditer(r"(\S)\1*", text)]
    loose = [match.group() for match in re.finditer(r"(\S)(?:\s?\1)*", text)]
    gaps = re.findall(r"\s+", text)
    expected = (max(map(len, tight)), max(len("".join(run.split())) for run in loose), max(map(len, gaps)))
    assert runs(batch_of_answers([text])) == expected
