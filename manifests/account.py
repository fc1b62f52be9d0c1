"""Mixture to manifest: every row counted and the counts proven."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from manifests.manifest import (
    BenchmarkLeaks,
    Counts,
    Digests,
    DomainCounts,
    DomainReport,
    EntryReport,
    JudgeCounts,
    Manifest,
    Sizes,
    StudentFacts,
    Unresolved,
    totals,
)
from manifests.mixture import CAPPED, DUPLICATE, OUTCOMES, WRITTEN, Mixture, Part, Sources, SourceScores
from manifests.plan import PlannedStage, SourceFacts, take_document
from manifests.recipe import ESTIMATE, Entry, Recipe
from manifests.scale import scaled_entry
from manifests.take import amount, bounds
from shards.schema import VERDICTS


@dataclass(frozen=True, slots=True)
class Told:
    """What a manifest says that no table of the mixture holds.

    `judge` is the judge's id, `tokens` how tokens are counted, `faithful` as the plan says, `missing` the facts about
    entries that were left out, by entry id. `prompts`, `ask_when`, `students`, `judged`, `leakage` and `likeness` are
    as in `Manifest`.
    """

    judge: str
    faithful: bool
    tokens: str = ESTIMATE
    missing: Mapping[str, SourceFacts] = field(default_factory=dict)
    prompts: Mapping[str, str] = field(default_factory=dict)
    ask_when: Mapping[str, str] = field(default_factory=dict)
    students: Mapping[str, StudentFacts] = field(default_factory=dict)
    judged: Mapping[str, JudgeCounts] = field(default_factory=dict)
    leakage: Mapping[str, BenchmarkLeaks] = field(default_factory=dict)
    likeness: int | None = None
    takedown: str | None = None


def report(
    recipe: Recipe,
    stage: PlannedStage,
    sources: Sources,
    source_of: Mapping[str, str],
    mixture: Mixture,
    *,
    told: Told,
    digests: Digests,
) -> Manifest:
    """The manifest of a mixture, its counts proven; of `sources` all but the scores is looked at.

    Raises:
        ConservationError: rows were lost or doubled.
    """
    written = {entry.id: entry for entry in stage.written}
    entries = [
        _entry(recipe, stage, entry, written.get(entry.id, entry), sources[source_of[entry.id]], mixture)
        for entry in stage.entries
    ]
    whole = totals([entry.counts for entry in entries], f"mixture `{recipe.name}.{stage.name}`")
    licences: dict[str, int] = {}
    for entry in entries:
        licences[entry.licence] = licences.get(entry.licence, 0) + entry.counts.emitted
    return Manifest(
        recipe=recipe.name,
        mixture=stage.name,
        faithful=told.faithful,
        scale=recipe.scale,
        seed=recipe.seed,
        epochs=stage.epochs,
        judge=told.judge,
        prompts=dict(told.prompts),
        ask_when=dict(told.ask_when),
        students=dict(told.students),
        judged=dict(told.judged),
        leakage=dict(told.leakage),
        tokens=told.tokens,
        rules=[rule.model_dump(mode="json") for rule in stage.rules],
        dedup=stage.dedup.model_dump(mode="json"),
        likeness=told.likeness,
        takedown=told.takedown,
        targets=None if stage.targets is None else stage.targets.model_dump(mode="json"),
        unmet=list(mixture.emission.unmet),
        assumptions=list(recipe.assumptions),
        unresolved=[_unresolved(recipe, written[name], facts) for name, facts in told.missing.items()],
        entries=entries,
        domains=_domains(entries, whole.emitted),
        licences=dict(sorted(licences.items())),
        totals=whole,
        sizes=_sum([entry.sizes for entry in entries]),
        digests=digests,
    )


def _entry(
    recipe: Recipe,
    stage: PlannedStage,
    entry: Entry,
    written: Entry,
    source: SourceScores,
    mixture: Mixture,
) -> EntryReport:
    emission, part = mixture.emission, mixture.parts[entry.id]
    counts = _counts(part, sum(source.quarantine.values()))
    exact = counts.emitted / counts.written if counts.written else None
    begin, end = bounds(entry.slice, source.published)
    spared = {rule.name: item.reason for rule in stage.rules for item in rule.exempt if item.spares(entry)}
    return EntryReport(
        id=entry.id,
        source=source.name,
        domain=entry.domain,
        licence=source.licence,
        revision=source.revision,
        shards=source.shards,
        reading=dict(source.reading or {}),
        entry=entry.model_dump(mode="json", exclude={"source"}, exclude_none=True),
        take=take_document(entry),
        take_written=take_document(written) if recipe.scale != 1 else None,
        asked=amount(entry.take, end - begin, stage.excluded.get(entry.id, ())),
        repeat=entry.repeat,
        repeat_solved=_rounded(emission.solved.get(entry.id)),
        repeat_exact=_rounded(exact),
        passes=round(stage.epochs * exact, 6) if exact else 0,
        counts=counts,
        quarantine=dict(source.quarantine),
        repairs=dict(source.repairs),
        rules=_deciding(stage, part),
        exempt=spared | {item.rule: item.reason for item in entry.exempt},
        sizes=mixture.sizes[entry.id],
        assumed=entry.assumed,
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _counts(part: Part, quarantined: int) -> Counts:
    made = len(part.outcome)
    verdicts = np.bincount(part.verdicts.verdict, minlength=len(VERDICTS)).tolist()
    outcomes = np.bincount(part.outcome, minlength=len(OUTCOMES)).tolist()
    return Counts(
        read=made + quarantined,
        quarantined=quarantined,
        made=made,
        duplicates=outcomes[DUPLICATE],
        capped=outcomes[CAPPED],
        written=outcomes[WRITTEN],
        emitted=int(part.times.sum()),
        **dict(zip(VERDICTS, verdicts, strict=True)),
    )


def _deciding(stage: PlannedStage, part: Part) -> dict[str, int]:
    """Rows by deciding rule, by name."""
    counts = np.bincount(part.verdicts.rule, minlength=1 + len(stage.predicates))[1:].tolist()
    named = {item.rule.name: count for item, count in zip(stage.predicates, counts, strict=True) if count}
    return dict(sorted(named.items()))


def _domains(entries: list[EntryReport], emitted: int) -> dict[str, DomainReport]:
    by_domain: dict[str, list[EntryReport]] = {}
    for entry in entries:
        by_domain.setdefault(entry.domain, []).append(entry)
    found = {}
    for name, members in sorted(by_domain.items()):
        counts = Counts()
        for entry in members:
            counts = counts + entry.counts
        share = round(counts.emitted / emitted, 6) if emitted else 0
        sizes = _sum([entry.sizes for entry in members])
        found[name] = DomainReport(**DomainCounts.of(counts).model_dump(), sizes=sizes, share=share)
    return found


def _sum(sizes: list[Sizes]) -> Sizes:
    whole = Sizes()
    for size in sizes:
        whole = whole + size
    return whole


def _unresolved(recipe: Recipe, entry: Entry, facts: SourceFacts) -> Unresolved:
    scaled = scaled_entry(entry, recipe.scale)
    return Unresolved(
        id=entry.id,
        source=facts.name,
        domain=entry.domain,
        take=take_document(scaled),
        repeat=entry.repeat,
        published_rows=facts.rows,
        reason=facts.reason,
    )
