"""The store: a folder of immutable boxes, each named by the fingerprint of what it was made from.

    scans/SOURCE/FP       what a source's raw files refer to        sources/scan.py
    pictures/SOURCE/FP    downloaded or unpacked pictures           sources/gather.py
    shards/SOURCE/FP      samples, picture packs, quarantine        sources/convert.py
    scores/SOURCE/FP      score tables                              flows/scoring.py
    likeness/pictures/FP  pairs of pictures that were compared      flows/comparing.py
    leakage/BENCHMARK/FP  hashes of an evaluation set               flows/leak_index.py
    leaks/SOURCE/FP       what a source holds of one                flows/leaking.py
    mixtures/RECIPE.STAGE/FP   decisions, clusters, ids, manifest, report
    runs/RECIPE/FP        run manifests, reports, what is new      flows/run.py
    history/RECIPE/TIME-RUN.json   how runs of this machine went    flows/record.py
    queues/RECIPE.STAGE/FP     items for people                     flows/reviewing.py
    review/answers.jsonl  what people said; grows                   review/answer.py
    imported/SOURCE/NAME.parquet   ratings of others            flows/importing.py
    mirrors/NAME.json     where registered mirrors lie on this machine
    raw/REPO/COMMIT       files from the hub                        sources/hub.py
    downloads/SOURCE/FP   files by address                          sources/direct.py
    exports/ID.json       where exports were written                flows/exports.py
    sources.lock          what the first fetch found                sources/lock.py
    takedown/TIME.jsonl   what may be emitted no more               flows/takedowns.py
    removed.jsonl         boxes that were removed                   shards/removed.py

A box is done when its `index.json` exists; that file is written last, and names the boxes that it was made from.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel

from shards.disk import check_writable
from shards.errors import StoreError
from shards.files import write_text
from shards.lease import leased
from shards.remote import INDEX, SHARED, STATE, Remote, remote_of
from shards.removed import drop_removed
from shards.temporary import remove_dead, temporaries

Index = TypeVar("Index", bound=BaseModel)

MADE_FROM: Final = "made_from"
"""Field of an index: names of the boxes that a box was made from."""

_MILLISECOND: Final = 1_000_000

_DATED: Final = frozenset({"runs", "mixtures", "queues", "shards", "leakage"})
"""Kinds whose newest box is asked for; a source has a box of scores for each filter, too many to look at each time."""

LOCKS: Final = (
    "choose a folder on storage that has locks (a disk of this machine, NFS from version 4 on), with --store, or with "
    "VLMIX_CACHE for a store at a URL"
)
"""What to do about storage without locks."""

_NAME_DIGITS: Final = 20
"""Hex digits of a fingerprint in a folder name: 80 bits, no clash to be expected below 10^11 boxes."""


@dataclass(frozen=True, slots=True)
class Box:
    """One immutable folder of the store; `name` is its path relative to the store."""

    store: Path
    name: str

    @property
    def path(self) -> Path:
        """Folder of this box, which may not exist yet; brought from a store at a URL if it is complete there."""
        remote = remote_of(self.store)
        if remote:
            remote.bring(self.name)
        return self.store / self.name

    @property
    def done(self) -> bool:
        """Whether the box is complete; nothing of it is brought to say so."""
        index, remote = f"{self.name}/{INDEX}", remote_of(self.store)
        return (self.store / index).is_file() or (remote is not None and remote.entry(index) is not None)

    def index(self, model: type[Index]) -> Index:
        """What the box says about itself; the box must be done."""
        return model.model_validate_json((self.path / INDEX).read_bytes())

    def finish(self, index: BaseModel, *, of: Iterable["Box"] = ()) -> None:
        """Write the index and with it declare the box complete; `of` are the boxes that it was made from."""
        body = index.model_dump(mode="json")
        names = sorted({box.name for box in of})
        written = {**body, MADE_FROM: names} if names else body
        write_text(self.path / INDEX, json.dumps(written, indent=1, ensure_ascii=False) + "\n")
        if self.name.partition("/")[0] in _DATED:
            _put_last(self.path / INDEX)


@dataclass(frozen=True, slots=True)
class Store:
    """A folder that holds boxes; safe to pickle."""

    root: Path

    def box(self, kind: str, name: str, fingerprint: str) -> Box:
        """The box of this kind, name and fingerprint, done or not."""
        return Box(self.root, f"{kind}/{name}/{fingerprint[:_NAME_DIGITS]}")

    def boxes(self, kind: str, name: str) -> list[Box]:
        """The complete boxes of a kind and name, in the order of their fingerprints."""
        remote = remote_of(self.root)
        if remote:
            remote.bring_indexes(f"{kind}/{name}")
        return [
            Box(self.root, f"{kind}/{name}/{path.parent.name}")
            for path in sorted((self.root / kind / name).glob(f"*/{INDEX}"))
        ]

    def latest(self, kind: str, name: str) -> Box | None:
        """The box of a kind and name that was completed last; None without one."""
        return max(self.boxes(kind, name), key=_completed, default=None)

    def names(self, kind: str) -> list[str]:
        """Names under which there are complete boxes of a kind, sorted."""
        remote = remote_of(self.root)
        away = remote.entries(kind) if remote else ()
        there = {path.split("/")[1] for path in away if path.endswith(f"/{INDEX}")}
        return sorted(there | {path.parents[1].name for path in (self.root / kind).glob(f"*/*/{INDEX}")})

    @contextmanager
    def lock(self, *, clear: bool = True) -> Iterator[None]:
        """Hold the store alone; the kernel frees the lock when the process dies.

        A store at a URL is held by a lease as well, see `shards.lease`. `clear`: temporary files of dead writers go.

        Raises:
            StoreError: another run holds it, the folder cannot be written, or its storage has no locks.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            handle = (self.root / ".lock").open("a")
        except OSError as error:
            remedy = "choose a folder that can be written with --store"
            raise StoreError(f"store `{self.root}`: {error.strerror}; {remedy}") from error
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                remedy = "wait until it ends, or use another store with --store"
                raise StoreError(f"store `{self.root}` is in use by another run; {remedy}") from error
            except OSError as error:
                why = "without a lock two runs could work there at once, so none does"
                raise StoreError(f"store `{self.root}`: cannot be locked: {error.strerror}; {why}: {LOCKS}") from error
            check_writable(self.root, (*SHARED, *STATE))
            with _clearing(self.root) if clear else nullcontext(), _leasing(remote_of(self.root)):
                yield


@contextmanager
def _clearing(root: Path) -> Iterator[None]:
    """Remove temporary files of dead writers; of those that still live at the end, if they are dead by then."""
    writing = remove_dead(temporaries(root))
    try:
        yield
    finally:
        remove_dead(writing)


@contextmanager
def _leasing(remote: Remote | None) -> Iterator[None]:
    """Hold the store at a URL that a working folder stands for, if it stands for one."""
    if remote is None:
        yield
        return
    with leased(remote):
        remote.forget()
        remote.bring_state()
        drop_removed(remote.root, remote)
        yield


def _put_last(index: Path) -> None:
    """Give an index a later time than those of its kind and name have, whatever the clock says; `latest` goes by it."""
    others = [other for other in index.parents[1].glob(f"*/{INDEX}") if other != index]
    newest = max((other.stat().st_mtime_ns for other in others), default=0)
    if index.stat().st_mtime_ns <= newest:
        os.utime(index, ns=(newest + _MILLISECOND, newest + _MILLISECOND))


def _completed(box: Box) -> tuple[int, str]:
    return (box.path / INDEX).stat().st_mtime_ns, box.name
