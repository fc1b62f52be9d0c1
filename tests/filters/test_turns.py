import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.answer import has_text
from filters.texts import read_texts
from filters.turns import REFUSAL, Turns
from shards.schema import ROLES

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
        ([S, S], 2),
        ([U, ("document", "text"), U], 0),
        ([("user", " <image>"), ("assistant", "<image>"), ("user", "\u3000"), A], 2),
        ([A, U, ("assistant", "")], 2),
        ([("user", "<image>")], None),
    ],
)
def test_turn_defects(batch_of, turns, defects):
    neighbours = batch_of([U, A], turns, [U, A])
    assert Turns()(read_texts(neighbours))["turn_defects"].to_list() == [0, defects, 0]


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
    assert Turns()(read_texts(batch_of_answers([answer])))["refusal"].to_list() == [refuses]


OPENINGS = ["as an AI", "I can't", "Very sorry, I cannot", "really sorry, as an AI", "My apologies, I cannot"]
OPENINGS += ["unfortunately, I cannot", "i\u2019m unable to", "A\u017f an AI", "As", "I", "is", "_as an AI", "\u5f88"]


@settings(deadline=None)
@given(st.text('"* -(\u201c\u3000\u200b\0_1', max_size=3), st.sampled_from(OPENINGS), st.sampled_from(["", " help"]))
def test_the_look_at_openings_loses_no_refusal(batch_of_answers, before, opening, after):
    texts = read_texts(batch_of_answers([before + opening + after]))
    assert Turns()(texts)["refusal"].to_list() == texts.strings.gather(texts.answers).str.contains(REFUSAL).to_list()


def slow(turns):
    """Defects and refusal of a conversation that text filters apply to, turn by turn."""
    bare = [(role, re.sub("<image>|<video>", "", text)) for role, text in turns]
    refuses = any(re.search(REFUSAL, text) for role, text in bare if role in ("assistant", "document"))
    if any(role == "document" for role, _ in turns):
        return 0, refuses
    rest = turns[1:] if turns[0][0] == "system" else turns
    if not rest:
        return 2, refuses
    roles = [role for role, _ in rest]
    wrong = (roles[0] != "user") + (roles[-1] != "assistant")
    wrong += sum({a, b} != {"user", "assistant"} for a, b in pairwise(roles))
    wrong += sum(role == "user" and not text.strip() for role, text in rest)
    wrong += sum(role == "assistant" and not re.sub("<image>|<video>", "", text).strip() for role, text in rest)
    return wrong, refuses


PARTS = ["a", " ", "\u3000", "<image>", "<video>", "I cannot help", "Sorry, as an AI", "\u4f5c\u4e3aai"]
TURNS = st.lists(
    st.tuples(st.sampled_from(ROLES), st.lists(st.sampled_from(PARTS), max_size=3).map("".join)), max_size=5
)


@settings(deadline=None, max_examples=300)
@given(st.lists(TURNS, max_size=4))
def test_turns_one_by_one(batch_of, chats):
    batch = batch_of(*chats)
    applies = batch.select(has_text()).to_series()
    expected = [slow(turns) if said else (None, None) for turns, said in zip(chats, applies, strict=True)]
    assert Turns()(read_texts(batch)).rows() == expected
