"""Answers of a judge, kept for good: a growing folder of whole files per source, judge and prompt."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow.parquet as pq
from pydantic import BaseModel

from filters.judges.base import Judge, Request, Seer, is_seer
from filters.judges.injection import InjectionSpans, without_spans
from filters.judges.likelihood import FORETOLD, LIKELIHOOD, likelihood_scores
from filters.judges.prompt import load_prompt
from filters.judges.score import requests, scores
from filters.judges.tiny import TinyJudge
from filters.judges.vllm import VllmJudge
from flows.executor import Runner, Steps
from flows.measured import in_process
from flows.metering import Spent, Work, add, tally
from flows.scoring import judged_types, source_name
from shards.files import fingerprint, write_table, write_text
from shards.pack import Image, PictureReader
from shards.sample import ShardsIndex, read_samples, sample_path
from shards.schema import STATE_SUFFIX
from shards.store import Box, Store

CHUNK_ROWS: Final = 1024
"""Rows per ledger file: a killed run repeats at most this many calls per worker."""
SIGHTED_ROWS: Final = 64
"""Rows of such a file whose pictures are in memory at a time."""

Rows = npt.NDArray[np.intp]


class Question(NamedTuple):
    """What a judge is asked about rows of a source.

    `second` is the second look, at the sample without the sentences that speak to the grader; `sighted`: with pictures.
    """

    judge: Judge
    criterion: str
    prompt_id: str
    second: bool = False
    sighted: bool = False


class Asked(NamedTuple):
    """A question about rows of a source: (n,) places of samples in the source, sorted."""

    shards: Box
    rows: Rows
    question: Question


class LedgerAbout(BaseModel):
    """What a ledger holds, for people who find one."""

    judge: str
    criterion: str
    prompt: str
    prompt_version: int
    prompt_sha256: str
    second_look: bool
    sees: str = ""
    made_from: list[str] = []
    """Box of the samples that the answers are about."""


class AskJob(NamedTuple):
    """Rows of one shard, counted within it, to be asked one question."""

    store: Store
    ledger: Box
    shards: Box
    number: int
    rows: tuple[int, ...]
    question: Question


def prompt_sha256(prompt_id: str) -> str:
    """SHA-256 of the text of a prompt; of the name of the method where likelihoods are asked for."""
    return fingerprint(FORETOLD) if prompt_id == LIKELIHOOD else load_prompt(prompt_id).sha256


def ledger_box(store: Store, shards: Box, question: Question) -> Box:
    """Where the answers to a question about a source lie. The box grows; each file in it is whole.

    The name covers the judge with its parameters, and the text of this one prompt: another text of it asks again, and
    leaves the answers to other prompts alone. How pictures are shown names the answers about pictures only.
    """
    look = InjectionSpans.version if question.second else 0
    made_of = (question.judge.judge_id, question.prompt_id, prompt_sha256(question.prompt_id), look, shards.name)
    name = fingerprint("judge", *made_of, *([_seer(question).sees] if question.sighted else []))
    return store.box("scores", source_name(shards), name)


def answer(runner: Runner, store: Store, asked: Sequence[Asked]) -> list[tuple[pl.DataFrame, Steps]]:
    """Answers to questions: from the ledgers, the rest from the judge, which is asked everything at once.

    Args:
        runner: maps jobs.
        store: where ledgers lie.
        asked: what is asked about which rows.

    Returns:
        For each question an (n, 8) frame in the order of its rows: `row` and the columns of `scores`; a row whose call
        failed has only nulls and the state `error`. And the rows asked (executed) or found in the ledger (cached).
    """
    ledgers = [ledger_box(store, each.shards, each.question) for each in asked]
    known = [_known(ledger, each) for ledger, each in zip(ledgers, asked, strict=True)]
    missing = [np.setdiff1d(each.rows, there["row"].to_numpy()) for each, there in zip(asked, known, strict=True)]
    steps = [Steps(len(rows), len(each.rows) - len(rows)) for each, rows in zip(asked, missing, strict=True)]
    jobs: list[AskJob] = []
    for each, ledger, rows, done in zip(asked, ledgers, missing, steps, strict=True):
        add(Work(_step(each.question), source_name(each.shards)), Spent(*done))
        if len(rows):
            _write_about(ledger, each.shards, each.question)
            jobs += _jobs(store, ledger, each.shards, rows, each.question)
    _ask_all(runner, jobs)
    found = []
    for each, ledger, there, done in zip(asked, ledgers, known, steps, strict=True):
        now = _known(ledger, each) if done.executed else there
        found.append((_of_rows(now, each), done))
    return found


def _of_rows(known: pl.DataFrame, asked: Asked) -> pl.DataFrame:
    """Of what a ledger holds, the answers that were asked for; those it lacks are of failed calls."""
    wanted = pl.DataFrame({"row": pl.Series(asked.rows, dtype=pl.Int64)})
    answered = known.with_columns(pl.lit(True).alias("answered"))
    found = wanted.join(answered, on="row", how="left", maintain_order="left")
    state = pl.col(_state(asked.question.criterion))
    failed = pl.when("answered").then(state).otherwise(pl.lit("error"))
    return found.with_columns(failed.alias(state.meta.output_name())).drop("answered")


def _step(question: Question) -> str:
    """Name of the step that asks; replicas of a model are asked in one step, whatever the criterion."""
    return "judge" if isinstance(question.judge, VllmJudge) else f"judge {question.criterion}"


def _ask_all(runner: Runner, jobs: Sequence[AskJob]) -> None:
    """Do the jobs of each step at once: of many small sources, none has workers or a model wait for its last rows."""
    steps: dict[str, list[AskJob]] = {}
    for job in jobs:
        steps.setdefault(_step(job.question), []).append(job)
    for step, own in steps.items():
        judge = own[0].question.judge
        if isinstance(judge, VllmJudge):
            runner.ask(judge, ask, own)
        else:
            # servers get a bounded number of connections: one process asks them, chunk by chunk
            chosen = runner if isinstance(judge, TinyJudge) else in_process(runner)
            chosen.map(step, ask, own)


def _jobs(store: Store, ledger: Box, shards: Box, missing: npt.NDArray[np.int64], question: Question) -> list[AskJob]:
    jobs: list[AskJob] = []
    first = 0
    for number, shard in enumerate(shards.index(ShardsIndex).shards):
        inside = missing[(missing >= first) & (missing < first + shard.samples)] - first
        chunks = [inside[start : start + CHUNK_ROWS] for start in range(0, len(inside), CHUNK_ROWS)]
        jobs += [AskJob(store, ledger, shards, number, tuple(chunk.tolist()), question) for chunk in chunks]
        first += shard.samples
    return jobs


def ask(job: AskJob) -> int:
    """Ask for the rows of one job and write the answers; failed calls are left out, so a later run repeats them.

    The file is named by the rows that are asked, so a job that is done again, since its worker died before it could say
    that it was done, asks nothing.

    Returns:
        Rows whose call did not fail.
    """
    file = job.ledger.path / f"asked-{job.number:05d}-{fingerprint(list(job.rows))[:16]}.parquet"
    if file.is_file():
        return int(pq.read_metadata(file).num_rows)
    tally(Spent(rows=len(job.rows)))
    frame = _sighted(job) if job.question.sighted else _read(job)
    assert frame.height == len(job.rows), f"{job.question.judge.judge_id} changed the number of rows"
    first = sum(shard.samples for shard in job.shards.index(ShardsIndex).shards[: job.number])
    rows = [first + row for row in job.rows]
    frame = frame.with_columns(pl.Series("row", rows, pl.Int64))
    kept = frame.filter(pl.col(_state(job.question.criterion)).ne_missing("error"))
    if kept.height:
        write_table(file, kept)
    return kept.height


def _read(job: AskJob) -> pl.DataFrame:
    """Scores of the rows of a job, by their text."""
    batch = read_samples(sample_path(job.shards.path, job.number), ["messages"])[list(job.rows)]
    if job.question.second:
        # A loop over rows: the few samples that speak to their grader.
        cleaned = [without_spans(messages) for messages in batch["messages"].to_list()]
        batch = batch.with_columns(pl.Series("messages", cleaned, batch.schema["messages"]))
    return scores(job.question.judge(requests(batch, job.question.prompt_id)), job.question.criterion)


def _sighted(job: AskJob) -> pl.DataFrame:
    """Scores of the rows of a job, by their text and pictures; few rows at a time, as pictures are large."""
    batch = read_samples(sample_path(job.shards.path, job.number), ["messages", "images"])[list(job.rows)]
    judge, reader = _seer(job.question), PictureReader(str(job.store.root))
    found = []
    for part in batch.iter_slices(SIGHTED_ROWS):
        pictures = [tuple(reader(Image(**image)) for image in images) for images in part["images"]]
        asked = zip(requests(part, job.question.prompt_id), pictures, strict=True)
        shown = [Request(each.prompt_id, each.sample_text, images) for each, images in asked]
        if job.question.criterion == LIKELIHOOD:
            found.append(likelihood_scores(judge.likelihoods(shown)))
        else:
            found.append(scores(judge(shown), job.question.criterion))
    return pl.concat(found)


def _seer(question: Question) -> Seer:
    assert is_seer(question.judge), "a recipe that needs another judge is refused"
    return question.judge


def _state(criterion: str) -> str:
    """Column that says why the scores of a criterion are null."""
    return next(iter(judged_types(criterion))) + STATE_SUFFIX


def read_ledger(ledger: Box, criterion: str) -> pl.DataFrame:
    """Every answer in a ledger: `row` (index of the sample in its source), by which it is sorted, and the scores."""
    files: Sequence[str] = sorted(str(path) for path in ledger.path.glob("asked-*.parquet"))
    return pl.concat([_no_answers(criterion), *(pl.read_parquet(file) for file in files)]).unique("row").sort("row")


def _known(ledger: Box, asked: Asked) -> pl.DataFrame:
    """What a ledger holds, which is not looked for where nothing is asked."""
    criterion = asked.question.criterion
    return read_ledger(ledger, criterion) if len(asked.rows) else _no_answers(criterion)


def _no_answers(criterion: str) -> pl.DataFrame:
    none = likelihood_scores([]) if criterion == LIKELIHOOD else scores([], criterion)
    return none.with_columns(pl.lit(None, pl.Int64).alias("row"))


def _write_about(ledger: Box, shards: Box, question: Question) -> None:
    if (ledger.path / "about.json").is_file():
        return
    about = LedgerAbout(
        judge=question.judge.judge_id,
        criterion=question.criterion,
        prompt=question.prompt_id,
        prompt_version=1 if question.prompt_id == LIKELIHOOD else load_prompt(question.prompt_id).version,
        prompt_sha256=prompt_sha256(question.prompt_id),
        second_look=question.second,
        sees=_seer(question).sees if question.sighted else "",
        made_from=[shards.name],
    )
    write_text(ledger.path / "about.json", about.model_dump_json(indent=1) + "\n")
