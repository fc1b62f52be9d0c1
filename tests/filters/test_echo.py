import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.echo import Echo
from filters.texts import read_texts

WORDS = st.lists(st.sampled_from(["a", "b", "B", "c", "dd", "\u6c34", ",", "\n"]), max_size=40).map(" ".join)


def echoed(batch_of, question, answer):
    return Echo()(read_texts(batch_of([("user", question), ("assistant", answer)]))).row(0)


@pytest.mark.parametrize(
    ("question", "answer", "share", "exact"),
    [
        ("What is the time in Rome?", "what is the time in rome", 1.0, True),
        ("Sky?", "Sky.", 0.0, True),
        ("What is the time in Rome?", "What is the time in Oslo and so on?", 5 / 9, False),
        ("one two three four", "one two three four five", 0.0, False),
        ("\u6c34\u5728\u6cb3\u91cc\u6d41", "\u6c34\u5728\u6cb3\u91cc\u6d41", 1.0, True),
        ("", "", 0.0, False),
        ("?", "!", 0.0, False),
    ],
)
def test_echo(batch_of, question, answer, share, exact):
    assert echoed(batch_of, question, answer) == (pytest.approx(share), exact)


def test_only_the_question_right_before_counts(batch_of):
    text = "one two three four five six"
    turns = [("user", text), ("assistant", "Yes."), ("user", "Sure?"), ("assistant", text)]
    assert Echo()(read_texts(batch_of(turns))).row(0) == (0.0, False)


def slow_share(question, answer):
    asked, said = (re.findall("\u6c34|[a-z]+", text.lower()) for text in (question, answer))
    known = {tuple(asked[place : place + 5]) for place in range(len(asked) - 4)}
    taken = set()
    for place in range(len(said) - 4):
        if tuple(said[place : place + 5]) in known:
            taken |= set(range(place, place + 5))
    return len(taken) / max(len(said), 1), bool(said) and asked == said


@settings(deadline=None)
@given(WORDS, WORDS)
def test_against_a_slow_one(batch_of, question, answer):
    share, exact = slow_share(question, answer)
    assert echoed(batch_of, question, answer) == (pytest.approx(share), exact)
