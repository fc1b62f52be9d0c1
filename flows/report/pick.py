"""Which rows a report shows: few, spread over rules and sources, the same ones every time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from flows.report.view import StageView
from manifests.rules import TAKEN_DOWN

DROPPED: Final = 20
REVIEWED: Final = 12
UNSCORED: Final = 6
KEPT: Final = 6
DOUBTFUL: Final = 12
"""Clusters shown since their members differ most."""
LARGEST: Final = 8
"""Others shown since they have most members."""
MEMBERS: Final = 4
"""Members shown of one cluster, the kept one included."""
MOST_SAMPLES: Final = DROPPED + REVIEWED + UNSCORED + KEPT + (DOUBTFUL + LARGEST) * MEMBERS

Place = tuple[str, str]
"""Entry and key."""


@dataclass(frozen=True, slots=True)
class Member:
    """One shown member of a cluster; `distance` in bits, null without pictures and for the kept one.

    `likeness` and `difference` are what a comparison of the pictures said, null where none was made; `similarity` is
    that of near texts. `value` is what the choice of the kept member went by, null where it went by the order.
    """

    place: Place
    distance: int | None
    reason: str
    likeness: str | None
    difference: float | None
    similarity: float | None
    value: float | None

    @property
    def first(self) -> bool:
        """Whether the others were held against this one."""
        return self.reason in {"kept", "none_kept"}


@dataclass(frozen=True, slots=True)
class Cluster:
    """A shown cluster: the kept member, then those farthest from it; `size` counts the members not shown too."""

    name: str
    size: int
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Picks:
    """The rows that a stage shows."""

    dropped: tuple[Place, ...]
    reviewed: tuple[Place, ...]
    unscored: tuple[Place, ...]
    kept: tuple[Place, ...]
    clusters: tuple[Cluster, ...]

    def places(self) -> list[Place]:
        """Every place once, in order."""
        members = [member.place for cluster in self.clusters for member in cluster.members]
        return list(dict.fromkeys([*self.dropped, *self.reviewed, *self.unscored, *self.kept, *members]))


def pick(stage: StageView) -> Picks:
    """Choose the rows of a stage."""
    rows = _with_strata(stage)
    written = rows.filter(pl.col("outcome") == "written").with_columns(stratum="domain")
    return Picks(
        # what is taken down is shown to nobody
        dropped=_spread(rows.filter(pl.col("verdict") == "drop", ~pl.col("taken_down")), DROPPED),
        reviewed=_spread(rows.filter(pl.col("verdict") == "review"), REVIEWED),
        unscored=_spread(rows.filter(pl.col("verdict") == "unscored"), UNSCORED),
        kept=_spread(written, KEPT),
        clusters=_clusters(stage.clusters, rows),
    )


def _with_strata(stage: StageView) -> pl.DataFrame:
    """Decisions with `stratum` (place of the deciding rule in the rules), `source`, `domain` and `spread`."""
    entries = stage.manifest.entries
    rules: Mapping[str, int] = {str(rule["name"]): place for place, rule in enumerate(stage.manifest.rules)}
    # the undecidable rule stands for an unscored row, which no rule decided
    rule = pl.coalesce("rule", pl.col("unknown").list.first())
    return stage.decisions.select(
        "entry",
        "key",
        "verdict",
        "outcome",
        rule.replace_strict(rules, default=len(rules), return_dtype=pl.Int64).alias("stratum"),
        _replaced("entry", {entry.id: entry.source for entry in entries}).alias("source"),
        _replaced("entry", {entry.id: entry.domain for entry in entries}).alias("domain"),
        scattered().alias("spread"),
        pl.col("rule").eq_missing(TAKEN_DOWN).alias("taken_down"),
    )


def _replaced(column: str, values: Mapping[str, str]) -> pl.Expr:
    return pl.col(column).replace_strict(values, default=None, return_dtype=pl.String)


def scattered() -> pl.Expr:
    """An order of rows that looks random and is the same everywhere: multiplicative hash of the position.

    Source: Knuth, The Art of Computer Programming, volume 3, section 6.4. Polars' own hash may change with its version.
    """
    return (pl.col("position").cast(pl.UInt64) + 1) * 2654435761 % (1 << 32)


def _spread(rows: pl.DataFrame, most: int) -> tuple[Place, ...]:
    """At most `most` rows: strata take turns, within a stratum sources do; shown in order of stratum and key."""
    # nobody sorts millions of rows to show a few: later ones of a stratum and source have no turn
    last = pl.col("spread").bottom_k(most).max().over("stratum", "source")
    chosen = (
        rows.filter(pl.col("spread") <= last)
        .sort("spread", "entry", "key")
        .with_columns(pl.int_range(pl.len()).over("stratum", "source").alias("turn"))
        .sort("turn", "spread", "entry", "key")
        .with_columns(pl.int_range(pl.len()).over("stratum").alias("turn"))
        .sort("turn", "stratum", "spread", "entry", "key")
        .head(most)
        .sort("stratum", "source", "entry", "key")
    )
    return tuple(chosen.select("entry", "key").iter_rows())


def _clusters(clusters: pl.DataFrame, rows: pl.DataFrame) -> tuple[Cluster, ...]:
    """Clusters, the reasons for which rows joined them taking turns; of a reason those that differ most come first.

    Then the largest ones.
    """
    # a key that stands in several entries is shown once
    kept_rows = rows.filter(pl.col("verdict") == "keep").sort("entry").unique("key", keep="first", maintain_order=True)
    members = clusters.join(kept_rows.select("key", "entry", "spread"), on="key")
    kinds = (
        members.sort("distance", "similarity", "key", descending=[True, False, False], nulls_last=True)
        .group_by("cluster", maintain_order=True)
        .agg(
            pl.col("reason").filter(pl.col("duplicate_of").is_not_null()).first().alias("kind"),
            pl.max_horizontal(pl.col("difference").max(), 1 - pl.col("similarity").min()).alias("doubt"),
            pl.len().alias("size"),
            pl.col("spread").min(),
        )
        .drop_nulls("kind")
        .sort("doubt", "spread", "cluster", descending=[True, False, False], nulls_last=True)
        .with_columns(pl.int_range(pl.len()).over("kind").alias("turn"))
        .sort("turn", "kind", "spread", "cluster")
    )
    doubtful = kinds.head(DOUBTFUL).sort("kind", "cluster")
    largest = kinds.slice(DOUBTFUL).sort("size", "spread", "cluster", descending=[True, False, False]).head(LARGEST)
    names = [*doubtful["cluster"], *largest["cluster"]]
    groups = members.filter(pl.col("cluster").is_in(names)).partition_by("cluster", as_dict=True)
    return tuple(_cluster(name, groups[name,]) for name in names)


def _cluster(name: str, members: pl.DataFrame) -> Cluster:
    ordered = members.with_columns(pl.col("duplicate_of").is_not_null().alias("duplicate")).sort(
        "duplicate", "distance", "similarity", "key", descending=[False, True, False, False], nulls_last=True
    )
    told = ("distance", "reason", "likeness", "difference", "similarity", "value")
    shown = ordered.select("entry", "key", *told).head(MEMBERS).rows()
    return Cluster(name, members.height, tuple(Member((entry, key), *rest) for entry, key, *rest in shown))
