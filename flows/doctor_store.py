"""Checks of the store: a folder that can do what a store needs, or a URL with the rights that a run needs."""

import fcntl
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from flows.console import where
from flows.doctor import Finding, bad, doubtful, good
from shards.errors import StoreError
from shards.remote import Remote, remote_of
from shards.store import LOCKS

_GB: Final = 1e9
_NONE: Final = 1e9
_LITTLE: Final = 10e9
"""Bytes of free room below which a run cannot work, and below which a larger one ends on a full disk. Ours."""
SKEW_S: Final = 30.0
"""Seconds that two clocks may differ; S3 refuses requests from 15 minutes on. Ours."""
_OPEN: Final = "choose a folder that can be written with --store"


def store(named: str) -> Iterator[Finding]:
    """A folder, or a URL and the working folder behind it."""
    if "://" not in named or named.startswith("file://"):
        yield from folder(Path(named.removeprefix("file://")).absolute())
        return
    try:
        working = where(named)
    except StoreError as error:
        yield bad("store", str(error), "")
        return
    remote = remote_of(working)
    assert remote, "a store at a URL has one"
    yield from rights(remote)
    yield from folder(working)


def folder(path: Path) -> Iterator[Finding]:
    """Whether files can be written, renamed, linked and locked in a folder, or in the one that it would be made in."""
    there = next(parent for parent in (path, *path.parents) if parent.is_dir())
    words = f"`{path}`" if there == path else f"`{path}` is not there yet, `{there}`"
    probe = there / f".check-{uuid.uuid4().hex[:12]}.tmp"
    other = probe.with_suffix(".other.tmp")
    try:
        probe.write_bytes(b"vlmix")
        probe.replace(other)
        yield good("store", f"{words} can be written, renaming works")
        yield from (_linked(other, probe), _locked(other))
    except OSError as error:
        yield bad("store", f"{words}: {error.strerror}", _OPEN)
    finally:
        for file in (probe, other):
            file.unlink(missing_ok=True)
    yield _room(there)


def _linked(file: Path, to: Path) -> Finding:
    try:
        os.link(file, to)
    except OSError as error:
        return doubtful("links", f"no hard links: {error.strerror}", "exports copy pictures instead of linking them")
    return good("links", "hard links work")


def _locked(file: Path) -> Finding:
    try:
        with file.open("ab") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return bad("lock", f"no locks: {error.strerror}", f"no run starts there: {LOCKS}")
    return good("lock", "locks work")


def _room(path: Path) -> Finding:
    free = shutil.disk_usage(path).free
    words = f"{free / _GB:.1f} GB free"
    if free < _NONE:
        return bad("room", words, "free space, or choose another folder with --store")
    if free < _LITTLE:
        return doubtful("room", words, "shards take about the bytes of the pictures; see docs/operations.md")
    return good("room", words)


def rights(remote: Remote) -> Iterator[Finding]:
    """Whether this process may list, write, read and remove at a URL, tried with a file that is gone afterwards."""
    name = f"runs/.check-{uuid.uuid4().hex[:12]}"
    written = datetime.now(UTC).timestamp()
    changed: float | None = None

    def listed() -> bool:
        nonlocal changed
        remote.forget()
        entry = remote.entries("runs").get(name)
        changed = entry.changed if entry else None
        return entry is not None

    def removed() -> bool:
        remote.drop(name)
        return remote.read_all(name) is None

    acts: tuple[tuple[str, Callable[[], bool]], ...] = (
        ("write", lambda: remote.write(name, b"vlmix", create=True)),
        ("list", listed),
        ("read", lambda: remote.read_all(name) == b"vlmix"),
        ("remove", removed),
    )
    for act, attempt in acts:
        found = _tried(remote, act, attempt)
        yield found
        if found.state == "fail":
            return
    if changed is not None:
        yield clock("store", changed - written)


def _tried(remote: Remote, act: str, attempt: Callable[[], bool]) -> Finding:
    try:
        well = attempt()
    except StoreError as error:
        return bad(f"store {act}", str(error), "")
    if not well:
        return bad(f"store {act}", f"`{remote.url}` takes the request and does not do it", "use another kind of store")
    return good(f"store {act}", remote.url)


def clock(server: str, seconds: float) -> Finding:
    """How far a server's clock is ahead of ours."""
    words = f"{abs(seconds):.0f} s {'behind' if seconds > 0 else 'ahead of'} the {server}'s"
    if abs(seconds) > SKEW_S:
        return doubtful("clock", words, "set the clocks of both by NTP; no result depends on them, but requests may")
    return good("clock", f"as the {server}'s")
