"""The Prefect flow: the same build, one task per step and batch of jobs, with artifacts."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar, cast
from uuid import UUID

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.runtime import flow_run
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from pydantic import Field

from flows.console import where
from flows.execution import Execution, execution, open_runner
from flows.executor import LocalRunner, Runner, Steps
from flows.logs import logging_to, logs
from flows.prefect_artifacts import Progress, ToPrefect, artifact_key, publish
from flows.prefect_artifacts import tell as tell_finished
from flows.review_flows import Wait, wait_for_people
from flows.run import Summary, checked, run_with
from flows.settings import log_format
from flows.takeover import taken_over
from manifests.load import load_recipe
from shards.store import Store

if TYPE_CHECKING:
    from filters.judges.vllm import VllmJudge

BATCHES: Final = 32
"""Most tasks per step: Prefect costs some 4 ms a task with threads, and a run of 10,000 tasks is no use to anybody."""

# Prefect's own annotations do not admit its own task runner
_THREADS = cast(TaskRunner[PrefectFuture[Any]], ThreadPoolTaskRunner(max_workers=BATCHES))

Job = TypeVar("Job")
Result = TypeVar("Result")


class PrefectRunner:
    """Runs each batch of jobs as a task; the work itself is done where another runner does it.

    Tasks are threads of this process that wait for workers. Where this process does the work itself they come one after
    the other: several at once would take turns at the interpreter's lock, a fifth more CPU time for the same.
    """

    def __init__(self, inner: Runner, batches: int = BATCHES) -> None:
        self._inner, self._batches = inner, batches
        self._is_here = isinstance(inner, LocalRunner) and inner.pool is None

    def map(self, step: str, function: Callable[[Job], Result], jobs: Sequence[Job]) -> list[Result]:
        """See `flows.executor.Runner.map`."""
        number_of = min(self._batches, len(jobs))
        batches = [jobs[number::number_of] for number in range(number_of)]

        done: dict[int, list[Result]] = {}

        # jobs and results stand in the closure: as parameters and values, Prefect would walk through each of them
        @task(name=step, task_run_name=f"{step} {{number}}", cache_policy=NO_CACHE, persist_result=False)
        def batch(number: int) -> None:
            done[number] = self._inner.map(step, function, batches[number])

        if self._is_here:
            for number in range(len(batches)):
                batch(number)
        else:
            for future in [batch.submit(number) for number in range(len(batches))]:
                future.result()
        return [done[place % number_of][place // number_of] for place in range(len(jobs))]

    def ask(self, judge: "VllmJudge", function: Callable[[Job], int], jobs: Sequence[Job]) -> None:
        """See `flows.executor.Runner.ask`; one task, for the model stays loaded."""

        @task(name="judge", cache_policy=NO_CACHE, persist_result=False)
        def all_chunks() -> None:
            self._inner.ask(judge, function, jobs)

        all_chunks()


@flow(name="build-sft-mix", flow_run_name="{recipe}", task_runner=_THREADS)
def build_sft_mix(
    recipe: Annotated[str, Field(description="Built-in recipe, or path of a .yaml file")] = "demo",
    store: Annotated[
        str | None, Field(description="Folder or URL of the store; empty means VLMIX_STORE or .vlmix")
    ] = None,
    stage: Annotated[str | None, Field(description="Mix this stage only; empty means all")] = None,
    executor: Annotated[
        str, Field(description="Where work runs: local, ray, slurm, or a .yaml file with settings of one of them")
    ] = "local",
    workers: Annotated[int | None, Field(ge=1, description="Worker processes; empty means one per core")] = None,
    scale: Annotated[
        float | None,
        Field(gt=0, le=1, description="Multiplies absolute takes, caps and targets; empty means the recipe's own"),
    ] = None,
    update: Annotated[
        bool, Field(description="Look for newer commits of sources on the hub instead of the ones in sources.lock")
    ] = False,
    review: Annotated[
        Wait,
        Field(description="Wait for people: pause keeps the worker, suspend frees it; continue leaves rows in review"),
    ] = "continue",
) -> str:
    """Build the mixture of a recipe and publish its counts and report as artifacts.

    Args:
        recipe: built-in recipe, or path of a .yaml file.
        store: folder of the store.
        stage: mix this stage only.
        executor: local, ray, slurm, or path of a .yaml file.
        workers: worker processes.
        scale: of absolute takes, caps and targets, above 0 and at most 1.
        update: resolve branches of hub sources again.
        review: what to do about rows in review: leave them there, or stop until people have answered, take their
            answers in, and build again.

    Returns:
        Digest of the run, 64 hex digits.
    """
    place = Store(where(store))
    settings = execution(executor, workers=workers)
    summary = _build(recipe, place, stage, settings, scale, update=update)
    waiting = sum(each.totals.review for each in summary.stages)
    if review != "continue" and waiting:
        publish(recipe, summary)
        wait_for_people(load_recipe(recipe)[0].name, waiting, review, place)
        summary = _build(recipe, place, stage, settings, scale)
    publish(recipe, summary)
    tell_finished(recipe, summary)
    return summary.digest


def _build(
    recipe: str, place: Store, stage: str | None, settings: Execution, scale: float | None, *, update: bool = False
) -> Summary:
    logger = get_run_logger()
    prepared = checked(recipe, place, scale=scale)
    progress = Progress(artifact_key(recipe), len({each.mixture for each in prepared.plan.stages}))

    def tell(step: str, done: Steps) -> None:
        progress.note(step)

    own = flow_run.get_id()
    holding = taken_over(place.root, UUID(own), logger) if own else nullcontext()
    # an array of a cluster is one task: several would wait for each other in its queue
    batches = 1 if settings.kind == "slurm" else BATCHES
    # Prefect's own words on standard error are for people
    for_machines = logs("json") if log_format() == "json" else nullcontext()
    with open_runner(settings, place) as inner, logging_to(ToPrefect(logger)), for_machines:
        runner = PrefectRunner(inner, batches)
        summary = run_with(prepared, place, runner, stage, tell, update=update, holding=holding).summary
    progress.end()
    return summary
