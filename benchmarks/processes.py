"""What a command and the processes below it take, read from /proc while they run: CPU, memory, bytes written."""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
_TICK: Final = os.sysconf("SC_CLK_TCK")
_WATCH_S: Final = 0.25
_EVERY: Final = 4
"""Looks at the memory of a process of which one also asks for shared pages, which costs the kernel a walk."""


@dataclass
class Process:
    """The most that one process held, in MiB, and what it did in all."""

    name: str
    rss: float = 0.0
    """Resident set, mapped files included (`VmHWM`)."""
    held: float = 0.0
    """What it alone holds (`RssAnon` and `RssShmem`): what the limit of a worker counts."""
    cpu: float = 0.0
    """Seconds, its ended children not counted."""
    written: float = 0.0
    """MB it gave to disks, temporary files included."""
    by_step: dict[str, float] = field(default_factory=dict)
    """The most it held while each step lasted."""


@dataclass
class Taken:
    """What a command took: wall seconds, its processes by number, the most they held together (PSS, MiB)."""

    wall: float
    processes: dict[int, Process]
    together: float
    together_by_step: dict[str, float]

    @property
    def cpu(self) -> float:
        """Seconds of all processes."""
        return sum(process.cpu for process in self.processes.values())

    @classmethod
    def read(cls, document: dict[str, Any]) -> "Taken":
        """From JSON, as `dataclasses.asdict` makes it."""
        processes = {int(pid): Process(**process) for pid, process in document["processes"].items()}
        return cls(**{**document, "processes": processes})


def watched(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    step: Callable[[], str] = lambda: "",
) -> tuple[Taken, str]:
    """Run a command to its end in the project's folder; what it took, and what it printed.

    Args:
        command: what to run; its errors go where ours go.
        env: variables; None for ours.
        step: what it is doing, asked at every look.

    Raises:
        CalledProcessError: it failed.
    """
    begin = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env, cwd=ROOT)
    watch = Watch(child.pid, step)
    with watch:
        printed, _ = child.communicate()
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)
    return watch.taken(time.perf_counter() - begin), printed


class Watch:
    """Looks at a process and those below it, from a thread, as long as the block lasts or the process does."""

    def __init__(self, pid: int, step: Callable[[], str] = lambda: "") -> None:
        self._pid, self._step = pid, step
        self._found: dict[int, Process] = {}
        self._together: dict[str, float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_until_over)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def taken(self, wall: float) -> Taken:
        """What was seen."""
        return Taken(wall, self._found, max(self._together.values(), default=0.0), self._together)

    def _look_until_over(self) -> None:
        number = 0
        while True:
            self._look(self._step(), shared=number % _EVERY == 0)
            number += 1
            if self._over.wait(_WATCH_S):
                return

    def _look(self, step: str, *, shared: bool) -> None:
        pids = family(self._pid)
        for pid in pids:
            self._look_at(pid, step)
        if shared:
            self._together[step] = max(self._together.get(step, 0.0), sum(map(shared_memory, pids)))

    def _look_at(self, pid: int, step: str) -> None:
        status = fields(pid)
        if "VmHWM" not in status:
            return
        process = self._found.setdefault(pid, Process("main" if pid == self._pid else _name(pid)))
        held = (_kib(status, "RssAnon") + _kib(status, "RssShmem")) / 1024
        process.rss = max(process.rss, _kib(status, "VmHWM") / 1024)
        process.held = max(process.held, held)
        process.by_step[step] = max(process.by_step.get(step, 0.0), held)
        process.cpu = max(process.cpu, cpu_seconds(pid))
        process.written = max(process.written, _written(pid))


def family(pid: int) -> list[int]:
    """A process and those below it, whichever of its threads began them."""
    try:
        lists = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return []
    return [pid, *(each for children in lists for child in children.split() for each in family(int(child)))]


def cpu_seconds(pid: int) -> float:
    """Of a process, without the children that it has seen end; 0 once it is gone."""
    try:
        after = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(after[11]) + int(after[12])) / _TICK


def shared_memory(pid: int) -> float:
    """MiB of a process with pages that several share counted in parts (PSS); 0 once it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:"))


def fields(pid: int) -> dict[str, str]:
    """`/proc/PID/status`; empty once it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _kib(status: Mapping[str, str], name: str) -> int:
    return int(status[name].split()[0]) if name in status else 0


def _written(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) / 1e6 for line in lines if line.startswith("write_bytes:"))


def _name(pid: int) -> str:
    """What a process of a run is: `worker`, `server` (which workers are copies of), `tracker` or `other`."""
    words = _command(pid)
    if b"resource_tracker" in words:
        return "tracker"
    if b"forkserver" in words:  # copies have the command of what they are copied from
        return "worker" if b"forkserver" in _command(_parent(pid)) else "server"
    return "worker" if b"spawn_main" in words else "other" if words else "gone"


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _parent(pid: int) -> int:
    return int(fields(pid).get("PPid", "0"))
