"""Asks the judge for the rows whose verdict still hangs on it, and keeps every answer in a ledger."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from filters.judges.base import Judge
from filters.judges.score import MASS_SUFFIX, requests, scores
from filters.judges.tiny import TinyJudge
from flows.executor import Runner, Steps
from flows.scoring import ASKABLE, source_name
from manifests.mixture import SourceScores, take_mask
from manifests.plan import PlannedStage
from manifests.recipe import Recipe
from manifests.rules import to_ask
from shards.errors import RecipeError
from shards.files import fingerprint, write_table
from shards.sample import ShardsIndex, read_samples, sample_path
from shards.schema import STATE_SUFFIX
from shards.store import Box, Store

CHUNK_ROWS: Final = 1024
"""Rows per ledger file: a killed run repeats at most this many calls per worker."""


class AskJob(NamedTuple):
    """Rows of one shard to be asked for one criterion."""

    ledger: Box
    shards: Box
    number: int
    rows: tuple[int, ...]
    criterion: str
    judge: Judge


def judge_of(recipe: Recipe) -> Judge | None:
    """The judge that a recipe names; None for `off`."""
    return TinyJudge() if recipe.judge == "tiny" else None


def check_judge(recipe: Recipe, stages: Sequence[PlannedStage]) -> None:
    """Stop before any work when a rule needs a judge and the recipe has none.

    Raises:
        RecipeError: naming the rule.
    """
    if recipe.judge != "off":
        return
    for predicate in (predicate for stage in stages for predicate in stage.predicates):
        needed = sorted(set(predicate.scores) & set(ASKABLE))
        if needed:
            raise RecipeError(
                f"rule `{predicate.rule.name}` needs score `{needed[0]}`, but the recipe says `judge: off`"
            )


def ledger_box(store: Store, shards: Box, judge: Judge, criterion: str) -> Box:
    """Where the answers of a judge about a source lie. The box grows; each file in it is whole."""
    name = fingerprint("judge", judge.judge_id, criterion, shards.name)
    return store.box("scores", source_name(shards), name)


def judge_stage(
    runner: Runner,
    store: Store,
    recipe: Recipe,
    stage: PlannedStage,
    sources: Mapping[str, SourceScores],
    source_of: Mapping[str, str],
    shards: Mapping[str, Box],
) -> tuple[dict[str, SourceScores], Steps]:
    """Ask until no rule waits for the judge: first rule first, so that a dropped row is not asked for the next one.

    Returns:
        The sources with judge scores filled in, and the rows asked (executed) or found in the ledger (cached).
    """
    judge = judge_of(recipe)
    current = dict(sources)
    steps = Steps()
    while judge is not None:
        wanted = _wanted(recipe, stage, current, source_of)
        if not wanted:
            break
        for (source, criterion), mask in sorted(wanted.items()):
            ledger = ledger_box(store, shards[source], judge, criterion)
            rows = np.flatnonzero(mask)
            answers, done = _answers(runner, ledger, shards[source], rows, criterion, judge)
            steps = steps.plus(done)
            current[source] = _fill(current[source], rows, answers, criterion)
    return current, steps


def _wanted(
    recipe: Recipe, stage: PlannedStage, sources: Mapping[str, SourceScores], source_of: Mapping[str, str]
) -> dict[tuple[str, str], np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """(source, criterion) -> mask of the rows to ask, over all entries of the source."""
    wanted: dict[tuple[str, str], np.ndarray[tuple[int], np.dtype[np.bool_]]] = {}
    for entry in stage.entries:
        source = sources[source_of[entry.id]]
        asks = to_ask(source.scores, stage.predicates, entry, frozenset(ASKABLE))
        if not asks:
            continue
        taken = take_mask(recipe, stage, entry, source).to_numpy()
        for score, mask in asks.items():
            rows = mask.to_numpy() & taken
            place = (source.name, score.removesuffix(MASS_SUFFIX))
            if rows.any():
                wanted[place] = wanted[place] | rows if place in wanted else rows
    return wanted


def _answers(
    runner: Runner,
    ledger: Box,
    shards: Box,
    rows: np.ndarray[tuple[int], np.dtype[np.intp]],
    criterion: str,
    judge: Judge,
) -> tuple[pl.DataFrame, Steps]:
    """Answers for rows of a source: from the ledger, the rest from the judge."""
    known = read_ledger(ledger, criterion)
    missing = np.setdiff1d(rows, known["row"].to_numpy())
    jobs: list[AskJob] = []
    first = 0
    for number, shard in enumerate(shards.index(ShardsIndex).shards):
        inside = missing[(missing >= first) & (missing < first + shard.samples)] - first
        chunks = [inside[start : start + CHUNK_ROWS] for start in range(0, len(inside), CHUNK_ROWS)]
        jobs += [AskJob(ledger, shards, number, tuple(chunk.tolist()), criterion, judge) for chunk in chunks]
        first += shard.samples
    runner.map(f"judge {criterion}", ask, jobs)
    answers = read_ledger(ledger, criterion) if jobs else known
    return answers, Steps(len(missing), len(rows) - len(missing))


def ask(job: AskJob) -> None:
    """Ask for the rows of one job and write the answers; failed calls are left out, so a later run repeats them."""
    batch = read_samples(sample_path(job.shards.path, job.number), ["messages"])
    rows = list(job.rows)
    replies = job.judge(requests(batch[rows], job.criterion))
    first = sum(shard.samples for shard in job.shards.index(ShardsIndex).shards[: job.number])
    frame = scores(replies, job.criterion).with_columns(pl.Series("row", [first + row for row in rows], pl.Int64))
    kept = frame.filter((pl.col(job.criterion + STATE_SUFFIX) != "error").fill_null(True))
    name = fingerprint([first + row for row in rows])[:16]
    write_table(job.ledger.path / f"asked-{job.number:05d}-{name}.parquet", kept)


def read_ledger(ledger: Box, criterion: str) -> pl.DataFrame:
    """Every answer in a ledger: `row` (index of the sample in its source), by which it is sorted, and the scores."""
    empty = scores([], criterion).with_columns(pl.lit(None, pl.Int64).alias("row"))
    files = sorted(ledger.path.glob("asked-*.parquet"))
    return pl.concat([empty, *(pl.read_parquet(file) for file in files)]).unique("row").sort("row")


def _fill(
    source: SourceScores, rows: np.ndarray[tuple[int], np.dtype[np.intp]], answers: pl.DataFrame, criterion: str
) -> SourceScores:
    """Put the answers into the score frame; a row that was asked and has none is in state `error`."""
    columns = [criterion, criterion + MASS_SUFFIX, criterion + STATE_SUFFIX]
    asked = pl.DataFrame({"row": pl.Series(rows, dtype=pl.Int64)})
    found = asked.join(answers.select("row", *columns, pl.lit(True).alias("answered")), on="row", how="left")
    state = pl.when("answered").then(pl.col(columns[2])).otherwise(pl.lit("error"))
    found = found.with_columns(state.alias(columns[2]), pl.lit(True).alias("asked")).drop("answered")
    joined = (
        source.scores.with_row_index("row")
        .cast({"row": pl.Int64})
        .join(found, on="row", how="left", suffix="_new", maintain_order="left")
    )
    filled = [pl.when("asked").then(pl.col(name + "_new")).otherwise(pl.col(name)).alias(name) for name in columns]
    mass_state = criterion + MASS_SUFFIX + STATE_SUFFIX
    mass = pl.when("asked").then(pl.col(columns[2] + "_new")).otherwise(pl.col(mass_state)).alias(mass_state)
    scored = joined.with_columns(*filled, mass).select(source.scores.columns)
    return replace(source, scores=scored)
