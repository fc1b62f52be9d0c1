"""Holding a store at a URL alone: a file there says who works, and changes as long as that one lives.

Clocks of two machines may differ, so nobody compares times: who finds the file watches it, and takes the store over
when the file has not changed for a while by the watcher's own clock. A process that was killed is replaced at once by
another one of the same machine, and after that while by one of another. Who was taken over and lives finds that out
when it writes. The files: `shards.holding`.
"""

import os
import platform
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from shards.errors import StoreError
from shards.holding import FREE, HOLDING, Holder, holder_words, lease_path, leases, note_holding, read_holder
from shards.remote import Remote

BEAT: Final = 10.0
"""Seconds between two changes of the file. Ours."""

STALE: Final = 60.0
"""Seconds without a change after which its writer counts as dead: six beats. Ours."""


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
    mine = Holder(uuid.uuid4().hex, platform.node(), os.getpid(), _machine(), 0)
    number = _take(remote, mine, beat, stale)
    done = threading.Event()
    thread = threading.Thread(target=_live, args=(remote, mine, number, beat, done), daemon=True)
    thread.start()
    try:
        note_holding(remote.root, number, beat)
        yield
    finally:
        done.set()
        thread.join()
        (remote.root / HOLDING).unlink(missing_ok=True)
        with suppress(StoreError):  # whoever comes next finds a lease that nobody renews
            remote.write(lease_path(number), FREE)


def _take(remote: Remote, mine: Holder, beat: float, stale: float) -> int:
    """Make the lease that counts; returns its number."""
    seen, since = None, time.monotonic()
    while True:
        looked = time.monotonic()  # a pause after the look says nothing about the holder
        last = max(leases(remote.url), default=0)
        found = remote.read_all(lease_path(last)) if last else FREE
        if found is None:  # it went since, so there is a later one
            continue
        if found == FREE or _is_dead_here(found) or (found == seen and looked - since > stale):
            if _claim(remote, mine, last + 1):
                return last + 1
        elif found != seen:
            if seen is not None:
                raise StoreError(
                    f"store `{remote.url}` is in use by another run{holder_words(found)}; wait until it ends"
                )
            seen, since = found, time.monotonic()
        else:
            time.sleep(beat / 4)


def _claim(remote: Remote, mine: Holder, number: int) -> bool:
    """Make a lease; whether it is the one that counts."""
    place = lease_path(number)
    if not remote.write(place, mine.data(), create=True):
        made = read_holder(remote.read_all(place))
        if made is None or made.owner != mine.owner:  # else it was written, and the answer that said so was lost
            return False
    others = leases(remote.url)
    if others[-1:] != [number]:  # `number` was counted from a list of long ago
        remote.drop(place)
        return False
    with suppress(StoreError):  # they do not count
        remote.drop_all([lease_path(other) for other in others[:-1]])
    return True


def _live(remote: Remote, mine: Holder, number: int, beat: float, done: threading.Event) -> None:
    """Change the file until the work is done or another one counts; the work itself finds out what hinders it."""
    beats = 0
    while not done.wait(beat):
        beats += 1
        with suppress(StoreError):
            if leases(remote.url)[-1:] != [number]:
                return
            remote.write(lease_path(number), mine._replace(beat=beats).data())


def _is_dead_here(data: bytes) -> bool:
    """Whether the holder was a process of this machine that is gone."""
    holder = read_holder(data)
    if holder is None or not holder.machine or holder.machine != _machine():
        return False
    try:
        os.kill(holder.process, 0)
    except OSError as error:
        return isinstance(error, ProcessLookupError)
    return False


def _machine() -> str:
    """What tells apart machines, and containers on one, in which numbers of processes mean something else; or nothing.

    Their names do not: containers and copies of a machine may have the same. Source: random(4), pid_namespaces(7).
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""
