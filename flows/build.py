"""A whole build: recipe to run manifest. Knows nothing of Prefect; usable from a notebook."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import polars as pl
from pydantic import BaseModel

from filters.judges.base import Judge
from filters.student import Student
from filters.tokenizer import TokenCount
from flows.allocators import release_memory
from flows.comparing import comparison_version
from flows.demo.publish import publish
from flows.demo.server import serve
from flows.executor import Runner, Steps
from flows.importing import imported_names
from flows.leak_sets import benchmarks_of
from flows.leaking import find_leaks, with_cuts
from flows.metering import Spent, Work, add, measured, tally
from flows.mixing import Mixed, make_mixture
from flows.recipe_judge import ask_when, check_ask_when, check_judge, judge_of, pictures_shown, prompt_hashes
from flows.resolve import DEMO_HOST, Located, Place, demo_root, excluded_rows, facts, locate, on_disk
from flows.review_scores import answers_by_source
from flows.scoring import ASKABLE, FilterSet, filter_set, score_sources
from flows.settings import private_hosts
from flows.sourcing import SourceJob, make_shards
from flows.students import student_facts, students_of
from flows.takedowns import takedowns
from manifests.account import Told
from manifests.manifest import RunManifest, StageReport
from manifests.plan import Plan, PlannedStage, SourceFacts, plan
from manifests.recipe import ESTIMATE, Recipe
from shards.disk import writing
from shards.errors import GateError, RecipeError
from shards.files import fingerprint, write_text
from shards.store import Box, Store
from sources.policy import FetchPolicy
from sources.spec import Source

WARN_PASSES = 4.0
REFUSE_PASSES = 16.0
"""Passes over a source above which a run warns, and is refused. Source: arXiv 2305.16264, sections 4 and 5."""

Tell = Callable[[str, Steps], None]
"""Called after each step with its name and what it did."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A recipe with its plan, sources, filters and judge (None: nobody is asked): checked, nothing downloaded yet."""

    recipe: Recipe
    plan: Plan
    located: Mapping[Place, Located]
    filters: FilterSet
    judge: Judge | None
    missing: Mapping[Place, SourceFacts]
    """Entries that the recipe allows to be left out."""


class RunIndex(BaseModel):
    """What a run box says about itself."""

    digest: str


class Built(NamedTuple):
    """A run; `steps` names every step with what it did."""

    box: Box
    manifest: RunManifest
    mixtures: Mapping[str, Mixed]
    sourced: Mapping[str, tuple[Source, Box]]
    steps: Mapping[str, Steps]

    @property
    def failed(self) -> int:
        """Calls of the judge that failed, over all mixtures."""
        return sum(mixed.failed for mixed in self.mixtures.values())

    @property
    def boxes(self) -> list[Box]:
        """Boxes of its mixtures."""
        return [mixed.box for mixed in self.mixtures.values()]


def prepare(recipe: Recipe, folder: Path, store: Store, *, count: bool = False) -> Prepared:
    """Resolve and check a recipe.

    Args:
        recipe: as written.
        folder: what its relative paths start from.
        store: where mirrors are registered.
        count: read local files to count their rows; a plan shows them, a build counts for itself.

    Raises:
        UsageError: anything in the recipe that cannot work, before any work.
    """
    located, missing = locate(recipe, folder, store)
    published = {name for place in located.values() for name in place.source.native}
    benchmarks = benchmarks_of(recipe, store)
    judge = judge_of(recipe, folder)
    usual = filter_set(recipe.filters, sorted(published), token_counter(recipe, folder))
    samples = (*usual.samples, *students_of(recipe, folder, judge))
    filters = replace(
        usual,
        samples=samples,
        imported=imported_names(store),
        answers=answers_by_source(store),
        leakage=benchmarks,
        takedowns=takedowns(store),
    )
    filters = with_cuts(filters)
    known = facts(located, missing, count=count)
    excluded = excluded_rows(recipe, folder)
    planned = plan(recipe, known, filters.scores(), excluded=excluded, judged=frozenset(ASKABLE))
    check_judge(planned.stages, planned.sources, judge)
    check_ask_when(recipe, filters.scores())
    near_texts = any(stage.dedup.text for stage in planned.stages)
    filters = filters.needed(scores_named(recipe, planned.stages), near_texts=near_texts)
    return Prepared(recipe, planned, located, filters, judge, {place: known[place] for place in missing})


def scores_named(recipe: Recipe, stages: Sequence[PlannedStage]) -> set[str]:
    """Every score that a rule, a take or an `ask_when` of a recipe names."""
    named = {name for stage in stages for predicate in stage.predicates for name in predicate.scores}
    named |= {str(entry.take.by) for stage in stages for entry in stage.entries}
    named |= {stage.dedup.score for stage in stages if stage.dedup.score}
    return named.union(*(pl.sql_expr(predicate).meta.root_names() for predicate in ask_when(recipe).values()))


def build(
    prepared: Prepared,
    store: Store,
    runner: Runner,
    tell: Tell,
    *,
    only: str | None = None,
    update: bool = False,
    give_up: bool = False,
) -> Built:
    """Run every step that is not done, and write the run manifest.

    Args:
        prepared: see `prepare`.
        store: its lock must be held, until the run is finished.
        runner: maps steps over jobs.
        tell: hears of every step.
        only: name of the one stage to mix; None for all.
        update: resolve branches of hub sources again.
        give_up: record URLs that only ever failed in passing as lost, instead of stopping.

    Raises:
        DataError: the data or a gate says no.
        RecipeError: no such stage.
    """
    stages = [stage for stage in prepared.plan.stages if only in (None, stage.name)]
    if not stages:
        raise RecipeError(f"recipe `{prepared.recipe.name}` has no stage `{only}`")
    steps: dict[str, Steps] = {}

    def note(step: str, done: Steps) -> None:
        steps[step] = steps.get(step, Steps()).plus(done)
        tell(step, done)

    mixtures_asked = {stage.mixture for stage in stages}
    located = {place.source.name: place for (stage, _), place in prepared.located.items() if stage in mixtures_asked}
    with demo_pictures(located.values(), store) as usual:
        policy = replace(usual, give_up=give_up)
        fetched = {name: _fetch(place, store, update=update) for name, place in located.items()}
        sourced = _source(fetched, store, runner, policy, note)
        note("score", score_sources(runner, store, prepared.filters, sourced))
        release_memory()
        if prepared.filters.leakage:
            searched = [shards for _, shards in sourced.values()]
            note("leakage", find_leaks(runner, store, prepared.filters.leakage, searched))
        mixtures: dict[str, Mixed] = {}
        for stage in stages:
            if stage.mixture not in mixtures:
                source_of = {entry.id: prepared.plan.sources[stage.mixture, entry.id] for entry in stage.entries}
                told = _told(prepared, stage)
                with measured("mix", main=True):
                    mixed = make_mixture(
                        runner,
                        store,
                        prepared.recipe,
                        stage,
                        source_of,
                        sourced,
                        prepared.filters,
                        told,
                        prepared.judge,
                    )
                    tally(Spent(*mixed.mixed, rows=mixed.manifest.totals.made if mixed.mixed.executed else 0))
                mixtures[stage.mixture] = mixed
                note("judge", mixed.judged)
                note("compare", mixed.compared)
                note("mix", mixed.mixed)
        reports = [_stage_report(stage.name, stage.epochs, mixtures[stage.mixture]) for stage in stages]
        passes = _passes(reports, mixtures, {stage.name: stage.mixture for stage in stages})
        manifest = RunManifest(
            recipe=prepared.recipe.name, stages=reports, passes=passes, warnings=_warnings(prepared.recipe, passes)
        )
        box = store.box("runs", prepared.recipe.name, fingerprint("run", 1, manifest.model_dump(mode="json")))
        return Built(box, manifest, mixtures, sourced, steps)


def finish(built: Built, report: str) -> None:
    """Write the run manifest and the report beside it, and complete the run.

    Raises:
        GateError: calls of the judge failed, so that the run is not complete.
    """
    write_text(built.box.path / "run.json", built.manifest.model_dump_json(indent=1) + "\n")
    write_text(built.box.path / "report.html", report)
    if built.failed:
        raise GateError(
            f"{built.failed:,} calls of the judge failed; `{built.box.path / 'report.html'}` shows the rows that they "
            "leave `unscored`; run the same command again, only these calls are repeated"
        )
    built.box.finish(RunIndex(digest=built.manifest.digest()), of=built.boxes)


def token_counter(recipe: Recipe, folder: Path) -> TokenCount | None:
    """What counts tokens where the recipe names a tokenizer; None for the estimate.

    Raises:
        UsageError: the file is missing or no tokenizer, or the extra `tokenizer` is not installed.
    """
    return None if recipe.tokenizer == ESTIMATE else TokenCount.of(folder / recipe.tokenizer)


def _token_words(filters: FilterSet) -> str:
    """How tokens are counted, for people and for fingerprints."""
    counters = [item for item in filters.samples if isinstance(item, TokenCount)]
    return f"{Path(counters[0].path).name} {counters[0].sha256}" if counters else ESTIMATE


@contextmanager
def demo_pictures(sources: Iterable[Located], store: Store) -> Iterator[FetchPolicy]:
    """Write the demo publishers' files and serve their pictures while a run that reads them lasts."""
    if not any(located.demo for located in sources):
        yield FetchPolicy(private=private_hosts())
        return
    root = demo_root(store)
    with measured("publish", main=True), writing(root):
        publish(root)
    with serve(root) as address:
        resolve = {DEMO_HOST: address.removeprefix("http://").rstrip("/")}
        yield FetchPolicy(resolve=resolve, private=private_hosts())


def _fetch(place: Located, store: Store, *, update: bool) -> Located:
    """Have the files of a source on this machine, and count their bytes where they come over the network."""
    if not place.remote:
        return place
    brought = 0

    def progress(done: int, total: int) -> None:
        nonlocal brought
        brought = max(brought, done)

    with measured("fetch", place.source.name, main=True):
        found = on_disk(place, store, update=update, progress=progress)
        tally(Spent(bytes=brought))
    return found


def _source(
    located: Mapping[str, Located], store: Store, runner: Runner, policy: FetchPolicy, note: Tell
) -> dict[str, tuple[Source, Box]]:
    names = sorted(located)
    jobs = [SourceJob(store, located[name].source, located[name].base, policy) for name in names]
    made = runner.map("sources", make_shards, jobs)
    for step in ("scanned", "gathered", "converted"):
        done = Steps()
        name = {"scanned": "scan", "gathered": "gather", "converted": "convert"}[step]
        for source, result in zip(names, made, strict=True):
            own: Steps = getattr(result, step)
            add(Work(name, source), Spent(*own))
            done = done.plus(own)
        note(name, done)
    return {name: (located[name].source, result.shards) for name, result in zip(names, made, strict=True)}


def _stage_report(name: str, epochs: float, mixed: Mixed) -> StageReport:
    return StageReport(
        stage=name,
        epochs=epochs,
        mix=mixed.box.name,
        manifest=f"{mixed.box.name}/manifest.json",
        digest=mixed.manifest.digest(),
        totals=mixed.manifest.totals,
        domains=mixed.manifest.domains,
        unresolved=len(mixed.manifest.unresolved),
    )


def _told(prepared: Prepared, stage: PlannedStage) -> Told:
    """What the manifest of a stage says beside its tables."""
    return Told(
        judge=prepared.judge.judge_id if prepared.judge else "off",
        faithful=prepared.plan.faithful(),
        tokens=_token_words(prepared.filters),
        missing={entry: facts for (name, entry), facts in prepared.missing.items() if name == stage.mixture},
        prompts=prompt_hashes(prepared.recipe, stage) | pictures_shown(prepared.judge, stage),
        ask_when=ask_when(prepared.recipe),
        students=student_facts([item for item in prepared.filters.samples if isinstance(item, Student)]),
        likeness=comparison_version(stage.dedup).get("likeness"),
        takedown=prepared.filters.takedowns.digest if prepared.filters.takedowns else None,
    )


def _passes(
    stages: list[StageReport], mixtures: Mapping[str, Mixed], mixture_of: Mapping[str, str]
) -> dict[str, float]:
    """Per source: sum over stages and entries of epochs x rows emitted / distinct rows written."""
    passes: dict[str, float] = {}
    for stage in stages:
        for entry in mixtures[mixture_of[stage.stage]].manifest.entries:
            if entry.counts.written:
                once = stage.epochs * entry.counts.emitted / entry.counts.written
                passes[entry.source] = passes.get(entry.source, 0.0) + once
    return {name: round(passes[name], 6) for name in sorted(passes)}


def _warnings(recipe: Recipe, passes: Mapping[str, float]) -> list[str]:
    """Sources that are seen too often.

    Raises:
        GateError: above `REFUSE_PASSES` without `allow_passes`.
    """
    for name, value in passes.items():
        if value > REFUSE_PASSES and not recipe.allow_passes:
            remedy = "lower epochs or repeat, or set `allow_passes: true`"
            raise GateError(f"source `{name}`: {value:g} passes, limit {REFUSE_PASSES:g}; {remedy}")
    return [
        f"source `{name}` is passed over {value:.3g} times; above {WARN_PASSES:g} repeats are worth little"
        for name, value in passes.items()
        if value > WARN_PASSES
    ]
