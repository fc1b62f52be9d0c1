from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from review.answer import Answer, Choice, Journal
from review.page_answers import Act, Answers
from review.page_filter import Facets, Status, Wanted, following, preceding

MOMENT = datetime(2026, 1, 2, tzinfo=UTC)
ITEMS = [f"r{number:020x}" for number in range(6)]
SEEN = [f"{number:020x}" for number in range(6)]


def told(act: str, place: int, choice: Choice, reviewer: str = "ann", **more: object) -> Answer:
    fields = {
        "answer_id": act,
        "item": ITEMS[place],
        "entry": "e",
        "key": f"s/train/{place}",
        "seen": SEEN[place],
        "choice": choice,
        "reviewer": reviewer,
        "at": MOMENT,
        "via": "page",
    }
    return Answer.model_validate(fields | more)


@pytest.fixture
def answers(tmp_path: Path) -> Answers:
    return Answers(ITEMS, SEEN, Journal(tmp_path))


def test_the_last_act_that_stands_can_be_taken_back(answers: Answers) -> None:
    answers.give([told("one", 0, "keep")])
    answers.give([told("many", place, "drop", bulk="many") for place in (1, 2, 3)])
    answers.give([told("again", 2, "keep")])
    assert answers.last_act("ann") == Act("again", (2,), "keep")
    answers.give([told("u1", 2, "undo")])
    assert answers.undone("ann", "u1") == (2,)
    assert answers.last_act("ann") == Act("many", (1, 3), "drop")
    answers.give([told("u2", 1, "undo"), told("u2", 3, "undo")])
    assert answers.last_act("ann") == Act("one", (0,), "keep")
    assert answers.codes("ann").tolist() == [1, 0, 0, 0, 0, 0]
    assert answers.last_act("nobody") is None


def test_answers_of_others_come_in_and_those_about_other_rows_do_not(answers: Answers, tmp_path: Path) -> None:
    other = Journal(tmp_path)
    stale = told("s", 1, "drop", "bob", seen="f" * 20)
    foreign = told("f", 1, "drop", "bob", item="r" + "f" * 20)
    other.append([told("b", 0, "drop", "bob", note="why"), stale, foreign])
    answers.give([told("a", 0, "keep"), told("a2", 1, "keep")])
    assert answers.others("ann", 0) == [("bob", "drop", "why")]
    assert answers.others("ann", 1) == []
    assert answers.answered().tolist() == [True, True, False, False, False, False]
    assert [tuple(each) for each in answers.agreements("ann")] == [("bob", 1, 0)]


def test_a_dispute_lasts_until_it_is_settled(answers: Answers) -> None:
    answers.give([told("a", 0, "keep"), told("b", 0, "drop", "bob"), told("c", 1, "skip", "bob"), told("d", 1, "keep")])
    assert np.flatnonzero(answers.split()).tolist() == [0]
    answers.give([told("e", 0, "drop", "eve", settles=True)])
    assert not answers.split().any()
    answers.give([told("f", 0, "undo", "eve")])
    assert np.flatnonzero(answers.split()).tolist() == [0]


def test_a_journal_is_read_at_the_start(answers: Answers, tmp_path: Path) -> None:
    answers.give([told("a", 0, "keep"), told("b", 1, "drop"), told("u", 1, "undo"), told("c", 2, "skip", note="n")])
    again = Answers(ITEMS, SEEN, Journal(tmp_path))
    assert again.codes("ann").tolist() == answers.codes("ann").tolist() == [1, 0, 3, 0, 0, 0]
    assert again.note("ann", 2) == "n"
    assert again.last_act("ann") == Act("c", (2,), "skip")


TABLE = pl.DataFrame(
    {
        "item": ITEMS,
        "rules": [["a"], ["a", "b"], [], ["b"], ["a"], ["b"]],
        "source": ["x", "x", "y", "y", "x", "y"],
        "domain": ["d"] * 6,
        "cluster": [None, "c", "c", None, None, None],
        "template": ["t", "u", "v", "t", "w", "w"],
    }
)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"rule": "a"}, [0, 1, 4]),
        ({"rule": "b", "source": "y"}, [3, 5]),
        ({"domain": "d", "source": "x"}, [0, 1, 4]),
        ({"rule": "' or 1"}, []),
    ],
)
def test_masks(wanted: dict[str, str], expected: list[int]) -> None:
    assert np.flatnonzero(Facets(TABLE).mask(Wanted.model_validate(wanted))).tolist() == expected


def test_options_and_groups() -> None:
    facets = Facets(TABLE)
    assert facets.options("rule") == [("a", 3), ("b", 3)]
    assert facets.options("source") == [("x", 3), ("y", 3)]
    assert facets.members(1, "cluster") == [1, 2] and facets.members(0, "cluster") == []
    assert facets.members(0, "template") == [0, 3]
    assert facets.other_group(1).tolist() == [True, False, False, True, True, True]
    assert facets.other_group(4).tolist() == [True, True, True, True, False, False]


@pytest.mark.parametrize(
    ("mask", "place", "after", "before"),
    [
        ([1, 0, 1, 0], 0, 2, None),
        ([1, 0, 1, 0], 2, 0, 0),
        ([1, 0, 1, 0], -1, 0, 2),
        ([0, 0, 1, 0], 2, 2, None),
        ([0, 0, 0, 0], 2, None, None),
        ([], -1, None, None),
    ],
)
def test_neighbours(mask: list[int], place: int, after: int | None, before: int | None) -> None:
    found = np.array(mask, dtype=np.bool_)
    assert following(found, place) == after
    if place >= 0:
        assert preceding(found, place) == before


def test_statuses_are_named() -> None:
    for status in Status.__args__:  # type: ignore[attr-defined]  # a Literal
        assert Wanted(status=status).status == status
