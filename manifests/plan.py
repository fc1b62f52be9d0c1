"""Recipe to plan: every name resolved, every rule checked, every row counted, what is made up or missing named."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from manifests.operators import Take
from manifests.recipe import Dedup, Entry, Recipe, Rule, Stage
from manifests.rules import TAKEN_DOWN, Predicate, Scores, compose, parse, with_human, with_takedown
from manifests.scale import scaled_entry, scaled_targets
from manifests.take import amount, bounds
from manifests.targets import Targets
from shards.errors import RecipeError

Status = Literal["resolved", "assumed", "unresolved"]
"""`resolved`: source, rows and operator are published. `assumed`: the recipe or the count makes something up, and says
what. `unresolved`: the source, or what the entry takes of it, cannot be had."""

Place = tuple[str, str]
"""(stage name, entry id)"""


class SourceFacts(BaseModel):
    """What a plan needs to know of a source; `rows` as published, null where nobody knows."""

    model_config = ConfigDict(frozen=True)

    name: str
    licence: str
    rows: int | None
    status: Status
    reason: str = ""
    """Why it is assumed or unresolved."""


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
    reason: str
    """What is made up or missing; empty when resolved."""


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """A stage with its own or a shared mixture; `predicates` are its rules in order of evaluation.

    `entries` are scaled and can be had; `written` are all entries as the recipe has them; `excluded` holds the row
    numbers that `exclude` takes leave out, by entry.
    """

    name: str
    epochs: float
    mixture: str
    entries: tuple[Entry, ...]
    rules: tuple[Rule, ...]
    predicates: tuple[Predicate, ...]
    dedup: Dedup
    targets: Targets | None = None
    written: tuple[Entry, ...] = ()
    excluded: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """A recipe with every name resolved. `sources` maps entry (stage, id) to source name."""

    recipe: Recipe
    stages: tuple[PlannedStage, ...]
    entries: tuple[PlannedEntry, ...]
    sources: Mapping[Place, str]

    def rows_by_status(self) -> dict[str, int]:
        """Rows taken per status; an entry with an unknown count adds nothing."""
        counts: dict[str, int] = {"resolved": 0, "assumed": 0, "unresolved": 0}
        for entry in self.entries:
            counts[entry.status] += entry.taken or 0
        return counts

    def entries_by_status(self) -> dict[str, int]:
        """Number of entries per status."""
        counts: dict[str, int] = {"resolved": 0, "assumed": 0, "unresolved": 0}
        for entry in self.entries:
            counts[entry.status] += 1
        return counts

    def faithful(self) -> bool:
        """Whether nothing is assumed, missing, scaled or of unknown size: only then is it a reproduction."""
        whole = all(entry.status == "resolved" and entry.rows is not None for entry in self.entries)
        return whole and not self.recipe.assumptions and self.recipe.scale == 1


def plan(
    recipe: Recipe,
    sources: Mapping[Place, SourceFacts],
    scores: Scores,
    *,
    excluded: Mapping[Place, tuple[int, ...]] | None = None,
    judged: frozenset[str] = frozenset(),
) -> Plan:
    """Resolve a recipe.

    Args:
        recipe: as written.
        sources: facts about the source of each (stage, entry id).
        scores: every score that may be named in a rule.
        excluded: row numbers of every entry with an `exclude` take.
        judged: scores that a judge gives after the take, so that no `top` can go by them.

    Raises:
        RecipeError: a rule that cannot be evaluated, an unknown rule set, a take by a score that nobody writes, or an
            entry without source in a recipe that does not say `unresolved: skip`.
    """
    _check_sources(recipe, sources)
    stages: dict[str, PlannedStage] = {}
    for stage in recipe.resolved_stages():
        for entry in stage.entries:
            if sources[stage.name, entry.id].status != "unresolved":
                _check_take(entry, scores, judged)
        stages[stage.name] = _stage(recipe, stage, scores, stages, sources, excluded or {})
        _check_dedup(stages[stage.name], {facts.name for facts in sources.values()}, scores, judged)
    entries = [
        _entry(stage, scaled_entry(entry, recipe.scale), sources[stage.name, entry.id])
        for stage in stages.values()
        if stage.mixture == stage.name
        for entry in stage.written
    ]
    names = {place: facts.name for place, facts in sources.items()}
    return Plan(recipe, tuple(stages.values()), tuple(entries), names)


def _check_sources(recipe: Recipe, sources: Mapping[Place, SourceFacts]) -> None:
    missing = {place: facts for place, facts in sources.items() if facts.status == "unresolved"}
    if missing and recipe.unresolved == "stop":
        (_, entry), facts = next(iter(missing.items()))
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise RecipeError(
            f"entry `{entry}`: {facts.reason}{more}; `unresolved: skip` leaves such entries out and names them"
        )


def _check_take(entry: Entry, scores: Scores, judged: frozenset[str]) -> None:
    by = entry.take.by
    if by is None:
        return
    if by in judged:
        raise RecipeError(f"entry `{entry.id}`: `top` by `{by}`, which a judge gives only to rows that are taken")
    if by not in scores or not scores[by].is_numeric():
        raise RecipeError(f"entry `{entry.id}`: no filter writes a number `{by}` that `top` could go by")


def _check_dedup(stage: PlannedStage, sources: set[str], scores: Scores, judged: frozenset[str]) -> None:
    """What the choice among duplicates goes by must be there."""
    score = stage.dedup.score
    for name in stage.dedup.prefer:
        if name not in sources:
            raise RecipeError(f"dedup prefers source `{name}`, which no entry reads: {', '.join(sorted(sources))}")
    if score is None or stage.dedup.level == "off":
        return
    if score not in scores or not scores[score].is_numeric():
        raise RecipeError(f"stage `{stage.name}`: no filter writes a number `{score}` that `keep: best` could go by")
    if score in judged and all(score not in predicate.scores for predicate in stage.predicates):
        raise RecipeError(
            f"stage `{stage.name}`: `keep: best` by `{score}`, which the judge gives only where a rule reads it, and "
            "none does; name another score in `by`"
        )


def _stage(
    recipe: Recipe,
    stage: Stage,
    scores: Scores,
    earlier: Mapping[str, PlannedStage],
    sources: Mapping[Place, SourceFacts],
    excluded: Mapping[Place, tuple[int, ...]],
) -> PlannedStage:
    if stage.mixture:
        return replace(earlier[stage.mixture], name=stage.name, epochs=stage.epochs)
    rules = with_takedown(compose(with_human(stage.rules or recipe.rules, scores)), scores)
    _check_names(recipe, stage, rules)
    usable = [entry for entry in stage.entries if sources[stage.name, entry.id].status != "unresolved"]
    targets = stage.targets or recipe.targets
    _check_targets(stage, targets)
    return PlannedStage(
        stage.name,
        stage.epochs,
        stage.name,
        tuple(scaled_entry(entry, recipe.scale) for entry in usable),
        rules,
        parse(rules, scores),
        stage.dedup or recipe.dedup,
        scaled_targets(targets, recipe.scale),
        stage.entries,
        {entry: rows for (name, entry), rows in excluded.items() if name == stage.name},
    )


def _check_names(recipe: Recipe, stage: Stage, rules: tuple[Rule, ...]) -> None:
    known = {entry.id for each in recipe.resolved_stages() for entry in each.entries}
    for rule in rules:
        for name in (*rule.where.entries, *(exempt.entry for exempt in rule.exempt if exempt.entry is not None)):
            if name not in known:
                raise RecipeError(f"rule `{rule.name}`: no entry `{name}` in this recipe")
    names = {rule.name for rule in rules}
    for entry in stage.entries:
        for spared in entry.exempt:
            if spared.rule == TAKEN_DOWN:
                raise RecipeError(f"entry `{entry.id}`: no entry is exempt from rule `{TAKEN_DOWN}`")
            if spared.rule not in names:
                raise RecipeError(f"entry `{entry.id}`: exempt from rule `{spared.rule}`, which its stage has not")


def _check_targets(stage: Stage, targets: Targets | None) -> None:
    domains = {entry.domain for entry in stage.entries}
    for name in sorted({*targets.amounts, *targets.shares, *targets.domains} if targets else ()):
        if name not in domains:
            raise RecipeError(f"stage `{stage.name}`: a target for domain `{name}`, of which it has no entry")


def _entry(stage: PlannedStage, entry: Entry, facts: SourceFacts) -> PlannedEntry:
    begin, end = bounds(entry.slice, facts.rows or 0)
    unknown = facts.rows is None or entry.withheld is not None
    return PlannedEntry(
        id=entry.id,
        stage=stage.name,
        source=facts.name,
        domain=entry.domain,
        take=take_document(entry),
        repeat=entry.repeat,
        rows=facts.rows,
        taken=None if unknown else amount(entry.take, end - begin, stage.excluded.get(entry.id, ())),
        status="assumed" if entry.assumed and facts.status == "resolved" else facts.status,
        reason="; ".join(filter(None, (facts.reason, entry.assumed))),
    )


def take_document(entry: Entry) -> dict[str, JsonValue]:
    """An entry's take with its slice, as manifests and plans show it."""
    take: Take = entry.take
    document: dict[str, JsonValue] = take.model_dump(mode="json", exclude_none=True)
    if take.percent is not None:
        document["rounding"] = take.rounding or "ceil"
    if take.fraction is not None:
        document["rounding"] = take.rounding or "float-floor"
    if entry.slice:
        document["slice"] = entry.slice.model_dump(mode="json")
    return document


def take_words(take: Mapping[str, JsonValue]) -> str:
    """A take document in a few words, such as `first 10 % (ceil)`."""
    words = [str(take["kind"])]
    for name, form in (("rows", "{:,}"), ("percent", "{:g} %"), ("fraction", "{:g} of all"), ("file", "{}")):
        if name in take:
            words.append(form.format(take[name]))
    if "rounding" in take:
        words.append(f"({take['rounding']})")
    if "by" in take:
        words.append(f"by {take['by']}")
    part = take.get("slice")
    if isinstance(part, dict):
        words.append(f"of {part['start']:g}-{part['end']:g} %")
    return " ".join(words)
