"""Which of the files that are complete a run writes again, told by the kernel (Linux)."""

import ctypes
import os
import re
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

BOXES: Final = ("scans", "pictures", "shards", "scores", "likeness", "mixtures")
"""Kinds of a store whose files are written once."""
RUNS: Final = "runs"
"""Kind that every run writes, also one that finds nothing to do."""

_CLOSED: Final = 0x8
_MOVED_HERE: Final = 0x80
_OVERFLOW: Final = 0x4000
_EVENT: Final = struct.Struct("iIII")
"""Of inotify(7): watch, what happened, cookie, bytes of the name that follows."""


def finished(store: Path) -> Iterator[Path]:
    """Every file of a store that has its own name already."""
    for kind in (*BOXES, RUNS):
        for path in (store / kind).rglob("*"):
            if not path.name.startswith(".") and path.is_file():
                yield path


def complete(store: Path) -> list[Path]:
    """Files of units that are complete: whole boxes, and finished shards, parts, download logs and ledger files."""
    return [path for path in finished(store) if path.relative_to(store).parts[0] != RUNS and _is_complete(path)]


def _is_complete(path: Path) -> bool:
    if (path.parent / "index.json").is_file() or path.name.startswith(("part-", "log-", "asked-")):
        return True
    number = re.search(r"-(\d{5})", path.name)
    return number is not None and (path.parent / f"shard-{number[1]}.json").is_file()


@contextmanager
def watching(paths: Iterable[Path]) -> Iterator[list[Path]]:
    """The list holds, when the block ends, those of the files that something wrote or put in their place in it.

    Times of files do not tell: a part of a table that is made again is gone, like all others, when the table is done.

    Raises:
        OSError: too many folders to watch, or more happened than the kernel remembers.
    """
    watched, found = set(paths), list[Path]()
    libc = ctypes.CDLL(None, use_errno=True)
    handle = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if handle < 0:
        raise OSError(ctypes.get_errno(), "inotify_init1")
    try:
        folders = dict[int, Path]()
        for folder in sorted({path.parent for path in watched}):
            watch = libc.inotify_add_watch(handle, bytes(folder), _CLOSED | _MOVED_HERE)
            if watch < 0:
                raise OSError(ctypes.get_errno(), "inotify_add_watch", str(folder))
            folders[watch] = folder
        yield found
        found += sorted(watched & set(_happened(handle, folders)))
    finally:
        os.close(handle)


def _happened(handle: int, folders: dict[int, Path]) -> Iterator[Path]:
    while True:
        try:
            events = os.read(handle, 1 << 16)
        except BlockingIOError:
            return
        while events:
            watch, kind, _, size = _EVENT.unpack_from(events)
            if kind & _OVERFLOW:
                raise OSError("more happened than inotify remembers; see fs.inotify.max_queued_events")
            name, events = events[_EVENT.size : _EVENT.size + size], events[_EVENT.size + size :]
            if name and watch in folders:
                yield folders[watch] / os.fsdecode(name.rstrip(b"\0"))
