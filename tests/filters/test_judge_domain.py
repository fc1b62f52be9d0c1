import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.judge_domain import DOMAINS, JudgeDomain, plain

SAMPLES = [
    ("What should I cook tonight?", "Perhaps a soup.", "general"),
    ("Describe the picture.", "A man walks his dog along the beach.", "general"),
    ("Write a function that adds two numbers.", "```python\ndef add(a, b):\n    return a + b\n```", "programming"),
    ("How do I list files in bash?", "Type `ls`, for example:\n```\nls -l\n```", "programming"),
    ("Show all users over 30.", "SELECT name FROM users WHERE age > 30", "programming"),
    ("Solve for x: 2x = 6", "2x = 6, so x = 3.", "general"),
    ("Solve for x: 2x = 6. Compute the sum of its digits.", "x = 6 / 2 = 3", "mathematics"),
    ("Tom has 3 apples and buys twice as many. How many in total?", "3 * 2 = 6\n3 + 6 = 9\n#### 9", "mathematics"),
    ("Transcribe the formula.", "\\frac { a } { b } ^ { 2 }", "mathematics"),
    ("Which molecule stores energy in plant cells?\nA. water\nB. starch", "B", "disciplinary"),
    ("What did the treaty of 1648 end, and which empire lost?", "The Thirty Years' War.", "disciplinary"),
    ("Why does the patient have these symptoms?", "The disease blocks an enzyme.", "disciplinary"),
]


@pytest.mark.parametrize(("question", "answer", "domain"), SAMPLES)
def test_domain(batch_of, question, answer, domain):
    assert domain in DOMAINS
    assert JudgeDomain()(batch_of([("user", question), ("assistant", answer)]))["judge_domain"].item() == domain


def test_a_document_is_looked_at_as_answers_are(batch_of):
    assert JudgeDomain()(batch_of([("document", "import os\nfrom sys import argv\n")])).item() == "programming"


def test_samples_without_text_have_none(batch_of):
    assert JudgeDomain()(batch_of([("user", "<image>")])).item() is None


def test_only_the_beginning_counts(batch_of):
    late = "word " * 1000 + "\\frac{1}{2} \\sum_{i}"
    assert JudgeDomain()(batch_of([("user", "q"), ("assistant", late)])).item() == "general"


LETTERS = ["gene", "s", "k", "\u212a", "\u017f", "\u00e9", "_", " ", ".", "\u2019", "\u6c34", "atom", "ATOM", "1", "\n"]


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from(LETTERS), max_size=20).map("".join))
def test_words_are_found_in_plain_text_where_unicode_finds_them(text):
    frame = pl.DataFrame({"text": [text]})
    words = r"\b(?:gene|genes|atom\w*|ks)\b"
    found = frame.select(
        pl.col("text").str.count_matches("(?i)" + words).alias("unicode"),
        plain(pl.col("text")).str.count_matches("(?i-u)" + words).alias("plain"),
    )
    assert found["plain"].equals(found["unicode"])
