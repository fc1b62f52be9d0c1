"""JSON schema of recipe files, for editors: what manifests/recipe.py checks, and the words of inheritance."""

import json
from typing import Final

from pydantic import JsonValue

from manifests.recipe import Recipe

_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_INHERITED: Final = {"Entry": "id", "Stage": "name"}
"""Items that an inheriting recipe merges, and the one word that each needs."""

Document = dict[str, JsonValue]


def recipe_schema() -> Document:
    """JSON schema, draft 2020-12, of a recipe file.

    A file with `extends` is held to `RecipeChange`: its stages and entries may leave out what they inherit, and may
    say `remove: true`. Sentences that span several fields (one amount per take) are checked by `vlmix plan` alone.
    """
    schema = Recipe.model_json_schema()
    definitions: Document = schema.pop("$defs")
    definitions["Recipe"] = schema
    for name in (*_INHERITED, "Recipe"):
        definitions[f"{name}Change"] = _change(definitions[name], name)
    return {
        "$schema": _DRAFT,
        "title": "vlmix recipe",
        "type": "object",
        "if": {"required": ["extends"]},
        "then": {"$ref": "#/$defs/RecipeChange"},
        "else": {"$ref": "#/$defs/Recipe"},
        "$defs": definitions,
    }


def _change(definition: JsonValue, name: str) -> Document:
    """A definition as an inheriting recipe may write it."""
    text = json.dumps(definition)
    for inner in _INHERITED:
        text = text.replace(f'"#/$defs/{inner}"', f'"#/$defs/{inner}Change"')
    change: Document = json.loads(text)
    properties = change["properties"]
    assert isinstance(properties, dict)
    if name == "Recipe":
        properties["extends"] = {"type": "string", "description": "Built-in name or path of the recipe to inherit."}
    else:
        properties["remove"] = {"const": True, "description": "Leave out what the inherited recipe has."}
        change["required"] = [_INHERITED[name]]
    return change
