from pathlib import Path

import pytest

from manifests.load import RECIPES, load_recipe, parse_recipe
from manifests.recipe import Recipe
from shards.errors import RecipeError

ENTRY = "{id: a, source: s}"
ONE = f"name: x\nentries: [{ENTRY}]\n"


def entry(fields: str) -> str:
    return f"name: x\nentries: [{{id: a, source: s, {fields}}}]"


def complaint(text: str) -> str:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, "mine.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ONE + "entrys: []", ["`entrys`", "unknown key"]),
        (entry("takes: {}"), ["`entries.0.takes`", "unknown key"]),
        (ONE + "rules: {list: [{name: q, wehn: x < 1, then: drop}]}", ["`rules.list.0.wehn`", "unknown key"]),
        ("name: x\nentries: [{id: a}]", ["`entries.0.source`", "required"]),
        ("name: 3\nentries: []", ["`name`", "string", "`3`"]),
        ("name: Has Capitals\nentries: []", ["`name`", "`Has Capitals`"]),
        (ONE + "seed: [1]", ["`seed`", "integer", "a list"]),
        (ONE + "seed: 1.5", ["`seed`", "integer", "`1.5`"]),
        (ONE + "seed:", ["`seed`", "integer", "nothing"]),
        (ONE + "judge: gpt", ["`judge`", "'tiny'", "`gpt`"]),
        (ONE + "dedup: {level: pairs}", ["`dedup.level`", "'pair'", "`pairs`"]),
        (ONE + "dedup: {distance: 17}", ["`dedup.distance`", "16", "`17`"]),
        (ONE + "rules: [default]", ["`rules`", "a list"]),
        ("name: x\nentries: {a: s}", ["`entries`", "a mapping"]),
        ("name: x\nentries: [{id: a b, source: s}]", ["`entries.0.id`", "`a b`"]),
        ("name: x\nentries: [{id: a, source: 5}]", ["`entries.0.source", "`5`"]),
        (entry("cap: -1"), ["`entries.0.cap`", "`-1`"]),
        (entry("repeat: 0"), ["`entries.0.repeat`", "greater than 0", "`0`"]),
        (entry("repeat: .inf"), ["`entries.0.repeat`", "finite", "`inf`"]),
        (entry("repeat: often"), ["`entries.0.repeat`", "number", "`often`"]),
        (entry("take: {kind: last, rows: 3}"), ["`entries.0.take.kind`", "'end'", "`last`"]),
        (
            entry("take: {kind: first}"),
            ["`entries.0.take`", "`first` takes exactly one of `rows` or `percent` or `fraction`"],
        ),
        (entry("take: {kind: end, rows: 3, percent: 1}"), ["`entries.0.take`", "`end` takes exactly one of"]),
        (entry("take: {rows: 3}"), ["`entries.0.take`", "`all` takes no amount"]),
        (entry("take: {kind: even, percent: 3}"), ["`entries.0.take`", "`even` takes exactly one of `rows`"]),
        (entry("take: {kind: exclude, rows: 3}"), ["`entries.0.take`", "`exclude` takes exactly one of `file`"]),
        (entry("take: {kind: top, rows: 3}"), ["`entries.0.take`", "`by` names the score of `top`"]),
        (entry("take: {kind: first, rows: 3, by: clip}"), ["`entries.0.take`", "`by` names the score of `top`"]),
        (entry("take: {kind: first, rows: 3, rounding: ceil}"), ["`entries.0.take`", "`rounding` needs"]),
        (entry("take: {kind: first, fraction: 1.5}"), ["`entries.0.take.fraction`", "`1.5`"]),
        (entry("slice: {start: 30, end: 30}"), ["`entries.0.slice`", "slice from 30 to 30 percent is empty"]),
        (entry("slice: {end: 101}"), ["`entries.0.slice.end`", "100", "`101`"]),
        (entry("assumed: ''"), ["`entries.0.assumed`", "at least 1 character"]),
        (entry("exempt: [{rule: low}]"), ["`entries.0.exempt.0.reason`", "required"]),
        (entry("languages: [english]"), ["`entries.0.languages.0`", "`english`"]),
        (entry("max_tiles: 0"), ["`entries.0.max_tiles`", "`0`"]),
        (entry("frames: {least: 8}"), ["`entries.0.frames.most`", "required"]),
        (ONE + "unresolved: ignore", ["`unresolved`", "'skip'", "`ignore`"]),
        (ONE + "scale: 0", ["`scale`", "greater than 0", "`0`"]),
        (ONE + "scale: 1.5", ["`scale`", "less than or equal to 1", "`1.5`"]),
        (ONE + "targets: {}", ["`targets`", "exactly one of `amounts`, `shares` and `temperature`"]),
        (ONE + "extends: demo", ["`extends`", "unknown key"]),
        (entry("remove: true"), ["`entries.0.remove`", "unknown key"]),
        (ONE + "name: y", ["not YAML", "line 3", "`name` stands twice"]),
        (entry("take: {kind: all, kind: first}"), ["not YAML", "`kind` stands twice"]),
        (entry("take: {kind: first, rows: -1}"), ["`entries.0.take.rows`", "`-1`"]),
        (entry("take: {kind: first, percent: 100.5}"), ["`entries.0.take.percent`", "100", "`100.5`"]),
        (entry("take: {kind: first, percent: .nan}"), ["`entries.0.take.percent`", "finite", "`nan`"]),
        (entry("take: {kind: first, percent: 1, rounding: up}"), ["`entries.0.take.rounding`", "'floor'", "`up`"]),
        (ONE + "rules: {list: [{name: q, then: drop}]}", ["`rules.list.0`", "rule `q` needs `when`"]),
        (ONE + "rules: {list: [{name: q, when: x < 1, then: off}]}", ["`rules.list.0`", "rule `q`", "`off`"]),
        (ONE + "rules: {list: [{name: q, when: x < 1, then: dorp}]}", ["`rules.list.0.then`", "'drop'", "`dorp`"]),
        (
            ONE + "rules: {list: [{name: q, when: x < 1, then: drop, exempt: [{entry: a}]}]}",
            ["`rules.list.0.exempt.0.reason`", "required"],
        ),
        (
            ONE + "rules: {list: [{name: q, when: x < 1, then: drop}, {name: q, when: x > 1, then: drop}]}",
            ["`rules`", "rule `q` stands twice"],
        ),
        ("name: x", ["needs either `entries` (one stage) or `stages`"]),
        (ONE + f"stages: [{{name: t, entries: [{ENTRY}]}}]", ["needs either `entries` (one stage) or `stages`"]),
        (f"name: x\nentries: [{ENTRY}, {ENTRY}]", ["entry `a` stands twice"]),
        (f"name: x\nstages: [{{name: t, entries: [{ENTRY}, {ENTRY}]}}]", ["stage `t`", "entry `a` stands twice"]),
        (
            f"name: x\nstages: [{{name: t, entries: [{ENTRY}]}}, {{name: t, entries: [{ENTRY}]}}]",
            ["stage `t` stands twice"],
        ),
        ("name: x\nstages: [{name: t}]", ["`stages.0`", "stage `t` needs either `entries` or `mixture`"]),
        (
            f"name: x\nstages: [{{name: t, mixture: u}}, {{name: u, entries: [{ENTRY}]}}]",
            ["stage `t`", "`u` is no earlier stage"],
        ),
        ("name: x\nstages: [{name: t, mixture: t}]", ["stage `t`", "`t` is no earlier stage"]),
        (
            f"name: x\nstages: [{{name: t, entries: [{ENTRY}]}}, {{name: u, mixture: t, dedup: {{level: row}}}}]",
            ["`stages.1`", "`u` shares a mixture", "stand at `t`"],
        ),
        ("", ["dictionary", "nothing"]),
        ("- a", ["dictionary", "a list"]),
        ("a: [", ["not YAML", "line 1, column 5"]),
        ("name: x\nseed: !!python/object:os.system 3", ["not YAML", "line 2"]),
        ("name: \x07", ["not YAML"]),
    ],
)
def test_a_wrong_recipe_gives_one_line_with_file_place_and_finding(text: str, words: list[str]) -> None:
    message = complaint(text)
    assert "\n" not in message
    assert message.startswith("recipe `mine.yaml`")
    assert [word for word in words if word not in message] == []


def test_further_complaints_are_counted() -> None:
    assert complaint("name: 3\nseed: x\nentries: {}").endswith("found `3` (and 2 more)")


def test_a_value_of_several_lines_stays_on_one() -> None:
    message = complaint(ONE + 'rules: {list: [{name: q, when: x, then: "drop\\n  it"}]}')
    assert message.endswith("found `drop it`")


@pytest.mark.parametrize("written", ["off", "'off'"])
def test_a_bare_off_switches_a_rule_off(written: str) -> None:
    recipe = parse_recipe(ONE + f"rules: {{list: [{{name: q, then: {written}}}]}}", "mine.yaml")
    assert recipe.rules.list[0].then == "off"


def test_a_bare_on_is_no_verdict() -> None:
    message = complaint(ONE + "rules: {list: [{name: q, when: x, then: on}]}")
    assert "`rules.list.0.then`" in message
    assert "`True`" in message


def test_entries_are_one_stage_named_sft() -> None:
    stages = parse_recipe(ONE, "mine.yaml").resolved_stages()
    assert [(stage.name, [entry.id for entry in stage.entries], stage.epochs) for stage in stages] == [
        ("sft", ["a"], 1)
    ]


def test_one_id_may_stand_in_two_stages() -> None:
    text = f"name: x\nstages: [{{name: t, entries: [{ENTRY}]}}, {{name: u, entries: [{ENTRY}]}}]"
    assert [stage.name for stage in parse_recipe(text, "mine.yaml").resolved_stages()] == ["t", "u"]


@pytest.mark.parametrize("name", sorted(path.stem for path in RECIPES.glob("*.yaml")))
def test_built_in_recipes_load_under_their_own_name(name: str) -> None:
    recipe, folder = load_recipe(name)
    assert recipe.name == name
    assert folder == RECIPES
    assert any(stage.entries for stage in recipe.resolved_stages())
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


def test_a_recipe_is_found_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "mine.yml").write_text(ONE)
    monkeypatch.chdir(tmp_path)
    recipe, folder = load_recipe("sub/mine.yml")
    assert recipe.name == "x"
    assert folder == tmp_path / "sub"


@pytest.mark.parametrize("name", ["demoo", "missing/demo.yaml", "."])
def test_a_missing_recipe_names_those_built_in(name: str) -> None:
    with pytest.raises(RecipeError, match=r"no recipe `.*`; built in: .*demo.*; or give the path"):
        load_recipe(name)


def test_a_file_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes("name: x\ndescription: caf\u00e9\n".encode("latin-1"))
    with pytest.raises(RecipeError, match=r"latin\.yaml` is not UTF-8"):
        load_recipe(str(path))
