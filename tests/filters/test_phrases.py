import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.automaton import OPEN_END, build, find
from filters.phrase_table import PHRASES
from filters.phrases import Phrases
from filters.texts import read_texts


def counted(batch_of, question, answer):
    return Phrases()(read_texts(batch_of([("user", question), ("assistant", answer)]))).row(0, named=True)


@pytest.mark.parametrize(
    ("answer", "score", "count"),
    [
        ("As an AI language model, I like it.", "ai_phrases", 1),
        ("It was made as an aide.", "ai_phrases", 0),
        ("as an\n  ai, no", "ai_phrases", 1),
        ("\u4f5c\u4e3aAI\uff0c\u6211\u4e0d\u77e5\u9053", "ai_phrases", 1),
        ("Als KI-Modell weiss ich es nicht.", "ai_phrases", 1),
        ("Well, I can\u2019t help with that.", "refusal_phrases", 1),
        ("I cannot wait.", "refusal_phrases", 0),
        ("Click here. All Rights Reserved.", "boilerplate_phrases", 2),
        ("Yes.<|im_end|>", "template_tokens", 1),
        ("### Response: yes", "template_tokens", 1),
        ("see ### Response: yes", "template_tokens", 0),
        ("Use `<|im_end|>` at the end.", "template_tokens", 0),
        ("Human: hi\n  ASSISTANT: ho", "role_labels", 2),
        ("The human: a study", "role_labels", 0),
        ("a <\\image> b <image_placeholder>", "picture_tokens", 2),
        ("Dear [insert name], [Your Company]", "fill_ins", 2),
        ("<p>one<br/>two&nbsp;</p>", "html_tags", 4),
        ("```\n<p>one</p>\n```\n<p>", "html_tags", 1),
        ("````\n<p>one</p>\n````\n<p>", "html_tags", 1),
        ("a `<p>` tag\n<p>", "html_tags", 1),
        ("a < b and b > c", "html_tags", 0),
    ],
)
def test_phrases_are_counted_where_they_are_debris(batch_of, answer, score, count):
    assert counted(batch_of, "q", answer)[score] == count


@pytest.mark.parametrize(("score", "count"), [("template_tokens", 1), ("refusal_phrases", 0), ("html_tags", 0)])
def test_tokens_count_in_questions_too(batch_of, score, count):
    assert counted(batch_of, "<|im_end|> <p> I cannot assist", "Yes.")[score] == count


@pytest.mark.parametrize(
    ("answer", "share"),
    [
        ("https://a.bc/d", 1.0),
        ("see www.a.bc now", 0.5),
        ("(http://www.a.bc)", 15 / 17),
        ("none", 0.0),
        ("", 0.0),
    ],
)
def test_share_of_addresses(batch_of, answer, share):
    assert counted(batch_of, "http://question.org", answer)["url_share"] == pytest.approx(share)


def test_phrases_are_written_as_they_are_looked_for():
    phrases = [phrase.removeprefix("^").removesuffix("*") for group in PHRASES.values() for phrase in group]
    assert all(phrase == phrase.lower() or not phrase.isascii() for phrase in phrases)
    assert not [phrase for phrase in phrases if "  " in phrase or phrase != phrase.lstrip() or "\u2019" in phrase]


WORDS = ("an ai", "ai", "a", "b ", "[a", "ab a", "\u6c34a", "a'b")
TEXT = st.lists(
    st.sampled_from(["a", "b", "i", "n", "A", " ", "\n", "[", "'", "\u2019", "\u6c34", "\u00e9", "."]), max_size=30
)


def slow_hits(text, phrase, open_end):
    """Every place of a phrase, by trying all of them."""
    plain = text.replace("\u2019", "'").lower()
    body = r"\s+".join(map(re.escape, phrase.strip().split(" "))) + (r"\s+" if phrase.endswith(" ") else "")
    word = "[a-z0-9\u00e9]"
    before = f"(?<!{word})" if re.match(word, phrase) else ""
    after = f"(?!{word})" if re.search(word + "$", phrase) and not open_end else ""
    if phrase.endswith(" "):
        body = body[:-1]  # the first of several spaces ends it
        body = body.removesuffix("\\s") + "\\s"
    return [found.start() for found in re.finditer(f"(?={before}{body}{after})", plain)]


@settings(deadline=None, max_examples=300)
@given(TEXT.map("".join), st.booleans())
def test_the_automaton_finds_what_a_search_for_each_phrase_finds(text, open_end):
    made = build(WORDS, [OPEN_END if open_end else 0] * len(WORDS))
    codes = np.array([ord(char) for char in "x" + text], dtype=np.uint32)
    hits = find(codes, np.array([1, len(codes)]), made)
    for index, phrase in enumerate(WORDS):
        mine = (hits.start[hits.phrase == index] - 1).tolist()
        assert mine == slow_hits(text, phrase, open_end), phrase


@pytest.mark.parametrize(
    "text", ["as an " * 200_000, "`" * 1_000_000, "as" + "\n" * 1_000_000 + "an ai", "http://" * 150_000]
)
def test_hostile_text(batch_of, text):
    assert counted(batch_of, "q", text)["ai_phrases"] == text.endswith("an ai")
