"""Holding a store at a URL alone: a file there says who works, and changes as long as that one lives.

Clocks of two machines may differ, so nobody compares times: who finds the file watches it, and takes the store over
when the file has not changed for a while by the watcher's own clock. A process that was killed is replaced at once by
another one of the same machine, and after that while by one of another.
"""

import json
import os
import platform
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, NamedTuple

from shards.errors import StoreError
from shards.remote import Remote

LEASE: Final = "lease.json"
BEAT: Final = 10.0
"""Seconds between two changes of the file. Ours."""

STALE: Final = 60.0
"""Seconds without a change after which its writer counts as dead: six beats. Ours."""


class _Holder(NamedTuple):
    owner: str
    host: str
    process: int
    beat: int

    def data(self) -> bytes:
        return json.dumps(self._asdict()).encode()


@contextmanager
def leased(remote: Remote, *, beat: float = BEAT, stale: float = STALE) -> Iterator[None]:
    """Hold the store behind a working folder alone.

    Args:
        remote: the store.
        beat: seconds between two signs of life.
        stale: seconds without one after which the store may be taken over.

    Raises:
        StoreError: another run holds it and lives, or the store does not answer.
    """
    mine = _Holder(uuid.uuid4().hex, platform.node(), os.getpid(), 0)
    _take(remote, mine, beat, stale)
    done = threading.Event()
    thread = threading.Thread(target=_live, args=(remote, mine, beat, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        with suppress(StoreError):  # whoever comes next finds a lease that nobody renews
            if _owner(remote.read_all(LEASE)) == mine.owner:
                remote.drop(LEASE)


def _take(remote: Remote, mine: _Holder, beat: float, stale: float) -> None:
    seen, since = None, time.monotonic()
    while not remote.write(LEASE, mine.data(), create=True):
        found = remote.read_all(LEASE)
        if found is None:
            continue
        if _owner(found) == mine.owner:  # it was written, and the answer that said so was lost
            return
        if found != seen:
            if seen is not None:
                raise StoreError(f"store `{remote.url}` is in use by another run{_where(found)}; wait until it ends")
            seen, since = found, time.monotonic()
        if _is_dead_here(found) or time.monotonic() - since > stale:
            remote.drop(LEASE)
            seen = None
        else:
            time.sleep(beat / 4)


def _live(remote: Remote, mine: _Holder, beat: float, done: threading.Event) -> None:
    """Change the file until the work is done; a store that does not answer is found out by the work itself."""
    number = 0
    while not done.wait(beat):
        number += 1
        try:
            if _owner(remote.read_all(LEASE)) == mine.owner:
                remote.write(LEASE, mine._replace(beat=number).data())
        except StoreError:
            continue


def _read(data: bytes | None) -> _Holder | None:
    try:
        return None if data is None else _Holder(**json.loads(data))
    except (ValueError, TypeError):
        return None


def _owner(data: bytes | None) -> str | None:
    holder = _read(data)
    return holder.owner if holder else None


def _where(data: bytes | None) -> str:
    holder = _read(data)
    return f" on `{holder.host}`, process {holder.process}" if holder else ""


def _is_dead_here(data: bytes) -> bool:
    """Whether the holder was a process of this machine that is gone."""
    holder = _read(data)
    if holder is None or holder.host != platform.node():
        return False
    try:
        os.kill(holder.process, 0)
    except OSError as error:
        return isinstance(error, ProcessLookupError)
    return False
