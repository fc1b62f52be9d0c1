"""Counts of a recipe under other thresholds, from the scores of its last build and what reviewers say today."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pydantic import BaseModel, ValidationError

from flows.build import Prepared
from flows.judge_counts import JudgeForecast, forecast
from flows.mixes import Mix, find
from flows.rebuilding import mix_again, stored
from flows.run import checked
from manifests.account import Told, report
from manifests.load import load_recipe
from manifests.manifest import Counts, DomainCounts, JudgeCounts
from manifests.plan import PlannedStage
from manifests.recipe import Rule
from manifests.rules import Scores, parse
from shards.complaint import complaint
from shards.errors import RecipeError
from shards.store import Store


class StageCounts(BaseModel):
    """Counts of one stage before and after the change."""

    stage: str
    before: Counts
    after: Counts
    domains: Mapping[str, DomainCounts]
    judged_before: Mapping[str, JudgeCounts]
    """By criterion of the judge, as in the manifest."""
    judged: Mapping[str, JudgeForecast]
    """By criterion, after the change."""
    to_ask: int
    """Rows that wait for an answer of the judge that is not there; until then they count as no rule's."""


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
    mixes = find(store, load_recipe(recipe)[0].name)
    scales = {built.manifest.scale for built in mixes.values()}
    prepared = checked(recipe, store, scale=scales.pop())
    edits = [_parse(change) for change in changes]
    scores = prepared.filters.scores()
    names = {rule.name for stage in prepared.plan.stages for rule in stage.rules}
    for name, _, _ in edits:
        if name not in names:
            raise RecipeError(f"--set: recipe `{prepared.recipe.name}` has no rule `{name}`; see `vlmix plan`")
    # a run of one stage has no other; the rest is not counted again
    stages = [
        _count(prepared, _changed(stage, edits, scores), mixes[stage.name])
        for stage in prepared.plan.stages
        if stage.name in mixes
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
            raise RecipeError(f"--set rules.{name}.{field}: {complaint(error)}") from error
    return replace(stage, rules=rules, predicates=parse(rules, scores))


def _count(prepared: Prepared, stage: PlannedStage, built: Mix) -> StageCounts:
    recipe = prepared.recipe
    inputs = stored(built, stage, prepared.filters.answers, prepared.filters.takedowns)
    if {entry.id: prepared.plan.sources[stage.mixture, entry.id] for entry in stage.entries} != inputs.source_of:
        raise RecipeError(
            f"stage `{stage.name}`: its entries are not those of its last build; "
            f"run `vlmix run build-sft-mix --recipe {recipe.name}` again"
        )
    mixture = mix_again(built, recipe, stage, inputs)
    told = Told(judge=built.manifest.judge, faithful=built.manifest.faithful, tokens=built.manifest.tokens)
    after = report(
        recipe, stage, inputs.sources.facts, inputs.source_of, mixture, told=told, digests=built.manifest.digests
    )
    judged, waiting = forecast(recipe, stage, built, inputs)
    return StageCounts(
        stage=stage.name,
        before=built.manifest.totals,
        after=after.totals,
        domains=after.domains,
        judged_before=dict(built.manifest.judged),
        judged=judged,
        to_ask=waiting,
    )
