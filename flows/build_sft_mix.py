"""The Prefect flow: the same build, one task per step and batch of jobs, with artifacts."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar, cast

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_link_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from pydantic import Field

from flows.executor import LocalRunner, Steps, local_pool
from flows.run import Summary, checked, run_with
from flows.settings import default_store
from shards.store import Store

BATCHES: Final = 32
"""Most tasks per step: Prefect costs some 4 ms a task with threads, and a run of 10,000 tasks is no use to anybody."""

# Prefect's own annotations do not admit its own task runner
_THREADS = cast(TaskRunner[PrefectFuture[Any]], ThreadPoolTaskRunner(max_workers=8))

Job = TypeVar("Job")
Result = TypeVar("Result")


class PrefectRunner:
    """Runs each batch of jobs as a task; the work itself is done in the pool's processes."""

    def __init__(self, pool: ProcessPoolExecutor | None) -> None:
        self._local = LocalRunner(pool)

    def map(self, step: str, function: Callable[[Job], Result], jobs: Sequence[Job]) -> list[Result]:
        """See `flows.executor.Runner.map`."""
        batches = [jobs[number::BATCHES] for number in range(min(BATCHES, len(jobs)))]

        # jobs stand in the closure: as parameters, Prefect would walk through and copy each of them
        @task(name=step, task_run_name=f"{step} {{number}}", cache_policy=NO_CACHE, persist_result=False)
        def batch(number: int) -> list[Result]:
            return self._local.map(step, function, batches[number])

        futures = [batch.submit(number) for number in range(len(batches))]
        done = [future.result() for future in futures]
        return [done[place % BATCHES][place // BATCHES] for place in range(len(jobs))]


@flow(name="build-sft-mix", flow_run_name="{recipe}", task_runner=_THREADS)
def build_sft_mix(
    recipe: Annotated[str, Field(description="Built-in recipe, or path of a .yaml file")] = "demo",
    store: Annotated[str | None, Field(description="Folder of the store; empty means VLMIX_STORE or .vlmix")] = None,
    stage: Annotated[str | None, Field(description="Mix this stage only; empty means all")] = None,
    workers: Annotated[int | None, Field(ge=1, description="Worker processes; empty means one per core")] = None,
    scale: Annotated[
        float | None, Field(description="Multiplies absolute takes, caps and targets; empty means the recipe's own")
    ] = None,
) -> str:
    """Build the mixture of a recipe and publish its counts and report as artifacts.

    Args:
        recipe: built-in recipe, or path of a .yaml file.
        store: folder of the store.
        stage: mix this stage only.
        workers: worker processes.
        scale: of absolute takes, caps and targets, above 0 and at most 1.

    Returns:
        Digest of the run, 64 hex digits.
    """
    logger = get_run_logger()
    where = Store(Path(store or default_store()).absolute())
    prepared = checked(recipe, where, scale=scale)

    def tell(step: str, done: Steps) -> None:
        logger.info("%s: %d executed, %d cached", step, done.executed, done.cached)

    with local_pool(workers) as pool:
        summary = run_with(prepared, where, PrefectRunner(pool), stage, tell).summary
    _publish(recipe, summary)
    return summary.digest


def _publish(recipe: str, summary: Summary) -> None:
    key = "".join(character if character.isalnum() else "-" for character in Path(recipe).stem.lower())
    rows = [
        {"stage": stage.stage, "domain": domain, **counts.model_dump()}
        for stage in summary.stages
        for domain, counts in [*stage.domains.items(), ("all", stage.totals)]
    ]
    create_table_artifact(key=f"{key}-counts", table=rows, description=f"Rows per domain, digest {summary.digest}")
    link = Path(summary.report).as_uri()
    create_link_artifact(key=f"{key}-report", link=link, link_text="Report", description="Open on the worker's machine")
