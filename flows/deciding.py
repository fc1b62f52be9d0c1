"""Counts of a recipe under other thresholds, from scores of its last build: no model call, nothing written."""

from collections.abc import Sequence
from dataclasses import replace

import polars as pl
from pydantic import BaseModel, ValidationError

from flows.mixes import Mix, find
from flows.mixing import DedupItems
from flows.run import checked
from flows.scoring import ASKABLE
from manifests.manifest import Counts, DomainCounts
from manifests.mixture import SourceScores, mix, report, take_mask
from manifests.plan import PlannedStage
from manifests.recipe import Recipe, Rule, explain
from manifests.rules import Scores, parse, to_ask
from shards.errors import RecipeError
from shards.sample import ShardsIndex
from shards.store import Store


class StageCounts(BaseModel):
    """Counts of one stage before and after the change; `to_ask` rows wait for judge scores that nobody asked for."""

    stage: str
    before: Counts
    after: Counts
    domains: dict[str, DomainCounts]
    to_ask: int


class Decided(BaseModel):
    """What a change of rules would do."""

    recipe: str
    changes: list[str]
    stages: list[StageCounts]


def decide(recipe: str, store: Store, changes: Sequence[str]) -> Decided:
    """Count the last build of a recipe again under changed rules.

    Args:
        recipe: built-in name or path; it must have been built in this store.
        store: where.
        changes: such as `rules.low_quality.when=quality < 6`; the rule must exist in some stage.

    Raises:
        UsageError: no finished build, or a change that is not understood.
    """
    prepared = checked(recipe, store)
    mixes = find(store, prepared.recipe.name)
    edits = [_parse(change) for change in changes]
    scores = prepared.filters.scores()
    names = {rule.name for stage in prepared.plan.stages for rule in stage.rules}
    for name, _, _ in edits:
        if name not in names:
            raise RecipeError(f"--set: recipe `{prepared.recipe.name}` has no rule `{name}`; see `vlmix plan`")
    stages = [
        _count(prepared.recipe, _changed(stage, edits, scores), mixes[stage.name], store)
        for stage in prepared.plan.stages
    ]
    return Decided(recipe=prepared.recipe.name, changes=list(changes), stages=stages)


def _parse(change: str) -> tuple[str, str, str]:
    """Rule, field and value of one `--set`."""
    path, found, value = change.partition("=")
    words = path.strip().split(".")
    known = ("when", "then")
    if not found or words[0] != "rules" or len(words) != len(("rules", "NAME", "FIELD")) or words[-1] not in known:
        raise RecipeError(
            f"--set `{change}`: expected `rules.NAME.when=PREDICATE` or `rules.NAME.then=keep|drop|review`"
        )
    return words[1], words[2], value.strip()


def _changed(stage: PlannedStage, edits: Sequence[tuple[str, str, str]], scores: Scores) -> PlannedStage:
    rules = stage.rules
    for name, field, value in edits:
        try:
            rules = tuple(
                Rule.model_validate({**rule.model_dump(), field: value}) if rule.name == name else rule
                for rule in rules
            )
        except ValidationError as error:
            raise RecipeError(f"--set rules.{name}.{field}: {explain(error)}") from error
    return replace(stage, rules=rules, predicates=parse(rules, scores))


def _count(recipe: Recipe, stage: PlannedStage, built: Mix, store: Store) -> StageCounts:
    source_of = {entry.id: entry.source for entry in built.manifest.entries}
    shards = {source: built.shards(source) for source in source_of.values()}
    sources = {
        entry.source: SourceScores(
            entry.source,
            entry.licence,
            entry.shards,
            shards[entry.source].index(ShardsIndex).items,
            entry.quarantine,
            entry.repairs,
            built.scores.filter(pl.col("source") == entry.source).drop("source"),
        )
        for entry in built.manifest.entries
    }
    mixture = mix(recipe, stage, sources, source_of, DedupItems(store, sources, shards))
    after = report(
        recipe, stage, sources, source_of, mixture, judge=built.manifest.judge, digests=built.manifest.digests
    )
    waiting = 0
    for entry in stage.entries:
        source = sources[source_of[entry.id]]
        masks = to_ask(source.scores, stage.predicates, entry, frozenset(ASKABLE))
        taken = take_mask(recipe, entry, source)
        waiting += max((int((mask & taken).sum()) for mask in masks.values()), default=0)
    return StageCounts(
        stage=stage.name,
        before=built.manifest.totals,
        after=after.totals,
        domains=after.domains,
        to_ask=waiting,
    )
