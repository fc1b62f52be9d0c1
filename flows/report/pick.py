"""Which rows a report shows: few, spread over rules and sources, the same ones every time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from flows.report.blocks import blocks
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
    candidates: dict[str, list[pl.DataFrame]] = {name: [] for name in _MOST}
    members: list[pl.DataFrame] = []
    for block in blocks(stage.decisions, _READ):
        rows = _with_strata(stage, block)
        for name, found in _candidates(rows).items():
            # nobody sorts millions of rows to show a few: later ones of a stratum and source have no turn
            candidates[name] = [_earliest(pl.concat([*candidates[name], found]), _MOST[name])]
        kept = rows.filter(pl.col("verdict") == "keep").select("key", "entry", "spread")
        members.append(kept.join(stage.clusters.select("key"), on="key", how="semi"))
    shown = {name: _spread(pl.concat(found), _MOST[name]) for name, found in candidates.items()}
    return Picks(**shown, clusters=_clusters(stage.clusters, pl.concat(members)))


_READ: Final = ("entry", "key", "position", "verdict", "rule", "unknown", "outcome")
_MOST: Final = {"dropped": DROPPED, "reviewed": REVIEWED, "unscored": UNSCORED, "kept": KEPT}


def _candidates(rows: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Rows that may be shown under each heading."""
    return {
        # what is taken down is shown to nobody
        "dropped": rows.filter(pl.col("verdict") == "drop", ~pl.col("taken_down")),
        "reviewed": rows.filter(pl.col("verdict") == "review"),
        "unscored": rows.filter(pl.col("verdict") == "unscored"),
        "kept": rows.filter(pl.col("outcome") == "written").with_columns(stratum="domain"),
    }


def _with_strata(stage: StageView, decisions: pl.DataFrame) -> pl.DataFrame:
    """Decisions with `stratum` (place of the deciding rule in the rules), `source`, `domain` and `spread`."""
    entries = stage.manifest.entries
    rules: Mapping[str, int] = {str(rule["name"]): place for place, rule in enumerate(stage.manifest.rules)}
    # the undecidable rule stands for an unscored row, which no rule decided
    rule = pl.coalesce("rule", pl.col("unknown").list.first())
    return decisions.select(
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


def _earliest(rows: pl.DataFrame, most: int) -> pl.DataFrame:
    """The first `most` rows of each stratum and source, and those that are equal to the last of them."""
    return rows.filter(pl.col("spread") <= pl.col("spread").bottom_k(most).max().over("stratum", "source"))


def _spread(rows: pl.DataFrame, most: int) -> tuple[Place, ...]:
    """At most `most` rows: strata take turns, within a stratum sources do; shown in order of stratum and key."""
    chosen = (
        rows.sort("spread", "entry", "key")
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

    Then the largest ones. `rows` are kept ones with the keys of members.
    """
    # a key that stands in several entries is shown once
    members = clusters.join(rows.sort("entry").unique("key", keep="first", maintain_order=True), on="key")
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
