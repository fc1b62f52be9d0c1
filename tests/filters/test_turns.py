import pytest

from filters.turns import Turns

U, A, S = ("user", "q"), ("assistant", "a"), ("system", "s")


@pytest.mark.parametrize(
    ("turns", "defects"),
    [
        ([U, A], 0),
        ([S, U, A, U, A], 0),
        ([("user", "<image>"), A], 0),
        ([("document", "text")], 0),
        ([A], 1),
        ([U], 1),
        ([U, U, A], 1),
        ([U, A, A], 1),
        ([U, A, U], 1),
        ([U, S, A], 2),
        ([S, S, U, A], 2),
        ([("user", "q"), ("assistant", " ")], 1),
        ([("user", " "), A], 1),
        ([S], 2),
        ([A, U, ("assistant", "")], 2),
        ([("user", "<image>")], None),
    ],
)
def test_turn_defects(batch_of, turns, defects):
    neighbours = batch_of([U, A], turns, [U, A])
    assert Turns()(neighbours)["turn_defects"].to_list() == [0, defects, 0]


@pytest.mark.parametrize(
    ("answer", "refuses"),
    [
        ("I'm sorry, but I can't help with that.", True),
        ("I\u2019m sorry, but I cannot see the picture.", True),
        ("As an AI language model, I do not have opinions.", True),
        ("I am unable to provide medical advice.", True),
        ("Unfortunately, I cannot access that page.", True),
        ("\u62b1\u6b49\uff0c\u6211\u65e0\u6cd5\u56de\u7b54\u3002", True),
        ("I'm sorry for your loss.", False),
        ("I cannot wait to see you!", False),
        ("He said: I cannot help you.", False),
        ("The word 'sorry' expresses regret.", False),
        ("", False),
    ],
)
def test_refusal(batch_of_answers, answer, refuses):
    assert Turns()(batch_of_answers([answer]))["refusal"].to_list() == [refuses]
