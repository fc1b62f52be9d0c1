"""Recipe to plan: every name resolved, every rule checked, every row counted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from manifests.recipe import Dedup, Entry, Recipe, Rule, Stage
from manifests.rules import Predicate, Scores, compose, parse
from manifests.take import amount
from shards.errors import RecipeError

Status = Literal["resolved", "assumed", "unresolved"]


class SourceFacts(BaseModel):
    """What a plan needs to know of a source; `rows` as published, null where nobody knows."""

    model_config = ConfigDict(frozen=True)

    name: str
    licence: str
    rows: int | None
    status: Status


class PlannedEntry(BaseModel):
    """One line of a plan: rows as published, rows taken, and how sure that is."""

    model_config = ConfigDict(frozen=True)

    id: str
    stage: str
    source: str
    domain: str
    take: dict[str, JsonValue]
    repeat: float
    rows: int | None
    taken: int | None
    status: Status


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """A stage with its own or a shared mixture; `predicates` are its rules in order of evaluation."""

    name: str
    epochs: float
    mixture: str
    entries: tuple[Entry, ...]
    rules: tuple[Rule, ...]
    predicates: tuple[Predicate, ...]
    dedup: Dedup


@dataclass(frozen=True, slots=True)
class Plan:
    """A recipe with every name resolved. `sources` maps entry (stage, id) to source name."""

    recipe: Recipe
    stages: tuple[PlannedStage, ...]
    entries: tuple[PlannedEntry, ...]
    sources: Mapping[tuple[str, str], str]

    def rows_by_status(self) -> dict[str, int]:
        """Rows taken per status; an entry with an unknown count adds nothing."""
        counts: dict[str, int] = {"resolved": 0, "assumed": 0, "unresolved": 0}
        for entry in self.entries:
            counts[entry.status] += entry.taken or 0
        return counts


def plan(recipe: Recipe, sources: Mapping[tuple[str, str], SourceFacts], scores: Scores) -> Plan:
    """Resolve a recipe.

    Args:
        recipe: as written.
        sources: facts about the source of each (stage, entry id).
        scores: every score that may be named in a rule.

    Raises:
        RecipeError: a rule that cannot be evaluated, or an unknown rule set.
    """
    stages: dict[str, PlannedStage] = {}
    for stage in recipe.resolved_stages():
        stages[stage.name] = _stage(recipe, stage, scores, stages)
    entries = [
        _entry(stage, entry, sources[stage.name, entry.id])
        for stage in stages.values()
        if stage.mixture == stage.name
        for entry in stage.entries
    ]
    names = {place: facts.name for place, facts in sources.items()}
    return Plan(recipe, tuple(stages.values()), tuple(entries), names)


def _stage(recipe: Recipe, stage: Stage, scores: Scores, earlier: Mapping[str, PlannedStage]) -> PlannedStage:
    if stage.mixture:
        shared = earlier[stage.mixture]
        return PlannedStage(
            stage.name, stage.epochs, shared.mixture, shared.entries, shared.rules, shared.predicates, shared.dedup
        )
    rules = compose(stage.rules or recipe.rules)
    known = {entry.id for each in recipe.resolved_stages() for entry in each.entries}
    _check_entries(rules, known)
    predicates = parse(rules, scores)
    return PlannedStage(
        stage.name, stage.epochs, stage.name, stage.entries, rules, predicates, stage.dedup or recipe.dedup
    )


def _check_entries(rules: tuple[Rule, ...], known: set[str]) -> None:
    for rule in rules:
        for name in (*rule.where.entries, *(exempt.entry for exempt in rule.exempt)):
            if name not in known:
                raise RecipeError(f"rule `{rule.name}`: no entry `{name}` in this recipe")


def _entry(stage: PlannedStage, entry: Entry, facts: SourceFacts) -> PlannedEntry:
    return PlannedEntry(
        id=entry.id,
        stage=stage.name,
        source=facts.name,
        domain=entry.domain,
        take=entry.take.model_dump(mode="json", exclude_none=True),
        repeat=entry.repeat,
        rows=facts.rows,
        taken=None if facts.rows is None else amount(entry.take, facts.rows),
        status=facts.status,
    )
