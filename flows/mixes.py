"""Finished mixtures, looked up by folder or name, and the samples that they speak of."""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Final

import polars as pl

from manifests.manifest import EntryReport, Manifest, RunManifest, read_manifest, read_run
from shards.columns import scan_table, table_schema
from shards.errors import UsageError
from shards.remote import SCORES_FILE
from shards.sample import ShardsIndex, read_samples, sample_path
from shards.schema import QUARANTINE, SAMPLE
from shards.store import Box, Store

_TOGETHER: Final = 8
"""Columns of scores that are read at a time for a few rows. Ours."""


@dataclass(frozen=True)
class Mix:
    """A finished mixture with its tables, read when they are asked for."""

    store: Store
    box: Box

    @cached_property
    def manifest(self) -> Manifest:
        """Counts and digests."""
        return read_manifest(self.box.path)

    @cached_property
    def decisions(self) -> pl.DataFrame:
        """Frame of schema manifests.mixture.DECISIONS."""
        return self.decision_table.collect()

    @property
    def decision_table(self) -> pl.LazyFrame:
        """The same, not read."""
        return scan_table(self.box.path / "decisions.parquet")

    @cached_property
    def clusters(self) -> pl.DataFrame:
        """Frame of schema manifests.clusters.CLUSTERS."""
        return pl.read_parquet(self.box.path / "clusters.parquet")

    @cached_property
    def ids(self) -> pl.DataFrame:
        """Frame of schema manifests.mixture.IDS."""
        return pl.read_parquet(self.box.path / "ids.parquet")

    @cached_property
    def scores(self) -> pl.DataFrame:
        """Every score as the rules saw it: source, key, position, scores and their `_state`."""
        return self.score_table.collect()

    @property
    def score_table(self) -> pl.LazyFrame:
        """The same, not read: all columns of ten million rows fill the memory of a machine."""
        return self.some_scores()

    def some_scores(self, columns: Collection[str] | None = None, rows: range | None = None) -> pl.LazyFrame:
        """The named columns and rows of the same; others are not brought from a store at a URL."""
        return scan_table(self.box.path / SCORES_FILE, columns, rows)

    @cached_property
    def score_types(self) -> pl.Schema:
        """Columns of `scores` and their types."""
        return table_schema(self.box.path / SCORES_FILE)

    @property
    def score_names(self) -> list[str]:
        """Columns of `scores`."""
        return self.score_types.names()

    def scores_of(self, keys: pl.Series, columns: Sequence[str]) -> pl.DataFrame:
        """The named columns of the scores of some samples."""
        wanted = self.some_scores(["key", *columns]).filter(pl.col("key").is_in(keys.implode()))
        # all columns at once would be in memory with all rows of some row groups
        found = [
            wanted.select(columns[at : at + _TOGETHER]).collect(engine="in-memory")
            for at in range(0, len(columns), _TOGETHER)
        ]
        return pl.concat(found, how="horizontal")

    def of_key(self, table: str, key: str) -> list[dict[str, object]]:
        """Rows of one key in a table beside the manifest (`decisions`, `scores`), which is not read as a whole."""
        path = self.box.path / f"{table}.parquet"
        keys = scan_table(path, ["key"]).with_row_index("row").filter(pl.col("key") == key)
        rows = keys.collect(engine="streaming")["row"]
        return [scan_table(path, rows=range(row, row + 1)).collect().row(0, named=True) for row in rows]

    def decisions_of(self, entry: str, columns: Sequence[str]) -> pl.DataFrame:
        """The named columns of the decisions of one entry, in published order."""
        rows = pl.scan_parquet(self.box.path / "decisions.parquet").filter(pl.col("entry") == entry)
        return rows.select(columns).collect()

    def ids_of(self, entry: str) -> pl.DataFrame:
        """The emitted rows of one entry, of schema manifests.mixture.IDS, in published order."""
        return pl.scan_parquet(self.box.path / "ids.parquet").filter(pl.col("entry") == entry).collect()

    @cached_property
    def entries(self) -> dict[str, EntryReport]:
        """Entries by id."""
        return {entry.id: entry for entry in self.manifest.entries}

    def shards(self, source: str) -> Box:
        """The samples of a source as this mixture read them."""
        fingerprint = next(entry.shards for entry in self.manifest.entries if entry.source == source)
        return self.store.box("shards", source, fingerprint)

    def quarantine(self) -> pl.DataFrame:
        """Quarantined rows of every entry: entry, source, key, reason, locator, message."""
        frames = [
            pl.read_parquet(self.shards(entry.source).path / "quarantine.parquet").select(
                pl.lit(entry.id).alias("entry"), pl.lit(entry.source).alias("source"), pl.all()
            )
            for entry in self.manifest.entries
        ]
        columns = ("entry", "source", *QUARANTINE.names)
        return pl.concat([pl.DataFrame(schema=dict.fromkeys(columns, pl.String)), *frames])

    def samples(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The samples of some decisions.

        Args:
            rows: (n, ...) frame with `entry`, `key` and `position`, as in `decisions`.

        Returns:
            (n, ...) frame: `rows` with the columns of SAMPLE but `position` joined; only shards that hold a wanted
            row are read.
        """
        source_of = {entry.id: entry.source for entry in self.manifest.entries}
        with_source = rows.with_columns(
            pl.col("entry").replace_strict(source_of, return_dtype=pl.String).alias("source")
        )
        columns = [name for name in SAMPLE.names if name != "position"]
        found = [
            read_wanted(self.shards(str(source)), part, columns)
            for (source,), part in with_source.unique("key").group_by("source", maintain_order=True)
        ]
        if not found:
            return with_source
        return with_source.join(pl.concat(found), on="key", how="left", maintain_order="left")


def read_wanted(shards: Box, rows: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Samples of one source with the keys of `rows`, found by their positions."""
    ends = list(accumulate(shard.items for shard in shards.index(ShardsIndex).shards))
    numbers = sorted({bisect_right(ends, position) for position in rows["position"]})
    keys = rows["key"].implode()
    return pl.concat(
        [
            read_samples(sample_path(shards.path, number), columns).filter(pl.col("key").is_in(keys))
            for number in numbers
        ]
    )


def latest_run(store: Store, recipe: str) -> tuple[Box, RunManifest] | None:
    """The run of a recipe that was finished last in this store.

    Raises:
        StoreError: its manifest is of another version, or damaged.
    """
    box = store.latest("runs", recipe)
    if box is None:
        return None
    return box, read_run(box.path)


def recipes(store: Store) -> list[str]:
    """Names of recipes with a finished run in this store."""
    return store.names("runs")


def find(store: Store, name: str) -> dict[str, Mix]:
    """Mixtures by stage name: of a folder, of `recipe` (all stages of its last run) or of `recipe.stage`.

    Raises:
        UsageError: nothing finished of that name.
    """
    folder = Path(name)
    if (folder / "manifest.json").is_file() and (folder / "index.json").is_file():
        path = folder.resolve()
        mix = Mix(Store(path.parents[2]), Box(path.parents[2], "/".join(path.parts[-3:])))
        return {mix.manifest.mixture: mix}
    for recipe in recipes(store):
        if name != recipe and not name.startswith(f"{recipe}."):
            continue
        found = latest_run(store, recipe)
        assert found is not None
        mixes = _mixes(store, found[1])
        if name == recipe:
            return mixes
        if name.startswith(f"{recipe}.") and name.removeprefix(f"{recipe}.") in mixes:
            stage = name.removeprefix(f"{recipe}.")
            return {stage: mixes[stage]}
    known = ", ".join(recipes(store)) or "none yet; run `vlmix run build-sft-mix` first"
    raise UsageError(
        f"no mixture `{name}` in store `{store.root}`; expected a folder, a recipe or recipe.stage: {known}"
    )


def find_one(store: Store, name: str) -> Mix:
    """The one mixture of a name; see `find`.

    Raises:
        UsageError: nothing finished of that name, or a recipe of several stages.
    """
    found = find(store, name)
    if len(found) > 1:
        raise UsageError(
            f"`{name}` has {len(found)} stages; say which: {', '.join(f'{name}.{stage}' for stage in found)}"
        )
    return next(iter(found.values()))


def _mixes(store: Store, run: RunManifest) -> dict[str, Mix]:
    return {stage.stage: Mix(store, Box(store.root, stage.mix)) for stage in run.stages}


def score_columns(names: Iterable[str]) -> list[str]:
    """Names of scores among the columns of a table of scores, without keys and states."""
    return [name for name in names if name not in {"source", "key", "position"} and not name.endswith("_state")]


def by_key(frame: pl.DataFrame, key: str) -> Mapping[str, object] | None:
    """The row of a frame with this key."""
    rows = frame.filter(pl.col("key") == key)
    return rows.row(0, named=True) if rows.height else None
