"""A finished build as the report shows it."""

import json
from collections.abc import Callable, Mapping, Sequence

import polars as pl

from flows.build import Built, Prepared
from flows.demo.truth import KEPT, fates, meant
from flows.mixes import Mix, score_columns
from flows.report.render import render
from flows.report.review import review_views
from flows.report.view import ReportView, SampleView, SourceView, StageView, TruthLine, TruthView
from flows.resolve import demo_root
from flows.review_stats import stats_of
from shards.pack import Image, PictureReader
from shards.sample import ShardsIndex, read_all
from shards.store import Box, Store
from sources.spec import Source


def report(prepared: Prepared, built: Built, store: Store) -> str:
    """The report of a build as one HTML page; equal builds give equal bytes."""
    mixes = {stage.stage: Mix(store, Box(store.root, stage.mix)) for stage in built.manifest.stages}
    stages = tuple(
        StageView(stage.stage, mix.manifest, stage.epochs, mix.decision_table, mix.clusters, mix.score_table)
        for stage, mix in zip(built.manifest.stages, mixes.values(), strict=True)
    )
    view = ReportView(
        title=prepared.recipe.name,
        recipe_description=prepared.recipe.description,
        digest=built.manifest.digest(),
        stages=stages,
        passes=built.manifest.passes,
        warnings=tuple(built.manifest.warnings),
        sources=tuple(_source(source, shards) for source, shards in built.sourced.values()),
        samples=_samples(list(mixes.values()), store),
        truth=_truth(prepared, built, list(mixes.values()), store),
        reviews=review_views(
            [(name, stats_of(mix, prepared.filters.answers)) for name, mix in mixes.items() if prepared.filters.answers]
        ),
    )
    return render(view)


def _source(source: Source, shards: Box) -> SourceView:
    index = shards.index(ShardsIndex)
    return SourceView(
        source.name,
        source.licence,
        index.items,
        index.quarantined,
        index.pictures,
        index.picture_bytes,
        index.repairs,
    )


def _samples(mixes: Sequence[Mix], store: Store) -> Callable[[int, Sequence[tuple[str, str]]], list[SampleView]]:
    reader = PictureReader(str(store.root))

    def load(stage: int, places: Sequence[tuple[str, str]]) -> list[SampleView]:
        mix = mixes[stage]
        wanted = pl.DataFrame(list(places), schema={"entry": pl.String, "key": pl.String}, orient="row")
        found = mix.decision_table.filter(pl.col("key").is_in(wanted["key"].implode())).collect(engine="streaming")
        rows = wanted.join(found, on=["entry", "key"], how="left", maintain_order="left")
        names = [name for name in mix.score_names if name not in {"source", "position"}]
        scores = mix.scores_of(rows["key"], names)
        scored = mix.samples(rows).join(scores, on="key", how="left", maintain_order="left")
        return [_sample(mix, row, reader) for row in scored.iter_rows(named=True)]

    return load


def _sample(mix: Mix, row: dict[str, object], reader: PictureReader) -> SampleView:
    messages, images = row["messages"], row["images"]
    assert isinstance(messages, list) and isinstance(images, list)
    entry = mix.entries[str(row["entry"])]
    names = score_columns(mix.score_names)
    outcome = row["outcome"]
    return SampleView(
        key=str(row["key"]),
        source=entry.source,
        entry=entry.id,
        domain=entry.domain,
        messages=tuple((message["role"], message["text"]) for message in messages),
        pictures=tuple(reader(Image(**image)) for image in images),
        verdict=str(outcome if outcome in {"duplicate", "capped"} else row["verdict"]),
        rule=row["rule"],  # type: ignore[arg-type]  # String column of DECISIONS
        reasons=tuple(row["reasons"]),  # type: ignore[arg-type]  # List(String) column of DECISIONS
        scores={name: row[name] for each in names for name in (each, f"{each}_state")},  # type: ignore[misc]  # numbers, Booleans, text
    )


def _truth(prepared: Prepared, built: Built, mixes: Sequence[Mix], store: Store) -> TruthView | None:
    """Precision and recall against the demo publishers' own table; None for any other recipe."""
    demo = {located.source.name for located in prepared.located.values() if located.demo} & built.sourced.keys()
    if not demo:
        return None
    outcomes = pl.concat([_outcomes(name, built.sourced[name][1], mixes) for name in sorted(demo)])
    outcomes = outcomes.filter(pl.col("step") != "not_taken")
    found = fates(pl.read_parquet(demo_root(store) / "truth.parquet"), outcomes).drop_nulls("step")
    lines = [
        _truth_line(str(defect), rows) for (defect,), rows in sorted(found.group_by("defect"), key=lambda part: part[0])
    ]
    removed = outcomes.filter(pl.col("step") != "written").height
    bad = found.filter(~pl.col("defect").str.ends_with(KEPT))
    caught_any = bad.filter(pl.col("step") != "written").height
    explanation = (
        "The publishers planted these defects and wrote down where. Recall is the share of planted rows that were "
        "taken out at all; precision is the share of rows taken out that were planted. The rules are the ones of the "
        "recipe and were not tuned to this table; rows of review count as taken out."
    )
    return TruthView(
        tuple(lines),
        precision=caught_any / removed if removed else None,
        recall=caught_any / bad.height if bad.height else None,
        explanation=explanation,
    )


def _truth_line(defect: str, rows: pl.DataFrame) -> TruthLine:
    caught = int(rows["caught"].sum())
    if defect.endswith(KEPT):
        return TruthLine(defect, rows.height, 0, caught, by="any step", decoy=True)
    return TruthLine(defect, rows.height, caught, by=" or ".join(meant(defect)))


def _outcomes(source: str, shards: Box, mixes: Sequence[Mix]) -> pl.DataFrame:
    """One row per raw row of a source: `locator` and the step where it ended, over all entries that took it."""
    metas = pl.concat(list(read_all(shards.path, ["key", "meta"])))
    locators = {key: str(json.loads(meta)["locator"]) for key, meta in metas.iter_rows()}
    ended: dict[str, str] = {}
    for mix in mixes:
        entries = [entry.id for entry in mix.manifest.entries if entry.source == source]
        rows = mix.decision_table.filter(pl.col("entry").is_in(entries)).select("key", "verdict", "outcome")
        for key, verdict, outcome in rows.collect().iter_rows():
            ended[locators[key]] = _later(ended, locators[key], _step(verdict, outcome))
    quarantined = pl.read_parquet(shards.path / "quarantine.parquet")["locator"].to_list()
    ended |= dict.fromkeys(quarantined, "quarantine")
    return pl.DataFrame(sorted(ended.items()), {"locator": pl.String, "step": pl.String}, orient="row")


def _step(verdict: str, outcome: str | None) -> str:
    if verdict == "not_taken":
        return "not_taken"
    if verdict != "keep":
        return "unscored" if verdict == "unscored" else "rules"
    return "dedup" if outcome == "duplicate" else "written"


def _later(ended: Mapping[str, str], locator: str, step: str) -> str:
    """Of two entries that took a row, the one where it came further."""
    order = ("not_taken", "rules", "unscored", "dedup", "written")
    before = ended.get(locator, "not_taken")
    return step if order.index(step) >= order.index(before) else before
