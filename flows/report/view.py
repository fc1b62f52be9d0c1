"""What a report shows, as plain values; whoever builds a mix fills these in and calls `render`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from flows.report.blocks import Table
from flows.report.review import ReviewView
from manifests.manifest import Manifest

ScoreValue = float | int | bool | str | None


@dataclass(frozen=True, slots=True)
class SampleView:
    """One sample with its texts and picture bytes.

    `verdict` is a word of shards/schema.py, or the outcome `duplicate` or `capped` of a kept row. `pictures` are
    encoded originals; bytes that do not decode show as a placeholder. `scores` may hold `X_state` beside `X`, which is
    shown where `X` is null.
    """

    key: str
    source: str
    entry: str
    domain: str
    messages: tuple[tuple[str, str], ...]
    pictures: tuple[bytes, ...]
    verdict: str
    rule: str | None
    reasons: tuple[str, ...]
    scores: Mapping[str, ScoreValue]


Samples = Callable[[int, Sequence[tuple[str, str]]], list[SampleView]]
"""(index of the stage in `ReportView.stages`, places as (entry, key)) -> one sample a place, in that order.

Called once a stage with at most `pick.MOST_SAMPLES` distinct places.
"""


@dataclass(frozen=True, slots=True)
class StageView:
    """One stage of a run.

    `decisions` is of schema manifests.mixture.DECISIONS, `clusters` of manifests.clusters.CLUSTERS. `scores` has one
    row per sample of the stage's sources: `key`, every score and its `_state` column; other columns are ignored. A
    stage whose manifest has the mixture of an earlier stage is shown as a reference to that one.
    """

    name: str
    manifest: Manifest
    epochs: float
    decisions: Table
    clusters: pl.DataFrame
    scores: Table


@dataclass(frozen=True, slots=True)
class TruthLine:
    """How one planted defect fared.

    `caught` of the `planted` rows were taken out by the step `by` that is meant for them. `wrongly` counts the rows
    that step took out without this defect; null where one step serves several defects and nobody can tell. Of a
    `decoy` (a row that looks bad and is good) `wrongly` are taken out, and `caught` means nothing.
    """

    defect: str
    planted: int
    caught: int
    wrongly: int | None = None
    by: str = ""
    decoy: bool = False


@dataclass(frozen=True, slots=True)
class TruthView:
    """Planted defects against what the build took out; shares 0..1 over all rows, null without any row to divide by."""

    lines: tuple[TruthLine, ...]
    precision: float | None
    recall: float | None
    explanation: str


@dataclass(frozen=True, slots=True)
class SourceView:
    """One source: rows as read, `quarantined` and `repairs` by reason, distinct pictures and their bytes."""

    name: str
    licence: str
    rows: int
    quarantined: Mapping[str, int]
    pictures: int
    picture_bytes: int
    repairs: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ReportView:
    """A whole run; `passes` is per source, see DESIGN.md section 2. Nothing here depends on the clock or the cache."""

    title: str
    recipe_description: str
    digest: str
    stages: tuple[StageView, ...]
    passes: Mapping[str, float]
    warnings: tuple[str, ...]
    sources: tuple[SourceView, ...]
    samples: Samples
    truth: TruthView | None = None
    reviews: tuple[ReviewView, ...] = ()
    """Of stages that somebody has reviewed."""
