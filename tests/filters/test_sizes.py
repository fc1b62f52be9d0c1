import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters import prose
from filters.lengths import Lengths
from filters.letters import WORD
from filters.sizes import Sizes
from filters.texts import read_texts

PROSE = "The bus is red. It stops at the gate. Two people wait. "
PIECES = st.sampled_from(
    ["a", "Be", ". ", "!", "\n", "\n\n", " ", "- ", "1. ", "```\n", "(", ")", ",", "\u6c34", "\u3002", "|"]
)


def sized(batch_of_answers, answers):
    return Sizes()(read_texts(batch_of_answers(answers)))


@pytest.mark.parametrize(
    ("answer", "sentences", "longest"),
    [
        ("One two. Three!", 2, 2),
        ("Version 3.5 is out. Good", 2, 3),
        ("One line goes\non here. Two.", 2, 5),
        ("Title\nOther line", 2, 2),
        ("\u6c34\u5728\u6cb3\u91cc\u3002\u5f88\u51b7\uff01", 2, 4),
        ("- an item. with words\n2. another one", 0, 0),
        ("| a | b |\n| c | d |", 0, 0),
        ("```\nsome code here\n```", 0, 0),
        ("[0.1, 0.2, 0.3, 0.4]", 0, 0),
        ("    indented code", 1, 2),
        ("x:\n    indented code", 1, 1),
        ("", 0, 0),
    ],
)
def test_sentences_are_of_prose_only(batch_of_answers, answer, sentences, longest):
    found = sized(batch_of_answers, [answer]).row(0, named=True)
    assert (found["answer_sentences"], found["longest_sentence"]) == (sentences, longest)


@pytest.mark.parametrize(
    ("answer", "ending"),
    [
        (PROSE + "He left.", "complete"),
        (PROSE + "And then the driver opened all of it", "sentence"),
        (PROSE + "And then the driver opened all of the", "word"),
        (PROSE + "Dear Anna", "complete"),
        (PROSE + "Title without mark\nAnd then the driver opened all of it", "complete"),
        (PROSE + "\n\nSincerely,", "complete"),
        (PROSE + "He saw a bus, a tram, a train,", "comma"),
        (PROSE + "He saw it (in the evening and", "bracket"),
        (PROSE + "He saw it (in the evening)", "complete"),
        ("Here:\n```\nx = 1", "fence"),
        ("Here:\n```\nx = (1\n```", "complete"),
        ("A red bus", "complete"),
        ("[12, 40,", "complete"),
        (PROSE + "\n- a list item of many words and no mark", "complete"),
        (PROSE + "\nb) an option of many words and no mark", "complete"),
        ("\u516c\u4ea4\u8f66\u662f\u7ea2\u8272\u7684\uff0c\u5b83\u505c\u5728\u95e8\u53e3\uff0c", "comma"),
    ],
)
def test_endings(batch_of_answers, answer, ending):
    assert sized(batch_of_answers, ["Fine.", answer])["ending"].to_list() == ["complete", ending]


def test_the_worst_answer_of_a_sample_counts(batch_of):
    turns = [("user", "q"), ("assistant", PROSE + "He saw it (in the dark and"), ("user", "q"), ("assistant", "Yes.")]
    assert Sizes()(read_texts(batch_of(turns)))["ending"].to_list() == ["bracket"]


def slow_words(text):
    # Rust's expression in Python's spelling
    pattern = re.sub(r"\\x\{([0-9a-f]+)\}", lambda found: f"\\U{int(found[1], 16):08x}", WORD)
    return re.findall(pattern, text)


@settings(deadline=None)
@given(st.lists(PIECES, max_size=40).map("".join))
def test_words_lines_and_characters_against_slow_ones(batch_of_answers, text):
    batch = batch_of_answers([text])
    texts = read_texts(batch)
    found = prose.measure(texts.codes, texts.starts, texts.answers)[:, 0]
    words = slow_words(text)
    assert found[prose.WORDS] == len(words) == Lengths()(texts)["answer_words"].item()
    assert found[prose.WORD_CHARS] == sum(map(len, words))
    assert found[prose.LONGEST_WORD] == max(map(len, words), default=0)
    assert found[prose.LINES] == sum(bool(line.strip()) for line in text.split("\n"))
    assert found[prose.CHARS] == len(text.strip()) == Lengths()(texts)["answer_chars"].item()


@pytest.mark.parametrize(
    "text", ["\n" * 1_000_000, "(" * 1_000_000, "`" * 1_000_000, " \n" * 500_000 + "x", "a" * 1_000_000]
)
def test_hostile_text(batch_of_answers, text):
    found = sized(batch_of_answers, [text])
    assert found["longest_word"].item() == max(map(len, text.split()), default=0)
    assert np.isfinite(found["mean_sentence_words"].item())
