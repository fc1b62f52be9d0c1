"""Recipes from YAML files: found by name or path, inherited, checked."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from manifests.recipe import Recipe
from shards.complaint import complaint
from shards.errors import RecipeError

RECIPES: Final = Path(__file__).parent / "recipes"

Document = dict[str, Any]  # YAML before it is checked


def load_recipe(name: str, *, scale: float | None = None) -> tuple[Recipe, Path]:
    """A recipe by built-in name or path, and the folder that its relative paths start from.

    Args:
        name: such as `demo` or `mine/recipe.yaml`.
        scale: for a miniature run; null keeps what the recipe says.

    Raises:
        RecipeError: no such recipe, not YAML, or a word that is not understood.
    """
    path = recipe_path(name, Path())
    document = _inherited(path, ())
    if scale is not None:
        document["scale"] = scale
    return _validated(document, str(path)), path.resolve().parent


def built_in() -> list[str]:
    """Names of the built-in recipes, sorted."""
    return sorted(found.stem for found in RECIPES.glob("*.yaml"))


def recipe_path(name: str, folder: Path) -> Path:
    """The file of a recipe.

    Raises:
        RecipeError: there is none.
    """
    path = folder / name if name.endswith((".yaml", ".yml")) else RECIPES / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(built_in())
        raise RecipeError(f"no recipe `{name}`; built in: {known}; or give the path of a .yaml file")
    return path


def parse_recipe(text: str, where: str) -> Recipe:
    """A recipe that inherits nothing, from YAML text; `where` names it in messages.

    Raises:
        RecipeError: see `load_recipe`.
    """
    return _validated(_parse(text, where), where)


def _validated(document: object, where: str) -> Recipe:
    try:
        return Recipe.model_validate(document)
    except ValidationError as error:
        raise RecipeError(f"recipe `{where}`: {complaint(error)}") from error


def _parse(text: str, where: str) -> object:
    try:
        return yaml.load(text, Loader=_Strict)
    except yaml.YAMLError as error:
        raise RecipeError(f"recipe `{where}` is not YAML: {_yaml_problem(error)}") from error


def _inherited(path: Path, heirs: tuple[Path, ...]) -> Document:
    """The document at a path with all that it extends."""
    if path.resolve() in heirs:
        raise RecipeError(f"recipe `{path}` extends itself")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RecipeError(f"recipe `{path}` is not UTF-8: {error}") from error
    document = _parse(text, str(path))
    if not isinstance(document, dict):
        _validated(document, str(path))
        raise AssertionError("a recipe that is no mapping is refused")
    if "extends" not in document:
        return document
    parent = document.pop("extends")
    if not isinstance(parent, str):
        raise RecipeError(f"recipe `{path}`: `extends` is the name or path of one recipe")
    if "name" not in document:
        raise RecipeError(f"recipe `{path}` extends `{parent}` and needs a `name` of its own; runs are kept by name")
    return _merge(_inherited(recipe_path(parent, path.parent), (*heirs, path.resolve())), document, str(path))


def _merge(parent: Document, child: Document, where: str) -> Document:
    """A child's words over its parent's; stages are merged by name, entries by id, everything else is replaced."""
    merged = {**parent, **child}
    for name, key in (("entries", "id"), ("stages", "name")):
        if isinstance(child.get(name), list) and isinstance(parent.get(name), list):
            merged[name] = _merge_list(parent[name], child[name], key, where)
    return merged


def _merge_list(parent: list[Any], child: list[Any], key: str, where: str) -> list[Any]:
    """Items of the parent in their places, changed or removed as the child says; new ones stand at the end."""
    merged = _by_name(parent, key, where)
    for name, item in _by_name(child, key, where).items():
        if item.get("remove") is True:
            if merged.pop(name, None) is None:
                raise RecipeError(f"recipe `{where}`: `{name}` is removed, but the inherited recipe has none")
        else:
            merged[name] = _merge(merged[name], item, where) if name in merged else item
    return list(merged.values())


def _by_name(items: list[Any], key: str, where: str) -> dict[str, Document]:
    """Items by their id or name; nothing else of them is checked yet."""
    found: dict[str, Document] = {}
    for item in items:
        name = item.get(key) if isinstance(item, dict) else None
        if not isinstance(name, str):
            raise RecipeError(f"recipe `{where}`: every item of a list that is inherited needs `{key}`")
        if name in found:
            raise RecipeError(f"recipe `{where}`: `{name}` stands twice")
        found[name] = item
    return found


class _Strict(yaml.SafeLoader):
    """Refuses a key that stands twice; YAML readers keep the last one without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        """Read a mapping whose keys differ."""
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"`{key.value}` stands twice", key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _yaml_problem(error: yaml.YAMLError) -> str:
    """The complaint in one line; that of the parser has five, with a drawing."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}: {error.problem}"
    return " ".join(str(error).split())
