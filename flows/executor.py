"""How steps are mapped over jobs: in this process, or in a pool of worker processes."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import NamedTuple, Protocol, TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


class Steps(NamedTuple):
    """Units of work that were done, and that an earlier run had done already."""

    executed: int = 0
    cached: int = 0

    def plus(self, other: "Steps") -> "Steps":
        """Both together."""
        return Steps(self.executed + other.executed, self.cached + other.cached)


class Runner(Protocol):
    """Runs one step: a pure, picklable function over jobs, results in the order of the jobs."""

    def map(self, step: str, function: Callable[[Job], Result], jobs: Sequence[Job]) -> list[Result]:
        """Results in the order of `jobs`; the first error of a job is raised after the others ended."""
        ...


class LocalRunner:
    """Worker processes on this machine; one worker means this process."""

    def __init__(self, pool: ProcessPoolExecutor | None) -> None:
        self.pool = pool

    def map(self, step: str, function: Callable[[Job], Result], jobs: Sequence[Job]) -> list[Result]:
        """See `Runner.map`."""
        if self.pool is None:
            return [function(job) for job in jobs]
        futures = [self.pool.submit(function, job) for job in jobs]
        return [future.result() for future in futures]


@contextmanager
def local_pool(workers: int | None = None) -> Iterator[ProcessPoolExecutor | None]:
    """A pool of worker processes that die with this one, also when it is killed; None for one worker.

    Args:
        workers: processes; None means one for each core.
    """
    number = workers or os.cpu_count() or 1
    if number == 1:
        yield None
        return
    # polars is not safe to fork once its threads run, so workers start afresh
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(number, mp_context=context, initializer=_die_with_parent)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _die_with_parent() -> None:
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
