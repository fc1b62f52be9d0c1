"""Names of files that are being written: each tells which process writes it, so that others know when it is dead.

    .NAME.HOST-PROCESS-START.tmp

`HOST` is a hash of the machine's name, `START` the time at which the process began, in ticks since the machine did: a
process that got the number of a dead one is not taken for it.
"""

import hashlib
import os
import platform
import re
import time
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Final

SUFFIX: Final = ".tmp"

FOREIGN_SECONDS: Final = 24 * 3600
"""Seconds without a change after which a file of another machine counts as left behind: nobody here can ask it. Ours;
clocks of machines that share a folder differ by less."""

_WRITER: Final = re.compile(r"\.([0-9a-f]{8})-(\d+)-(\d+)\.tmp$")
_START: Final = 19
"""Place of the start of a process in /proc/PID/stat, counted after its name. Source: proc(5), field 22."""
_ENDED: Final = frozenset("ZXx")
"""States of a process that is dead but still listed. Source: proc(5), field 3."""


def temporary_name(path: Path) -> Path:
    """Name beside `path` for this process to write to, before the file gets its own."""
    return path.with_name(f".{path.name}.{_writer(os.getpid())}{SUFFIX}")


def is_dead(path: Path) -> bool:
    """Whether nobody writes to a temporary file any more.

    A name that tells no writer is that of a step which only runs under the lock of the store, so ask under that lock.
    """
    found = _WRITER.search(path.name)
    if found is None:
        return True
    host, process, start = found.groups()
    if host == _host():
        return not _lives(int(process), int(start))
    try:
        return time.time() - path.stat().st_mtime > FOREIGN_SECONDS
    except FileNotFoundError:
        return False


def temporaries(folder: Path) -> list[Path]:
    """Temporary files below `folder`, whoever writes them, sorted."""
    # a walk passes over folders that others remove meanwhile
    walk = ((Path(at), names) for at, _, names in os.walk(folder))
    return sorted(at / name for at, names in walk for name in names if name.startswith(".") and name.endswith(SUFFIX))


def remove_dead(paths: Iterable[Path]) -> list[Path]:
    """Remove those of some temporary files that nobody writes; returns the others. Call under the store's lock."""
    left: list[Path] = []
    for path in paths:
        if is_dead(path):
            path.unlink(missing_ok=True)
        else:
            left.append(path)
    return left


@lru_cache
def _host() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


@lru_cache
def _writer(process: int) -> str:
    return f"{_host()}-{process}-{_started(process)}"


def _lives(process: int, start: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is there and belongs to somebody else
        pass
    return _started(process) in {start, 0}


def _started(process: int) -> int:
    """Ticks; 0 where the system does not tell, -1 for a dead process whose parent has not asked for it yet."""
    try:
        told = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return 0
    # the name of a program, in brackets, may hold spaces and brackets
    state, *numbers = told.rpartition(")")[2].split()
    return -1 if state in _ENDED else int(numbers[_START - 1])
