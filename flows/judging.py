"""Asks the judge for the rows whose verdict still hangs on it; flows/ledger.py keeps every answer."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import TypeAdapter, ValidationError

from filters.judge_domain import DOMAINS
from filters.judges.base import Judge, Seer, is_seer
from filters.judges.likelihood import LIKELIHOOD
from filters.judges.tiny import TINY, TinyJudge
from flows.executor import Runner, Steps
from flows.ledger import Question, Rows, answer, prompt_sha256
from flows.scoring import ASKABLE, CRITERIA, CRITERION_OF, JUMP, SIGHTED, criteria_of, judged_types
from manifests.asking import to_ask
from manifests.manifest import JudgeCounts
from manifests.mixture import SourceScores, columns_of, take_mask
from manifests.plan import PlannedStage
from manifests.recipe import JudgeSettings, Recipe, Rule
from manifests.rules import HUMAN_SCORES, Predicate, Scores, parse
from shards.complaint import complaint
from shards.errors import RecipeError
from shards.schema import STATE_SUFFIX
from shards.store import Box, Store

Mask = npt.NDArray[np.bool_]

SPARED: Final = "spared"
"""State of scores that `ask_when` says not to ask for, while others are asked; `not_asked` before and after."""

_MODELS: Final = {"vllm": "VllmJudge", "http": "HttpJudge"}
"""Backend -> class in the module of its name; loaded when a recipe names it."""


class Judged(NamedTuple):
    """Sources with judge scores filled in, rows asked (executed) or found in a ledger (cached), counts by criterion."""

    sources: dict[str, SourceScores]
    steps: Steps
    counts: dict[str, JudgeCounts]


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


def criterion_columns(criterion: str) -> list[str]:
    """Scores that are filled in when a criterion is asked."""
    return list(judged_types(criterion))


def columns_read(recipe: Recipe, stage: PlannedStage, judge: Judge | None) -> set[str]:
    """Scores that `judge_stage` reads and fills in."""
    if judge is None:
        return set()
    conditions = (pl.sql_expr(predicate).meta.root_names() for predicate in ask_when(recipe).values())
    return {*columns_of(stage), *ASKABLE, "judge_domain", "instruction_like"}.union(*conditions)


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks about one source: the runner, the store, the samples and the judge."""

    runner: Runner
    store: Store
    shards: Box
    judge: Judge


def judge_stage(
    runner: Runner,
    store: Store,
    recipe: Recipe,
    stage: PlannedStage,
    sources: Mapping[str, SourceScores],
    source_of: Mapping[str, str],
    shards: Mapping[str, Box],
    judge: Judge | None,
) -> Judged:
    """Ask until no rule waits for the judge: first rule first, so that a dropped row is not asked for the next one."""
    if judge is None:
        return Judged(dict(sources), Steps(), {})
    tags = domain_tags(stage, source_of)
    current = {
        name: replace(source, scores=spare(_tagged(source.scores, tags.get(name)), ask_when(recipe)))
        for name, source in sources.items()
    }
    asked: dict[tuple[str, str], Mask] = {}
    steps = Steps()
    while wanted := rows_to_ask(recipe, stage, current, source_of):
        for (name, criterion), mask in sorted(wanted.items()):
            asking = Asking(runner, store, shards[name], judge)
            scores, done = _ask(asking, current[name].scores, np.flatnonzero(mask), criterion)
            current[name] = replace(current[name], scores=scores)
            steps = steps.plus(done)
            asked[name, criterion] = asked.get((name, criterion), np.zeros(mask.shape, np.bool_)) | mask
    current = {name: replace(source, scores=_restored(source.scores)) for name, source in current.items()}
    return Judged(current, steps, _counts(recipe, stage, current, source_of, asked))


def spare(scores: pl.DataFrame, predicates: Mapping[str, str]) -> pl.DataFrame:
    """Mark the judge scores that `ask_when` says not to ask for, so that no rule waits for them."""
    for criterion, predicate in predicates.items():
        wanted = pl.sql_expr(predicate).fill_null(False)
        names = [name + STATE_SUFFIX for name in criterion_columns(criterion) if name + STATE_SUFFIX in scores.columns]
        marked = [
            pl.when((pl.col(name) == "not_asked") & ~wanted).then(pl.lit(SPARED)).otherwise(pl.col(name)).alias(name)
            for name in names
        ]
        scores = scores.with_columns(marked)
    return scores


def _restored(scores: pl.DataFrame) -> pl.DataFrame:
    states = [name + STATE_SUFFIX for name in ASKABLE if name in scores.columns]
    return scores.with_columns(pl.col(states).replace(SPARED, "not_asked"))


def _tagged(scores: pl.DataFrame, tag: str | None) -> pl.DataFrame:
    """Put the entries' domain over the classifier's; no jump is to be measured where nothing speaks to the grader."""
    state = JUMP + STATE_SUFFIX
    still = pl.when(pl.col("instruction_like").fill_null(False)).then(pl.col(state)).otherwise(pl.lit("not_applicable"))
    scores = scores.with_columns(still.alias(state))
    if tag is None:
        return scores
    return scores.with_columns(pl.when(pl.col("judge_domain").is_not_null()).then(pl.lit(tag)).alias("judge_domain"))


def rows_to_ask(
    recipe: Recipe, stage: PlannedStage, sources: Mapping[str, SourceScores], source_of: Mapping[str, str]
) -> dict[tuple[str, str], Mask]:
    """(source, criterion) -> mask of the rows to ask, over all entries of the source."""
    wanted: dict[tuple[str, str], Mask] = {}
    for entry in stage.entries:
        source = sources[source_of[entry.id]]
        asks = to_ask(source.scores, stage.predicates, entry, frozenset(ASKABLE))
        if not asks:
            continue
        taken = take_mask(recipe, stage, entry, source).to_numpy()
        for score, mask in asks.items():
            rows = mask.to_numpy() & taken
            place = (source.name, CRITERION_OF[score])
            if rows.any():
                wanted[place] = wanted[place] | rows if place in wanted else rows
    return wanted


def _ask(asking: Asking, scores: pl.DataFrame, rows: Rows, criterion: str) -> tuple[pl.DataFrame, Steps]:
    """Scores with the answers about `rows` filled in, and about those that need it the second look."""
    answers, steps = _answers(asking, scores, rows, criterion, second=False)
    names = [name for name in judged_types(criterion) if name != JUMP]
    scores = _fill(scores, answers, names, names[0])
    if criterion != "quality":
        return scores, steps
    suspects = rows[scores["instruction_like"].fill_null(False).to_numpy()[rows]]
    first = answers.filter(pl.col("row").is_in(suspects.tolist()))
    answered = first.filter(pl.col("quality").is_not_null())
    again, more = _answers(asking, scores, answered["row"].to_numpy(), criterion, second=True)
    return _fill(scores, _jumps(first, again), [JUMP], JUMP), steps.plus(more)


def _answers(
    asking: Asking, scores: pl.DataFrame, rows: Rows, criterion: str, *, second: bool
) -> tuple[pl.DataFrame, Steps]:
    """Answers about rows, by row, each asked with the prompt of its domain."""
    found, steps = [], Steps()
    for prompt_id, own in _by_prompt(scores, rows, criterion).items():
        question = Question(asking.judge, criterion, prompt_id, second, sighted=criterion in SIGHTED)
        answers, done = answer(asking.runner, asking.store, asking.shards, own, question)
        found.append(answers)
        steps = steps.plus(done)
    return pl.concat(found).sort("row"), steps


def _by_prompt(scores: pl.DataFrame, rows: Rows, criterion: str) -> dict[str, Rows]:
    """Rows by the prompt that they are asked with."""
    if criterion != "quality":
        return {criterion: rows}
    domains = scores["judge_domain"].fill_null("general").to_numpy()[rows]
    return {f"quality_{domain}": rows[domains == domain] for domain in DOMAINS}


def _jumps(first: pl.DataFrame, again: pl.DataFrame) -> pl.DataFrame:
    """`row`, JUMP and its state; nothing left to judge counts as grade 0."""
    state = "quality" + STATE_SUFFIX
    both = first.select("row", "quality", state).join(again.select("row", "quality", state), on="row", how="left")
    left = pl.when(pl.col(state + "_right") == "not_applicable").then(0.0).otherwise(pl.col("quality_right"))
    jump = (pl.col("quality") - left).abs()
    why = pl.coalesce(state, state + "_right")
    return both.select("row", jump.alias(JUMP), why.alias(JUMP + STATE_SUFFIX))


def _fill(scores: pl.DataFrame, answers: pl.DataFrame, columns: Sequence[str], stated: str) -> pl.DataFrame:
    """Put answers into the score frame; where one has no value, its state is the one of score `stated`."""
    state = stated + STATE_SUFFIX
    new = answers.select(
        "row",
        pl.lit(True).alias("asked"),
        pl.col(state).alias("why"),
        *[pl.col(name).alias(f"new_{name}") for name in columns],
    )
    rows = pl.select(row=pl.int_range(scores.height))  # beside the scores: a join would copy all of their columns
    joined = scores.hstack(rows.join(new, on="row", how="left", maintain_order="left").drop("row"))
    asked = pl.col("asked").fill_null(False)
    filled = []
    for name in columns:
        value = pl.col(f"new_{name}")
        why = pl.when(value.is_null()).then(pl.col("why"))
        filled.append(pl.when(asked).then(value).otherwise(pl.col(name)).alias(name))
        filled.append(pl.when(asked).then(why).otherwise(pl.col(name + STATE_SUFFIX)).alias(name + STATE_SUFFIX))
    return joined.with_columns(filled).select(scores.columns)


def _counts(
    recipe: Recipe,
    stage: PlannedStage,
    sources: Mapping[str, SourceScores],
    source_of: Mapping[str, str],
    asked: Mapping[tuple[str, str], Mask],
) -> dict[str, JudgeCounts]:
    """What became of every sample that a rule on the judge looks at, by criterion."""
    waiting = rows_to_ask(recipe, stage, sources, source_of)
    counts: dict[str, JudgeCounts] = {}
    for (name, criterion), concerned in sorted(rows_concerned(recipe, stage, sources, source_of).items()):
        none = np.zeros(concerned.shape, np.bool_)
        calls = asked.get((name, criterion), none)
        spared = waiting.get((name, criterion), none) & ~calls
        found = _states(sources[name].scores.filter(pl.Series(calls)), criterion)
        own = JudgeCounts(
            concerned=int(concerned.sum()),
            decided=int((concerned & ~calls & ~spared).sum()),
            spared=int(spared.sum()),
            asked=int(calls.sum()),
            **found,
        )
        counts[criterion] = counts.get(criterion, JudgeCounts()) + own
    return counts


def rows_concerned(
    recipe: Recipe, stage: PlannedStage, sources: Mapping[str, SourceScores], source_of: Mapping[str, str]
) -> dict[tuple[str, str], Mask]:
    """(source, criterion) -> mask of taken rows that a rule on the criterion looks at."""
    found: dict[tuple[str, str], Mask] = {}
    for entry in stage.entries:
        source = sources[source_of[entry.id]]
        rules = [predicate for predicate in stage.predicates if predicate.applies(entry)]
        read = {CRITERION_OF[name] for rule in rules for name in rule.scores if name in CRITERION_OF}
        if read:
            taken = take_mask(recipe, stage, entry, source).to_numpy()
            for criterion in read:
                place = (source.name, criterion)
                found[place] = found[place] | taken if place in found else taken
    return found


def _states(asked: pl.DataFrame, criterion: str) -> dict[str, int]:
    main = next(iter(judged_types(criterion)))
    states = dict(asked[main + STATE_SUFFIX].value_counts().iter_rows())
    counts = {
        "scored": states.get(None, 0),
        "empty": states.get("not_applicable", 0),
        "no_answer": states.get("no_answer", 0),
        "error": states.get("error", 0),
        "cut": int(asked[criterion + "_cut"].sum()),
    }
    if criterion == "quality":
        counts["second_looks"] = int(asked["instruction_like"].sum())
    return counts
