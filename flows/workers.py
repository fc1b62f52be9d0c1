"""Worker processes on this machine: bounded in number and memory, replaced when they die, and never outlived by work.

Each process is served by a thread of this one, which hands it one job at a time. So only jobs under way are pickled,
and a slow worker holds up nobody. None is a fork of this process: polars is not safe to fork once its threads run.
"""

import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from flows.allocators import release_memory
from flows.attempt import Attempt, attempt, job_words
from flows.forking import start
from shards.errors import WorkerError

Job = TypeVar("Job")
Result = TypeVar("Result")

TRIES: Final = 2
"""Processes that a job may take down before the run stops: the first may have died of something else."""

_LOG: Final = logging.getLogger(__name__)
_WATCH_S: Final = 0.25
_LEAVE_S: Final = 5.0
_LOST: Final = 255
"""What the standard library gives for a process of which nobody says how it ended: perhaps it has not."""
_GB: Final = 1e9
_SHARE: Final = 0.8
"""Of the machine's memory that all workers together may hold; the rest is for this process, others and files."""
LEAST: Final = 1_000_000_000
"""Bytes that a worker may hold on any machine: one with all libraries loaded holds some 0.3 GB."""


class WorkerPool:
    """Processes that do jobs. A process that dies, or holds too much memory, is replaced and its job done once more.

    Memory is what the process alone holds (`RssAnon` and `RssShmem` of Linux; elsewhere nothing is watched). A limit on
    addresses (`RLIMIT_AS`) would count files that are only mapped and room that allocators only reserve, and ends as an
    abort inside a library instead of a message.
    """

    def __init__(self, number: int, memory: int) -> None:
        self._memory = memory
        self._number = number
        self._threads = ThreadPoolExecutor(number, thread_name_prefix="vlmix-worker")
        self._own = threading.local()
        self._workers: list[_Worker] = []
        self._closing = threading.Event()

    def map(self, step: str, function: Callable[[Job], Result], jobs: Sequence[Job]) -> list[Result]:
        """See `flows.executor.Runner.map`; may be called from several threads."""
        futures = [self._threads.submit(self._do, step, function, job) for job in jobs]
        try:
            _until_done_or_failed(futures)
        finally:
            for future in futures:
                future.cancel()
        wait(futures)
        for error in _errors(futures):
            raise error
        return [future.result() for future in futures]

    def _do(self, step: str, function: Callable[[Job], Result], job: Job) -> Result:
        """Do a job in the process of this thread."""
        for left in reversed(range(TRIES)):
            done = self._worker().do(function, job)
            if isinstance(done, Attempt):
                done.told.arrive()
                result: Result = done.value()
                return result
            if self._closing.is_set():
                break
            where = f"step `{step}`, {job_words(job)}: the worker process {done}"
            if not left:
                raise WorkerError(f"{where}, {TRIES} times; use fewer --workers, or a machine with more memory")
            _LOG.warning("%s; its job is done once more in a fresh process", where)
        raise WorkerError("the workers are being stopped")

    def _worker(self) -> "_Worker":
        if not hasattr(self._own, "worker"):
            self._own.worker = _Worker(self._memory, max(cores() // self._number, 1))
            self._workers.append(self._own.worker)
        worker: _Worker = self._own.worker
        return worker

    def __enter__(self) -> Self:
        """Give the pool; processes start when there is something to do."""
        return self

    def __exit__(self, *error: object) -> None:
        """End all processes; those that still work remove their temporary files first."""
        self._closing.set()
        for worker in list(self._workers):
            worker.end()
        self._threads.shutdown(cancel_futures=True)
        for worker in self._workers:
            worker.end()


def _until_done_or_failed(futures: Sequence[Future[Any]]) -> None:
    """Wait until all are done or one has failed; what that costs does not grow with their number."""
    lock, over, left = threading.Lock(), threading.Event(), len(futures)

    def note(future: Future[Any]) -> None:
        nonlocal left
        with lock:
            left -= 1
        if not left or future.cancelled() or future.exception():
            over.set()

    for future in futures:
        future.add_done_callback(note)
    # in short waits: a signal such as Ctrl-C may wake another thread, and is seen when this one wakes up
    while futures and not over.wait(_WATCH_S):
        pass


def _errors(futures: Sequence[Future[Any]]) -> list[BaseException]:
    return [error for future in futures if not future.cancelled() and (error := future.exception())]


class _Worker:
    """One process at a time, with its end of a pipe; used by one thread, ended by any."""

    def __init__(self, memory: int, threads: int) -> None:
        self._memory = memory
        # all threads of all workers are as many as there are cores, each of which would hold memory of its own
        self._defaults = {"POLARS_MAX_THREADS": str(threads)}
        self._lock = threading.Lock()
        self._process: BaseProcess | None = None
        self._ended = False

    def do(self, function: Callable[[Any], object], job: object) -> Attempt | str:
        """What the job gave, or how the process was lost, as the end of a sentence."""
        try:
            process = self._started()
        except (EOFError, OSError) as error:
            return f"did not start: {error}"
        if process is None:
            return "is not started any more"
        try:
            self._connection.send((function, job))
            while not self._connection.poll(_WATCH_S):
                if (held := held_bytes(process.pid)) > self._memory:
                    _end(process, signal.SIGKILL)
                    return f"held {held / _GB:.1f} GB of memory, its limit is {self._memory / _GB:.1f} GB"
                if process.exitcode is not None and not self._connection.poll():
                    break
            else:
                done: Attempt = self._connection.recv()
                return done
        except (EOFError, OSError):
            pass
        return self._how(process)

    def _how(self, process: BaseProcess) -> str:
        process.join(_LEAVE_S)
        code = process.exitcode
        if code == _LOST and process.pid:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        if code == -signal.SIGKILL:
            return "was killed, as the system does when memory is short"
        return f"was ended by signal {-code}" if code is not None and code < 0 else f"ended with exit code {code}"

    def _started(self) -> BaseProcess | None:
        with self._lock:
            if self._ended:
                return None
            if self._process is None or self._process.exitcode is not None:
                self._connection, theirs = multiprocessing.Pipe()
                with theirs:
                    self._process = start(_serve, theirs, self._defaults)
            return self._process

    def end(self) -> None:
        """End the process, if there is one; no other is started."""
        with self._lock:
            self._ended = True
            if self._process:
                _end(self._process, signal.SIGTERM)


def _end(process: BaseProcess, how: signal.Signals) -> None:
    assert process.pid, "it was started"
    if process.exitcode is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, how)
    process.join(_LEAVE_S)
    if process.exitcode is None:
        process.kill()
        process.join()


def _serve(connection: Connection) -> None:
    """Do jobs until the other end is closed."""
    # Ctrl-C goes to every process of a terminal: the main one decides what becomes of the others
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # an exit, in contrast to a death, takes temporary files along
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(EOFError, OSError):
        while True:
            function, job = connection.recv()
            connection.send(attempt(function, job))
            del function, job
            release_memory()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)


def cores() -> int:
    """Cores that this process may use; not every system tells them apart from those there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def held_bytes(process: int | None) -> int:
    """Memory that a process alone holds, in bytes; 0 where the system does not say."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return sum(1024 * int(fields[name].split()[0]) for name in ("RssAnon", "RssShmem") if name in fields)


def memory_share(workers: int) -> int:
    """Bytes that each of so many workers may hold: 80 % of the machine or of its control group, in equal shares.

    Never below 1 GB: a worker needs that.
    """
    return max(int(_SHARE * _memory()) // workers, LEAST)


def _memory() -> int:
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # no such file, or `max`
            machine = min(machine, int(Path(name).read_text()))
    return machine
