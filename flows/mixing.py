"""Scores to a mixture box: judge, decide, dedup, cap, repeat, write."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Final, NamedTuple

import polars as pl
from pydantic import BaseModel

from filters.judges.base import Judge
from flows.comparing import PictureComparison, comparison_box, comparison_version
from flows.evidence import evidence
from flows.executor import Runner, Steps
from flows.importing import imported_digests
from flows.judging import columns_read, judge_stage
from flows.leak_report import counted
from flows.leaking import leaks_box, leaks_names
from flows.review_scores import answers_digest
from flows.score_table import ROWS, ScoreTable
from flows.scoring import FilterSet, identity, natives, score_box
from flows.taken import with_found
from manifests.account import Told, report
from manifests.manifest import MANIFEST_VERSION, Digests, JudgeCounts, Manifest, read_manifest
from manifests.mixture import DECISIONS, IDS, Mixture, Sources, SourceScores, columns_of, mix
from manifests.plan import PlannedStage
from manifests.recipe import Recipe
from manifests.tiles import sample_tiles
from shards.columns import scan_table, table_schema
from shards.errors import RecipeError
from shards.files import canonical_json, file_sha256, fingerprint, table_writer, write_table, write_text
from shards.remote import SCORES_FILE
from shards.sample import ShardsIndex, read_all
from shards.store import Box, Store
from sources.spec import Source

EXCLUDED_FILE: Final = "excluded.json"

_READING: Final = {"split", "layout", "columns", "prompt", "native", "only", "pairs"}
"""Fields of a declaration that say how its raw files are read."""

Write = Callable[[pl.DataFrame], None]

Sourced = Mapping[str, tuple[Source, Box]]
"""Source name to its declaration and box of shards."""


class MixtureIndex(BaseModel):
    """What a mixture box says about itself."""

    digest: str


class Mixed(NamedTuple):
    """A mixture and the work it took: rows asked of the judge, pairs of pictures compared, mixtures made.

    `failed` counts calls of the judge that failed: with one, the box is written and not done.
    """

    box: Box
    manifest: Manifest
    judged: Steps
    compared: Steps
    mixed: Steps
    failed: int = 0


def mixture_box(
    store: Store,
    recipe: Recipe,
    stage: PlannedStage,
    source_of: Mapping[str, str],
    sourced: Sourced,
    filters: FilterSet,
    told: Told,
) -> Box:
    """Where the mixture of a stage lies; the fingerprint covers recipe, samples, filters and judge."""
    names = sorted({source_of[entry.id] for entry in stage.entries})
    name = fingerprint(
        "mixture",
        5,
        MANIFEST_VERSION,
        [recipe.name, recipe.seed, recipe.scale, list(recipe.assumptions)],
        [told.judge, told.faithful, told.tokens, dict(told.prompts), dict(told.ask_when)],
        {name: facts.model_dump(mode="json") for name, facts in told.missing.items()},
        [stage.epochs, None if stage.targets is None else stage.targets.model_dump(mode="json")],
        {name: list(rows) for name, rows in stage.excluded.items()},
        [rule.model_dump(mode="json") for rule in stage.rules],
        stage.dedup.model_dump(mode="json") | comparison_version(stage.dedup),
        [
            entry.model_dump(mode="json", exclude={"source"}) | {"source": source_of[entry.id]}
            for entry in stage.entries
        ],
        [[name, sourced[name][1].name, sourced[name][0].licence, sourced[name][0].revision] for name in names],
        {name: imported_digests(store, name) for name in names},
        {name: answers_digest(filters.answers[name]) for name in names if name in filters.answers},
        [list(identity(item)) for item in (*filters.samples, *filters.pictures, *filters.apart)],
        *([{name: leaks_names(store, sourced[name][1], filters.leakage) for name in names}] if filters.leakage else []),
        *([filters.takedowns.digest] if filters.takedowns else []),
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
    told: Told,
    judge: Judge | None,
) -> Mixed:
    """Make the mixture of a stage unless it is there; `judge` is the one that `told` names.

    Writes `scores.parquet` (as the rules saw them), `decisions.parquet`, `clusters.parquet`, `ids.parquet`,
    `manifest.json`, and `excluded.json` where an entry has an exclude list.
    """
    box = mixture_box(store, recipe, stage, source_of, sourced, filters, told)
    if box.done:
        return Mixed(box, read_manifest(box.path), Steps(), Steps(), Steps(0, 1))
    shards = {source_of[entry.id]: sourced[source_of[entry.id]][1] for entry in stage.entries}
    facts, judged, counts = _write_scores(runner, store, box, recipe, stage, source_of, sourced, filters, judge)
    failed = sum(count.error for count in counts.values())
    sources = ReadSources(box.path / SCORES_FILE, facts, stage)
    compare = PictureComparison(store, shards, runner, keep=True)
    known = evidence(store, shards, compare)
    mixture = mix(recipe, stage, sources, source_of, known, PictureTiles(shards))
    told = replace(told, judged=counts, leakage=counted(store, mixture, shards, filters.leakage))
    read = boxes_read(store, stage, sourced, shards, filters)
    manifest = write_mixture(box, recipe, mixture, facts, told=told, final=not failed, of=read)
    return Mixed(box, manifest, judged, compare.steps, Steps(1, 0), failed)


def boxes_read(
    store: Store, stage: PlannedStage, sourced: Sourced, shards: Mapping[str, Box], filters: FilterSet
) -> list[Box]:
    """The boxes that a mixture of these sources is made from: samples, scores, leaks, comparisons of pictures.

    Answers of a judge are not among them: they stay as long as the samples do.
    """
    found: list[Box] = [comparison_box(store)] if comparison_version(stage.dedup) else []
    for name, own in shards.items():
        made = (*filters.samples, *filters.apart, *natives(sourced[name][0]), *filters.pictures)
        found += [own, *(score_box(store, own, item) for item in made)]
        found += [leaks_box(store, own, each) for each in filters.leakage]
    return [*found, *(each.box for each in filters.leakage)]


def write_mixture(
    box: Box,
    recipe: Recipe,
    mixture: Mixture,
    facts: Sources,
    *,
    told: Told,
    final: bool = True,
    of: Iterable[Box] = (),
) -> Manifest:
    """Write a mixture into its box, where its scores are; the scores of `facts` are not read.

    A `final` one, made `of` these boxes, completes the box; another is to be made again.
    """
    stage, excluded = mixture.stage, None
    write_tables(box.path, mixture)
    if stage.excluded:
        write_text(
            box.path / EXCLUDED_FILE, canonical_json({name: list(rows) for name, rows in stage.excluded.items()})
        )
        excluded = file_sha256(box.path / EXCLUDED_FILE)
    tables = {name: file_sha256(box.path / f"{name}.parquet") for name in ("ids", "decisions", "clusters", "scores")}
    digests = Digests(**tables, excluded=excluded)
    manifest = report(recipe, stage, facts, mixture.source_of, mixture, told=told, digests=digests)
    write_text(box.path / "manifest.json", manifest.model_dump_json(indent=1) + "\n")
    if final:
        box.finish(MixtureIndex(digest=manifest.digest()), of=of)
    return manifest


def write_tables(folder: Path, mixture: Mixture) -> None:
    """Write decisions, ids and clusters, one entry in memory at a time."""
    with (
        table_writer(folder / "decisions.parquet", pl.Schema(DECISIONS)) as write_decisions,
        table_writer(folder / "ids.parquet", pl.Schema(IDS)) as write_ids,
    ):
        for decisions, ids in mixture.tables():
            write_decisions(decisions)
            write_ids(ids)
    write_table(folder / "clusters.parquet", mixture.clusters)


def _write_scores(
    runner: Runner,
    store: Store,
    box: Box,
    recipe: Recipe,
    stage: PlannedStage,
    source_of: Mapping[str, str],
    sourced: Sourced,
    filters: FilterSet,
    judge: Judge | None,
) -> tuple[dict[str, SourceScores], Steps, dict[str, JudgeCounts]]:
    """Judge some sources after others and write their scores; returns the sources without them, and what was asked."""
    names = sorted({source_of[entry.id] for entry in stage.entries})
    shards = {name: sourced[name][1] for name in names}
    if filters.takedowns:
        filters = replace(filters, takedowns=with_found(store, filters.takedowns, shards))
    facts: dict[str, SourceScores] = {}
    steps = Steps()
    counts: dict[str, JudgeCounts] = {}
    with ExitStack() as stack:
        open_table = partial(_open_table, stack, box.path / SCORES_FILE)
        write: Write | None = None
        for group in _groups({name: box.index(ShardsIndex).samples for name, box in shards.items()}):
            own = replace(stage, entries=tuple(entry for entry in stage.entries if source_of[entry.id] in group))
            tables = {name: ScoreTable(store, filters, *sourced[name]) for name in group}
            sources = {
                name: _source(table, None if table.is_small else columns_read(recipe, stage, judge))
                for name, table in tables.items()
            }
            judged = judge_stage(runner, store, recipe, own, sources, source_of, shards, judge)
            steps = steps.plus(judged.steps)
            for criterion, count in judged.counts.items():
                counts[criterion] = counts.get(criterion, JudgeCounts()) + count
            found = {name: judged.sources[name].scores for name in group}
            facts |= {name: replace(sources[name], scores=found[name].clear()) for name in group}
            # nothing of a source or block may be left while the next one is read
            del sources, judged
            for name in group:
                scores, table = found.pop(name), tables.pop(name)
                for block in (scores,) if table.is_small else _with(table.blocks(), scores):
                    frame = block.select(pl.lit(name).alias("source"), pl.all())
                    write = write or open_table(frame.schema)
                    write(frame)
                    del block, frame
                del scores, table
    if not names:
        columns = {"source": pl.String, "key": pl.String, "position": pl.Int64, **filters.scores()}
        write_table(box.path / SCORES_FILE, pl.DataFrame(schema=columns))
    return facts, steps, dict(sorted(counts.items()))


def _groups(rows: Mapping[str, int]) -> list[list[str]]:
    """Names of sources in order, small ones together, a block of rows at most: the judge is asked about all at once."""
    groups: list[list[str]] = []
    held = 0
    for name, number in rows.items():
        held += number
        if groups and held <= ROWS:
            groups[-1].append(name)
        else:
            groups.append([name])
            held = number
    return groups


def _open_table(stack: ExitStack, path: Path, schema: pl.Schema) -> Write:
    return stack.enter_context(table_writer(path, schema))


def _with(blocks: Iterable[pl.DataFrame], known: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Blocks of rows with the columns that are known of all of them."""
    begin = 0
    for block in blocks:
        rows = slice(begin, begin + block.height)
        yield block.with_columns(known[rows].get_columns())
        begin = rows.stop
        del block


def load_source(store: Store, filters: FilterSet, source: Source, shards: Box) -> SourceScores:
    """Counts and cheap scores of a source."""
    return _source(ScoreTable(store, filters, source, shards), None)


def _source(table: ScoreTable, names: Collection[str] | None) -> SourceScores:
    """Counts of a source, and the cheap scores of these names; null means all."""
    index, source = table.shards.index(ShardsIndex), table.source
    return SourceScores(
        source.name,
        source.licence,
        index.fingerprint,
        index.items,
        index.quarantined,
        index.repairs,
        table.whole(names),
        source.revision,
        source.model_dump(mode="json", include=_READING, exclude_defaults=True),
    )


class StoredSources(Mapping[str, SourceScores]):
    """Sources of a mixture whose scores are read from `scores.parquet` each time one is asked for.

    Only one source is in memory at a time, with the columns that the mixture of a stage reads. `facts` are the same
    sources without scores.
    """

    def __init__(self, path: Path, facts: Mapping[str, SourceScores], stage: PlannedStage) -> None:
        self.facts = facts
        self.path = path
        self.stage = stage
        texts = [] if stage.dedup.level == "off" else ["instruction_hash", "text_hash"]
        self._columns = list(dict.fromkeys([*columns_of(stage), *texts]))

    def __getitem__(self, name: str) -> SourceScores:
        """A source with its scores.

        Raises:
            RecipeError: a rule needs a score that this mixture has not.
        """
        self._check()
        return replace(self.facts[name], scores=self._table(name).collect())

    def _check(self) -> None:
        lacking = sorted(set(self._columns) - set(table_schema(self.path).names()))
        if lacking:
            raise RecipeError(f"`{self.path}` has no score `{lacking[0]}`; run `vlmix run build-sft-mix` first")

    def _table(self, name: str) -> pl.LazyFrame:
        return scan_table(self.path, self._columns, self._rows.get(name, range(0)))

    @cached_property
    def _rows(self) -> dict[str, range]:
        """Source name to its rows in the table, which stand together."""
        rows = scan_table(self.path, ["source"]).with_row_index("row").group_by("source")
        bounds = rows.agg(pl.col("row").min().alias("begin"), pl.len()).collect(engine="streaming")
        return {name: range(begin, begin + number) for name, begin, number in bounds.iter_rows()}

    def __iter__(self) -> Iterator[str]:
        return iter(self.facts)

    def __len__(self) -> int:
        return len(self.facts)


class ReadSources(StoredSources):
    """The same, of which no source is ever in memory as a whole."""

    def __getitem__(self, name: str) -> SourceScores:
        """A source whose scores stay where they are; see `StoredSources`."""
        self._check()
        return replace(self.facts[name], stored=self._table(name))


class PictureTiles:
    """Counts tiles of the pictures of samples, read from shards when it is asked."""

    def __init__(self, shards: Mapping[str, Box]) -> None:
        self._shards = shards

    def __call__(self, source: str, keys: pl.Series, most: int) -> pl.Series:
        """(n,) Int32: tiles of each of these samples, in their order."""
        wanted = pl.DataFrame({"key": keys})
        frames = read_all(self._shards[source].path, ["key", "images"])
        images = pl.concat([frame.join(wanted, on="key", how="semi") for frame in frames])
        # A loop over rows: the grid of a picture is searched in Python, once per size.
        counted = [
            sample_tiles([(image["width"], image["height"]) for image in group], most) for group in images["images"]
        ]
        found = images.select("key", pl.Series("tiles", counted, dtype=pl.Int32))
        return wanted.join(found, on="key", how="left", maintain_order="left")["tiles"]
