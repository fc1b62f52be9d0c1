"""What other rules would ask the judge, counted from the answers of a finished mixture: no call, nothing written."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict

from flows.judging import SPARED, Mask, criterion_columns, rows_concerned, rows_to_ask, spare
from flows.mixes import Mix
from flows.rebuilding import Stored
from flows.recipe_judge import ask_when
from flows.scoring import CRITERIA, CRITERION_OF, JUMP, SIGHTED
from manifests.manifest import added
from manifests.mixture import SourceScores
from manifests.plan import PlannedStage
from manifests.recipe import Recipe
from shards.schema import STATE_SUFFIX

_MISSING: Final = "missing"
"""State of scores that a rule waits for and nobody asked for; no rule waits for it again."""


class JudgeForecast(BaseModel):
    """Samples by what becomes of one criterion of the judge: `concerned = decided + spared + asked + missing`."""

    model_config = ConfigDict(frozen=True)

    concerned: int = 0
    """Taken, and looked at by a rule that reads the criterion."""
    decided: int = 0
    """Not needed, since rules decide without."""
    spared: int = 0
    """Not asked since `ask_when` is not true."""
    asked: int = 0
    """Needed, and answered before."""
    missing: int = 0
    """An answer about this criterion, or about one that rules read first, is not there: at most so many calls."""

    def __add__(self, other: "JudgeForecast") -> "JudgeForecast":
        return added(self, other)


def with_spared(built: Mix, source: SourceScores, predicates: Mapping[str, str]) -> SourceScores:
    """A source with the judge scores marked that predicates of `ask_when` spare, so that no rule waits for them.

    Args:
        built: the finished mixture that the source is one of.
        source: perhaps without the scores that the predicates read, which are read then.
        predicates: by criterion.
    """
    read = {name for predicate in predicates.values() for name in pl.sql_expr(predicate).meta.root_names()}
    lacking = sorted(read - set(source.scores.columns))
    frame = source.scores
    if lacking:
        table = built.some_scores(["source", *lacking]).filter(pl.col("source") == source.name)
        frame = frame.hstack(table.select(lacking).collect())
    return replace(source, scores=spare(frame, predicates))


def forecast(recipe: Recipe, stage: PlannedStage, built: Mix, inputs: Stored) -> tuple[dict[str, JudgeForecast], int]:
    """What a stage asks the judge, with rules and `ask_when` as they are in `recipe` and `stage`.

    Returns:
        Counts by criterion, equal to those of the manifest of a build where no answer is missing; and the rows with a
        missing answer.
    """
    counts: dict[str, JudgeForecast] = {}
    waiting = 0
    for name in dict.fromkeys(inputs.source_of[entry.id] for entry in stage.entries):
        # one source in memory at a time
        entries = tuple(entry for entry in stage.entries if inputs.source_of[entry.id] == name)
        own = replace(stage, entries=entries)
        source = inputs.sources[name]
        found, rows = _of_source(recipe, own, with_spared(built, _blank(source), ask_when(recipe)), source, inputs)
        waiting += rows
        for criterion, each in found.items():
            counts[criterion] = counts.get(criterion, JudgeForecast()) + each
    return {criterion: counts[criterion] for criterion in CRITERIA if criterion in counts}, waiting


def _blank(source: SourceScores) -> SourceScores:
    """A source as before anybody was asked; where there is nothing to measure, that stays."""
    columns = []
    for name in _columns(source.scores):
        # elsewhere the same state is what a judge says of a sample without text
        bare = name == JUMP or CRITERION_OF[name] in SIGHTED
        never = pl.col(name + STATE_SUFFIX).eq_missing("not_applicable") & bare
        state = pl.when(never).then(pl.lit("not_applicable")).otherwise(pl.lit("not_asked"))
        columns += [pl.lit(None, source.scores.schema[name]).alias(name), state.alias(name + STATE_SUFFIX)]
    return replace(source, scores=source.scores.with_columns(columns))


def _of_source(
    recipe: Recipe, stage: PlannedStage, current: SourceScores, known: SourceScores, inputs: Stored
) -> tuple[dict[str, JudgeForecast], int]:
    """Counts by criterion and rows with a missing answer: the answers in `known` are given as rules ask for them."""
    name = current.name
    none = np.zeros(current.scores.height, np.bool_)
    asked = dict.fromkeys(CRITERIA, none)
    while wanted := rows_to_ask(recipe, stage, {name: current}, inputs.source_of):
        for (_, criterion), mask in wanted.items():
            answered = mask & ~_in_state(known.scores, criterion, "not_asked")
            asked[criterion] = asked[criterion] | answered
            scores = _given(current.scores, known.scores, criterion, pl.Series(answered))
            current = replace(current, scores=_marked(scores, pl.Series(mask & ~answered)))
    unspared = replace(current, scores=_replaced(current.scores, SPARED, "not_asked"))
    spared = rows_to_ask(recipe, stage, {name: unspared}, inputs.source_of)
    found, rows = {}, none
    for (_, criterion), concerned in rows_concerned(recipe, stage, {name: current}, inputs.source_of).items():
        missing = concerned & _in_state(current.scores, criterion, _MISSING)
        free = concerned & spared.get((name, criterion), none) & ~asked[criterion]
        found[criterion] = JudgeForecast(
            concerned=int(concerned.sum()),
            decided=int((concerned & ~asked[criterion] & ~missing & ~free).sum()),
            spared=int(free.sum()),
            asked=int((concerned & asked[criterion]).sum()),
            missing=int(missing.sum()),
        )
        rows = rows | missing
    return found, int(rows.sum())


def _columns(scores: pl.DataFrame, criteria: Sequence[str] = CRITERIA) -> list[str]:
    return [name for each in criteria for name in criterion_columns(each) if name in scores.columns]


def _in_state(scores: pl.DataFrame, criterion: str, state: str) -> Mask:
    states = [pl.col(name + STATE_SUFFIX).eq_missing(state) for name in _columns(scores, [criterion])]
    return scores.select(pl.any_horizontal(pl.lit(False), *states).alias("found"))["found"].to_numpy()


def _given(scores: pl.DataFrame, known: pl.DataFrame, criterion: str, rows: pl.Series) -> pl.DataFrame:
    """Scores with the known answers about one criterion put into some rows."""
    names = [column for name in _columns(scores, [criterion]) for column in (name, name + STATE_SUFFIX)]
    return scores.with_columns(pl.when(rows).then(known[name]).otherwise(pl.col(name)).alias(name) for name in names)


def _marked(scores: pl.DataFrame, rows: pl.Series) -> pl.DataFrame:
    """Scores where no rule waits for some rows any more."""
    names = [name + STATE_SUFFIX for name in _columns(scores)]
    return scores.with_columns(
        pl.when(rows & (pl.col(name) == "not_asked")).then(pl.lit(_MISSING)).otherwise(pl.col(name)).alias(name)
        for name in names
    )


def _replaced(scores: pl.DataFrame, state: str, by: str) -> pl.DataFrame:
    return scores.with_columns(pl.col(name + STATE_SUFFIX).replace(state, by) for name in _columns(scores))
