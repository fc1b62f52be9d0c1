"""Finished mixtures made again from the scores in the store: what `decide` and `verify` share."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import polars as pl

from flows.comparing import PictureComparison
from flows.evidence import evidence
from flows.executor import LocalRunner
from flows.mixes import Mix
from flows.mixing import EXCLUDED_FILE, PictureTiles, StoredSources
from flows.review_scores import Answers, human_columns
from flows.takedowns import Takedowns
from flows.taken import taken_down, with_found
from manifests.mixture import Mixture, SourceScores, mix
from manifests.plan import PlannedStage
from manifests.recipe import Recipe
from manifests.restore import recipe_of, stage_of
from manifests.rules import TAKEN_DOWN
from shards.remote import SCORES_FILE
from shards.schema import STATE_SUFFIX
from shards.store import Box


class Stored(NamedTuple):
    """What a finished mixture was made from: scores by source name, source by entry id, shards by source name."""

    sources: StoredSources
    source_of: Mapping[str, str]
    shards: Mapping[str, Box]


class _Today(StoredSources):
    """The same with what people say, and what is taken down, today instead of when the mixture was made."""

    def __init__(
        self, stored: StoredSources, shards: Mapping[str, Box], answers: Answers, held: Takedowns | None
    ) -> None:
        super().__init__(stored.path, stored.facts, stored.stage)
        self._shards = shards
        self._answers = answers
        self._held = held
        # the mixture may have been made before anything was taken down
        self._columns = [name for name in self._columns if name.removesuffix(STATE_SUFFIX) != TAKEN_DOWN]

    def __getitem__(self, name: str) -> SourceScores:
        """A source with its scores; see `StoredSources`."""
        source = super().__getitem__(name)
        human = human_columns(self._shards[name], source.scores["key"], self._answers.get(name, ()))
        read = [column for column in human.columns if column in source.scores.columns]
        taken = taken_down(self._shards[name], name, source.scores["key"], self._held)
        return replace(source, scores=source.scores.with_columns(human.select(read)).hstack(taken))


def stored(built: Mix, stage: PlannedStage, answers: Answers | None = None, held: Takedowns | None = None) -> Stored:
    """The inputs of a finished mixture, with judge scores as the rules saw them.

    Args:
        built: the mixture.
        stage: says which scores are read.
        answers: what people say today; None for what they said when the mixture was made.
        held: what is taken down today; with `answers` only.
    """
    source_of = {entry.id: entry.source for entry in built.manifest.entries}
    facts = {
        entry.source: SourceScores(
            entry.source,
            entry.licence,
            entry.shards,
            entry.counts.read,
            entry.quarantine,
            entry.repairs,
            pl.DataFrame(),
            entry.revision,
            entry.reading,
        )
        for entry in built.manifest.entries
    }
    shards = {source: built.shards(source) for source in facts}
    scores = StoredSources(built.box.path / SCORES_FILE, facts, stage)
    if answers is None:
        return Stored(scores, source_of, shards)
    found = with_found(built.store, held, shards) if held else None
    return Stored(_Today(scores, shards, answers, found), source_of, shards)


def mix_again(built: Mix, recipe: Recipe, stage: PlannedStage, inputs: Stored) -> Mixture:
    """The mixture of a stage, perhaps with other rules, from the inputs of a finished one."""
    compare = PictureComparison(built.store, inputs.shards, LocalRunner(None), keep=False)
    known = evidence(built.store, inputs.shards, compare)
    return mix(recipe, stage, inputs.sources, inputs.source_of, known, PictureTiles(inputs.shards))


def rebuilt(built: Mix) -> Mixture:
    """A finished mixture made again from its manifest and the store alone.

    Raises:
        RecipeError: a rule of the manifest that its scores do not fit.
        StoreError: measures of pictures are gone.
    """
    stage = stage_of(built.manifest, score_types(built), excluded_rows(built))
    return mix_again(built, recipe_of(built.manifest, stage), stage, stored(built, stage))


def score_types(built: Mix) -> dict[str, pl.DataType]:
    """Dtypes of the scores of a finished mixture, by name."""
    schema = built.score_types
    places = {"source", "key", "position"}
    return {name: kind for name, kind in schema.items() if name not in places and not name.endswith(STATE_SUFFIX)}


def excluded_rows(built: Mix) -> dict[str, tuple[int, ...]]:
    """Row numbers that `exclude` takes left out, by entry."""
    if built.manifest.digests.excluded is None:
        return {}
    return {name: tuple(rows) for name, rows in json.loads((built.box.path / EXCLUDED_FILE).read_bytes()).items()}
