"""Asks the judge for the rows whose verdict still hangs on it; flows/ledger.py keeps every answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from filters.judge_domain import DOMAINS
from filters.judges.base import Judge
from flows.executor import Runner, Steps
from flows.ledger import Asked, Question, Rows, answer
from flows.recipe_judge import ask_when, domain_tags
from flows.scoring import ASKABLE, CRITERION_OF, JUMP, SIGHTED, judged_types
from manifests.asking import to_ask
from manifests.manifest import JudgeCounts
from manifests.mixture import SourceScores, columns_of, take_mask
from manifests.plan import PlannedStage
from manifests.recipe import Recipe
from shards.schema import STATE_SUFFIX
from shards.store import Box, Store

Mask = npt.NDArray[np.bool_]
Place = tuple[str, str]
"""Source and criterion."""

SPARED: Final = "spared"
"""State of scores that `ask_when` says not to ask for, while others are asked; `not_asked` before and after."""


class Judged(NamedTuple):
    """Sources with judge scores filled in, rows asked (executed) or found in a ledger (cached), counts by criterion."""

    sources: dict[str, SourceScores]
    steps: Steps
    counts: dict[str, JudgeCounts]


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
    """Who asks: the runner, the store, the samples of each source and the judge."""

    runner: Runner
    store: Store
    shards: Mapping[str, Box]
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
    asking = Asking(runner, store, shards, judge)
    asked: dict[Place, Mask] = {}
    steps = Steps()
    while wanted := rows_to_ask(recipe, stage, current, source_of):
        rows = {place: np.flatnonzero(mask) for place, mask in sorted(wanted.items())}
        scores, done = _ask(asking, {name: current[name].scores for name, _ in rows}, rows)
        current |= {name: replace(current[name], scores=filled) for name, filled in scores.items()}
        steps = steps.plus(done)
        for place, mask in wanted.items():
            asked[place] = asked.get(place, np.zeros(mask.shape, np.bool_)) | mask
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
) -> dict[Place, Mask]:
    """(source, criterion) -> mask of the rows to ask, over all entries of the source."""
    wanted: dict[Place, Mask] = {}
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


def _ask(
    asking: Asking, scores: Mapping[str, pl.DataFrame], rows: Mapping[Place, Rows]
) -> tuple[dict[str, pl.DataFrame], Steps]:
    """Scores by source with the answers about `rows` filled in, and about those that need it the second look."""
    filled = dict(scores)
    answers, steps = _answers(asking, scores, rows, second=False)
    looked: dict[Place, pl.DataFrame] = {}
    for (name, criterion), found in answers.items():
        columns = [column for column in judged_types(criterion) if column != JUMP]
        filled[name] = _fill(filled[name], found, columns, columns[0])
        if criterion == "quality":
            speaks = scores[name]["instruction_like"].fill_null(False).to_numpy()[rows[name, criterion]]
            looked[name, criterion] = found.filter(pl.Series(speaks))
    graded = {place: first.filter(pl.col("quality").is_not_null()) for place, first in looked.items()}
    suspects = {place: first["row"].to_numpy() for place, first in graded.items()}
    again, more = _answers(asking, scores, suspects, second=True)
    for (name, criterion), first in looked.items():
        filled[name] = _fill(filled[name], _jumps(first, again[name, criterion]), [JUMP], JUMP)
    return filled, steps.plus(more)


def _answers(
    asking: Asking, scores: Mapping[str, pl.DataFrame], rows: Mapping[Place, Rows], *, second: bool
) -> tuple[dict[Place, pl.DataFrame], Steps]:
    """Answers about rows, by row, each asked with the prompt of its domain."""
    places: list[Place] = []
    asked: list[Asked] = []
    for (name, criterion), own in rows.items():
        for prompt_id, some in _by_prompt(scores[name], own, criterion).items():
            question = Question(asking.judge, criterion, prompt_id, second, sighted=criterion in SIGHTED)
            places.append((name, criterion))
            asked.append(Asked(asking.shards[name], some, question))
    found: dict[Place, list[pl.DataFrame]] = {}
    steps = Steps()
    for place, (answers, done) in zip(places, answer(asking.runner, asking.store, asked), strict=True):
        found.setdefault(place, []).append(answers)
        steps = steps.plus(done)
    return {place: pl.concat(frames).sort("row") for place, frames in found.items()}, steps


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
    asked: Mapping[Place, Mask],
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
) -> dict[Place, Mask]:
    """(source, criterion) -> mask of taken rows that a rule on the criterion looks at."""
    found: dict[Place, Mask] = {}
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
