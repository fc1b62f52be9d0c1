import pickle
import random

import pytest

from filters.judges.base import Request
from filters.judges.score import requests, scores
from filters.judges.tiny import TinyJudge
from shards.errors import UsageError

CHATS = [
    [("user", "How many?"), ("assistant", "Seven.")],
    [("user", "How many?"), ("assistant", "")],
    [("user", "<image>")],
    [("document", "A long walk by the sea. " * 12)],
    [("user", "q"), ("assistant", "\U0001f600\U0001f680\U0001f389")],
]


def judged(batch, prompt_id="quality"):
    return scores(TinyJudge()(requests(batch, prompt_id)), prompt_id)


def test_contract(batch_of):
    judge = TinyJudge()
    asked = requests(batch_of(*CHATS), "quality")
    replies = judge(asked)
    assert len(replies) == len(asked)
    assert [reply for request in asked for reply in judge([request])] == replies
    assert judge(asked[::-1]) == replies[::-1]
    assert pickle.loads(pickle.dumps(judge)) == judge and hash(judge) == hash(TinyJudge())
    assert judge([]) == []
    assert [reply.state for reply in replies] == ["scored", "scored", "empty", "scored", "no_answer"]


def test_probabilities_sum_to_one_and_give_the_score(batch_of):
    for reply in TinyJudge()(requests(batch_of(*CHATS), "repetition")):
        if reply.probs:
            assert sum(reply.probs) == pytest.approx(1.0)
            assert min(reply.probs) >= 0.0


def test_an_unknown_prompt_is_named():
    with pytest.raises(UsageError, match="found `taste`"):
        TinyJudge()([Request("taste", "=== user ===\nq")])


GOOD = [
    ("How many dogs are there?", "Seven."),
    ("Which country is it?", "Peru"),
    ("What is 9 + 9?", "18"),
    ("Is it red?", "no"),
    ("What is on the plate?", "None"),
    ("Which option is right?\nA. one\nB. two", "B"),
    ("Where is the dog?", "[12, 34, 560, 780]"),
    ("Solve for x: 2x = 6", "2x = 6\nx = 6 / 2\nx = 3\n\\boxed{3}"),
    ("What is $\\int x dx$?", "$$\\int x \\, dx = \\frac{x^2}{2} + C$$"),
    ("Write a function that adds.", "```python\ndef add(a, b):\n    return a + b\n```"),
    ("Read the table.", "| year | value |\n|---|---|\n| 2001 | 3.5 |\n| 2002 | 4.5 |"),
    (
        "\u56fe\u91cc\u6709\u4ec0\u4e48\uff1f",
        "\u56fe\u7247\u663e\u793a\u4e00\u53ea\u732b\u5750\u5728\u57ab\u5b50\u4e0a\u3002",
    ),
    ("\u0e19\u0e35\u0e48\u0e04\u0e37\u0e2d\u0e2d\u0e30\u0e44\u0e23", "\u0e41\u0e21\u0e27\u0e2a\u0e35\u0e14\u0e33"),
    ("Describe the picture.", "A man in a blue shirt walks his dog along the beach while the sun sets behind him."),
]


@pytest.mark.parametrize(("question", "answer"), GOOD)
def test_good_answers_reach_seven(batch_of, question, answer):
    batch = batch_of([("user", question), ("assistant", answer)])
    assert judged(batch)["quality"].item() >= 7
    assert judged(batch, "repetition")["repetition"].item() == 10


POOR = [
    ("Why?", ""),
    ("Why?", "   \n"),
    ("Why?", "TODO"),
    ("Why?", "N/A"),
    ("Why?", "..."),
    ("Why?", "[insert answer here]"),
    ("Why?", "Lorem ipsum dolor sit amet, consectetur adipiscing elit."),
    ("Why?", "I'm sorry, but I can't help with that."),
    ("Why?", "As an AI language model, I cannot see pictures."),
    ("What is shown?", "The picture shows a man who is walking along the"),
    ("Write code.", "```python\ndef add(a, b):\n    retur"),
    ("Explain the water cycle.", "Water."),
    ("What is shown?", "qwlkjr zxmcnv asdkjh qwrtpsdf bvnxzc"),
    ("What is shown?", "It is a caf\u00c3\u00a9 \u00e2\u20ac\u201c very nice."),
    ("What is shown?", "A dog.<|im_end|>\n<|im_start|>user"),
    ("What is shown in the picture?", "What is shown in the picture?"),
    ("What is shown?", "A dog runs on the grass in the park near us. " * 6),
]


@pytest.mark.parametrize(("question", "answer"), POOR)
def test_poor_answers_stay_below_seven(batch_of, question, answer):
    assert judged(batch_of([("user", question), ("assistant", answer)]))["quality"].item() < 7


def test_the_worst_answer_counts(batch_of):
    batch = batch_of([("user", "a"), ("assistant", "Fine, thanks."), ("user", "b"), ("assistant", "TODO")])
    assert judged(batch)["quality"].item() < 7


@pytest.mark.parametrize(
    "answer", ["\U0001f600" * 9, "\u250c\u2500\u2500\u2510", "\ue000\ue001 o", "\u0301\u0301\u0301", "\x00\x01\x02"]
)
def test_characters_without_features_give_no_answer(batch_of, answer):
    found = judged(batch_of([("user", "q"), ("assistant", answer)]))
    assert found["quality_state"].item() == "no_answer"
    assert found["quality_mass"].item() < 0.5


def test_accents_as_marks_are_letters(batch_of):
    assert judged(batch_of([("user", "q"), ("assistant", "e\u0301te\u0301")]))["quality"].item() >= 7


def test_long_hostile_text_is_judged(batch_of):
    words = "".join(random.Random(0).choices("abc ", k=300_000))
    batch = batch_of(*[[("user", "q"), ("assistant", text)] for text in ("a" * 1_000_000, words, "<|a" * 100_000)])
    assert judged(batch)["quality"].null_count() == 0
    assert judged(batch)["quality"][0] < 7
