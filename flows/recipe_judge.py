"""The judge that a recipe names, what it is asked with, and whether it can say what the rules want to know."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from filters.judge_domain import DOMAINS
from filters.judges.base import Judge, Seer, is_seer
from filters.judges.likelihood import LIKELIHOOD
from filters.judges.tiny import TINY, TinyJudge
from flows.ledger import prompt_sha256
from flows.scoring import ASKABLE, CRITERIA, SIGHTED, criteria_of
from manifests.plan import PlannedStage
from manifests.recipe import JudgeSettings, Recipe, Rule
from manifests.rules import HUMAN_SCORES, Predicate, Scores, parse
from shards.complaint import complaint
from shards.errors import RecipeError

_MODELS: Final = {"vllm": "VllmJudge", "http": "HttpJudge"}
"""Backend -> class in the module of its name; loaded when a recipe names it."""


def judge_of(recipe: Recipe, folder: Path) -> Judge | None:
    """The judge that a recipe names; None for `off`.

    Args:
        recipe: as written.
        folder: what its relative paths start from.

    Raises:
        RecipeError: a parameter that the backend does not have, or that is of another type.
    """
    settings = recipe.judge
    if settings == "off":
        return None
    if settings == "tiny" or settings.backend == "tiny":
        return TinyJudge()
    return _model(settings, folder)


def _model(settings: JudgeSettings, folder: Path) -> Judge:
    kind = getattr(importlib.import_module(f"filters.judges.{settings.backend}"), _MODELS[settings.backend])
    given = settings.model_dump(include={"model", "urls", "dtype", "max_model_len"}, exclude_none=True)
    given = {name: value for name, value in given.items() if value != ()} | settings.options
    known = {field.name for field in fields(kind)}
    for name in sorted(given.keys() - known):
        raise RecipeError(f"judge `{settings.backend}` has no parameter `{name}`; known: {', '.join(sorted(known))}")
    for name in ("model", "tokenizer") if settings.backend == "vllm" else ("tokenizer",):
        if name in given:
            given[name] = str(folder / given[name])
    try:
        judge: Judge = TypeAdapter(kind).validate_python(given)
    except ValidationError as error:
        raise RecipeError(f"judge `{settings.backend}`: {complaint(error)}") from error
    return judge


def ask_when(recipe: Recipe) -> dict[str, str]:
    """Criterion -> SQL predicate; the judge is asked where it is true."""
    return {} if isinstance(recipe.judge, str) else dict(recipe.judge.ask_when)


def check_judge(stages: Sequence[PlannedStage], sources: Mapping[tuple[str, str], str], judge: Judge | None) -> None:
    """Stop before any work when a rule needs a judge that the recipe has not, or entries of a source disagree.

    Args:
        stages: planned.
        sources: source name by (stage, entry id).
        judge: of the recipe.

    Raises:
        RecipeError: naming the rule, or the entry.
    """
    for stage in stages:
        domain_tags(stage, {entry.id: sources[stage.mixture, entry.id] for entry in stage.entries})
        for predicate in stage.predicates:
            for criterion in criteria_of(predicate.scores):
                _check_able(predicate, criterion, judge)


def _check_able(predicate: Predicate, criterion: str, judge: Judge | None) -> None:
    if judge is None:
        needed = min(name for name in predicate.scores if name in ASKABLE)
        raise RecipeError(f"rule `{predicate.rule.name}` needs score `{needed}`, but the recipe says `judge: off`")
    if isinstance(judge, TinyJudge) and criterion not in TINY:
        raise RecipeError(
            f"rule `{predicate.rule.name}` asks for {criterion}, of which the judge `tiny` knows nothing; "
            "say `judge: {backend: vllm, ...}` or `http`"
        )
    sees = seer(judge)
    if criterion == LIKELIHOOD and sees and not sees.foretells:
        raise RecipeError(f"rule `{predicate.rule.name}` asks for {criterion}, which needs `api: token_ids`")
    if criterion in SIGHTED and not sees:
        raise RecipeError(
            f"rule `{predicate.rule.name}` asks for {criterion}, which needs a judge that sees pictures; say "
            "`options: {max_images: 4}` for a model that does"
        )


def seer(judge: Judge) -> Seer | None:
    """The judge, if it sees pictures."""
    return judge if is_seer(judge) and judge.sees else None


def check_ask_when(recipe: Recipe, scores: Scores) -> None:
    """Stop before any work when an `ask_when` cannot be evaluated.

    Raises:
        RecipeError: a criterion that no judge has, or a predicate that does not fit the cheap scores.
    """
    cheap = {name: dtype for name, dtype in scores.items() if name not in {*ASKABLE, *HUMAN_SCORES}}
    for criterion, predicate in ask_when(recipe).items():
        if criterion not in CRITERIA:
            raise RecipeError(f"ask_when: no criterion `{criterion}`; known: {', '.join(CRITERIA)}")
        parse((Rule(name=f"ask_when.{criterion}", when=predicate, then="keep"),), cheap)


def domain_tags(stage: PlannedStage, source_of: Mapping[str, str]) -> dict[str, str | None]:
    """Source -> the `judge_domain` of its entries.

    Raises:
        RecipeError: two entries of one source differ, so that a sample would have two qualities.
    """
    tags: dict[str, str | None] = {}
    for entry in stage.entries:
        source = source_of[entry.id]
        if tags.setdefault(source, entry.judge_domain) != entry.judge_domain:
            raise RecipeError(f"entry `{entry.id}`: all entries of source `{source}` need the same `judge_domain`")
    return tags


def prompts_of(criterion: str) -> list[str]:
    """Prompts that a criterion may be asked with: one for each domain where it is quality."""
    return [f"quality_{domain}" for domain in DOMAINS] if criterion == "quality" else [criterion]


def prompt_hashes(recipe: Recipe, stage: PlannedStage) -> dict[str, str]:
    """SHA-256 of every prompt that rules of a stage may have the judge asked with."""
    if recipe.judge == "off":
        return {}
    needed = criteria_of(name for predicate in stage.predicates for name in predicate.scores)
    return {name: prompt_sha256(name) for criterion in needed for name in prompts_of(criterion)}


def pictures_shown(judge: Judge | None, stage: PlannedStage) -> dict[str, str]:
    """How pictures are shown, as the manifest says beside the prompts; nothing where no rule asks about them."""
    sighted = set(SIGHTED) & set(criteria_of(name for predicate in stage.predicates for name in predicate.scores))
    sees = seer(judge) if judge and sighted else None
    return {"pictures": sees.sees} if sees else {}
