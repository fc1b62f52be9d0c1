from typing import Any

import polars as pl
import pytest

from manifests.plan import Plan, SourceFacts, plan
from manifests.recipe import parse_recipe
from shards.errors import RecipeError

SCORES: dict[str, Any] = {"quality": pl.Float32, "char_run": pl.Int32, "human": pl.String}


def planned(text: str, *, rows: int | None = 12413, **status: Any) -> Plan:
    recipe = parse_recipe("name: mine\n" + text, "mine.yaml")
    facts = {
        (stage.name, entry.id): SourceFacts(
            name=str(entry.source), licence="cc0", rows=rows, status=status.get(entry.id, "resolved")
        )
        for stage in recipe.resolved_stages()
        for entry in stage.entries
    }
    return plan(recipe, facts, SCORES)


@pytest.mark.parametrize(
    ("take", "expected"),
    [
        ("{}", 12413),
        ("{kind: first, percent: 10}", 1242),
        ("{kind: first, percent: 10, rounding: floor}", 1241),
        ("{kind: end, rows: 0}", 0),
        ("{kind: random, rows: 99999}", 12413),
    ],
)
def test_rows_taken(take: str, expected: int) -> None:
    (entry,) = planned(f"entries: [{{id: a, source: s, take: {take}}}]").entries
    assert (entry.rows, entry.taken) == (12413, expected)


def test_an_unknown_count_is_null() -> None:
    mine = planned("entries: [{id: a, source: s, take: {kind: first, rows: 5}}]", rows=None, a="unresolved")
    assert (mine.entries[0].rows, mine.entries[0].taken) == (None, None)
    assert mine.rows_by_status() == {"resolved": 0, "assumed": 0, "unresolved": 0}


def test_rows_by_status() -> None:
    entries = "[{id: a, source: s}, {id: b, source: s, take: {kind: first, rows: 3}}, {id: c, source: t}]"
    mine = planned(f"entries: {entries}", rows=10, b="assumed", c="unresolved")
    assert mine.rows_by_status() == {"resolved": 10, "assumed": 3, "unresolved": 10}


def test_entries_stand_in_the_order_of_the_recipe() -> None:
    mine = planned(
        "stages:\n"
        "  - {name: two, entries: [{id: z, source: s, domain: chat, repeat: 2}, {id: a, source: t}]}\n"
        "  - {name: one, entries: [{id: a, source: u}]}\n"
    )
    assert [(entry.stage, entry.id, entry.source, entry.domain, entry.repeat) for entry in mine.entries] == [
        ("two", "z", "s", "chat", 2),
        ("two", "a", "t", "general", 1),
        ("one", "a", "u", "general", 1),
    ]
    assert mine.sources == {("two", "z"): "s", ("two", "a"): "t", ("one", "a"): "u"}


SHARED = """
rules: {list: [{name: low, when: quality < 7, then: drop}]}
dedup: {level: row}
stages:
  - {name: warm, entries: [{id: a, source: s}]}
  - {name: middle, epochs: 2, mixture: warm}
  - {name: last, epochs: 3, mixture: middle}
"""


def test_a_shared_mixture_adds_no_second_entries() -> None:
    mine = planned(SHARED)
    assert [(entry.stage, entry.id) for entry in mine.entries] == [("warm", "a")]
    assert mine.rows_by_status()["resolved"] == 12413
    assert [(stage.name, stage.mixture, stage.epochs) for stage in mine.stages] == [
        ("warm", "warm", 1),
        ("middle", "warm", 2),
        ("last", "warm", 3),
    ]
    assert {stage.entries for stage in mine.stages} == {mine.stages[0].entries}
    assert {stage.rules for stage in mine.stages} == {mine.stages[0].rules}
    assert {stage.dedup.level for stage in mine.stages} == {"row"}


def test_a_stage_has_rules_and_dedup_of_its_own_instead_of_the_recipe_s() -> None:
    mine = planned(
        "rules: {list: [{name: low, when: quality < 7, then: drop}]}\n"
        "dedup: {level: row}\n"
        "stages:\n"
        "  - {name: one, entries: [{id: a, source: s}]}\n"
        "  - name: two\n"
        "    entries: [{id: b, source: s}]\n"
        "    rules: {list: [{name: run, when: char_run > 9, then: drop}]}\n"
        "    dedup: {level: 'off'}\n"
    )
    assert [[rule.name for rule in stage.rules] for stage in mine.stages] == [["low"], ["run"]]
    assert [stage.dedup.level for stage in mine.stages] == ["row", "off"]


def test_predicates_stand_in_order_of_evaluation() -> None:
    (stage,) = planned(
        "entries: [{id: a, source: s}]\n"
        "rules:\n"
        "  list:\n"
        "    - {name: low, when: quality < 7, then: drop}\n"
        "    - {name: person, when: human = 'keep', then: keep}\n"
    ).stages
    assert [rule.name for rule in stage.rules] == ["low", "person"]
    assert [predicate.rule.name for predicate in stage.predicates] == ["person", "low"]


def with_rule(fields: str) -> str:
    return f"entries: [{{id: a, source: s}}]\nrules: {{list: [{{name: low, {fields}, then: drop}}]}}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (with_rule("when: quality < 7, where: {entries: [b]}"), "rule `low`: no entry `b` in this recipe"),
        (
            with_rule("when: quality < 7, exempt: [{entry: aa, reason: mine}]"),
            "rule `low`: no entry `aa` in this recipe",
        ),
        (with_rule("when: qualty < 7"), "rule `low`: no filter writes score `qualty`; did you mean `quality`"),
        ("entries: [{id: a, source: s}]\nrules: {extends: [defualt]}", "no rule set `defualt`"),
        (
            "entries: [{id: a, source: s}]\nrules: {list: [{name: low, then: off}]}",
            "rule `low` is switched off, but no extended rule set has it",
        ),
    ],
)
def test_what_does_not_resolve(text: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        planned(text)


def test_a_rule_for_all_stages_may_name_an_entry_of_any() -> None:
    mine = planned(
        "rules: {list: [{name: low, when: quality < 7, then: drop, where: {entries: [b]}}]}\n"
        "stages: [{name: one, entries: [{id: a, source: s}]}, {name: two, entries: [{id: b, source: s}]}]"
    )
    assert [
        [predicate.applies(entry) for predicate in stage.predicates for entry in stage.entries] for stage in mine.stages
    ] == [[False], [True]]
