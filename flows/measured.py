"""A runner that measures every job where it is done, and has workers say what this process says."""

import logging
import resource
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from filters.judges.usage import usage
from flows.logs import event, hear, wanted_level
from flows.metering import Here, Spent, Work, add, elapsing, place_of, watched

if TYPE_CHECKING:
    from filters.judges.vllm import VllmJudge
    from flows.executor import Runner

Job = TypeVar("Job")
Result = TypeVar("Result")

_MAXRSS_BYTES: Final = 1 if sys.platform == "darwin" else 1024
"""Unit of `ru_maxrss`. Source: getrusage(2) of macOS and of Linux."""


@dataclass(frozen=True, slots=True)
class Measured(Generic[Job, Result]):
    """A function over jobs that measures itself, here or in a worker; can be pickled as the function can.

    `level` is the one from which on the process of the run hears what is said.
    """

    step: str
    function: Callable[[Job], Result]
    level: int

    def __call__(self, job: Job) -> Result:
        """Do a job; what it took counts for its source."""
        hear(self.level)
        source, part = place_of(job)
        before = usage()
        # a thread of a pool may have been started within another block, to which this time does not belong
        with watched(Here(Work(self.step, source), part), None) as watch:
            result = self.function(job)
            cpu, wall = watch.stop()
            event("part", f"done in {wall:.3f} s", {"seconds": round(wall, 3)}, level=logging.DEBUG)
        asked = usage().since(before)
        spent = Spent(
            cpu_s=cpu,
            busy_s=wall,
            calls=asked.prompts,
            prompt_tokens=asked.tokens,
            cached_tokens=asked.cached,
            completion_tokens=asked.written,
            retries=asked.failed,
            peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_BYTES,
        )
        add(Work(self.step, source), spent)
        return result


def in_process(runner: "Runner") -> "Runner":
    """A runner that does jobs in this process one after the other, measured as those of `runner` are."""
    from flows.executor import LocalRunner

    alone = LocalRunner(None)
    return MeasuredRunner(alone) if isinstance(runner, MeasuredRunner) else alone


@dataclass(frozen=True, slots=True)
class MeasuredRunner:
    """Measures every step that another runner does."""

    inner: "Runner"

    def map(self, step: str, function: Callable[[Job], Result], jobs: Sequence[Job]) -> list[Result]:
        """See `flows.executor.Runner.map`."""
        if not jobs:
            return []
        with elapsing(step):
            return self.inner.map(step, Measured(step, function, wanted_level()), jobs)

    def ask(self, judge: "VllmJudge", function: Callable[[Job], int], jobs: Sequence[Job]) -> None:
        """See `flows.executor.Runner.ask`."""
        with elapsing("judge"):
            self.inner.ask(judge, Measured("judge", function, wanted_level()), jobs)
