"""What a run costs: rows, bytes, seconds and tokens per step and source, counted in the process that does the work.

Counts are kept per process, as those of filters/judges/usage.py are; workers give theirs back with each result
(flows/attempt.py), whatever the executor. They belong to no box: equal runs differ in them.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from uuid import uuid4


class Spent(NamedTuple):
    """What was done for one source in one step, and what it took.

    `executed` and `cached` count units of work as `flows.executor.Steps` does. `rows` and `bytes` were read by the work
    that was done. `cpu_s` and `busy_s` are summed over all processes, `elapsed_s` passed in the main one meanwhile.
    `calls` are prompts that an engine answered, of `prompt_tokens` tokens, of which it had `cached_tokens`, if
    it says so. `retries` are requests that failed. `peak_bytes` is the most memory that a process of this step held.
    """

    executed: int = 0
    cached: int = 0
    rows: int = 0
    bytes: int = 0
    quarantined: int = 0
    cpu_s: float = 0.0
    busy_s: float = 0.0
    elapsed_s: float = 0.0
    calls: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    retries: int = 0
    peak_bytes: int = 0

    def plus(self, other: "Spent") -> "Spent":
        """Both together; of the peaks the higher one."""
        sums = {name: getattr(self, name) + getattr(other, name) for name in self._fields}
        return Spent(**sums | {"peak_bytes": max(self.peak_bytes, other.peak_bytes)})


class Work(NamedTuple):
    """A step and a source; no source for what is done for all at once."""

    step: str
    source: str = ""


class Here(NamedTuple):
    """What this thread works on; `part` is a shard, or a run of pictures."""

    place: Work = Work("")
    part: int | None = None


@dataclass(slots=True)
class Watch:
    """Seconds since a block began; those of blocks within it belong to them alone."""

    outer: "Watch | None"
    clock: Callable[[], float]
    cpu: float
    wall: float
    inner_cpu: float = 0.0
    inner_wall: float = 0.0

    @classmethod
    def start(cls, outer: "Watch | None") -> "Watch":
        """Begin within another block, or within none."""
        # other threads of this process may do jobs, too: the whole process is that of the main thread only
        own = threading.current_thread() is threading.main_thread()
        clock = time.process_time if own else time.thread_time
        return cls(outer, clock, clock(), time.monotonic())

    def stop(self) -> tuple[float, float]:
        """CPU and wall seconds without those of inner blocks."""
        cpu, wall = self.clock() - self.cpu, time.monotonic() - self.wall
        if self.outer:
            self.outer.inner_cpu += cpu
            self.outer.inner_wall += wall
        return max(cpu - self.inner_cpu, 0.0), max(wall - self.inner_wall, 0.0)


@dataclass(slots=True)
class _Process:
    """What this process counted since it was last asked, and the run that it belongs to."""

    run: str = ""
    spent: dict[Work, Spent] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


_PROCESS: Final = _Process()
_NOWHERE: Final = Here()
_HERE: Final[ContextVar[Here]] = ContextVar("here", default=_NOWHERE)
_WATCH: Final[ContextVar[Watch | None]] = ContextVar("watch", default=None)


def begin() -> str:
    """Start to count for a run in this process; returns its name, 12 hex digits drawn at random."""
    taken()
    _PROCESS.run = uuid4().hex[:12]
    return _PROCESS.run


def run_name() -> str:
    """The run that this process counts for; empty in a worker, and where none began."""
    return _PROCESS.run


def here() -> Here:
    """What this thread works on."""
    return _HERE.get()


def add(place: Work, spent: Spent) -> None:
    """Count for a place."""
    with _PROCESS.lock:
        _PROCESS.spent[place] = _PROCESS.spent.get(place, Spent()).plus(spent)


def tally(spent: Spent) -> None:
    """Count for what this thread works on; for nothing where nobody measures."""
    place = here().place
    if place.step:
        add(place, spent)


def merge(found: Mapping[Work, Spent]) -> None:
    """Count what another process counted."""
    for place, spent in found.items():
        add(place, spent)


def taken() -> dict[Work, Spent]:
    """What this process counted, which it then forgets."""
    with _PROCESS.lock:
        found = dict(_PROCESS.spent)
        _PROCESS.spent.clear()
    return found


def counted() -> dict[Work, Spent]:
    """What this process counted so far."""
    with _PROCESS.lock:
        return dict(_PROCESS.spent)


@contextmanager
def measured(step: str, source: str = "", *, main: bool = False) -> Iterator[None]:
    """Measure a part of a step, and count for it what `tally` hears meanwhile; blocks within it are left out.

    `main`: the main process does it itself, so the run waits for it.
    """
    with watched(Here(Work(step, source)), _WATCH.get()) as watch:
        yield
    cpu, wall = watch.stop()
    add(Work(step, source), Spent(cpu_s=cpu, busy_s=wall, elapsed_s=wall if main else 0.0))


@contextmanager
def elapsing(step: str) -> Iterator[None]:
    """Measure how long the main process is at a step, without steps within it."""
    with watched(Here(Work(step)), _WATCH.get()) as watch:
        yield
    add(Work(step), Spent(elapsed_s=watch.stop()[1]))


@contextmanager
def watched(place: Here, outer: Watch | None) -> Iterator[Watch]:
    """Say what this thread works on, and give the watch of the block; `outer` is not charged for it."""
    watch = Watch.start(outer)
    placed, watched = _HERE.set(place), _WATCH.set(watch)
    try:
        yield watch
    finally:
        _HERE.reset(placed)
        _WATCH.reset(watched)


def place_of(job: object) -> tuple[str, int | None]:
    """Source and part of a job, where it says them; no source is empty."""
    source: Any = getattr(job, "source", None)
    shards: Any = getattr(job, "shards", None)
    number: int | None = getattr(job, "number", None)
    name = getattr(source, "name", None) or (getattr(shards, "name", "").split("/")[1:2] or [""])[0]
    return str(name), number
