"""Scores to mixture: take, decide, drop duplicates, cap, repeat; every step leaves its counts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import polars as pl
from polars._typing import SchemaDict

from manifests.clusters import CLUSTERS, Item, find_clusters
from manifests.manifest import Counts, Digests, DomainCounts, EntryReport, Manifest, totals
from manifests.plan import PlannedStage
from manifests.recipe import Entry, Recipe
from manifests.rules import Predicate, decide
from manifests.take import emitted, hash_order, taken

DECISIONS: SchemaDict = {
    "entry": pl.String,
    "key": pl.String,
    "position": pl.Int64,
    "verdict": pl.String,  # not_taken | keep | drop | review | unscored
    "rule": pl.String,  # deciding rule; null without one
    "reasons": pl.List(pl.String),  # all rules that are true
    "unknown": pl.List(pl.String),  # rules that could not be decided
    "outcome": pl.String,  # of kept rows: written | duplicate | capped
    "times": pl.Int64,  # times emitted; 0 unless written
}

IDS: SchemaDict = {"entry": pl.String, "key": pl.String, "times": pl.Int64}


@dataclass(frozen=True, slots=True)
class SourceScores:
    """What a mixture needs of one source.

    `scores` has one row per sample in published order: key, position, every score and its `_state`; `published` counts
    the rows as published, quarantined ones included.
    """

    name: str
    licence: str
    shards: str
    published: int
    quarantine: Mapping[str, int]
    repairs: Mapping[str, int]
    scores: pl.DataFrame


class Mixture(NamedTuple):
    """Tables of one mixture, see `DECISIONS`, `CLUSTERS` and `IDS`."""

    decisions: pl.DataFrame
    clusters: pl.DataFrame
    ids: pl.DataFrame


Items = Callable[[str, pl.Series], list[Item]]
"""(source name, (n,) keys) -> what dedup must know of them."""


def take_mask(recipe: Recipe, entry: Entry, source: SourceScores) -> pl.Series:
    """(n,) Boolean: samples of the source that an entry takes."""
    scores = source.scores
    return taken(entry.take, scores["key"], scores["position"], source.published, seed=recipe.seed, entry=entry.id)


def decide_entry(recipe: Recipe, entry: Entry, source: SourceScores, predicates: Sequence[Predicate]) -> pl.DataFrame:
    """Verdicts of every sample of an entry's source: (n, 7) frame, the columns of `DECISIONS` up to `unknown`."""
    verdicts = decide(source.scores, predicates, entry)
    mask = take_mask(recipe, entry, source)
    empty = pl.lit([], pl.List(pl.String))
    return (
        source.scores.select(pl.lit(entry.id).alias("entry"), "key", "position")
        .hstack(verdicts)
        .with_columns(mask.alias("taken"))
        .with_columns(
            pl.when("taken").then("verdict").otherwise(pl.lit("not_taken")).alias("verdict"),
            pl.when("taken").then("rule").otherwise(None).alias("rule"),
            pl.when("taken").then("reasons").otherwise(empty).alias("reasons"),
            pl.when("taken").then("unknown").otherwise(empty).alias("unknown"),
        )
        .drop("taken")
    )


def mix(
    recipe: Recipe,
    stage: PlannedStage,
    sources: Mapping[str, SourceScores],
    source_of: Mapping[str, str],
    items: Items,
) -> Mixture:
    """Make the mixture of one stage.

    Args:
        recipe: for the seed.
        stage: entries, rules and dedup policy.
        sources: by source name; judge scores that rules need are in place.
        source_of: entry id to source name.
        items: gives dedup what it must know.
    """
    decided = [decide_entry(recipe, entry, sources[source_of[entry.id]], stage.predicates) for entry in stage.entries]
    clusters = _clusters(stage, decided, source_of, items)
    duplicates = clusters.filter(pl.col("duplicate_of").is_not_null())["key"]
    finished = [
        _outcomes(recipe, entry, frame, duplicates) for entry, frame in zip(stage.entries, decided, strict=True)
    ]
    decisions = pl.concat(finished).cast(DECISIONS).sort("entry", "position", "key")  # type: ignore[arg-type]  # polars types the mapping invariantly
    ids = decisions.filter(pl.col("outcome") == "written").select(list(IDS))
    return Mixture(decisions, clusters, ids)


def _clusters(
    stage: PlannedStage, decided: Sequence[pl.DataFrame], source_of: Mapping[str, str], items: Items
) -> pl.DataFrame:
    if stage.dedup.level == "off":
        return pl.DataFrame(schema=CLUSTERS)
    kept: dict[str, list[pl.Series]] = {}
    for entry, frame in zip(stage.entries, decided, strict=True):
        kept.setdefault(source_of[entry.id], []).append(frame.filter(pl.col("verdict") == "keep")["key"])
    # one sample may stand in several entries; it is one item, never its own duplicate
    found = [item for source, keys in kept.items() for item in items(source, pl.concat(keys).unique())]
    return find_clusters(found, stage.dedup)


def _outcomes(recipe: Recipe, entry: Entry, frame: pl.DataFrame, duplicates: pl.Series) -> pl.DataFrame:
    """Mark kept rows as written, duplicate or capped, and count how often each is emitted."""
    kept = frame.filter(pl.col("verdict") == "keep")
    unique = kept.filter(~pl.col("key").is_in(duplicates.implode()))
    order = hash_order(unique["key"].to_list(), seed=recipe.seed, entry=entry.id)
    limit = unique.height if entry.cap is None else min(entry.cap, unique.height)
    written = unique.select("key").with_columns(pl.Series("order", order)).filter(pl.col("order") < limit)
    times = emitted(entry.repeat, written["order"].to_numpy())
    counted = written.select("key", times.alias("times"))
    outcome = (
        pl.when(pl.col("verdict") != "keep")
        .then(None)
        .when(pl.col("key").is_in(duplicates.implode()))
        .then(pl.lit("duplicate"))
        .when(pl.col("times").is_not_null())
        .then(pl.lit("written"))
        .otherwise(pl.lit("capped"))
    )
    joined = frame.join(counted, on="key", how="left", maintain_order="left")
    return joined.with_columns(outcome.alias("outcome")).select(
        *[name for name in DECISIONS if name != "times"], pl.col("times").fill_null(0)
    )


def report(
    recipe: Recipe,
    stage: PlannedStage,
    sources: Mapping[str, SourceScores],
    source_of: Mapping[str, str],
    mixture: Mixture,
    *,
    judge: str,
    digests: Digests,
) -> Manifest:
    """The manifest of a mixture, its counts proven.

    Raises:
        ConservationError: rows were lost or doubled.
    """
    entries = [_entry_report(entry, sources[source_of[entry.id]], stage, mixture.decisions) for entry in stage.entries]
    domains: dict[str, Counts] = {}
    for entry in entries:
        domains[entry.domain] = domains.get(entry.domain, Counts()) + entry.counts
    return Manifest(
        recipe=recipe.name,
        mixture=stage.name,
        seed=recipe.seed,
        judge=judge,
        rules=[rule.model_dump(mode="json") for rule in stage.rules],
        dedup=stage.dedup.model_dump(mode="json"),
        entries=entries,
        domains={name: DomainCounts.of(domains[name]) for name in sorted(domains)},
        totals=totals([entry.counts for entry in entries], f"mixture `{recipe.name}.{stage.name}`"),
        digests=digests,
    )


def _entry_report(entry: Entry, source: SourceScores, stage: PlannedStage, decisions: pl.DataFrame) -> EntryReport:
    rows = decisions.filter(pl.col("entry") == entry.id)
    rules = rows.drop_nulls("rule").group_by("rule").len().sort("rule")
    sizes = source.scores.select(
        "key", "num_images", (pl.col("question_chars") + pl.col("answer_chars")).alias("chars")
    )
    sums = (
        rows.filter(pl.col("times") > 0)
        .join(sizes, on="key")
        .select((pl.col("num_images") * pl.col("times")).sum(), (pl.col("chars") * pl.col("times")).sum())
        .row(0)
    )
    return EntryReport(
        id=entry.id,
        source=source.name,
        domain=entry.domain,
        licence=source.licence,
        shards=source.shards,
        take=entry.take.model_dump(mode="json", exclude_none=True),
        repeat=entry.repeat,
        counts=_counts(rows, sum(source.quarantine.values())),
        quarantine=dict(source.quarantine),
        repairs=dict(source.repairs),
        rules=dict(rules.iter_rows()),
        exempt={rule.name: item.reason for rule in stage.rules for item in rule.exempt if item.entry == entry.id},
        pictures=int(sums[0] or 0),
        characters=int(sums[1] or 0),
    )


def _counts(rows: pl.DataFrame, quarantined: int) -> Counts:
    verdicts = dict(rows.group_by("verdict").len().iter_rows())
    outcomes = dict(rows.drop_nulls("outcome").group_by("outcome").len().iter_rows())
    return Counts(
        read=rows.height + quarantined,
        quarantined=quarantined,
        made=rows.height,
        duplicates=outcomes.get("duplicate", 0),
        capped=outcomes.get("capped", 0),
        written=outcomes.get("written", 0),
        emitted=int(rows["times"].sum()),
        **verdicts,
    )
