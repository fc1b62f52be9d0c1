import pytest

from filters.choices import Choices
from filters.texts import read_texts

LINES = "Which is blue?\nA. the sky\nB. grass\nC. snow"
INLINE = "Which is blue? (A) the sky (B) grass"


@pytest.mark.parametrize(
    ("question", "answer", "choice"),
    [
        (LINES, "A", "answered"),
        (LINES, "The answer is B.", "answered"),
        (LINES, "It is the sky, of course.", "answered"),
        (LINES, "Sky", "answered"),
        (LINES, "A whale lives in water.", "unanswered"),
        (LINES, "I do not know.", "unanswered"),
        (INLINE, "(B)", "answered"),
        (INLINE, "Grass", "answered"),
        (INLINE, "Water", "unanswered"),
        ("Person A: hello\nPerson B: hi\nWho is polite?", "Both", "none"),
        ("Choose the best of the following options:", "Red", "missing"),
        ("Choose the best of the following: red, blue", "Red", "none"),
        ("What is blue?", "Water", "none"),
        ("", "", "none"),
    ],
)
def test_choices(batch_of, question, answer, choice):
    turns = [("user", question), ("assistant", answer)]
    assert Choices()(read_texts(batch_of([("user", "q"), ("assistant", "a")], turns)))["choice"].to_list() == [
        "none",
        choice,
    ]


def test_the_worst_question_of_a_sample_counts(batch_of):
    turns = [("user", LINES), ("assistant", "No idea"), ("user", LINES), ("assistant", "A")]
    assert Choices()(read_texts(batch_of(turns)))["choice"].to_list() == ["unanswered"]
