import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.answer import code_points
from filters.dup_ngram import DupNgramShare
from filters.lengths import Lengths
from filters.repeats import word_hashes

FORTY = " ".join(f"word{number}" for number in range(40))


@pytest.mark.parametrize(
    ("text", "ngrams", "lines"),
    [
        ("", 0.0, 0.0),
        ("one two three", 0.0, 0.0),
        (FORTY, 0.0, 0.0),
        (f"{FORTY} {FORTY}", 31 / 71, 0.0),
        (" ".join([FORTY] * 50), 1951 / 1991, 0.0),
        ("go " * 109, 99 / 100, 0.0),
        ("\u6c34" * 30, 20 / 21, 0.0),
        ("same line\nother\n  same line \n\n", 0.0, 1 / 3),
        ("}\n}\n}\n---\n---\n", 0.0, 0.0),
    ],
)
def test_shares(batch_of_answers, text, ngrams, lines):
    assert DupNgramShare()(batch_of_answers([text])).row(0) == (ngrams, lines)


def test_the_share_grows_with_the_loop(batch_of_answers):
    found = DupNgramShare()(batch_of_answers([" ".join([FORTY] * times) for times in (1, 2, 3, 5, 10, 50)]))
    assert found["dup_ngram_share"].is_sorted()


def reference(text, n):
    """Slow and obvious: a set of tuples of words."""
    words = re.findall(r"[\u4e00-\u9fff]|[^\s\u4e00-\u9fff\u3001\u3002]+", text)
    ngrams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
    lines = [line for line in (line.strip() for line in text.split("\n")) if re.search(r"\w", line)]
    return tuple(1 - len(set(items)) / len(items) if items else 0.0 for items in (ngrams, lines))


@settings(max_examples=200, deadline=None)
@given(st.text("ab \n-\u6c34\u6cb3\u3002", max_size=40), st.integers(1, 4))
def test_shares_equal_the_reference(batch_of_answers, text, n):
    text = text.replace("\u3002", " ")  # a mark alone is a line of its own for us, and none for \w
    assert DupNgramShare(n=n)(batch_of_answers([text])).row(0) == pytest.approx(reference(text, n))


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30))
def test_words_are_cut_as_lengths_counts_them(batch_of_answers, text):
    batch = batch_of_answers([text])
    assert len(word_hashes(code_points(batch).codes)) == Lengths()(batch)["answer_words"].item()
