"""The recipe commands, and a scaled run with entries that cannot be had, as a user meets them."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import Vlmix

from manifests.load import load_recipe, parse_recipe
from manifests.manifest import read_manifest
from manifests.schema import recipe_schema

pytestmark = pytest.mark.integration

SOURCE = {"layout": "table", "files": "rows.jsonl", "columns": {"user": ["q"], "assistant": ["a"]}}
MINE: dict[str, Any] = {
    "name": "mine",
    "judge": "off",
    "unresolved": "skip",
    "assumptions": ["the order of rows"],
    "rules": {"list": [{"name": "short", "when": "answer_chars < 4", "then": "drop"}]},
    "dedup": {"level": "off"},
    "targets": {"amounts": {"chat": 60, "chart": 40}},
    "entries": [
        {"id": "first", "source": SOURCE, "domain": "chat", "take": {"kind": "first", "rows": 30}},
        {"id": "tenth", "source": SOURCE, "domain": "chat", "take": {"kind": "end", "percent": 10}},
        {"id": "few", "source": SOURCE, "domain": "chart", "cap": 20, "assumed": "cap"},
    ],
}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    rows = [{"q": f"What is {row} and {row}?", "a": "x" * (row % 10)} for row in range(100)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(MINE))
    return path


def test_built_in_recipes_are_listed(vlmix: Vlmix) -> None:
    rows = {row["recipe"]: row for row in vlmix("recipes", "list", "--json").document["recipes"]}
    demo = load_recipe("demo")[0]
    assert rows["demo"] == {
        "recipe": "demo",
        "stages": len(demo.stages),
        "entries": sum(len(stage.entries) for stage in demo.stages),
        "description": demo.description,
    }
    assert demo.description in vlmix("recipes", "list").out


def test_a_shown_recipe_is_the_recipe_without_inheritance(vlmix: Vlmix, tmp_path: Path) -> None:
    child = tmp_path / "child.yaml"
    child.write_text("extends: demo\nname: child\nstages: [{name: sft, entries: [{id: chat, remove: true}]}]\n")
    shown = vlmix("recipes", "show", child)
    assert shown.code == 0, shown.err
    assert parse_recipe(shown.out, "shown") == load_recipe(str(child))[0]
    assert "extends: demo" not in shown.out
    assert vlmix("recipes", "show", child, "--json").document == yaml.safe_load(shown.out)
    assert vlmix("recipes", "show", "nobody").code == 2


def test_the_schema_is_printed(vlmix: Vlmix) -> None:
    assert vlmix("recipes", "schema").document == recipe_schema()


def test_a_scaled_run_says_so_and_is_decided_at_its_scale(vlmix: Vlmix, recipe: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    done = vlmix("run", "build-sft-mix", "--recipe", recipe, "--scale", "0.5", "--store", store, "--json")
    assert done.code == 0, done.err
    manifest = read_manifest(Path(done.document["mix"]))
    assert (manifest.scale, manifest.faithful, manifest.assumptions) == (0.5, False, ["the order of rows"])
    first, tenth, few = manifest.entries
    assert (first.take, first.take_written, first.asked) == (
        {"kind": "first", "rows": 15},
        {"kind": "first", "rows": 30},
        15,
    )
    assert tenth.take == tenth.take_written == {"kind": "end", "percent": 10, "rounding": "ceil"}
    assert (few.entry["cap"], few.assumed) == (10, "cap")
    assert {name: domain.emitted for name, domain in manifest.domains.items()} == {"chart": 20, "chat": 30}
    decided = vlmix("decide", recipe, "--store", store, "--json")
    assert decided.code == 0, decided.err
    (stage,) = decided.document["stages"]
    assert stage["before"] == stage["after"] == manifest.totals.model_dump()
    stricter = vlmix("decide", recipe, "--set", "rules.short.when=answer_chars < 9", "--store", store, "--json")
    assert stricter.document["stages"][0]["after"]["drop"] > manifest.totals.drop


def test_a_recipe_that_changed_its_entries_is_not_decided(vlmix: Vlmix, recipe: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    assert vlmix("run", "build-sft-mix", "--recipe", recipe, "--store", store, "--json").code == 0
    more = MINE | {"entries": [*MINE["entries"], {"id": "again", "source": SOURCE}]}
    recipe.write_text(yaml.safe_dump(more))
    done = vlmix("decide", recipe, "--store", store)
    assert done.code == 2
    assert "its entries are not those of its last build" in done.err


def test_entries_that_cannot_be_had_are_named_and_left_out(vlmix: Vlmix, recipe: Path, tmp_path: Path) -> None:
    listed = vlmix("sources", "list", "--status", "unpublished", "--store", tmp_path / "store", "--json").document
    gone = listed["sources"][0]["name"]
    lost = {"id": "lost", "source": gone, "domain": "chat", "take": {"kind": "first", "rows": 7}}
    whole = MINE | {"entries": [*MINE["entries"], lost]}
    recipe.write_text(yaml.safe_dump(whole))
    done = vlmix("run", "build-sft-mix", "--recipe", recipe, "--store", tmp_path / "store", "--json")
    assert done.code == 0, done.err
    manifest = read_manifest(Path(done.document["mix"]))
    assert [(entry.id, entry.source, entry.take) for entry in manifest.unresolved] == [
        ("lost", gone, {"kind": "first", "rows": 7})
    ]
    assert gone in manifest.unresolved[0].reason
    recipe.write_text(yaml.safe_dump(whole | {"unresolved": "stop"}))
    stopped = vlmix("run", "build-sft-mix", "--recipe", recipe, "--store", tmp_path / "store")
    assert stopped.code == 2
    assert "entry `lost`" in stopped.err and "`unresolved: skip`" in stopped.err
