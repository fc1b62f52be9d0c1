from pathlib import Path
from typing import Any

import pytest

from manifests.load import built_in, load_recipe
from manifests.recipe import Recipe
from shards.errors import RecipeError

PARENT = """
name: parent
description: of all
seed: 3
judge: "off"
dedup: {level: row}
rules: {list: [{name: low, when: char_run > 9, then: drop}]}
stages:
  - name: warm
    epochs: 2
    entries:
      - {id: a, source: s, domain: chat, take: {kind: first, rows: 5}, repeat: 2}
      - {id: b, source: t}
      - {id: c, source: u}
  - {name: last, mixture: warm}
"""


@pytest.fixture
def family(tmp_path: Path) -> Any:
    (tmp_path / "parent.yaml").write_text(PARENT)

    def load(child: str, **fields: Any) -> Recipe:
        (tmp_path / "child.yaml").write_text(child)
        return load_recipe(str(tmp_path / "child.yaml"), **fields)[0]

    return load


def refused(family: Any, child: str) -> str:
    with pytest.raises(RecipeError) as caught:
        family(child)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_child_keeps_what_it_does_not_say(family: Any) -> None:
    child = family("extends: parent.yaml\nname: child\nseed: 4\n")
    assert (child.name, child.seed, child.description, child.judge) == ("child", 4, "of all", "off")
    assert [stage.name for stage in child.stages] == ["warm", "last"]
    assert [entry.id for entry in child.stages[0].entries] == ["a", "b", "c"]


def test_entries_and_stages_are_merged_by_name_in_their_places(family: Any) -> None:
    child = family("""
extends: parent.yaml
name: child
rules: {list: [{name: other, when: char_run > 5, then: drop}]}
stages:
  - name: warm
    entries:
      - {id: d, source: v}
      - {id: c, remove: true}
      - {id: a, take: {kind: end, percent: 10}, cap: 7}
  - name: more
    entries: [{id: a, source: w}]
""")
    warm, last, more = child.stages
    assert (warm.name, warm.epochs, last.name, last.mixture, more.name) == ("warm", 2, "last", "warm", "more")
    assert [entry.id for entry in warm.entries] == ["a", "b", "d"]
    first = warm.entries[0]
    # a word of an entry is replaced as a whole: nothing of the old take is left
    assert (first.source, first.domain, first.repeat, first.cap) == ("s", "chat", 2, 7)
    assert first.take.model_dump(exclude_none=True) == {"kind": "end", "percent": 10}
    assert [rule.name for rule in child.rules.list] == ["other"]


def test_a_stage_may_be_removed(family: Any) -> None:
    child = family("extends: parent.yaml\nname: child\nstages: [{name: last, remove: true}]")
    assert [stage.name for stage in child.stages] == ["warm"]


def test_the_order_of_a_child_s_entries_changes_nothing(family: Any) -> None:
    stage = "extends: parent.yaml\nname: child\nstages: [{{name: warm, entries: [{}, {}]}}]"
    one, other = "{id: b, cap: 1}", "{id: a, cap: 2}"
    assert family(stage.format(one, other)) == family(stage.format(other, one))


def test_inheritance_goes_on_over_generations(family: Any, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "middle.yaml").write_text("extends: ../parent.yaml\nname: middle\nseed: 8\n")
    child = family("extends: sub/middle.yaml\nname: child\njudge: tiny\n")
    assert (child.name, child.seed, child.judge, child.dedup.level) == ("child", 8, "tiny", "row")


def test_a_child_inherits_a_built_in_recipe(family: Any) -> None:
    child = family("extends: demo\nname: mine\nstages: [{name: sft, entries: [{id: chat, repeat: 3}]}]")
    demo, _ = load_recipe("demo")
    before = {entry.id: entry for stage in demo.stages for entry in stage.entries}
    after = {entry.id: entry for stage in child.stages for entry in stage.entries}
    assert list(before) == list(after)
    assert after["chat"] == before["chat"].model_copy(update={"repeat": 3.0})


def test_relative_paths_start_from_the_recipe_that_is_run(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "parent.yaml").write_text(PARENT)
    (tmp_path / "sub" / "child.yaml").write_text("extends: ../parent.yaml\nname: child\n")
    assert load_recipe(str(tmp_path / "sub" / "child.yaml"))[1] == tmp_path / "sub"


def test_a_recipe_that_extends_itself(family: Any, tmp_path: Path) -> None:
    assert "extends itself" in refused(family, "extends: child.yaml\nname: child\n")
    (tmp_path / "parent.yaml").write_text("extends: child.yaml\nname: parent\n")
    assert "extends itself" in refused(family, "extends: parent.yaml\nname: child\n")


@pytest.mark.parametrize(
    ("child", "words"),
    [
        ("extends: nobody\nname: child", "no recipe `nobody`; built in: "),
        ("extends: nobody.yaml\nname: child", "no recipe `nobody.yaml`"),
        ("extends: [parent.yaml]\nname: child", "`extends` is the name or path of one recipe"),
        ("extends:\nname: child", "`extends` is the name or path of one recipe"),
        ("extends: parent.yaml", "needs a `name` of its own"),
        ("extends: parent.yaml\nname: child\nname: other", "`name` stands twice"),
        ("extends: parent.yaml\nname: child\nseeds: 1", "`seeds`: unknown key"),
        ("extends: parent.yaml\nname: child\nentries: [{id: a, source: s}]", "needs either `entries`"),
        ("extends: parent.yaml\nname: child\nstages: [{epochs: 1}]", "every item of a list that is inherited"),
        ("extends: parent.yaml\nname: child\nstages: [[warm]]", "every item of a list that is inherited"),
        ("extends: parent.yaml\nname: child\nstages: [{name: [a]}]", "every item of a list that is inherited"),
        ("extends: parent.yaml\nname: child\nstages: [{name: wram, remove: true}]", "`wram` is removed, but"),
        (
            "extends: parent.yaml\nname: child\nstages: [{name: warm, entries: [{id: z, remove: true}]}]",
            "`z` is removed, but the inherited recipe has none",
        ),
        (
            "extends: parent.yaml\nname: child\nstages: [{name: warm, entries: [{id: a, cap: 1}, {id: a, cap: 2}]}]",
            "`a` stands twice",
        ),
        (
            "extends: parent.yaml\nname: child\nstages: [{name: warm, entries: [{id: a, remove: false}]}]",
            "`stages.0.entries.0.remove`: unknown key",
        ),
        ("extends: parent.yaml\nname: child\nstages: [{name: warm, remove: true}]", "`warm` is no earlier stage"),
    ],
)
def test_what_a_child_may_not_say(family: Any, child: str, words: str) -> None:
    assert words in refused(family, child)


@pytest.mark.parametrize(
    ("parent", "words"),
    [
        ("- a", "a list"),
        ("", "nothing"),
        ("name: parent\nstages: [{epochs: 2}]", "every item of a list that is inherited needs `name`"),
        ("name: parent\nstages: [warm]", "every item of a list that is inherited needs `name`"),
        ("name: parent\nname: again", "`name` stands twice"),
        ("name: [", "is not YAML"),
    ],
)
def test_a_parent_that_is_not_understood(family: Any, tmp_path: Path, parent: str, words: str) -> None:
    (tmp_path / "parent.yaml").write_text(parent)
    assert words in refused(family, "extends: parent.yaml\nname: child\nstages: [{name: warm, epochs: 1}]")


def test_the_scale_of_a_run_replaces_the_recipe_s(family: Any) -> None:
    child = "extends: parent.yaml\nname: child\nscale: 0.5\n"
    assert family(child).scale == 0.5
    assert family(child, scale=0.25).scale == 0.25


@pytest.mark.parametrize("scale", [0, -1, 1.01, float("nan"), float("inf")])
def test_a_scale_that_is_none(family: Any, scale: float) -> None:
    with pytest.raises(RecipeError, match="`scale`: Input should be") as caught:
        family("extends: parent.yaml\nname: child\n", scale=scale)
    assert "\n" not in str(caught.value)


def test_built_in_recipes_are_named() -> None:
    assert "demo" in built_in()
    assert built_in() == sorted(built_in())
