import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.periodic_share import PeriodicShare
from filters.stretches import longest_stretches

WORDS = ["man", "stands", "near", "old", "bus", "while", "dogs", "look", "rain", "falls", "on", "grey", "street"]
TWO = "The first sentence tells of a bus. The second one of a dog."


def prose(count, seed=0):
    chooser = random.Random(seed)
    return " ".join(f"{chooser.choice(WORDS)}{chooser.randrange(1000)}" for _ in range(count))


@pytest.mark.parametrize(
    ("text", "three", "two"),
    [
        ("", 0.0, 0.0),
        ("ha ha ha ha", 0.0, 0.0),  # shorter than `shortest`
        (prose(200), 0.0, 0.0),
        ("ha " * 100, 1.0, 1.0),
        ("a" * 100, 1.0, 1.0),
        (f"{TWO} {TWO}", 0.0, 1.0),
        (f"{TWO}\n\n{TWO}  {TWO}\n", 1.0, 1.0),
        (f"{TWO} But. {TWO}", 0.0, 0.0),  # not adjacent
        ("\u6c34\u5728\u6cb3\u91cc\u6d41\u5f97\u5f88\u5feb\u3002" * 20, 1.0, 1.0),
    ],
)
def test_shares(batch_of_answers, text, three, two):
    assert PeriodicShare()(batch_of_answers([text])).row(0) == (three, two)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_loop_counts_wherever_it_stands(batch_of_answers, place):
    parts = [prose(40, seed=1), prose(40, seed=2)]
    parts.insert(place, " ".join([TWO] * 5))
    loop = len(TWO) * 5 + 4
    three, _ = PeriodicShare()(batch_of_answers([" ".join(parts)])).row(0)
    # a letter or two of the neighbours may happen to go on with the period
    assert three == pytest.approx(loop / len(" ".join(parts)), abs=3 / len(" ".join(parts)))


def test_a_period_whose_shingles_all_occur_twice_is_found(batch_of_answers):
    u, v = prose(6, seed=3), prose(6, seed=4)
    period = " ".join([u, u, u, v, u, v, v, v])  # de Bruijn: each pair of neighbours occurs once, each part four times
    assert PeriodicShare()(batch_of_answers([" ".join([period] * 3)]))["periodic_share"].item() == 1.0


def reference(text, far):
    """Slow and obvious: for each period, the longest run of places that equal the one a period before."""
    best = [0, 0]
    for period in range(1, len(text)):
        run = 0
        for place in range(period, len(text)):
            run = run + 1 if text[place] == text[place - period] else 0
            length = run + period if run else 0
            if length >= 3 * period - 1:
                best[0] = max(best[0], length)
            if length >= 2 * period - 1 and period >= far:
                best[1] = max(best[1], length)
    return best


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.text("ab", max_size=60),
        st.text("abcd", max_size=40),
        st.tuples(st.text("abc", max_size=9), st.integers(1, 6), st.text("abc", max_size=9)).map(
            lambda t: t[2] + t[0] * t[1] + t[2]
        ),
    )
)
def test_stretches_equal_the_reference(text):
    shortest, far = 4, 3
    codes = np.array([ord(character) for character in text], dtype=np.uint32)
    found = longest_stretches(codes, shortest, far).tolist()
    for length, expected in zip(found, reference(text, far), strict=True):
        assert length == expected or (length < shortest and expected < shortest)


@pytest.mark.parametrize("make", [lambda: "a" * 1_000_000, lambda: "ab\n" * 300_000])
def test_long_loops_cover_everything(batch_of_answers, make):
    assert PeriodicShare()(batch_of_answers([make()]))["periodic_share"].item() == 1.0


def test_a_long_random_text_has_no_loop(batch_of_answers):
    text = "".join(random.Random(0).choices("abcdefgh ", k=1_000_000))
    assert PeriodicShare()(batch_of_answers([text])).row(0) == (0.0, 0.0)
