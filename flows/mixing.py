"""Scores to a mixture box: judge, decide, dedup, cap, repeat, write."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import polars as pl
from pydantic import BaseModel

from filters.phash import PerceptualHash
from filters.pictures import PictureBasics
from flows.executor import Runner, Steps
from flows.judging import judge_of, judge_stage
from flows.scoring import FilterSet, identity, load_scores, picture_table
from manifests.clusters import Item
from manifests.manifest import Digests, Manifest, read_manifest
from manifests.mixture import SourceScores, mix, report
from manifests.plan import PlannedStage
from manifests.recipe import Recipe
from shards.files import file_sha256, fingerprint, write_table, write_text
from shards.sample import ShardsIndex, read_all
from shards.store import Box, Store
from sources.spec import Source

FLAT_GRAY_STD = 2.0
"""Standard deviation of gray values below which a picture is flat and the bits of its hash are noise. Ours."""

Sourced = Mapping[str, tuple[Source, Box]]
"""Source name to its declaration and box of shards."""


class MixtureIndex(BaseModel):
    """What a mixture box says about itself."""

    digest: str


class Mixed(NamedTuple):
    """A finished mixture and the work it took: rows asked of the judge, mixtures made."""

    box: Box
    manifest: Manifest
    judged: Steps
    mixed: Steps


def mixture_box(
    store: Store,
    recipe: Recipe,
    stage: PlannedStage,
    source_of: Mapping[str, str],
    sourced: Sourced,
    filters: FilterSet,
) -> Box:
    """Where the mixture of a stage lies; the fingerprint covers recipe, samples, filters and judge."""
    judge = judge_of(recipe)
    names = sorted({source_of[entry.id] for entry in stage.entries})
    name = fingerprint(
        "mixture",
        3,
        recipe.name,
        recipe.seed,
        judge.judge_id if judge else "off",
        [rule.model_dump(mode="json") for rule in stage.rules],
        stage.dedup.model_dump(mode="json"),
        [
            entry.model_dump(mode="json", exclude={"source"}) | {"source": source_of[entry.id]}
            for entry in stage.entries
        ],
        [[name, sourced[name][1].name, sourced[name][0].licence] for name in names],
        [list(identity(item)) for item in filters.samples] + [list(identity(item)) for item in filters.pictures],
    )
    return store.box("mixtures", f"{recipe.name}.{stage.name}", name)


def make_mixture(
    runner: Runner,
    store: Store,
    recipe: Recipe,
    stage: PlannedStage,
    source_of: Mapping[str, str],
    sourced: Sourced,
    filters: FilterSet,
) -> Mixed:
    """Make the mixture of a stage unless it is there.

    Writes `decisions.parquet`, `clusters.parquet`, `ids.parquet`, `scores.parquet` (as the rules saw them) and
    `manifest.json`.
    """
    box = mixture_box(store, recipe, stage, source_of, sourced, filters)
    if box.done:
        return Mixed(box, read_manifest(box.path), Steps(), Steps(0, 1))
    names = sorted({source_of[entry.id] for entry in stage.entries})
    loaded = {name: load_source(store, filters, *sourced[name]) for name in names}
    shards = {name: sourced[name][1] for name in names}
    scored, judged = judge_stage(runner, store, recipe, stage, loaded, source_of, shards)
    items = DedupItems(store, scored, shards)
    mixture = mix(recipe, stage, scored, source_of, items)
    write_table(box.path / "decisions.parquet", mixture.decisions)
    write_table(box.path / "clusters.parquet", mixture.clusters)
    write_table(box.path / "ids.parquet", mixture.ids)
    write_table(box.path / "scores.parquet", _all_scores(list(scored.values())))
    digests = Digests(**{name: file_sha256(box.path / f"{name}.parquet") for name in Digests.model_fields})
    judge = judge_of(recipe)
    manifest = report(
        recipe, stage, scored, source_of, mixture, judge=judge.judge_id if judge else "off", digests=digests
    )
    write_text(box.path / "manifest.json", manifest.model_dump_json(indent=1) + "\n")
    box.finish(MixtureIndex(digest=manifest.digest()))
    return Mixed(box, manifest, judged, Steps(1, 0))


def load_source(store: Store, filters: FilterSet, source: Source, shards: Box) -> SourceScores:
    """Counts and cheap scores of a source."""
    index = shards.index(ShardsIndex)
    scores = load_scores(store, filters, source, shards)
    return SourceScores(
        source.name, source.licence, index.fingerprint, index.items, index.quarantined, index.repairs, scores
    )


def _all_scores(sources: Sequence[SourceScores]) -> pl.DataFrame:
    """Scores of all sources in one frame."""
    frames = [source.scores.select(pl.lit(source.name).alias("source"), pl.all()) for source in sources]
    return pl.concat(frames, how="diagonal")


class DedupItems:
    """Gives dedup what it must know of samples, read from shards and picture tables when it asks."""

    def __init__(self, store: Store, scored: Mapping[str, SourceScores], shards: Mapping[str, Box]) -> None:
        self._store = store
        self._scored = scored
        self._shards = shards

    def __call__(self, source: str, keys: pl.Series) -> list[Item]:
        """Items of the samples of a source with these keys, in published order."""
        shards = self._shards[source]
        hashes = self._hashes(shards)
        texts = self._scored[source].scores.select("key", "instruction_hash", "text_hash")
        images = pl.concat(list(read_all(shards.path, ["key", "position", "images"])))
        rows = images.filter(pl.col("key").is_in(keys.implode())).join(
            texts, on="key", how="left", maintain_order="left"
        )
        # A loop over rows: clustering works on Python values.
        return [
            Item(
                key,
                position,
                tuple(image["sha256"] for image in group),
                tuple(hashes[image["sha256"]] for image in group),
                instruction,
                text,
                sum(image["width"] * image["height"] for image in group),
            )
            for key, position, group, instruction, text in rows.iter_rows()
        ]

    def _hashes(self, shards: Box) -> dict[str, int | None]:
        """Perceptual hash of each distinct picture by SHA-256; None for flat pictures."""
        hashes = picture_table(self._store, PerceptualHash(), shards)
        basics = picture_table(self._store, PictureBasics(), shards)
        valid = pl.when(pl.col("gray_std") >= FLAT_GRAY_STD).then("phash").otherwise(None)
        return dict(hashes.join(basics, on="sha256").select("sha256", valid.alias("phash")).iter_rows())
