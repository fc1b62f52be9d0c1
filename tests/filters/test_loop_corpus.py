"""The generated texts of `python -m benchmarks.loops`: loops and right repetition in nine kinds of text."""

import pytest

from benchmarks.loop_corpus import BAD, GOOD, KINDS, texts
from filters.loops import Loops
from filters.texts import read_texts

PROSE = ("English", "Chinese", "Japanese", "Arabic")


def flagged(batch_of_answers, shapes, keep):
    found = [text for *about, text in texts(shapes, seeds=3) if keep(*about)]
    scores = Loops()(read_texts(batch_of_answers(found)))["loop"]
    return (scores >= 0.5).mean()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", BAD)
def test_ten_copies_are_found_in_every_kind_of_text(batch_of_answers, shape, kind):
    assert flagged(batch_of_answers, {shape: BAD[shape]}, lambda _, name, size: name == kind and size >= 10) == 1.0


@pytest.mark.parametrize("kind", PROSE)
@pytest.mark.parametrize("shape", BAD)
def test_three_copies_are_found_in_prose(batch_of_answers, shape, kind):
    assert flagged(batch_of_answers, {shape: BAD[shape]}, lambda _, name, size: name == kind and size == 3) >= 0.6


@pytest.mark.parametrize("shape", GOOD)
def test_right_repetition_is_left_alone(batch_of_answers, shape):
    assert flagged(batch_of_answers, {shape: GOOD[shape]}, lambda _, __, size: size <= 10) == 0.0
    assert flagged(batch_of_answers, {shape: GOOD[shape]}, lambda *_: True) <= 0.05
