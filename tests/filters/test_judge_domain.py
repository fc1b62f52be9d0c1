import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.answer import ANSWER_ROLES, has_text, roles
from filters.judge_domain import _IN_ANSWERS, _IN_QUESTIONS, DOMAINS, JudgeDomain, Words
from filters.texts import read_texts
from shards.schema import ROLES

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


@pytest.fixture
def texts_of(batch_of):
    return lambda *conversations: read_texts(batch_of(*conversations))


@pytest.mark.parametrize(("question", "answer", "domain"), SAMPLES)
def test_domain(texts_of, question, answer, domain):
    assert domain in DOMAINS
    assert JudgeDomain()(texts_of([("user", question), ("assistant", answer)]))["judge_domain"].item() == domain


def test_a_document_is_looked_at_as_answers_are(texts_of):
    assert JudgeDomain()(texts_of([("document", "import os\nfrom sys import argv\n")])).item() == "programming"


def test_samples_without_text_have_none(texts_of):
    assert JudgeDomain()(texts_of([("user", "<image>")])).item() is None


def test_only_the_beginning_counts(texts_of):
    late = "word " * 1000 + "\\frac{1}{2} \\sum_{i}"
    assert JudgeDomain()(texts_of([("user", "q"), ("assistant", late)])).item() == "general"


def expression(sign):
    if not isinstance(sign, Words):
        return sign.expression, sign.points
    words = sign.words.replace("*", r"\w*").replace(" ", "|").replace("_", " ")
    return rf"(?i)\b(?:{words})\b", 1


def slow(batch):
    """The domains by nothing but regular expressions."""
    heads = {"asked": (("system", "user"), _IN_QUESTIONS), "told": (ANSWER_ROLES, _IN_ANSWERS)}
    frame = batch.select(
        has_text().alias("applies"),
        *[roles(names).list.join("\n").str.head(4000).alias(column) for column, (names, _) in heads.items()],
    )
    points = {}
    for domain in ("programming", "mathematics", "disciplinary"):
        counted = [
            pl.col(column).str.count_matches(each).clip(upper_bound=3).cast(pl.Int32) * worth
            for column, (_, signs) in heads.items()
            for each, worth in map(expression, signs[domain])
        ]
        points[domain] = frame.select(pl.sum_horizontal(counted)).to_series().to_list()
    rows = zip(frame["applies"].to_list(), *points.values(), strict=True)
    names = [*points, "general"]
    return [names[own.index(max(own)) if max(own) >= 2 else -1] if applies else None for applies, *own in rows]


SIGNS = [
    *(
        "gene",
        "GENES",
        "atom",
        "world war",
        "how many",
        "solve the",
        "sum",
        "electron",
        "per day",
        "calculate",
        "matrix",
    ),
    *("\u212a", "\u017f", "\u00e9", "_", "\u2019", "\u6c34", "1", "\x85", "<image>", " ", " ", " ", "\n", "."),
    *(
        "write a ",
        "function",
        "code",
        "A. ",
        "(b) ",
        "```",
        "```python\n",
        "import os",
        "def f(",
        "return 1;",
        "#include <",
    ),
    *("const x =", "select a ", " from t", "printf(", "</p>", "console.log", "\\frac", "\\mu ", "<<1=1>>", "#### 4"),
    *("3 + 4 = 7", "$x_1$", "$ a ", "^ {", "_{", "word " * 790),
]
TEXT = st.lists(st.sampled_from(SIGNS), max_size=12).map("".join)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.lists(st.tuples(st.sampled_from(ROLES), TEXT), max_size=3), max_size=4))
def test_domains_are_those_of_the_expressions_alone(batch_of, chats):
    batch = batch_of(*chats)
    assert JudgeDomain()(read_texts(batch))["judge_domain"].to_list() == slow(batch)
