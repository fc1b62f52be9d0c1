"""Answers of a judge, kept for good: a growing folder of whole files per source, judge and prompt."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel

from filters.judges.base import Judge
from filters.judges.injection import InjectionSpans, without_spans
from filters.judges.prompt import load_prompt
from filters.judges.score import requests, scores
from filters.judges.tiny import TinyJudge
from flows.executor import LocalRunner, Runner, Steps
from flows.scoring import source_name
from shards.files import fingerprint, write_table, write_text
from shards.sample import ShardsIndex, read_samples, sample_path
from shards.schema import STATE_SUFFIX
from shards.store import Box, Store

CHUNK_ROWS: Final = 1024
"""Rows per ledger file: a killed run repeats at most this many calls per worker."""

Rows = npt.NDArray[np.intp]


class Question(NamedTuple):
    """What a judge is asked about rows of a source.

    `second` is the second look, at the sample without the sentences that speak to the grader.
    """

    judge: Judge
    criterion: str
    prompt_id: str
    second: bool = False


class LedgerAbout(BaseModel):
    """What a ledger holds, for people who find one."""

    judge: str
    criterion: str
    prompt: str
    prompt_version: int
    prompt_sha256: str
    second_look: bool


class AskJob(NamedTuple):
    """Rows of one shard, counted within it, to be asked one question."""

    ledger: Box
    shards: Box
    number: int
    rows: tuple[int, ...]
    question: Question


def ledger_box(store: Store, shards: Box, question: Question) -> Box:
    """Where the answers to a question about a source lie. The box grows; each file in it is whole.

    The name covers the judge with its parameters, and the text of this one prompt: another text of it asks again, and
    leaves the answers to other prompts alone.
    """
    prompt = load_prompt(question.prompt_id)
    look = InjectionSpans.version if question.second else 0
    name = fingerprint("judge", question.judge.judge_id, prompt.id, prompt.sha256, look, shards.name)
    return store.box("scores", source_name(shards), name)


def answer(runner: Runner, store: Store, shards: Box, rows: Rows, question: Question) -> tuple[pl.DataFrame, Steps]:
    """Answers about rows of a source: from the ledger, the rest from the judge.

    Args:
        runner: maps jobs.
        store: where ledgers lie.
        shards: samples of the source.
        rows: (n,) places of samples in the source, sorted.
        question: who is asked what.

    Returns:
        (n, 8) frame in the order of `rows`: `row` and the columns of `scores`; a row whose call failed has only nulls
        and the state `error`. And the rows asked (executed) or found in the ledger (cached).
    """
    ledger = ledger_box(store, shards, question)
    known = read_ledger(ledger, question.criterion)
    missing = np.setdiff1d(rows, known["row"].to_numpy())
    jobs = _jobs(ledger, shards, missing, question)
    if jobs:
        _write_about(ledger, question)
        # models hold an engine, or a bounded number of connections: one process asks them, chunk by chunk
        chosen = runner if isinstance(question.judge, TinyJudge) else LocalRunner(None)
        chosen.map(f"judge {question.criterion}", ask, jobs)
        known = read_ledger(ledger, question.criterion)
    wanted = pl.DataFrame({"row": pl.Series(rows, dtype=pl.Int64)})
    answered = known.with_columns(pl.lit(True).alias("answered"))
    found = wanted.join(answered, on="row", how="left", maintain_order="left")
    state = pl.col(question.criterion + STATE_SUFFIX)
    failed = pl.when("answered").then(state).otherwise(pl.lit("error"))
    return found.with_columns(failed.alias(state.meta.output_name())).drop("answered"), Steps(
        len(missing), len(rows) - len(missing)
    )


def _jobs(ledger: Box, shards: Box, missing: npt.NDArray[np.int64], question: Question) -> list[AskJob]:
    jobs: list[AskJob] = []
    first = 0
    for number, shard in enumerate(shards.index(ShardsIndex).shards):
        inside = missing[(missing >= first) & (missing < first + shard.samples)] - first
        chunks = [inside[start : start + CHUNK_ROWS] for start in range(0, len(inside), CHUNK_ROWS)]
        jobs += [AskJob(ledger, shards, number, tuple(chunk.tolist()), question) for chunk in chunks]
        first += shard.samples
    return jobs


def ask(job: AskJob) -> None:
    """Ask for the rows of one job and write the answers; failed calls are left out, so a later run repeats them."""
    batch = read_samples(sample_path(job.shards.path, job.number), ["messages"])[list(job.rows)]
    if job.question.second:
        # A loop over rows: the few samples that speak to their grader.
        cleaned = [without_spans(messages) for messages in batch["messages"].to_list()]
        batch = batch.with_columns(pl.Series("messages", cleaned, batch.schema["messages"]))
    replies = job.question.judge(requests(batch, job.question.prompt_id))
    assert len(replies) == len(job.rows), f"{job.question.judge.judge_id} changed the number of rows"
    first = sum(shard.samples for shard in job.shards.index(ShardsIndex).shards[: job.number])
    rows = [first + row for row in job.rows]
    criterion = job.question.criterion
    frame = scores(replies, criterion).with_columns(pl.Series("row", rows, pl.Int64))
    kept = frame.filter(pl.col(criterion + STATE_SUFFIX).ne_missing("error"))
    if kept.height:
        write_table(job.ledger.path / f"asked-{job.number:05d}-{fingerprint(kept['row'].to_list())[:16]}.parquet", kept)


def read_ledger(ledger: Box, criterion: str) -> pl.DataFrame:
    """Every answer in a ledger: `row` (index of the sample in its source), by which it is sorted, and the scores."""
    empty = scores([], criterion).with_columns(pl.lit(None, pl.Int64).alias("row"))
    files: Sequence[str] = sorted(str(path) for path in ledger.path.glob("asked-*.parquet"))
    return pl.concat([empty, *(pl.read_parquet(file) for file in files)]).unique("row").sort("row")


def _write_about(ledger: Box, question: Question) -> None:
    if (ledger.path / "about.json").is_file():
        return
    prompt = load_prompt(question.prompt_id)
    about = LedgerAbout(
        judge=question.judge.judge_id,
        criterion=question.criterion,
        prompt=prompt.id,
        prompt_version=prompt.version,
        prompt_sha256=prompt.sha256,
        second_look=question.second,
    )
    write_text(ledger.path / "about.json", about.model_dump_json(indent=1) + "\n")
