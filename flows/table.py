"""A mixture as one flat table, for people who would rather use their own tools."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import polars as pl

from flows.mixes import Mix
from shards.errors import UsageError
from shards.files import replacing, write_table

FIRST: Final = (
    "stage",
    "entry",
    "key",
    "source",
    "domain",
    "verdict",
    "rule",
    "reasons",
    "unknown",
    "outcome",
    "cluster",
    "duplicate_of",
    "cluster_distance",
    "emitted",
)
"""Columns that stand before the scores."""


def flat(mixes: Mapping[str, Mix]) -> pl.DataFrame:
    """One row per (stage, entry, key): source, domain, verdict, reasons, cluster, times emitted, every score."""
    return pl.concat([_flat(stage, mix) for stage, mix in mixes.items()], how="diagonal")


def _flat(stage: str, mix: Mix) -> pl.DataFrame:
    domain = {entry.id: entry.domain for entry in mix.manifest.entries}
    scores = mix.scores.drop("position")
    clusters = mix.clusters.select("key", "cluster", "duplicate_of", pl.col("distance").alias("cluster_distance"))
    rows = mix.decisions.join(scores, on="key", how="left", maintain_order="left").join(
        clusters, on="key", how="left", maintain_order="left"
    )
    rows = rows.with_columns(
        pl.lit(stage).alias("stage"),
        pl.col("entry").replace_strict(domain, return_dtype=pl.String).alias("domain"),
        pl.col("times").alias("emitted"),
    )
    return rows.select(*FIRST, pl.exclude(*FIRST, "times", "position"))


def write(mixes: Mapping[str, Mix], out: Path) -> tuple[int, int]:
    """Write the flat table, and the quarantined rows to the same name with `.quarantine` added.

    Returns:
        Rows in the table, and rows in quarantine.

    Raises:
        UsageError: the name ends in neither .parquet nor .csv.
    """
    if out.suffix not in {".parquet", ".csv"}:
        raise UsageError(f"`--out {out}`: expected a name that ends in .parquet or .csv")
    table = flat(mixes)
    frames = [mix.quarantine().select(pl.lit(stage).alias("stage"), pl.all()) for stage, mix in mixes.items()]
    quarantine = pl.concat(frames)
    _write(table, out, out.suffix)
    _write(quarantine, out.with_name(out.name + ".quarantine"), out.suffix)
    return table.height, quarantine.height


def _write(frame: pl.DataFrame, out: Path, suffix: str) -> None:
    if suffix == ".parquet":
        write_table(out, frame)
        return
    lists = [name for name, dtype in frame.schema.items() if dtype == pl.List(pl.String)]
    with replacing(out) as temporary:
        frame.with_columns(pl.col(name).list.join(" ") for name in lists).write_csv(temporary)
