"""Steps on a Ray cluster: one that runs already, or one that lives as long as the run. Needs the extra `ray`."""

import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from flows.attempt import Attempt, attempt, job_words
from flows.execution import RaySettings
from flows.installation import check_worker, installed
from flows.ray_judges import AskerPool
from flows.workers import TRIES
from shards.errors import UsageError, WorkerError
from shards.store import Store

if TYPE_CHECKING:
    from filters.judges.vllm import VllmJudge

Job = TypeVar("Job")
Result = TypeVar("Result")

_AHEAD: Final = 2
"""Jobs under way or waiting on the cluster, for each of its cores: more would only fill its memory."""
_REACH_S: Final = 10.0
_OBJECTS: Final = 256 * 1024**2
"""Bytes of shared memory of a cluster of our own; jobs and results are names and counts, and no data."""


class RayRunner:
    """Maps steps over a cluster; a judge's replicas are actors, with as many accelerators as the settings say."""

    def __init__(self, store: Path, settings: RaySettings, memory: int | None) -> None:
        self._store, self._settings, self._memory = store, settings, memory
        self._askers: AskerPool | None = None

    def map(self, step: str, function: Callable[[Job], Result], jobs: Sequence[Job]) -> list[Result]:
        """See `flows.executor.Runner.map`; may be called from several threads."""
        import ray

        # Ray repeats the body where its process or its node dies, and itself replaces the process
        options: dict[str, Any] = {"name": step, "num_cpus": 1, "max_retries": TRIES - 1}
        options |= {"memory": self._memory} if self._memory else {}
        remote = ray.remote(**options)(remote_attempt)
        ahead = max(1, int(_AHEAD * ray.cluster_resources().get("CPU", 1)))
        done: dict[int, Attempt] = {}
        under_way: dict[Any, int] = {}
        places = iter(range(len(jobs)))
        failed = False
        while True:
            while not failed and len(under_way) < ahead and (place := next(places, None)) is not None:
                under_way[remote.remote(installed(), self._store, function, jobs[place])] = place
            if not under_way:
                break
            for reference in ray.wait(list(under_way), num_returns=1)[0]:
                place = under_way.pop(reference)
                done[place] = _got(reference, step, jobs[place])
                failed = failed or done[place].error is not None
        for place in sorted(done):
            done[place].value()
        return [done[place].value() for place in range(len(jobs))]

    def ask(self, judge: "VllmJudge", function: Callable[[Job], int], jobs: Sequence[Job]) -> None:
        """See `flows.executor.Runner.ask`.

        Raises:
            UsageError: the cluster has too few accelerators.
        """
        if self._askers is None or self._askers.judge != judge:
            self.close()
            self._askers = AskerPool(judge, self._settings.judge_gpus, self._store)
        self._askers.run(function, jobs)

    def close(self) -> None:
        """End the judge's actors."""
        if self._askers is not None:
            self._askers.close()
            self._askers = None


def remote_attempt(expected: str, store: Path, function: Callable[[Job], object], job: Job) -> Attempt:
    """Do a job on a worker, if it is the right one."""
    checked = attempt(lambda _: check_worker(expected, store), None)
    return checked if checked.error else attempt(function, job)


def _got(reference: Any, step: str, job: object) -> Attempt:  # a Ray object carries no types
    import ray

    try:
        done: Attempt = ray.get(reference)
    except ray.exceptions.RayError as error:
        remedy = "look at the node's log with `ray logs`, and run again: what is finished is kept"
        return Attempt(
            error=WorkerError(f"step `{step}`, {job_words(job)}: {type(error).__name__}: {_first(error)}; {remedy}")
        )
    done.told.arrive()
    return done


@contextmanager
def ray_runner(store: Store, settings: RaySettings, workers: int | None, memory: int | None) -> Iterator[RayRunner]:
    """Join a cluster, or start one on this machine that ends with the block or with this process.

    Args:
        store: on storage that every node sees under the same path.
        settings: address and accelerators.
        workers: cores of a cluster that is started; None means all.
        memory: bytes that a job reserves; None reserves nothing. Ray itself ends jobs when a node is short of memory.

    Raises:
        UsageError: Ray is not installed, or no cluster answers at the address.
        WorkerError: a part of the cluster died.
    """
    try:
        import ray
    except ImportError as error:
        raise UsageError("executor `ray` needs the extra `ray`: pip install 'vlmix[ray]'") from error
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if settings.address is None:
        options |= {"num_cpus": workers, "num_gpus": settings.gpus, "include_dashboard": False}
        options |= {"object_store_memory": _OBJECTS, "address": "local"}
        options |= {"_temp_dir": str(settings.folder)} if settings.folder else {}
    else:
        _check_reachable(settings.address)
        options |= {"address": settings.address}
    try:
        ray.init(**options)
    except Exception as error:  # Ray raises bare ones where a part of it dies while it starts
        if settings.address is None:
            raise WorkerError(f"executor `ray`: the cluster did not start: {_first(error)}; run again") from error
        raise UsageError(_no_cluster(settings.address, error)) from error
    runner = RayRunner(store.root, settings, memory)
    try:
        # Ray tells of its own dead processes on standard output, which belongs to the answer of the command
        with redirect_stdout(sys.stderr):
            yield runner
    except ray.exceptions.RayError as error:
        raise WorkerError(f"executor `ray`: {type(error).__name__}: {_first(error)}; run again") from error
    finally:
        runner.close()
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Stop where nobody answers; Ray itself would try for two minutes and then end the process."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():  # `auto`, which Ray looks up on this machine
        return
    try:
        with socket.create_connection((host, int(port)), _REACH_S):
            pass
    except OSError as error:
        raise UsageError(_no_cluster(address, error)) from error


def _no_cluster(address: str, error: Exception) -> str:
    return f"executor `ray`: no cluster at `{address}`: {_first(error)}; start one with `ray start --head`"


def _first(error: Exception) -> str:
    """The first line of what an error says; Ray's go on with logs."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
