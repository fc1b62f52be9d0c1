"""The emitted rows of a mixture in a shuffled order that depends on seed and epoch only, read shard by shard.

The order is the same for any number of ranks and workers, so a run may go on after `n` samples with other numbers of
either. Rows are shuffled in two steps, so that reading stays sequential: blocks (the emitted rows of one shard, each
once) in random order, then all rows of a window of some ten thousand.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from manifests.manifest import Manifest, read_manifest
from shards.pack import Image
from shards.sample import ShardsIndex, read_table, sample_path
from shards.schema import Role
from shards.store import Box, Store

Integers = npt.NDArray[np.int64]

WINDOW: Final = 65_536
"""Emitted rows that are shuffled among each other."""

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)


class StreamRow(NamedTuple):
    """One emitted row; `copy` counts from 0 to its times - 1."""

    entry: str
    domain: str
    key: str
    copy: int
    messages: tuple[tuple[Role, str], ...]
    images: tuple[Image, ...]
    videos: tuple[str, ...]


@dataclass(frozen=True)
class MixtureStream:
    """Emitted rows of one mixture of a store.

    Args:
        store: folder of the store.
        mixture: folder of the mixture, relative to the store, such as `mixtures/demo.sft/0123456789abcdef0123`.
        seed: of the shuffle.
        window: see WINDOW; 1 keeps the order of blocks.
    """

    store: Path
    mixture: str
    seed: int = 0
    window: int = WINDOW

    @cached_property
    def manifest(self) -> Manifest:
        """What the mixture holds."""
        return read_manifest(self.store / self.mixture)

    def __len__(self) -> int:
        """Emitted rows in an epoch."""
        return self.manifest.totals.emitted

    def order(self, epoch: int) -> Integers:
        """Row numbers of `copies` in the order of an epoch: (n,) Int64, a permutation."""
        blocks = self._blocks
        starts = np.concatenate([[0], np.cumsum(blocks)])
        shuffled = np.argsort(_hashes(len(blocks), self.seed, epoch, 0), kind="stable")
        sizes = blocks[shuffled]
        # row numbers block by block: each block's start, plus 0, 1, 2 ... within it
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        rows = np.repeat(starts[:-1][shuffled], sizes) + within
        places = np.arange(len(rows)) // self.window
        order: Integers = rows[np.lexsort((_hashes(len(rows), self.seed, epoch, 1), places))]
        return order

    def rows(self, epoch: int, positions: Integers) -> Iterator[StreamRow]:
        """Rows at positions of an epoch's order, in the order given; positions rise.

        Each window is read once: of its shards, only the rows that are asked for are kept.
        """
        order = self.order(epoch)
        for begin in range(0, len(order), self.window):
            low, high = np.searchsorted(positions, [begin, begin + self.window])
            if low < high:
                yield from self._read(order[positions[low:high]])

    @cached_property
    def _entries(self) -> list[str]:
        return [entry.id for entry in self.manifest.entries]

    @cached_property
    def _shards(self) -> dict[str, Box]:
        store = Store(self.store)
        return {entry.id: store.box("shards", entry.source, entry.shards) for entry in self.manifest.entries}

    @cached_property
    def _copies(self) -> dict[str, Integers]:
        """Emitted rows in the order of blocks: (n,) columns entry, shard, row in shard, copy."""
        columns = ["entry", "key", "times"]
        decisions = pq.read_table(self.store / self.mixture / "ids.parquet", columns=columns, use_threads=False)
        frames = [self._entry_copies(number, decisions) for number in range(len(self._entries))]
        return {name: np.concatenate([frame[name] for frame in frames]) for name in frames[0]} if frames else {}

    def _entry_copies(self, number: int, decisions: pa.Table) -> dict[str, Integers]:
        """The copies of one entry, by shard, copy and row."""
        entry = self._entries[number]
        wanted = decisions.filter(pc.equal(decisions["entry"], entry))
        shard, row = _places(self._shards[entry], wanted["key"])
        times = wanted["times"].to_numpy().astype(np.int64)
        rows, copy = copies(times)
        found = {"shard": shard[rows], "row": row[rows], "copy": copy}
        order = np.lexsort((found["row"], found["copy"], found["shard"]))
        return {"entry": np.full(len(rows), number), **{name: values[order] for name, values in found.items()}}

    @cached_property
    def _blocks(self) -> Integers:
        """Sizes of blocks: runs of one entry, shard and copy."""
        copies = self._copies
        if not copies or not len(copies["entry"]):
            return np.zeros(0, dtype=np.int64)
        columns = np.stack([copies[name] for name in ("entry", "shard", "copy")])
        edges = np.flatnonzero((columns[:, 1:] != columns[:, :-1]).any(axis=0)) + 1
        return np.diff(np.concatenate([[0], edges, [columns.shape[1]]]))

    def _read(self, rows: Integers) -> Iterator[StreamRow]:
        """Rows by number: every shard among them is read once, then they are given in order."""
        entry, shard, row, copy = (self._copies[name][rows] for name in ("entry", "shard", "row", "copy"))
        found: dict[tuple[int, int, int], tuple[object, ...]] = {}
        for number, part in sorted(set(zip(entry.tolist(), shard.tolist(), strict=True))):
            own = np.unique(row[(entry == number) & (shard == part)])
            columns = ("key", "messages", "images", "videos")
            table = _read_columns(self._shards[self._entries[number]], part, columns).take(pa.array(own))
            for place, values in zip(own.tolist(), zip(*table.to_pydict().values(), strict=True), strict=True):
                found[number, part, place] = values
        for place in zip(entry.tolist(), shard.tolist(), row.tolist(), copy.tolist(), strict=True):
            yield self._row(place[0], place[3], found[place[:3]])

    def _row(self, number: int, copy: int, values: Sequence[object]) -> StreamRow:
        key, messages, images, videos = values
        assert isinstance(key, str) and isinstance(messages, list)
        assert isinstance(images, list) and isinstance(videos, list)
        report = self.manifest.entries[number]
        return StreamRow(
            report.id,
            report.domain,
            key,
            copy,
            tuple((message["role"], message["text"]) for message in messages),
            tuple(Image(**image) for image in images),
            tuple(videos),
        )


def copies(times: Integers) -> tuple[Integers, Integers]:
    """Every emission of rows that are emitted (n,) `times`: its row, rising, and which copy of it, from 0."""
    rows = np.repeat(np.arange(len(times)), times)
    return rows, np.arange(len(rows)) - np.repeat(np.cumsum(times) - times, times)


def _places(shards: Box, keys: pa.ChunkedArray) -> tuple[Integers, Integers]:
    """Shard and row in it of each key: two (n,) Int64."""
    shard = np.full(len(keys), -1, dtype=np.int64)
    row = np.full(len(keys), -1, dtype=np.int64)
    wanted = keys.combine_chunks()
    for number in range(len(shards.index(ShardsIndex).shards)):
        own = _read_columns(shards, number, ("key",))["key"].combine_chunks()
        places = pc.index_in(own, value_set=wanted).to_numpy(zero_copy_only=False)
        here = np.flatnonzero(~np.isnan(places))
        shard[places[here].astype(np.int64)] = number
        row[places[here].astype(np.int64)] = here
    assert (shard >= 0).all(), "every emitted row lies in a shard"
    return shard, row


def _read_columns(shards: Box, number: int, columns: Sequence[str]) -> pa.Table:
    """Columns of one shard, in this thread: workers of a DataLoader are forks."""
    return read_table(sample_path(shards.path, number), columns, threads=False)


def _hashes(count: int, *seeds: int) -> npt.NDArray[np.uint64]:
    """SplitMix64 of 0..count-1 under seeds: the same on every machine and version, as no generator of numpy promises.

    Source: Steele, Lea, Flood 2014, Fast Splittable Pseudorandom Number Generators, figure 16.
    """
    state = np.uint64(0)
    for seed in seeds:
        state = _mix(np.array([state ^ np.uint64(seed % 2**64)]))[0]
    with np.errstate(over="ignore"):
        return _mix(state + np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN)


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
