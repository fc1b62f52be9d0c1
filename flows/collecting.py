"""Removes from a store what no mixture that is kept was made from: boxes, raw files of old commits, what kills left."""

import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from pydantic import BaseModel

from flows.inventory import Held, beside, inventory, made_from, read
from flows.leak_sets import benchmark_sets
from flows.reachability import Graph, Limits, Made, in_order, kept_mixtures, kept_runs, needed
from flows.resolve import catalogue
from shards.errors import StoreError
from shards.remote import remote_of, withdraw
from shards.removed import Removed, note_removed, remove_box
from shards.store import Store
from shards.temporary import is_dead, remove_dead, temporaries
from sources.lock import locked_commits

Removing = Callable[[str], None]
"""Hears the name of each box before it is removed."""

_MAKING: Final = "leakage/.making"


class Sum(BaseModel):
    """Boxes or files, and their bytes."""

    count: int = 0
    bytes: int = 0

    def plus(self, size: int) -> "Sum":
        """With one more."""
        return Sum(count=self.count + 1, bytes=self.bytes + size)


class Going(BaseModel):
    """A box, or a folder of raw files, that nothing needs, and why."""

    box: str
    bytes: int
    reason: str


class Collected(BaseModel):
    """What goes, or is gone where `removed`, and what stays: needed, or `spared` as the work of a run cut short."""

    removed: bool
    going: list[Going]
    kinds: dict[str, Sum]
    """What goes, by kind."""
    bytes: int
    leftovers: Sum
    """Temporary files of dead processes, and parts of tables that are complete."""
    kept: dict[str, Sum]
    spared: dict[str, Sum]


@dataclass(frozen=True)
class Census:
    """The boxes of a store, and what they say of one another."""

    store: Store
    held: Mapping[str, Held]

    @cached_property
    def runs(self) -> list[Made]:
        """Finished runs."""
        return [
            Made(name, held.label, held.finished)
            for name, held in self.held.items()
            if held.kind == "runs" and held.finished is not None
        ]

    @cached_property
    def mixtures(self) -> dict[str, Removed]:
        """What finished mixtures are, by box."""
        whole = [name for name, held in self.held.items() if held.kind == "mixtures" and held.whole]
        return {name: self._mixture(name) for name in whole}

    @cached_property
    def graph(self) -> Graph:
        """See `flows.reachability.Graph`; a box that does not say what it is made from needs all that it may be."""
        needs: dict[str, tuple[str, ...]] = {}
        follows: dict[str, tuple[str, ...]] = {}
        for name, held in self.held.items():
            said = made_from(self.store, held)
            if held.kind == "queues" and held.whole:
                follows[name] = self._of("mixtures") if said is None else said
            elif held.kind == "scores" and held.grows:
                follows[name] = self._of("shards", held.label) if said is None else said
            elif held.whole:
                needs[name] = tuple(self._guessed(held)) if said is None else said
        return Graph(needs, follows)

    def roots(self, limits: Limits, now: float) -> set[str]:
        """Runs and mixtures that are kept, and the index of each benchmark that was made last."""
        made = [Made(name, each.recipe, self.held[name].finished or 0) for name, each in self.mixtures.items()]
        latest: dict[str, Held] = {}
        for held in self.held.values():
            if held.kind == "leakage" and held.whole:
                latest[held.label] = max(latest.get(held.label, held), held, key=lambda each: (each.changed, each.name))
        runs = kept_runs(self.runs, limits, now)
        others = kept_mixtures(made, self.runs, self.graph.needs, limits)
        return runs | others | {held.name for held in latest.values()}

    def _of(self, kind: str, label: str | None = None) -> tuple[str, ...]:
        return tuple(name for name, held in self.held.items() if held.kind == kind and label in (None, held.label))

    def _guessed(self, held: Held) -> Iterator[str]:
        """What a box may be made from that was written before boxes said so."""
        if held.kind == "runs":
            document = self._document(f"{held.name}/run.json")
            yield from (stage["mix"] for stage in document["stages"])
        elif held.kind == "mixtures":
            for source, fingerprint in self.mixtures[held.name].shards.items():
                yield f"shards/{source}/{fingerprint}"
                yield from (*self._of("scores", source), *self._of("leaks", source))
            yield from (*self._of("likeness"), *self._of("leakage"))
        elif held.kind == "shards":
            yield from (*self._of("scans", held.label), *self._of("pictures", held.label))

    def _mixture(self, name: str) -> Removed:
        document = self._document(f"{name}/manifest.json")
        return Removed(
            box=name,
            recipe=document["recipe"],
            mixture=document["mixture"],
            digest=self._document(f"{name}/index.json")["digest"],
            shards={entry["source"]: entry["shards"] for entry in document["entries"]},
        )

    def commits(self, boxes: Iterable[str]) -> set[str]:
        """Commits that some mixtures were read from."""
        documents = (self._document(f"{name}/manifest.json") for name in boxes)
        return {entry["revision"] for document in documents for entry in document["entries"] if entry["revision"]}

    def _document(self, path: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(read(self.store.root, remote_of(self.store.root), path) or b"")
        except ValueError as error:
            remedy = "remove its folder, or restore it from a copy; nothing was removed"
            raise StoreError(f"`{path}` is not understood, so nobody knows what it needs; {remedy}") from error
        return found


def collect(
    store: Store, limits: Limits, *, remove: bool, tell: Removing = lambda box: None, now: float | None = None
) -> Collected:
    """Say what nothing needs, and remove it if that is asked for.

    Runs, mixtures, imported scores, human answers, `sources.lock` and take-downs are kept unless limits let runs go,
    and the last run of a recipe always is. What was changed after the last finished run belongs to one that was cut
    short, and stays unless `limits.unfinished`.

    Args:
        store: not in use by a run.
        limits: which runs are kept.
        remove: False only says what would go.
        tell: hears the name of each box before it is removed.
        now: seconds since 1970; null asks the clock.

    Raises:
        StoreError: a run holds the store, or a box cannot be read or removed.
    """
    with store.lock(clear=False):
        census = Census(store, inventory(store))
        kept = needed(census.roots(limits, time.time() if now is None else now), census.graph)
        raw = _raw(store, census, kept)
        last = max((run.finished for run in census.runs), default=None)
        idle = [name for name in census.held if name not in kept]
        sizes = {name: census.held[name].size for name in census.held} | {name: size for name, (size, _) in raw.items()}
        changed = {name: census.held[name].changed for name in idle} | {name: at for name, (_, at) in raw.items()}
        spared = {name for name, at in changed.items() if not limits.unfinished and (last is None or at > last)}
        going = [name for name in (*in_order(idle), *sorted(raw)) if name not in spared]
        dead = [path for path in temporaries(store.root) if is_dead(path)]
        staying = [census.held[name] for name in sorted(census.held.keys() - set(going))]
        left = [path.stat().st_size for path in dead]
        left += [held.files[file].size for held in staying for file in held.superseded]
        if remove:
            _remove(store, census, going, tell)
            remove_dead(dead)
            for held in staying:
                withdraw([store.root / file for file in held.superseded])
            shutil.rmtree(store.root / _MAKING, ignore_errors=True)
    return Collected(
        removed=remove,
        going=[Going(box=name, bytes=sizes[name], reason=_reason(census, name)) for name in going],
        kinds=_sums(going, sizes),
        bytes=sum(sizes[name] for name in going),
        leftovers=Sum(count=len(left), bytes=sum(left)),
        kept=_sums(kept & census.held.keys(), sizes),
        spared=_sums(spared, sizes),
    )


def _raw(store: Store, census: Census, kept: set[str]) -> dict[str, tuple[int, float]]:
    """Folders of commits that nobody asks for any more: bytes and newest change, by name."""
    commits = locked_commits(store.root / "sources.lock") | census.commits(
        name for name in census.mixtures if name in kept
    )
    commits |= {
        source.revision for source in (*catalogue(store).values(), *benchmark_sets().values()) if source.revision
    }
    found: dict[str, tuple[int, float]] = {}
    for path, file in beside(store).get("raw", {}).items():
        _, folder, commit, *rest = path.split("/")
        if rest and commit not in commits:
            size, changed = found.get(f"raw/{folder}/{commit}", (0, 0.0))
            found[f"raw/{folder}/{commit}"] = (size + file.size, max(changed, file.changed))
    return found


def _remove(store: Store, census: Census, going: list[str], tell: Removing) -> None:
    remote = remote_of(store.root)
    boxes = [name for name in going if name in census.held]
    note_removed(store.root, [census.mixtures.get(name, Removed(box=name)) for name in boxes])
    for name in going:
        tell(name)
        if name in census.held:
            remove_box(store.root, remote, name, census.held[name].files)
        else:
            # what says that the files are whole goes before they do
            shutil.rmtree(store.root / name / ".hub", ignore_errors=True)
            shutil.rmtree(store.root / name, ignore_errors=True)
        with suppress(OSError):  # other boxes lie beside it
            (store.root / name).parent.rmdir()
    if remote:
        remote.forget()


def _reason(census: Census, name: str) -> str:
    held = census.held.get(name)
    if held is None:
        return "no mixture that is kept was read from this commit, and nothing names it"
    if held.kind == "runs" and held.whole:
        return f"an older run of recipe `{held.label}`"
    if held.kind == "mixtures" and held.whole:
        return f"no run of recipe `{census.mixtures[name].recipe}` that is kept has it"
    if held.grows:
        return "speaks of samples or pictures of no mixture that is kept"
    return "made for no mixture that is kept" if held.whole else "half done, by a run that was cut short"


def _sums(names: Iterable[str], sizes: Mapping[str, int]) -> dict[str, Sum]:
    found: dict[str, Sum] = {}
    for name in in_order(names):
        kind = name.partition("/")[0]
        found[kind] = found.get(kind, Sum()).plus(sizes[name])
    return found
