"""How steps are mapped over jobs: the protocol, and the executor of this machine. Others: flows/execution.py."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from flows.forking import start_server
from flows.workers import WorkerPool, cores, memory_share

if TYPE_CHECKING:
    from filters.judges.vllm import VllmJudge

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
    """Runs one step: a pure, picklable function over jobs, results in the order of the jobs.

    The function may run twice for one job, as when its process is killed: it leaves whole files behind or none, and the
    same ones each time.
    """

    def map(self, step: str, function: Callable[[Job], Result], jobs: Sequence[Job]) -> list[Result]:
        """Results in the order of `jobs`.

        After the first error no further job is begun, those under way end, and the error of the first job that has one
        is raised.

        Raises:
            WorkerError: a process died with the same job twice.
        """
        ...

    def ask(self, judge: "VllmJudge", function: Callable[[Job], int], jobs: Sequence[Job]) -> None:
        """Do jobs with a model that is loaded once for each of `judge.replicas`; see `flows.judge_pool.ask_all`."""
        ...


class LocalRunner:
    """Worker processes on this machine; None for the pool means this process."""

    def __init__(self, pool: WorkerPool | None) -> None:
        self.pool = pool

    def map(self, step: str, function: Callable[[Job], Result], jobs: Sequence[Job]) -> list[Result]:
        """See `Runner.map`."""
        if self.pool is None:
            return [function(job) for job in jobs]
        return self.pool.map(step, function, jobs)

    def ask(self, judge: "VllmJudge", function: Callable[[Job], int], jobs: Sequence[Job]) -> None:
        """See `Runner.ask`."""
        from flows.judge_pool import ask_all

        ask_all(judge, function, jobs)


@contextmanager
def local_pool(workers: int | None = None, *, memory: int | None = None) -> Iterator[WorkerPool | None]:
    """A pool of worker processes that end with this one, also when it is killed; None for one worker without a limit.

    Args:
        workers: processes; None means one for each core that this process may use.
        memory: bytes that a worker may hold; None means an equal share of what the machine has, see `memory_share`.
    """
    number = workers or cores()
    if number == 1 and memory is None:
        yield None
        return
    with WorkerPool(number, memory or memory_share(number)) as pool:
        yield pool


def make_ready(executor: str, workers: int | None) -> None:
    """Have workers of this machine load what they need while this process does; call before imports that take long.

    Does nothing for an executor and a number of workers that need none; what a .yaml file says is not looked at.
    """
    if executor == "local" and (workers or cores()) > 1:
        start_server()
