"""One stage, worked out for the page: funnel, domains, entries, rules, charts, cards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from flows.report import svg
from flows.report.card import SIDE_BY_SIDE, Card, card
from flows.report.distribution import Distribution, distributions
from flows.report.funnel import Step, funnel, tallies
from flows.report.number import count, percent, short
from flows.report.pick import Cluster, Member, Picks, Place, pick
from flows.report.view import Samples, SampleView, StageView
from manifests.manifest import Counts, DomainCounts, EntryReport, Manifest
from manifests.plan import take_words
from manifests.recipe import Dedup, Rule

LEDGER = ("quarantined", "not_taken", "drop", "review", "unscored", "duplicate", "capped", "written")
"""Where a row can end, in order of work: each row read is in exactly one."""


@dataclass(frozen=True, slots=True)
class StepLine:
    """A step of the funnel with its bar and its share of the rows read."""

    step: Step
    bar: Markup
    share: str


@dataclass(frozen=True, slots=True)
class DomainLine:
    """A domain before and after."""

    name: str
    counts: DomainCounts
    made_bar: Markup
    made_share: str
    emitted_bar: Markup
    emitted_share: str
    repeat: str


@dataclass(frozen=True, slots=True)
class EntryLine:
    """An entry with its take in words."""

    entry: EntryReport
    take: str


@dataclass(frozen=True, slots=True)
class RuleLine:
    """A rule with the rows that it decided, is true for, and cannot be decided for."""

    rule: Rule
    decided: int
    true: int
    unknown: int


@dataclass(frozen=True, slots=True)
class Chart:
    """A histogram with what stands below it."""

    spread: Distribution
    svg: Markup
    logarithmic: bool


LIKENESS_WORDS: Final = {
    "equal": "equal pixels",
    "agrees": "pictures agree everywhere",
    "edge": "only a caption at the edge differs",
    "flat": "pictures without contrast",
}
"""What a comparison says of pictures that are the same, for people."""


@dataclass(frozen=True, slots=True)
class ClusterLine:
    """A cluster with its cards; `hidden` members are not shown."""

    cluster: Cluster
    cards: tuple[Card, ...]
    hidden: int


@dataclass(frozen=True, slots=True)
class StagePage:
    """All that the page says about a stage; of a shared mixture only name, epochs and the stage it is `shared_with`."""

    name: str
    epochs: str
    manifest: Manifest
    digest: str
    shared_with: str
    ledger: Markup
    steps: tuple[StepLine, ...] = ()
    domains: tuple[DomainLine, ...] = ()
    entries: tuple[EntryLine, ...] = ()
    rules: tuple[RuleLine, ...] = ()
    charts: tuple[Chart, ...] = ()
    dropped: tuple[Card, ...] = ()
    reviewed: tuple[Card, ...] = ()
    unscored: tuple[Card, ...] = ()
    kept: tuple[Card, ...] = ()
    clusters: tuple[ClusterLine, ...] = ()
    num_clusters: int = 0


def stage_page(stage: StageView, index: int, samples: Samples, shared_with: str) -> StagePage:
    """Work out one stage; `samples` is asked once, for the rows that cards show."""
    manifest = stage.manifest
    head = (stage.name, short(stage.epochs), manifest, manifest.digest(), shared_with, ledger(manifest.totals))
    if shared_with:
        return StagePage(*head)
    rules = {rule.name: rule for rule in map(Rule.model_validate, manifest.rules)}
    dedup = Dedup.model_validate(manifest.dedup)
    picks = pick(stage)
    found = _samples(picks, index, samples)
    return StagePage(
        *head,
        steps=_steps(funnel(manifest, rules, stage.decisions, stage.clusters, stage.epochs), manifest.totals),
        domains=_domains(manifest),
        entries=tuple(EntryLine(entry, take_words(entry.take)) for entry in manifest.entries),
        rules=_rules(stage, rules),
        charts=tuple(
            Chart(spread, svg.histogram(spread), svg.logarithmic(spread))
            for spread in distributions(stage.decisions, stage.scores, list(rules.values()))
        ),
        dropped=tuple(card(found[place], rules) for place in picks.dropped),
        reviewed=tuple(card(found[place], rules) for place in picks.reviewed),
        unscored=tuple(card(found[place], rules) for place in picks.unscored),
        kept=tuple(card(found[place], rules) for place in picks.kept),
        clusters=tuple(_cluster(cluster, found, rules, dedup) for cluster in picks.clusters),
        num_clusters=stage.clusters["cluster"].n_unique(),
    )


def _samples(picks: Picks, index: int, samples: Samples) -> dict[Place, SampleView]:
    places = picks.places()
    return dict(zip(places, samples(index, places) if places else [], strict=True))


def endings(total: Counts) -> dict[str, int]:
    """Rows read by where they ended, see `LEDGER`; they add up to the rows read."""
    counts = {name: getattr(total, "duplicates" if name == "duplicate" else name) for name in LEDGER}
    assert sum(counts.values()) == total.read, counts
    return counts


def ledger(total: Counts) -> Markup:
    """One bar that holds every row read."""
    ends = endings(total)
    parts = [svg.Part(name, rows, f"{name.replace('_', ' ')} {count(rows)}") for name, rows in ends.items()]
    return svg.strip(parts, total.read, height=26)


def _steps(steps: Sequence[Step], total: Counts) -> tuple[StepLine, ...]:
    whole = max(total.read, total.emitted)
    lines = []
    for step in steps:
        if step.subtotal:
            parts = [svg.Part(step.kind, step.left, f"{step.label}: {count(step.left)}")]
        else:
            rest = svg.Part("rest", step.left, f"left: {count(step.left)}")
            parts = [rest, svg.Part(step.kind, step.taken, f"{step.label}: {count(step.taken)}")]
        lines.append(
            StepLine(step, svg.strip(parts, whole), percent(step.left if step.subtotal else step.taken, total.read))
        )
    return tuple(lines)


def _domains(manifest: Manifest) -> tuple[DomainLine, ...]:
    made, emitted = manifest.totals.made, manifest.totals.emitted
    # one scale for both bars of all domains, so that lengths compare
    shares = [c.made / (made or 1) for c in manifest.domains.values()]
    longest = max([*shares, *(c.emitted / (emitted or 1) for c in manifest.domains.values())], default=0)
    lines = [
        DomainLine(
            name,
            counts,
            svg.strip([svg.Part("made", counts.made, f"made: {count(counts.made)}")], made * longest, 10),
            percent(counts.made, made),
            svg.strip(
                [svg.Part("emitted", counts.emitted, f"emitted: {count(counts.emitted)}")], emitted * longest, 10
            ),
            percent(counts.emitted, emitted),
            "-" if counts.repeat is None else short(counts.repeat),
        )
        for name, counts in manifest.domains.items()
    ]
    return tuple(sorted(lines, key=lambda line: (-line.counts.emitted, -line.counts.made, line.name)))


def _rules(stage: StageView, rules: Mapping[str, Rule]) -> tuple[RuleLine, ...]:
    true, unknown = tallies(stage.decisions)
    return tuple(
        RuleLine(
            rule,
            sum(entry.rules.get(name, 0) for entry in stage.manifest.entries),
            true.get(name, 0),
            unknown.get(name, 0),
        )
        for name, rule in rules.items()
    )


def _cluster(
    cluster: Cluster, found: Mapping[Place, SampleView], rules: Mapping[str, Rule], dedup: Dedup
) -> ClusterLine:
    cards = []
    for member in cluster.members:
        verdict = "keep" if member.reason == "kept" else "duplicate"
        cards.append(card(found[member.place], rules, SIDE_BY_SIDE, verdict=verdict, note=told(member, dedup)))
    return ClusterLine(cluster, tuple(cards), cluster.size - len(cluster.members))


def told(member: Member, dedup: Dedup) -> str:
    """What made a row a duplicate, or the one that is kept."""
    return ", ".join([*_why(member), *_preferred(member, dedup)])


def _why(member: Member) -> list[str]:
    """What made a row a duplicate: the reason, bits between hashes, and what a comparison said."""
    words = [] if member.reason == "kept" else [member.reason.replace("_", " ")]
    if member.distance is not None:
        words.append(f"{member.distance} bit{'' if member.distance == 1 else 's'} apart")
    if member.likeness is not None:
        found = LIKENESS_WORDS.get(member.likeness, member.likeness)
        words.append(found if member.difference is None else f"{found} (difference {member.difference:.2f})")
    if member.similarity is not None:
        words.append(f"texts {member.similarity:.2f} alike")
    return words


def dedup_words(settings: Mapping[str, object]) -> str:
    """What dedup of a stage goes by, in words, from `Manifest.dedup`."""
    dedup = Dedup.model_validate(settings)
    if dedup.level == "off":
        return "off"
    near = f"pictures within {dedup.distance} bits, " + ("then compared" if dedup.verify else "by hash alone")
    said = [f"level {dedup.level}", *([] if dedup.level == "exact" else [near])]
    said += ["mirrored copies are the same"] if dedup.flips == "same" else []
    said += [f"texts at least {dedup.text.similarity:g} alike"] if dedup.text else []
    said.append(f"keeps {_policy(dedup) or 'none'}")
    return ", ".join([*said, *([f"rather of {', '.join(dedup.prefer)}"] if dedup.prefer else [])])


def _policy(dedup: Dedup) -> str:
    """Which of duplicates is kept; empty where none is."""
    return {"first": "the first", "largest": "the largest", "best": f"the best {dedup.score}", "none": ""}[dedup.keep]


def _preferred(member: Member, dedup: Dedup) -> list[str]:
    """What the choice of the kept row went by; of the kept row also the policy."""
    policy = _policy(dedup)
    words = [policy] if member.reason == "kept" else []
    if member.reason == "kept" and dedup.prefer:
        words = [f"of a preferred source, then {policy}"]
    unit = "pixels" if dedup.keep == "largest" else dedup.score
    if dedup.keep in {"largest", "best"}:
        words.append(f"no {unit}" if member.value is None else f"{short(member.value)} {unit}")
    return words
