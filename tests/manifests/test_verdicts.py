"""Verdicts as bits: as many rules as a word holds, and rows that are not taken. Semantics stand in test_rules.py."""

import numpy as np
import polars as pl
import pytest

from manifests.recipe import Entry, Rule
from manifests.rules import MAX_RULES, parse
from manifests.verdicts import decide, words
from shards.errors import RecipeError

SCORES = {"n": pl.Int32()}
ENTRY = Entry(id="a", source="s")


def rules(count: int) -> list[Rule]:
    """Rule i is true of i alone."""
    return [Rule(name=f"r{number}", when=f"n = {number}", then="drop") for number in range(count)]


def frame(*values: int | None, state: str = "error") -> pl.DataFrame:
    states = [state if value is None else None for value in values]
    return pl.DataFrame({"n": pl.Series(values, dtype=pl.Int32), "n_state": pl.Series(states, dtype=pl.String)})


def test_every_bit_of_the_word_is_a_rule() -> None:
    predicates = parse(rules(MAX_RULES), SCORES)
    scores = frame(*range(MAX_RULES), None)
    found = words(decide(scores, predicates, ENTRY), predicates)
    names = [f"r{number}" for number in range(MAX_RULES)]
    assert found["rule"].to_list() == [*names, None]
    assert found["reasons"].to_list() == [*[[name] for name in names], []]
    assert found["unknown"].to_list() == [*[[] for _ in names], names]
    assert found["verdict"].to_list() == ["drop"] * MAX_RULES + ["unscored"]


def test_more_rules_than_bits_are_refused() -> None:
    with pytest.raises(RecipeError, match="65 rules in one stage; at most 64"):
        parse(rules(MAX_RULES + 1), SCORES)


@pytest.mark.parametrize("taken", [[True, False, True], [True, True, True], [False, False, False]])
def test_no_rule_speaks_of_a_row_that_is_not_taken(taken: list[bool]) -> None:
    predicates = parse(rules(3), SCORES)
    whole = decide(frame(1, 2, None), predicates, ENTRY)
    found = words(whole.only(np.array(taken)), predicates).rows()
    assert found == [
        row if there else ("not_taken", None, [], [])
        for row, there in zip(words(whole, predicates).rows(), taken, strict=True)
    ]


def test_no_rows_and_no_rules() -> None:
    assert words(decide(frame(), parse(rules(2), SCORES), ENTRY), parse(rules(2), SCORES)).height == 0
    assert words(decide(frame(1, None), (), ENTRY), ()).rows() == [("keep", None, [], [])] * 2
