"""What a person writes: a recipe in YAML, checked word by word before any work."""

from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from shards.errors import RecipeError

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=120)]
Share = Annotated[float, Field(ge=0, le=100)]

RECIPES: Final = Path(__file__).parent / "recipes"


class _Written(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _distinct(what: str, names: list[str]) -> None:
    doubles = sorted({name for name in names if names.count(name) > 1})
    if doubles:
        raise ValueError(f"{what} `{doubles[0]}` stands twice; ids must differ")


class Take(_Written):
    """Which rows of the source enter, in its published order: all, the first or last N or P percent, or N at random.

    `rounding` applies to percent of the rows as published (LLaVA-NeXT's loader takes the ceiling). `random` orders
    rows by a hash of recipe seed, entry id and key, so a larger take contains a smaller one.
    """

    kind: Literal["all", "first", "end", "random"] = "all"
    rows: Annotated[int, Field(ge=0)] | None = None
    percent: Share | None = None
    rounding: Literal["ceil", "floor"] = "ceil"

    @model_validator(mode="after")
    def _one_amount(self) -> "Take":
        amounts = (self.rows is not None) + (self.percent is not None)
        if self.kind == "all" and amounts:
            raise ValueError("`all` takes neither `rows` nor `percent`")
        if self.kind != "all" and amounts != 1:
            raise ValueError(f"`{self.kind}` needs either `rows` or `percent`")
        return self


class Where(_Written):
    """Entries and domains a rule applies to; an empty list means all."""

    entries: tuple[Identifier, ...] = ()
    domains: tuple[str, ...] = ()


class Exempt(_Written):
    """An entry that a rule leaves alone, and why."""

    entry: Identifier
    reason: Annotated[str, Field(min_length=1)]


class Rule(_Written):
    """A named SQL predicate over scores and what follows when it is true; `off` removes an inherited rule."""

    name: Identifier
    when: str | None = None
    then: Literal["keep", "drop", "review", "off"]
    where: Where = Where()
    exempt: tuple[Exempt, ...] = ()
    source: str = ""
    """Where the threshold comes from: paper and section, repository and path, or `ours`."""

    @model_validator(mode="before")
    @classmethod
    def _off_is_a_word(cls, data: object) -> object:
        # YAML 1.1 reads a bare `off` as false
        if isinstance(data, dict) and data.get("then") is False:
            return {**data, "then": "off"}
        return data

    @model_validator(mode="after")
    def _predicate_present(self) -> "Rule":
        if (self.when is None) != (self.then == "off"):
            raise ValueError(f"rule `{self.name}` needs `when`, unless `then` is `off`")
        return self


class Rules(_Written):
    """Rule sets in order, then local rules; a local rule replaces an inherited one of its name in place."""

    extends: tuple[str, ...] = ()
    list: tuple[Rule, ...] = ()

    @model_validator(mode="after")
    def _named_once(self) -> "Rules":
        _distinct("rule", [rule.name for rule in self.list])
        return self


class Dedup(_Written):
    """Which kept rows of a stage count as duplicates of one another.

    `pair`: same instruction, and pictures that are byte-identical, or near ones with the same answer too (a look-alike
    with another answer is another picture). `row`: same instruction and answer, and byte-identical or near pictures;
    for captions, where one prompt serves all. `picture`: pictures alone. `exact`: byte-identical pictures with the
    same instruction. Rows without pictures are duplicates when all their text is the same. `distance` is in bits of
    the 64-bit perceptual hash.
    """

    level: Literal["pair", "row", "picture", "exact", "off"] = "pair"
    distance: Annotated[int, Field(ge=0, le=16)] = 4
    keep: Literal["first", "largest"] = "first"


class Entry(_Written):
    """One line of a recipe: a source, or the inline declaration of one, with what is taken from it."""

    id: Identifier
    source: str | dict[str, JsonValue]
    domain: str = "general"
    take: Take = Take()
    cap: Annotated[int, Field(ge=0)] | None = None
    """Most distinct rows written, chosen by hash after filtering and dedup."""
    repeat: Annotated[float, Field(gt=0)] = 1
    """Times each written row is emitted; of a fraction, that share of the rows (by hash) is emitted once more."""


class Stage(_Written):
    """An ordered part of a recipe; it has entries of its own, or shares the mixture of an earlier stage."""

    name: Identifier
    epochs: Annotated[float, Field(gt=0)] = 1
    mixture: Identifier | None = None
    entries: tuple[Entry, ...] = ()
    rules: Rules | None = None
    dedup: Dedup | None = None

    @model_validator(mode="after")
    def _one_mixture(self) -> "Stage":
        if bool(self.mixture) == bool(self.entries):
            raise ValueError(f"stage `{self.name}` needs either `entries` or `mixture`")
        if self.mixture and (self.rules or self.dedup):
            raise ValueError(f"stage `{self.name}` shares a mixture; its `rules` and `dedup` stand at `{self.mixture}`")
        return self


class Recipe(_Written):
    """A whole recipe. `rules` and `dedup` hold for every stage that has none of its own."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_][a-z0-9_.-]*$", max_length=120)]
    description: str = ""
    seed: int = 0
    judge: Literal["tiny", "off"] = "tiny"
    filters: tuple[str, ...] = ()
    """Filters of the user's own, as `module:Class`."""
    rules: Rules = Rules()
    dedup: Dedup = Dedup()
    entries: tuple[Entry, ...] = ()
    stages: tuple[Stage, ...] = ()
    allow_passes: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> "Recipe":
        if bool(self.entries) == bool(self.stages):
            raise ValueError("needs either `entries` (one stage) or `stages`")
        names = [stage.name for stage in self.stages]
        _distinct("stage", names)
        for position, stage in enumerate(self.stages):
            _distinct(f"stage `{stage.name}`: entry", [entry.id for entry in stage.entries])
            if stage.mixture and stage.mixture not in names[:position]:
                raise ValueError(f"stage `{stage.name}`: mixture `{stage.mixture}` is no earlier stage")
        _distinct("entry", [entry.id for entry in self.entries])
        return self

    def resolved_stages(self) -> tuple[Stage, ...]:
        """The stages; a recipe with `entries` has one, named `sft`."""
        return self.stages or (Stage(name="sft", entries=self.entries),)


def load_recipe(name: str) -> tuple[Recipe, Path]:
    """A recipe by built-in name or path, and the folder that its relative paths start from.

    Raises:
        RecipeError: no such recipe, not YAML, or a word that is not understood.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else RECIPES / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(found.stem for found in RECIPES.glob("*.yaml")))
        raise RecipeError(f"no recipe `{name}`; built in: {known}; or give the path of a .yaml file")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RecipeError(f"recipe `{path}` is not UTF-8: {error}") from error
    return parse_recipe(text, str(path)), path.resolve().parent


def parse_recipe(text: str, where: str) -> Recipe:
    """A recipe from YAML text; `where` names it in messages.

    Raises:
        RecipeError: see `load_recipe`.
    """
    try:
        return Recipe.model_validate(yaml.load(text, Loader=_Strict))
    except yaml.YAMLError as error:
        raise RecipeError(f"recipe `{where}` is not YAML: {_yaml_problem(error)}") from error
    except ValidationError as error:
        raise RecipeError(f"recipe `{where}`: {explain(error)}") from error


class _Strict(yaml.SafeLoader):
    """Refuses a key that stands twice; YAML readers keep the last one without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        """Read a mapping whose keys differ."""
        keys = [key.value for key, _ in node.value]
        for key, _ in node.value:
            if keys.count(key.value) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"`{key.value}` stands twice", key.start_mark)
        return super().construct_mapping(node, deep)


def _yaml_problem(error: yaml.YAMLError) -> str:
    """The complaint in one line; that of the parser has five, with a drawing."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}: {error.problem}"
    return " ".join(str(error).split())


def explain(error: ValidationError) -> str:
    """The first complaint of a validation in one line: where, what is expected, what was found."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = "unknown key; see docs/recipes.md"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    found = _found(first["input"]) if first["type"] not in {"missing", "value_error", "extra_forbidden"} else ""
    return f"{f'`{place}`: ' if place else ''}{message}{f', found {found}' if found else ''}{more}"


def _found(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case list() | tuple():
            return "a list"
        case dict():
            return "a mapping"
        case _:
            return f"`{' '.join(str(value).split())}`"
