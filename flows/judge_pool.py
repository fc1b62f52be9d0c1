"""One process for each replica of a model on this machine: chunks handed out from one list, dead processes replaced."""

import atexit
import logging
import multiprocessing
import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, Final, TypeVar

from filters.judges.vllm import VllmJudge
from flows.attempt import Told
from flows.logs import listening
from flows.metering import taken
from shards.errors import UsageError, VlmixError

Job = TypeVar("Job")

HIP: Final = "HIP_VISIBLE_DEVICES"
CUDA: Final = "CUDA_VISIBLE_DEVICES"

_AMD_DRIVER: Final = Path("/dev/kfd")
_LOG: Final = logging.getLogger(__name__)
_WATCH_S: Final = 0.5
_LEAVE_S: Final = 30.0
_TRIES: Final = 3
"""Processes that a chunk may take down before it is given up."""


def ask_all(judge: VllmJudge, function: Callable[[Job], int], jobs: Sequence[Job]) -> None:
    """Do jobs with a judge in `judge.replicas` processes, which stay for the next call.

    Args:
        judge: whose replicas are asked.
        function: a picklable function that does a job and returns how many rows got an answer.
        jobs: picklable.

    Raises:
        VlmixError: the first that a job raised, after those under way are done.
    """
    with _LOCK:
        wanted = (variables(judge.replicas, judge.tensor_parallel, os.environ), judge.rebuilds)
        if _POOLS and _POOLS[0].made_for != wanted:
            _POOLS.pop().close()
        if not _POOLS:
            _POOLS.append(JudgePool(*wanted))
        try:
            _POOLS[0].run(function, jobs)
        except BaseException:
            _POOLS.pop().close()  # processes may still work on what nobody waits for
            raise


def close_pool() -> None:
    """End the judges' processes, if there are any; the next call starts others."""
    with _LOCK:
        while _POOLS:
            _POOLS.pop().close()


def variables(replicas: int, accelerators: int, environment: Mapping[str, str]) -> list[dict[str, str]]:
    """The one variable, by name, with which each replica sees its own accelerators only.

    It is HIP's where that is set or the machine has AMD's driver, CUDA's otherwise; a list that is set is divided.

    Args:
        replicas: how many.
        accelerators: of each replica.
        environment: with what this process sees.

    Raises:
        UsageError: this process sees too few, or the two variables differ.

    Source: vllm/platforms/rocm.py of 0.32.0, `_sync_hip_cuda_env_vars`: it stops where both are set and differ.
    """
    hip, cuda = environment.get(HIP), environment.get(CUDA)
    if hip and cuda and hip != cuda:
        raise UsageError(f"`{HIP}={hip}` and `{CUDA}={cuda}` differ; unset one of them")
    name = HIP if hip or (not cuda and _AMD_DRIVER.exists()) else CUDA
    needed = replicas * accelerators
    visible = (hip or cuda or ",".join(map(str, range(needed)))).split(",")
    if len(visible) < needed:
        raise UsageError(
            f"judge `vllm`: {replicas} replicas with {accelerators} each need {needed} accelerators, "
            f"`{name}={','.join(visible)}` shows {len(visible)}"
        )
    return [{name: ",".join(visible[first : first + accelerators])} for first in range(0, needed, accelerators)]


@dataclass(slots=True)
class _Replica:
    """A process; `job` is what it does at present, `deaths` how many before it ended."""

    process: SpawnProcess
    connection: Connection
    deaths: int = 0
    job: int | None = None


@dataclass(frozen=True, slots=True)
class _Work:
    """Jobs of one call by place: `left` to be handed out; how often each was `lost`; errors that they raised."""

    left: deque[int]
    lost: Counter[int] = field(default_factory=Counter)
    failed: list[VlmixError] = field(default_factory=list)


class JudgePool:
    """Processes that do jobs, each in a session of its own and with variables of its own.

    A process that dies, or comes back without a single answer, is ended with everything it started, told in the log
    and replaced at most `rebuilds` times; its job is done again. A job that takes down three processes, and what is
    left when no process is, is given up: its rows stay without an answer, as those of any call that fails.
    """

    def __init__(self, seen: Sequence[Mapping[str, str]], rebuilds: int) -> None:
        self.made_for = (seen, rebuilds)
        self._replicas: list[_Replica | None] = [_start(each) for each in seen]

    def run(self, function: Callable[[Job], int], jobs: Sequence[Job]) -> None:
        """See `ask_all`."""
        work = _Work(deque(range(len(jobs))))
        while busy := self._busy(function, jobs, work):
            wait([replica.connection for replica in busy.values()], _WATCH_S)
            for number, replica in busy.items():
                said = _said(replica)
                if said is not None:
                    self._note(number, replica, said, work)
        if work.failed:
            raise work.failed[0]
        given_up = len(work.left) + sum(times >= _TRIES for times in work.lost.values())
        if given_up:
            _LOG.warning("judge: %d of %d chunks are given up, their rows have no answer", given_up, len(jobs))

    def _busy(self, function: Callable[[Job], int], jobs: Sequence[Job], work: _Work) -> dict[int, _Replica]:
        """Processes that work, by number, after those that are free have got something to do."""
        for replica in self._replicas:
            if replica and replica.job is None and work.left and not work.failed:
                replica.job = work.left.popleft()
                with suppress(BrokenPipeError):  # it ended while it was idle, which `_said` finds
                    replica.connection.send((function, jobs[replica.job]))
        return {number: each for number, each in enumerate(self._replicas) if each and each.job is not None}

    def _note(self, number: int, replica: _Replica, said: int | str | VlmixError, work: _Work) -> None:
        job, replica.job = replica.job, None
        assert job is not None, "only a process that works says something"
        if isinstance(said, VlmixError) and not (isinstance(said, UsageError) and replica.deaths):
            work.failed.append(said)
        elif not isinstance(said, int) or said == 0:
            work.lost[job] += 1
            if work.lost[job] < _TRIES:
                work.left.append(job)
            self._replace(number, replica, str(said or "no row got an answer"))

    def _replace(self, number: int, replica: _Replica, why: str) -> None:
        seen, rebuilds = self.made_for
        _end(replica)
        words = " ".join(f"{name}={value}" for name, value in seen[number].items())
        left = rebuilds - replica.deaths
        then = "another is started" if left > 0 else "no other is started"
        _LOG.warning("judge: process %d (%s) is lost: %s; %s", number, words, why, then)
        self._replicas[number] = _start(seen[number], replica.deaths + 1) if left > 0 else None

    def close(self) -> None:
        """End all processes: those that work at once, the others by their own doing."""
        replicas = [each for each in self._replicas if each]
        for replica in replicas:
            replica.connection.close()
        for replica in replicas:
            if replica.job is None:
                replica.process.join(_LEAVE_S)
            _end(replica)
        self._replicas = [None] * len(self._replicas)


def _start(seen: Mapping[str, str], deaths: int = 0) -> _Replica:
    # not daemons: those may not start the processes that an engine consists of
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, dict(seen)), name="vlmix judge")
    process.start()
    theirs.close()
    return _Replica(process, ours, deaths)


def _said(replica: _Replica) -> int | str | VlmixError | None:
    """Rows answered, the job's error, or how the process ended; None while it works."""
    ended = replica.process.exitcode is not None  # before looking: it may have answered and then ended
    with suppress(EOFError, OSError):
        if replica.connection.poll():
            said: int | VlmixError
            said, told = replica.connection.recv()
            told.arrive()
            return said
    # forked children of a dead process can hold its end of the pipe open, so the end of file alone would not do
    return f"exit code {replica.process.exitcode}" if ended else None


def _end(replica: _Replica) -> None:
    """Kill a process with all that it started."""
    assert replica.process.pid, "it was started"
    with suppress(ProcessLookupError):  # so young that it has no group of its own yet, or gone
        os.killpg(replica.process.pid, signal.SIGKILL)
    replica.process.kill()
    replica.process.join()
    replica.connection.close()


def _serve(connection: Connection, seen: Mapping[str, str]) -> None:
    """Do jobs until the other end is closed."""
    os.setsid()
    for name in (HIP, CUDA):
        os.environ.pop(name, None)
    os.environ.update(seen)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    job: tuple[Callable[[Any], int], Any]
    with suppress(EOFError):
        while job := connection.recv():
            connection.send(_done(*job))


def _done(function: Callable[[Any], int], about: Any) -> tuple[int | VlmixError, Told]:
    """Rows answered or the job's error, and what was counted and said meanwhile."""
    taken()
    found: int | VlmixError
    with listening() as said:
        try:
            found = function(about)
        except VlmixError as error:
            found = error
    return found, Told(taken(), tuple(said))


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.killpg(0, signal.SIGKILL)


_LOCK: Final = threading.Lock()
_POOLS: Final[list[JudgePool]] = []
atexit.register(close_pool)
