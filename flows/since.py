"""What is new in a run: its mixtures against those of the run of the same recipe that was finished before it.

Only counts, from the columns of the two tables of decisions; no text is read. It stands beside the run manifest as
`since.json` and in no digest: what came before does not change what a run is.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl
from pydantic import BaseModel

from filters.text_hash import TextHash
from flows.build import Built
from flows.difference import CountsChange, Difference, SourceChange
from flows.diffing import compare
from flows.executor import Steps
from flows.mixes import Mix, latest_run
from manifests.manifest import EntryReport, RunManifest
from shards.errors import StoreError
from shards.files import write_text
from shards.store import Box, Store

FILE: Final = "since.json"
_DIGITS: Final = 12


class Units(BaseModel):
    """Units of work of one step: done in this run, and found done."""

    anew: int = 0
    reused: int = 0


class News(BaseModel):
    """Rows of a source or domain that changed: emitted in one mixture only, not equally often, of another verdict."""

    added: int = 0
    removed: int = 0
    repeated: int = 0
    verdicts: int = 0


class SourceNews(News):
    """The same of a source, and what it was read from: its revision and what else differs, such as `files`."""

    before: str | None = None
    after: str | None = None
    changed: list[str] = []
    edited: int = 0
    """Rows of the same key with another text."""


class StageNews(BaseModel):
    """One stage; only what changed is named."""

    stage: str
    total: News
    domains: dict[str, News]
    sources: dict[str, SourceNews]
    verdicts: dict[str, dict[str, int]]
    """Verdict before -> verdict after -> rows; `absent` is a row that one mixture does not know."""
    settings: list[str]
    rules: list[str]


class Since(BaseModel):
    """What is new since the run of this recipe that was finished last; `before` is null where there is none.

    `unknown` says why nothing can be compared, null where it can. `scored` counts filters on shards, `judged` rows by
    what they needed in this run; where an earlier one was killed, it had done a part.
    """

    recipe: str
    before: str | None
    after: str
    stages: list[StageNews] = []
    gained: list[str] = []
    """Stages that only this run has."""
    lost: list[str] = []
    """Stages that only the earlier run had; one that was asked for a single stage loses none."""
    unknown: str | None = None
    scored: Units = Units()
    judged: Units = Units()

    @property
    def same(self) -> bool:
        """Whether nothing changed."""
        return self.before == self.after

    @property
    def sources(self) -> dict[str, list[str]]:
        """Sources that were read from something else than before, with what that is."""
        found: dict[str, list[str]] = {}
        for stage in self.stages:
            for name, news in stage.sources.items():
                if news.changed:
                    found[name] = sorted({*found.get(name, []), *news.changed})
        return found


def since(built: Built, store: Store, earlier: RunManifest | str | None, *, whole: bool = True) -> Since:
    """Compare a run with an earlier one.

    Args:
        built: the run.
        store: holds the mixtures of both.
        earlier: its manifest, None where there is none, or why it cannot be read.
        whole: whether the run has all stages of its recipe.
    """
    now, before = built.manifest, earlier if isinstance(earlier, RunManifest) else None
    told = Since(
        recipe=now.recipe,
        before=before.digest() if before else None,
        after=now.digest(),
        unknown=earlier if isinstance(earlier, str) else None,
        scored=_units(built.steps.get("score", Steps())),
        judged=_units(built.steps.get("judge", Steps())),
    )
    if before is None or told.same:
        return told
    old = {stage.stage: stage for stage in before.stages}
    names = [stage.stage for stage in now.stages]
    gained = [name for name in names if name not in old]
    lost = [name for name in old if name not in names] if whole else []
    try:
        stages = [
            _stage(
                stage.stage, Mix(store, Box(store.root, old[stage.stage].mix)), Mix(store, Box(store.root, stage.mix))
            )
            for stage in now.stages
            if stage.stage in old and old[stage.stage].digest != stage.digest
        ]
    except (StoreError, OSError, pl.exceptions.PolarsError) as error:
        return told.model_copy(update={"unknown": f"the mixture before cannot be read: {error}"})
    return told.model_copy(update={"stages": stages, "gained": gained, "lost": lost})


def earlier_run(store: Store, recipe: str) -> RunManifest | str | None:
    """The run of a recipe that was finished last, None without one, or why it cannot be read."""
    try:
        found = latest_run(store, recipe)
    except (StoreError, OSError) as error:
        return str(error)
    return found[1] if found else None


def write_since(box: Box, told: Since) -> None:
    """Put it beside the manifest of the run. That of a run which changed nothing says less than what is there."""
    if not (told.same and (box.path / FILE).is_file()):
        write_text(box.path / FILE, told.model_dump_json(indent=1) + "\n")


def _units(steps: Steps) -> Units:
    return Units(anew=steps.executed, reused=steps.cached)


def _stage(name: str, before: Mix, after: Mix) -> StageNews:
    found = compare(before, after, show=0)
    source_of = {entry.id: entry.source for entry in (*before.manifest.entries, *after.manifest.entries)}
    own: dict[str, list[CountsChange]] = {}
    for entry, change in found.entries.items():
        own.setdefault(source_of[entry], []).append(change)
    read = {each.source: each for each in found.sources}
    sources = {source: _source(_news(own.get(source, [])), read.get(source), before, after) for source in {*own, *read}}
    domains = {domain: _news([change]) for domain, change in found.domains.items()}
    return StageNews(
        stage=name,
        total=_news(list(found.entries.values())),
        domains={domain: news for domain, news in domains.items() if news != News()},
        sources={source: sources[source] for source in sorted(sources) if sources[source] != SourceNews()},
        verdicts=_moved(found),
        settings=found.settings,
        rules=[f"{rule.rule} {rule.change}" for rule in found.rules],
    )


def _news(changes: Sequence[CountsChange]) -> News:
    return News(
        added=sum(change.added for change in changes),
        removed=sum(change.removed for change in changes),
        repeated=sum(change.times for change in changes),
        verdicts=sum(change.verdicts for change in changes),
    )


def _source(news: News, read: SourceChange | None, before: Mix, after: Mix) -> SourceNews:
    if read is None:
        return SourceNews(**news.model_dump())
    old, new = (_of_source(mix.manifest.entries, read.source) for mix in (before, after))
    if old is None or new is None:
        changed = ["new" if old is None else "gone"]
    else:
        pairs = {"revision": (old.revision, new.revision), "reading": (old.reading, new.reading)}
        changed = [word for word, (was, becomes) in pairs.items() if was != becomes]
        # other samples of the same revision, read in the same way: a file changed, or what reads it
        changed = changed or ["files"]
    was, becomes = old.revision if old else None, new.revision if new else None
    edited = _edited(before, after, read.source)
    return SourceNews(**news.model_dump(), before=was, after=becomes, changed=changed, edited=edited)


def _edited(before: Mix, after: Mix, source: str) -> int:
    """Rows of a source whose hashes of text differ; of the columns that hold them, with one source in memory."""
    old, new = (_hashes(mix, source) for mix in (before, after))
    both = old.join(new, on="key", how="inner", suffix="_after")
    other = [pl.col(name).ne_missing(pl.col(f"{name}_after")) for name in old.columns if name != "key"]
    return both.filter(pl.any_horizontal(pl.lit(False), *other)).height


def _hashes(mix: Mix, source: str) -> pl.DataFrame:
    rows = mix.some_scores(["source", "key", *TextHash.writes]).filter(pl.col("source") == source)
    return rows.select("key", *TextHash.writes).collect()


def _of_source(entries: Sequence[EntryReport], source: str) -> EntryReport | None:
    return next((entry for entry in entries if entry.source == source), None)


def _moved(found: Difference) -> dict[str, dict[str, int]]:
    rows = {was: {becomes: rows for becomes, rows in row.items() if becomes != was} for was, row in found.flow.items()}
    return {was: row for was, row in rows.items() if row}


def since_lines(told: Since) -> Iterator[str]:
    """What is new, for people: one line, or a few."""
    before = (told.before or "")[:_DIGITS]
    if told.unknown:
        yield f"new: not known, {told.unknown}"
    elif told.before is None:
        yield f"new: everything, the first mixture of recipe `{told.recipe}` in this store"
    elif told.same:
        yield f"no change since {before}"
    else:
        yield f"new since {before}:"
        for stage in told.stages:
            yield f"  {stage.stage}: {words(stage.total)}"
            yield from (f"    source `{name}`: {_source_words(news)}" for name, news in stage.sources.items())
            yield from (f"    domain `{name}`: {words(news)}" for name, news in stage.domains.items())
            yield from (f"    rule {rule}" for rule in stage.rules)
            yield from (f"    changed: {name}" for name in stage.settings)
        yield from (f"  stage `{name}` is new" for name in told.gained)
        yield from (f"  stage `{name}` is gone" for name in told.lost)
    yield f"scored {told.scored.anew:,} anew, {told.scored.reused:,} reused; " + (
        f"asked {told.judged.anew:,} of the judge, {told.judged.reused:,} answers reused"
    )


def words(news: News) -> str:
    """Counts of changed rows in words; nothing that is zero."""
    pairs = (
        (news.added, "added"),
        (news.removed, "removed"),
        (news.repeated, "repeated otherwise"),
        (news.verdicts, "with another verdict"),
    )
    said = [f"{count:,} {what}" for count, what in pairs if count]
    return ", ".join(said) or "no row changed"


def _source_words(news: SourceNews) -> str:
    read = [each for each in news.changed if each != "revision"]
    if "revision" in news.changed:
        read.insert(0, f"revision {(news.before or 'none')[:_DIGITS]} -> {(news.after or 'none')[:_DIGITS]}")
    read += [f"{news.edited:,} rows with another text"] if news.edited else []
    return "; ".join([*([", ".join(read)] if read else []), words(news)])
