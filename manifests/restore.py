"""Manifest to recipe and stage: what a finished mixture was made by, so that it can be made again."""

from collections.abc import Mapping

from manifests.manifest import Manifest
from manifests.plan import PlannedStage
from manifests.recipe import Dedup, Entry, Recipe, Rule
from manifests.rules import Scores, parse
from manifests.targets import Targets


def stage_of(manifest: Manifest, scores: Scores, excluded: Mapping[str, tuple[int, ...]]) -> PlannedStage:
    """The stage that a manifest accounts for, scaled as it was carried out.

    Args:
        manifest: of a finished mixture.
        scores: dtypes of the scores beside it.
        excluded: row numbers that `exclude` takes leave out, by entry.

    Raises:
        RecipeError: a rule that cannot be evaluated on these scores.
    """
    rules = tuple(Rule.model_validate(rule) for rule in manifest.rules)
    entries = tuple(Entry.model_validate({**entry.entry, "source": entry.source}) for entry in manifest.entries)
    return PlannedStage(
        name=manifest.mixture,
        epochs=manifest.epochs,
        mixture=manifest.mixture,
        entries=entries,
        rules=rules,
        predicates=parse(rules, scores),
        dedup=Dedup.model_validate(manifest.dedup),
        targets=None if manifest.targets is None else Targets.model_validate(manifest.targets),
        written=entries,
        excluded=excluded,
    )


def recipe_of(manifest: Manifest, stage: PlannedStage) -> Recipe:
    """The recipe of a mixture as far as mixing looks at it: name, seed and entries."""
    # a recipe has entries, even where all of them were left out
    left_out = tuple(Entry(id=entry.id, source=entry.source, domain=entry.domain) for entry in manifest.unresolved)
    return Recipe(name=manifest.recipe, seed=manifest.seed, entries=stage.entries or left_out)
