"""One build from recipe name to finished run: what the command line and the Prefect flow share."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel

from flows.build import Built, Prepared, RunIndex, Tell, build, finish, prepare
from flows.execution import execution, open_runner
from flows.executor import Runner, Steps
from flows.measured import MeasuredRunner
from flows.metering import Spent, measured, tally
from flows.record import Line, Recorder, RunRecord, history, record_path, recording
from flows.report.went import PAGE, SHOWN, run_page
from flows.reporting import report
from flows.settings import cache_bytes
from flows.since import Since, earlier_run, since, write_since
from manifests.load import load_recipe
from manifests.manifest import Counts, DomainCounts
from shards.files import write_text
from shards.remote import have
from shards.removed import cut_down
from shards.store import Store


class StepCounts(BaseModel):
    """Units of work done in this run, and done before."""

    executed: int
    cached: int


class StageSummary(BaseModel):
    """One stage of a finished build."""

    stage: str
    mix: str
    manifest: str
    digest: str
    totals: Counts
    domains: Mapping[str, DomainCounts]


class Summary(BaseModel):
    """What `vlmix run --json` prints; `mix`, `manifest`, `totals` and `domains` are those of the last stage."""

    mix: str
    manifest: str
    report: str
    digest: str
    steps: StepCounts
    totals: Counts
    domains: Mapping[str, DomainCounts]
    stages: list[StageSummary]
    warnings: list[str]
    since: Since | None
    """What is new since the run of this recipe before."""
    record: str
    """File that says how the run went, by step and source."""
    counters: list[Line]
    """What each step took."""


class Finished(NamedTuple):
    """A finished build with its summary."""

    built: Built
    summary: Summary


def run(
    recipe: str,
    store: Path,
    *,
    stage: str | None,
    workers: int | None,
    tell: Tell,
    executor: str = "local",
    scale: float | None = None,
    update: bool = False,
    give_up: bool = False,
) -> Finished:
    """Build a recipe where an executor says.

    Args:
        recipe: built-in name or path of a .yaml file.
        store: folder of the store.
        stage: mix this stage only; None for all.
        workers: processes; None means one per core.
        tell: hears of every step.
        executor: local, ray, slurm, or path of a .yaml file; see flows/execution.py.
        scale: of absolute takes, caps and targets; None for the recipe's own.
        update: resolve branches of hub sources again.
        give_up: record URLs without a lasting answer as lost.
    """
    where = Store(store.absolute())
    settings = execution(executor, workers=workers)
    prepared = checked(recipe, where, scale=scale)
    with open_runner(settings, where) as runner:
        return run_with(prepared, where, runner, stage, tell, update=update, give_up=give_up)


def checked(recipe: str, store: Store, *, count: bool = False, scale: float | None = None) -> Prepared:
    """A recipe by name or path, resolved and checked; see `load_recipe` and `prepare`."""
    loaded, folder = load_recipe(recipe, scale=scale)
    return prepare(loaded, folder, store, count=count)


def run_with(
    prepared: Prepared,
    store: Store,
    runner: Runner,
    stage: str | None,
    tell: Tell,
    *,
    update: bool = False,
    give_up: bool = False,
    holding: AbstractContextManager[None] | None = None,
) -> Finished:
    """Build with any runner, write the report, and say where everything is; `holding` is entered under the lock."""
    recipe = prepared.recipe.name
    with store.lock(), holding or nullcontext(), recording(recipe, store) as recorder:
        limit = cache_bytes()
        if limit is not None:
            cut_down(store.root, limit)

        def hear(step: str, done: Steps) -> None:
            recorder.note(step, done)
            tell(step, done)

        measuring = MeasuredRunner(runner)
        built = build(prepared, store, measuring, hear, only=stage, update=update, give_up=give_up)
        recorder.since = since(built, store, earlier_run(store, recipe), whole=stage is None)
        if built.box.done:
            tell("report", Steps(0, 1))
            _tell(built, store, recorder)
            # the run of this recipe that was asked for last is the one that other commands speak of
            built.box.finish(RunIndex(digest=built.manifest.digest()), of=built.boxes)
        else:
            with measured("report", main=True):
                page = report(prepared, built, store)
                tally(Spent(executed=1))
            tell("report", Steps(1, 0))
            _tell(built, store, recorder)
            finish(built, page)
    return Finished(built, _summary(built, store, recorder.record("done")))


def _tell(built: Built, store: Store, recorder: Recorder) -> None:
    """Put what is new and how the run went beside the report, before the index says that the run is whole."""
    assert recorder.since, "it was compared"
    write_since(built.box, recorder.since)
    earlier = history(store, recorder.recipe, SHOWN)
    write_text(built.box.path / PAGE, run_page(recorder.record("running"), earlier))


def _summary(built: Built, store: Store, record: RunRecord) -> Summary:
    done = Steps()
    for steps in built.steps.values():
        done = done.plus(steps)
    stages = [
        StageSummary(
            stage=stage.stage,
            mix=str(store.root / stage.mix),
            manifest=str(store.root / stage.manifest),
            digest=stage.digest,
            totals=stage.totals,
            domains=stage.domains,
        )
        for stage in built.manifest.stages
    ]
    last, page = stages[-1], built.box.path / "report.html"
    have([page])
    return Summary(
        mix=last.mix,
        manifest=last.manifest,
        report=str(page),
        digest=built.manifest.digest(),
        steps=StepCounts(executed=done.executed, cached=done.cached),
        totals=last.totals,
        domains=last.domains,
        stages=stages,
        warnings=built.manifest.warnings,
        since=record.since,
        record=str(record_path(store, record)),
        counters=record.steps,
    )
