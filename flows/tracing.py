"""Every mixture that ever held a picture, an address, a sample or a source, and what became of it there."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import polars as pl
from pydantic import BaseModel

from flows.collecting import Census
from flows.comparing import compared_pairs, comparison_box
from flows.exports import ExportNote, exports_of
from flows.inventory import inventory
from flows.takedowns import Kind, Takedowns, Target, target
from flows.taken import holding, pixels_of, with_found
from manifests.manifest import Manifest, read_manifest
from shards.errors import PictureError, UsageError
from shards.removed import Removed, read_removed
from shards.sample import read_all
from shards.store import Box, Store

COPIES: Final = ("same_bytes", "near_picture", "mirrored_picture")
"""Reasons for which members of a cluster show the same pictures."""

_ENDS: Final = ("not_taken", "drop", "review", "unscored", "duplicates", "capped", "written")

State = Literal["here", "removed", "unknown"]
"""Of a mixture: it is in the store; it was removed, and read samples that hold what is asked for; the samples that it
read are gone from the store, so nobody can say."""


class FoundRow(BaseModel):
    """A row of a mixture, and why it is listed: what was asked for, or with `copy` the evidence that it is a copy."""

    entry: str
    key: str
    why: str
    copied: bool
    verdict: str
    rule: str | None
    outcome: str | None
    times: int
    """Times emitted."""


class FoundMixture(BaseModel):
    """A mixture that held what was asked for, or may have."""

    box: str
    recipe: str
    mixture: str
    digest: str
    state: State
    ends: dict[str, int]
    """Rows by where they ended, copies left out: not_taken, drop, review, unscored, duplicates, capped, written."""
    emitted: int
    """Times that they are emitted."""
    rows: list[FoundRow]
    """All of them; none for a whole source, and none of a mixture that was removed."""
    gone: list[str]
    """Sources whose samples, as this mixture read them, are not in the store any more."""
    exports: list[ExportNote]


class FoundCopy(BaseModel):
    """A picture that was compared with another one and shows the same."""

    sha256: str
    of: str
    reason: str
    difference: float | None


class Traced(BaseModel):
    """What was asked, and where it is."""

    asked: list[str]
    pictures: list[str]
    """SHA-256 of the pictures that are meant, as far as the store has them."""
    copies: list[FoundCopy]
    mixtures: list[FoundMixture]
    unused: dict[str, int]
    """Samples that hold it by source, of samples that no mixture known here was made from."""


def question(file: Path | None = None, **given: str | None) -> tuple[Target, ...]:
    """What a person asks for: one of `sha256`, `url`, `source` and `key`, or a file with a picture.

    Raises:
        UsageError: none of them or several, one of the wrong form, or a file that holds no picture.
    """
    kinds: dict[str, Kind] = {"sha256": "sha256", "url": "url", "source": "source", "key": "key"}
    named = [target(kinds[name], value) for name, value in given.items() if value is not None]
    if len(named) + (file is not None) != 1:
        raise UsageError("say one of --sha256, --url, --source, --key and --file")
    return picture_targets(file) if file else tuple(named)


def picture_targets(file: Path) -> tuple[Target, ...]:
    """The bytes and the pixels of a picture in a file.

    Raises:
        UsageError: no such file, or it holds no picture.
    """
    try:
        data = file.read_bytes()
        return Target(kind="sha256", value=hashlib.sha256(data).hexdigest()), pixels_of(data)
    except OSError as error:
        raise UsageError(f"--file `{file}`: {error.strerror or error}") from error
    except PictureError as error:
        raise UsageError(f"--file `{file}` holds no picture: {error}") from error


def trace(store: Store, targets: tuple[Target, ...]) -> Traced:
    """Look for something in every mixture of a store, also in those that were removed.

    Tables are read by columns, and samples only of sources that have what is asked for.
    """
    census = Census(store, inventory(store))
    removed = {name: each for name, each in read_removed(store.root).items() if each.digest}
    exports = exports_of(store)
    look = Look(store, Takedowns(targets))
    found = [look.mixture(each) for _, each in sorted(census.mixtures.items())]
    found += [look.removed(each) for name, each in sorted(removed.items()) if name not in census.mixtures]
    spoken = {box for each in (*census.mixtures.values(), *removed.values()) for box in look.shards(each)}
    unused: dict[str, int] = {}
    for name, held in census.held.items():
        named = look.sources
        if held.kind == "shards" and held.whole and name not in spoken and (not named or held.label in named):
            unused[held.label] = unused.get(held.label, 0) + len(look.samples(name) or {})
    return Traced(
        asked=[each.words for each in targets],
        pictures=sorted(look.pictures),
        copies=list(copies(store, look.pictures)),
        mixtures=[each.model_copy(update={"exports": exports.get(each.digest, [])}) for each in found if each],
        unused={source: count for source, count in unused.items() if count},
    )


@dataclass(slots=True)
class Look:
    """Looks for targets in samples, each box of them once."""

    store: Store
    held: Takedowns
    pictures: set[str] = field(default_factory=set)
    _samples: dict[str, dict[str, str] | None] = field(default_factory=dict)

    @property
    def sources(self) -> frozenset[str]:
        """Sources that alone can hold what is asked for; empty where any can."""
        return self.held.values("source") | {key.partition("/")[0] for key in self.held.values("key")}

    def shards(self, made: Removed) -> list[str]:
        """Boxes of the samples that a mixture read, of the sources that can hold what is asked for."""
        named = self.sources
        return [f"shards/{name}/{mark}" for name, mark in made.shards.items() if not named or name in named]

    def samples(self, name: str) -> dict[str, str] | None:
        """Samples of a source that hold what is asked for, why by key; None where they are not in the store."""
        if name not in self._samples:
            self._samples[name] = self._read(name)
        return self._samples[name]

    def _read(self, name: str) -> dict[str, str] | None:
        box, source = Box(self.store.root, name), name.split("/")[1]
        if not box.done:
            return None
        whole, own = source in self.held.values("source"), self.held.values("key")
        if whole or own:
            keys = (key for frame in read_all(box.path, ["key"]) for key in frame["key"] if whole or key in own)
            return {key: f"source {source}" if whole else f"key {key}" for key in keys}
        held = with_found(self.store, self.held, {source: box})
        wanted = pl.Series(sorted(held.pictures), dtype=pl.String).implode()
        known = pl.scan_parquet(box.path / "pictures.parquet").select("sha256").filter(pl.col("sha256").is_in(wanted))
        self.pictures |= set(known.collect()["sha256"])
        return dict(holding(box, held))

    def mixture(self, made: Removed) -> FoundMixture | None:
        """What a mixture in the store held; None where it had nothing of it."""
        box = Box(self.store.root, made.box)
        sources = self.held.values("source") & made.shards.keys()
        if sources:
            return _whole_source(made, read_manifest(box.path), set(sources))
        if self.held.values("key"):
            # decisions know keys whether or not the samples are here
            keys, gone = {key: f"key {key}" for key in self.held.values("key")}, list[str]()
        else:
            found = {name: self.samples(name) for name in self.shards(made)}
            keys = {key: why for each in found.values() for key, why in (each or {}).items()}
            gone = [name.split("/")[1] for name, each in found.items() if each is None]
        rows = [*_rows(box, keys)] if keys else []
        if not rows and not gone:
            return None
        own = [row for row in rows if not row.copied]
        ends: dict[str, int] = {}
        for row in own:
            end = "duplicates" if row.outcome == "duplicate" else row.outcome or row.verdict
            ends[end] = ends.get(end, 0) + 1
        state: State = "here" if rows else "unknown"
        return _found(made, state, ends, sum(row.times for row in own), rows, gone)

    def removed(self, made: Removed) -> FoundMixture | None:
        """What a mixture that was removed may have held."""
        names = self.shards(made)
        if self.held.values("source"):
            return _found(made, "removed", {}, 0, [], []) if names else None
        found = {name: self.samples(name) for name in names}
        gone = [name.split("/")[1] for name, each in found.items() if each is None]
        if any(found.values()):
            return _found(made, "removed", {}, 0, [], gone)
        return _found(made, "unknown", {}, 0, [], gone) if gone else None


def _found(
    made: Removed, state: State, ends: dict[str, int], emitted: int, rows: list[FoundRow], gone: list[str]
) -> FoundMixture:
    return FoundMixture(
        box=made.box,
        recipe=made.recipe,
        mixture=made.mixture,
        digest=made.digest,
        state=state,
        ends=ends,
        emitted=emitted,
        rows=rows,
        gone=gone,
        exports=[],
    )


def _whole_source(made: Removed, manifest: Manifest, sources: set[str]) -> FoundMixture:
    counts = [entry.counts for entry in manifest.entries if entry.source in sources]
    ends = {name: sum(getattr(each, name) for each in counts) for name in _ENDS}
    emitted = sum(each.emitted for each in counts)
    return _found(made, "here", {name: rows for name, rows in ends.items() if rows}, emitted, [], [])


def _rows(box: Box, keys: Mapping[str, str]) -> Iterator[FoundRow]:
    """The rows of some keys in a mixture, and of those that its clusters hold for copies of them."""
    alike = {key: f"{reason} of {of}" for key, of, reason in _alike(box, keys)}
    wanted = pl.Series(sorted({*keys, *alike}), dtype=pl.String).implode()
    columns = ("entry", "key", "verdict", "rule", "outcome", "times")
    table = pl.scan_parquet(box.path / "decisions.parquet").select(columns).filter(pl.col("key").is_in(wanted))
    for row in table.collect(engine="streaming").iter_rows(named=True):
        yield FoundRow(**row, why=keys.get(row["key"]) or alike[row["key"]], copied=row["key"] not in keys)


def _alike(box: Box, keys: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """(key, key it is a copy of, reason) of members of the clusters of some keys that show the same pictures."""
    table = pl.scan_parquet(box.path / "clusters.parquet").select("key", "cluster", "reason")
    own = table.filter(pl.col("key").is_in(pl.Series(sorted(keys), dtype=pl.String).implode())).collect()
    if own.is_empty():
        return
    members = table.filter(pl.col("cluster").is_in(own["cluster"].unique().implode())).collect()
    asked = {cluster: (key, reason) for key, cluster, reason in own.iter_rows()}
    for key, cluster, reason in members.iter_rows():
        of, its = asked[cluster]
        # the reason of a member says how it is like the one that was kept
        known = reason if reason in COPIES else its if reason in {"kept", "none_kept"} and its in COPIES else None
        if key not in keys and known:
            yield key, of, known


def copies(store: Store, pictures: set[str]) -> Iterator[FoundCopy]:
    """Pictures that comparisons hold for the same as some others, directly or by way of others, for any mixture."""
    known, waiting = set(pictures), sorted(pictures)
    while waiting:
        pairs = compared_pairs(comparison_box(store), pl.Series(waiting, dtype=pl.String)).filter("same")
        asked, waiting = set(waiting), []
        for left, right, reason, difference in pairs.select("left", "right", "reason", "difference").iter_rows():
            for one, other in ((left, right), (right, left)):
                if one in asked and other not in known:
                    known.add(other)
                    waiting.append(other)
                    yield FoundCopy(sha256=other, of=one, reason=reason, difference=difference)
