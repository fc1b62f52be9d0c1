import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.duplicates import DuplicateShares
from filters.lengths import Lengths
from filters.repeats import word_hashes
from filters.texts import read_texts

FORTY = " ".join(f"word{number}" for number in range(40))


def shares(batch, **parameters):
    return DuplicateShares(**parameters)(read_texts(batch))


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
        ("same line\nother\n  same   line \n\n", 0.0, 1 / 3),
        ("}\n}\n}\n---\n---\n", 0.0, 0.0),
    ],
)
def test_shares_of_ngrams_and_lines(batch_of_answers, text, ngrams, lines):
    assert shares(batch_of_answers([text])).row(0)[:2] == (ngrams, lines)


@pytest.mark.parametrize(
    ("text", "sentences", "paragraphs"),
    [
        ("A bus. A dog. A bus.", 1 / 3, 0.0),
        ("A bus! A bus? A bus.", 0.0, 0.0),
        ("It costs 3.50 here. It costs 3.50 there.", 0.0, 0.0),
        ("A bus\nA bus", 1 / 2, 0.0),
        ("\u6c34\u6d41\u3002\u6c34\u6d41\u3002\u6cb3\u3002", 1 / 3, 0.0),
        ("\u0645\u0627\u061f \u0645\u0627\u061f", 1 / 2, 0.0),
        ("one\ntwo\n\none\ntwo\n \t\nthree", 2 / 5, 1 / 3),
        ("one\n\n\n\n\none", 1 / 2, 1 / 2),
        ("***\n\n***", 0.0, 0.0),
    ],
)
def test_shares_of_sentences_and_paragraphs(batch_of_answers, text, sentences, paragraphs):
    assert shares(batch_of_answers([text])).row(0)[2:] == pytest.approx((sentences, paragraphs))


def test_the_share_grows_with_the_loop(batch_of_answers):
    found = shares(batch_of_answers([" ".join([FORTY] * times) for times in (1, 2, 3, 5, 10, 50)]))
    assert found["dup_ngram_share"].is_sorted()


WORD = r"[\u4e00-\u9fff]|[^\s\u4e00-\u9fff\u3001\u3002]+"


def again(items):
    return 1 - len(set(items)) / len(items) if items else 0.0


def reference(text, n):
    """Slow and obvious: sets of tuples of words."""
    words = re.findall(WORD, text)
    ngrams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
    lines = text.split("\n")
    sentences = [part for line in lines for part in re.split(r"(?<=\u3002)|(?<=[.!?])(?=\s|$)", line)]
    paragraphs = re.split(r"\n[^\S\n]*\n", text)
    units = [
        [tuple(re.findall(WORD, part)) for part in parts if re.search(r"\w", part)]
        for parts in (lines, sentences, paragraphs)
    ]
    return tuple(again(items) for items in (ngrams, *units))


@settings(max_examples=400, deadline=None)
@given(st.text("ab \n-.!\u6c34\u6cb3\u3002", max_size=40), st.integers(1, 4))
def test_shares_equal_the_reference(batch_of_answers, text, n):
    assert shares(batch_of_answers([text]), n=n).row(0) == pytest.approx(reference(text, n))


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30))
def test_words_are_cut_as_lengths_counts_them(batch_of_answers, text):
    batch = batch_of_answers([text])
    texts = read_texts(batch)
    assert len(word_hashes(texts.codes[texts.starts[1] :])) == Lengths()(texts)["answer_words"].item()
