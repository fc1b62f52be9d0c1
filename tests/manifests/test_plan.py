from typing import Any

import polars as pl
import pytest

from manifests.load import parse_recipe
from manifests.plan import Plan, SourceFacts, plan, take_words
from shards.errors import RecipeError

SCORES: dict[str, Any] = {"quality": pl.Float32, "char_run": pl.Int32, "human": pl.String, "clip": pl.Float32}


def planned(text: str, *, rows: int | None = 12413, **status: Any) -> Plan:
    """Plan of a recipe whose sources have as many rows; `status` of the sources by entry."""
    recipe = parse_recipe("name: mine\n" + text, "mine.yaml")
    facts = {
        (stage.name, entry.id): SourceFacts(
            name=str(entry.source),
            licence="cc0",
            rows=rows,
            status=status.get(entry.id, "resolved"),
            reason="gone" if status.get(entry.id) == "unresolved" else "",
        )
        for stage in recipe.resolved_stages()
        for entry in stage.entries
    }
    lists = {
        (stage.name, entry.id): (0, 1, 99_999)
        for stage in recipe.resolved_stages()
        for entry in stage.entries
        if entry.take.file
    }
    return plan(recipe, facts, SCORES, excluded=lists, judged=frozenset({"quality"}))


@pytest.mark.parametrize(
    ("take", "expected"),
    [
        ("{}", 12413),
        ("{kind: first, percent: 10}", 1242),
        ("{kind: first, percent: 10, rounding: floor}", 1241),
        ("{kind: end, rows: 0}", 0),
        ("{kind: random, rows: 99999}", 12413),
        ("{kind: first, fraction: 0.3}", 3723),
        ("{kind: even, rows: 1000}", 1000),
        ("{kind: top, by: clip, fraction: 0.2}", 2482),
        ("{kind: exclude, file: rows.json}", 12411),
    ],
)
def test_rows_taken(take: str, expected: int) -> None:
    (entry,) = planned(f"entries: [{{id: a, source: s, take: {take}}}]").entries
    assert (entry.rows, entry.taken) == (12413, expected)


def test_an_unknown_count_is_null() -> None:
    mine = planned("entries: [{id: a, source: s, take: {kind: first, rows: 5}}]", rows=None)
    assert not mine.faithful()
    assert (mine.entries[0].rows, mine.entries[0].taken) == (None, None)
    assert mine.rows_by_status() == {"resolved": 0, "assumed": 0, "unresolved": 0}


def test_rows_by_status() -> None:
    entries = "[{id: a, source: s}, {id: b, source: s, take: {kind: first, rows: 3}}, {id: c, source: t}]"
    mine = planned(f"unresolved: skip\nentries: {entries}", rows=10, b="assumed", c="unresolved")
    assert mine.rows_by_status() == {"resolved": 10, "assumed": 3, "unresolved": 10}
    assert mine.entries_by_status() == {"resolved": 1, "assumed": 1, "unresolved": 1}


def test_what_cannot_be_had_stops_unless_the_recipe_says_skip() -> None:
    entries = "entries: [{id: a, source: s}, {id: b, source: t, repeat: 2}, {id: c, source: u}]"
    with pytest.raises(
        RecipeError, match=r"entry `b`: gone \(and 1 more\); `unresolved: skip` leaves such entries out"
    ):
        planned(entries, b="unresolved", c="unresolved")
    mine = planned("unresolved: skip\n" + entries, b="unresolved", c="unresolved")
    (stage,) = mine.stages
    assert [entry.id for entry in stage.entries] == ["a"]
    assert [entry.id for entry in stage.written] == ["a", "b", "c"]
    assert [(entry.id, entry.status, entry.reason) for entry in mine.entries] == [
        ("a", "resolved", ""),
        ("b", "unresolved", "gone"),
        ("c", "unresolved", "gone"),
    ]
    assert not mine.faithful()


@pytest.mark.parametrize(
    ("text", "status", "faithful"),
    [
        ("entries: [{id: a, source: s, take: {kind: random, percent: 10}}]", {}, True),
        ("entries: [{id: a, source: s, assumed: which rows is unpublished}]", {}, False),
        ("entries: [{id: a, source: s}]", {"a": "assumed"}, False),
        ("unresolved: skip\nentries: [{id: a, source: s}, {id: b, source: s}]", {"b": "unresolved"}, False),
        ("assumptions: [one epoch]\nentries: [{id: a, source: s}]", {}, False),
        ("scale: 0.5\nentries: [{id: a, source: s}]", {}, False),
    ],
)
def test_only_what_is_published_to_the_last_word_is_a_reproduction(
    text: str, status: dict[str, str], faithful: bool
) -> None:
    assert planned(text, **status).faithful() == faithful


def test_an_assumed_entry_says_what_it_makes_up() -> None:
    entries = "entries: [{id: a, source: s, assumed: random rows}, {id: b, source: t, assumed: cap}]"
    mine = planned("unresolved: skip\n" + entries, b="unresolved")
    assert [(entry.status, entry.reason) for entry in mine.entries] == [
        ("assumed", "random rows"),
        ("unresolved", "gone; cap"),
    ]


def test_a_scaled_plan_shows_scaled_amounts_and_keeps_what_was_written() -> None:
    mine = planned(
        "scale: 0.001\n"
        "targets: {amounts: {general: 5000}}\n"
        "entries:\n"
        "  - {id: a, source: s, take: {kind: first, rows: 1500}, cap: 10}\n"
        "  - {id: b, source: s, take: {kind: first, percent: 10}}\n"
    )
    assert [entry.taken for entry in mine.entries] == [2, 1242]
    (stage,) = mine.stages
    assert [(entry.take.rows, entry.cap) for entry in stage.entries] == [(2, 1), (None, None)]
    assert [entry.take.rows for entry in stage.written] == [1500, None]
    assert stage.targets is not None and stage.targets.amounts == {"general": 5}


@pytest.mark.parametrize(
    ("take", "words"),
    [
        ("{kind: first, rows: 3000}", "first 3,000"),
        ("{kind: first, percent: 12.5}", "first 12.5 % (ceil)"),
        ("{kind: end, fraction: 0.29}", "end 0.29 of all (float-floor)"),
        ("{kind: top, by: clip, percent: 20, rounding: floor}", "top 20 % (floor) by clip"),
        ("{kind: exclude, file: rows.json}", "exclude rows.json"),
        ("{}", "all"),
    ],
)
def test_takes_in_words(take: str, words: str) -> None:
    mine = planned(f"entries: [{{id: a, source: s, take: {take}, slice: {{start: 5, end: 30}}}}]")
    assert take_words(mine.entries[0].take) == f"{words} of 5-30 %"


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
        (
            "entries: [{id: a, source: s, exempt: [{rule: low, reason: mine}]}]",
            "entry `a`: exempt from rule `low`, which its stage has not",
        ),
        (
            "entries: [{id: a, source: s, take: {kind: top, by: quality, rows: 3}}]",
            "entry `a`: `top` by `quality`, which a judge gives only to rows that are taken",
        ),
        (
            "entries: [{id: a, source: s, take: {kind: top, by: clap, rows: 3}}]",
            "entry `a`: no filter writes a number `clap` that `top` could go by",
        ),
        (
            "entries: [{id: a, source: s, take: {kind: top, by: human, rows: 3}}]",
            "entry `a`: no filter writes a number `human`",
        ),
        (
            "targets: {shares: {general: 1, chat: 1}}\nentries: [{id: a, source: s}]",
            "stage `sft`: a target for domain `chat`, of which it has no entry",
        ),
        (
            "targets: {temperature: 2, domains: {chat: {most: 1}}}\nentries: [{id: a, source: s}]",
            "stage `sft`: a target for domain `chat`, of which it has no entry",
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


def test_an_entry_may_be_exempt_from_a_rule() -> None:
    (stage,) = planned(
        "rules: {list: [{name: low, when: quality < 7, then: drop}]}\n"
        "entries: [{id: a, source: s, exempt: [{rule: low, reason: academic}]}, {id: b, source: s}]"
    ).stages
    assert [predicate.applies(entry) for predicate in stage.predicates for entry in stage.entries] == [False, True]
