import json
from typing import Any

import jsonschema
import pytest
import yaml

from manifests.load import RECIPES, load_recipe
from manifests.recipe import Recipe
from manifests.schema import recipe_schema


@pytest.fixture(scope="module")
def checker() -> Any:
    schema = recipe_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_demo_follows_the_schema(checker: Any) -> None:
    document = yaml.safe_load((RECIPES / "demo.yaml").read_text())
    assert [error.message for error in checker.iter_errors(document)] == []
    whole = json.loads(load_recipe("demo")[0].model_dump_json(exclude_unset=True))
    assert [error.message for error in checker.iter_errors(whole)] == []


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("{name: x, entries: [{id: a, source: s}]}", True),
        ("{name: x, entries: [{id: a, source: {layout: llava, files: x.json}, take: {kind: even, rows: 3}}]}", True),
        ("{name: x, entries: [{id: a}]}", False),
        ("{name: x, entries: [{id: a, remove: true}]}", False),
        ("{name: x, entries: [{id: a, source: s, takes: {}}]}", False),
        ("{name: x, entries: [{id: a, source: s, take: {kind: last}}]}", False),
        ("{entries: [{id: a, source: s}]}", False),
        ("{extends: demo, name: x}", True),
        ("{extends: demo, name: x, stages: [{name: sft, entries: [{id: a, cap: 3}, {id: b, remove: true}]}]}", True),
        ("{extends: demo, name: x, stages: [{name: sft, remove: true}]}", True),
        ("{extends: demo, name: x, entries: [{cap: 3}]}", False),
        ("{extends: demo, name: x, stages: [{name: sft, entries: [{id: a, cap: -3}]}]}", False),
        ("{extends: [demo], name: x}", False),
        ("{extends: demo, name: x, targets: {shares: {chat: 0}}}", False),
    ],
)
def test_what_an_editor_marks(checker: Any, text: str, valid: bool) -> None:
    assert checker.is_valid(yaml.safe_load(text)) == valid


def test_every_word_of_a_recipe_is_in_the_schema() -> None:
    definitions = recipe_schema()["$defs"]
    assert isinstance(definitions, dict)
    change = definitions["RecipeChange"]
    assert isinstance(change, dict) and isinstance(change["properties"], dict)
    assert set(change["properties"]) == {*Recipe.model_fields, "extends"}
