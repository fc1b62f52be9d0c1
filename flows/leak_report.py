"""Leaks as the rules, the manifest and the story of a sample see them."""

from collections.abc import Mapping, Sequence

import polars as pl

from filters.phash import PerceptualHash
from flows.leak_sets import Benchmark, LeakIndex
from flows.leaking import leaks_of
from flows.mixes import Mix
from flows.scoring import PICTURE_STATE, picture_table
from manifests.leaks import KINDS, leak_scores
from manifests.manifest import BenchmarkLeaks, LeakCounts
from manifests.mixture import WRITTEN, Mixture
from shards.sample import read_all
from shards.store import Box, Store


def source_scores(store: Store, shards: Box, keys: pl.Series, benchmarks: Sequence[Benchmark]) -> pl.DataFrame:
    """(n, 8) frame of `manifests.leaks.LEAK_SCORES` with their states; no column where no benchmark is named."""
    if not benchmarks:
        return pl.DataFrame()
    table = picture_table(store, PerceptualHash(), shards)
    broken = table.filter(pl.col(PICTURE_STATE).is_not_null())["sha256"]
    shas = pl.col("images").list.eval(pl.element().struct.field("sha256").is_in(broken.implode())).list.any()
    unknown = pl.concat(list(read_all(shards.path, ["images"]))).select(shas.fill_null(False)).to_series()
    return leak_scores(keys, leaks_of(store, shards, benchmarks), unknown)


def counted(
    store: Store, mixture: Mixture, shards: Mapping[str, Box], benchmarks: Sequence[Benchmark]
) -> dict[str, BenchmarkLeaks]:
    """What a manifest says: for each benchmark and entry the samples found by kind, and those of them written."""
    found: dict[str, BenchmarkLeaks] = {}
    for each in benchmarks:
        index = each.box.index(LeakIndex)
        entries = {
            entry: _counts(store, mixture, entry, shards[mixture.source_of[entry]], each) for entry in mixture.parts
        }
        found[each.name] = BenchmarkLeaks(
            index=each.box.name.rpartition("/")[2],
            revision=index.revision,
            rows=index.rows,
            pictures=index.pictures,
            entries={entry: kinds for entry, kinds in sorted(entries.items()) if kinds},
        )
    return found


def _counts(store: Store, mixture: Mixture, entry: str, shards: Box, benchmark: Benchmark) -> dict[str, LeakCounts]:
    leaks = leaks_of(store, shards, [benchmark])
    if leaks.is_empty():
        return {}
    rank = {kind: place for place, kind in enumerate(KINDS)}
    kinds = leaks.group_by("key").agg(pl.col("kind").sort_by(pl.col("kind").replace_strict(rank)).first())
    keys = mixture.sources[mixture.source_of[entry]].read(["key"])
    written = pl.Series("written", mixture.parts[entry].outcome == WRITTEN)
    rows = keys.with_columns(written).join(kinds, on="key")
    counts = {kind: part for (kind,), part in rows.group_by("kind")}
    return {
        kind: LeakCounts(found=counts[kind].height, written=int(counts[kind]["written"].sum()))
        for kind in KINDS
        if kind in counts
    }


def leaks_of_key(mix: Mix, source: str, key: str) -> list[dict[str, float | int | bool | str | None]]:
    """What was found of the benchmarks of a mixture in one sample, as `manifests.leaks.LEAKS`."""
    boxes = [
        Benchmark(name, mix.store.box("leakage", name, leaks.index)) for name, leaks in mix.manifest.leakage.items()
    ]
    if not boxes:
        return []
    return leaks_of(mix.store, mix.shards(source), boxes, key).drop("key").to_dicts()
