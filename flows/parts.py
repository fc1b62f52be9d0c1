"""Rows of a finished mixture as exporters take them: parts of entries, streamed from shards."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from flows.mixes import Mix
from manifests.exports.base import ExportRow, Part
from manifests.recipe import Entry
from shards.pack import Image
from shards.sample import ShardsIndex, read_samples, sample_path
from shards.store import Box

MORE: Final = ".more"
"""Suffix of an entry's second part: the rows that are emitted once more than the others."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Streams some samples of one source in published order, shard by shard.

    `rows` gives a frame with their `key`, and where they are known `num_tokens` and `tiles`; it is asked anew for each
    pass, so that no part holds its keys between passes.
    """

    shards: Box
    rows: Callable[[], pl.DataFrame]

    def __call__(self) -> Iterator[ExportRow]:
        """The samples, one by one."""
        wanted = self.rows()
        known = [name if name in wanted.columns else pl.lit(None).alias(name) for name in ("num_tokens", "tiles")]
        wanted = wanted.select("key", *known)
        for number in range(len(self.shards.index(ShardsIndex).shards)):
            path = sample_path(self.shards.path, number)
            # keys alone first: an entry that takes little of a source opens few of its texts
            if read_samples(path, ["key"]).join(wanted, on="key", how="semi").height:
                frame = read_samples(path, ["key", "messages", "images", "videos"])
                for key, messages, images, videos, *sizes in frame.join(
                    wanted, on="key", maintain_order="left"
                ).iter_rows():
                    turns = tuple((message["role"], message["text"]) for message in messages)
                    yield ExportRow(key, turns, tuple(Image(**image) for image in images), tuple(videos), *sizes)


def planned_parts(mix: Mix) -> list[Part]:
    """The parts of every entry in the recipe's order; entries without emitted rows have none."""
    counted = pl.scan_parquet(mix.box.path / "ids.parquet").group_by("entry", "times").len().sort("entry", "times")
    by_entry: dict[str, list[tuple[int, int]]] = {}
    for entry, times, rows in counted.collect().iter_rows():
        by_entry.setdefault(entry, []).append((times, rows))
    taken = {entry.id.casefold() for entry in mix.manifest.entries}
    parts = []
    for report in mix.manifest.entries:
        written = Entry.model_validate({**report.entry, "source": report.source})
        for number, (times, rows) in enumerate(by_entry.get(report.id, [])):
            name = report.id if number == 0 else free_name(report.id + MORE, taken)
            taken.add(name.casefold())
            read = Wanted(mix.shards(report.source), _Emitted(mix, report.id, times))
            parts.append(Part(name, written, times, rows, read))
    return parts


@dataclass(frozen=True, slots=True)
class _Emitted:
    """Rows of an entry that are emitted this often."""

    mix: Mix
    entry: str
    times: int

    def __call__(self) -> pl.DataFrame:
        return self.mix.ids_of(self.entry).filter(pl.col("times") == self.times)


def free_name(name: str, taken: Collection[str]) -> str:
    """A name that differs from those taken (case folded) in more than case, with `_` added as needed."""
    while name.casefold() in taken:
        name += "_"
    return name


def in_turn(readers: Sequence[Callable[[], Iterator[ExportRow]]]) -> Callable[[], Iterator[ExportRow]]:
    """One reader after the other."""

    def read() -> Iterator[ExportRow]:
        for reader in readers:
            yield from reader()

    return read
