"""How far the review of a mixture is, how reviewers agree, and how right its rules are."""

from collections import Counter
from collections.abc import Iterator

from pydantic import BaseModel

from flows.mixes import Mix, find_one
from flows.review_calibration import Calibration, calibration, current_opinions
from flows.review_scores import Answers, answers_by_source
from review.agreement import Agreement, agreement
from review.calibration import Curve, RuleQuality
from review.estimate import Estimate
from shards.store import Store

MOST_CONFLICTS = 20
"""Conflicts that are shown to people; the JSON document has all."""


class ReviewerCounts(BaseModel):
    """What one person's last words about samples are."""

    reviewer: str
    keep: int
    drop: int
    skip: int


class Conflict(BaseModel):
    """A sample on which reviewers disagree, and what each says."""

    key: str
    said: dict[str, str]


class ReviewStats(BaseModel):
    """Figures of a review.

    `waiting` are rows in review when the mixture was made, `keep` and `drop` samples by what reviewers say of them
    today, `settled` those on which somebody has ended a conflict.
    """

    mixture: str
    waiting: int
    keep: int
    drop: int
    settled: int
    conflicts: list[Conflict]
    reviewers: list[ReviewerCounts]
    agreement: list[Agreement]
    calibration: Calibration | None


def stats(store: Store, name: str) -> ReviewStats:
    """The figures of one mixture.

    Raises:
        UsageError: nothing finished of that name, or a recipe of several stages.
    """
    mix = find_one(store, name)
    return stats_of(mix, answers_by_source(mix.store))


def stats_of(mix: Mix, given: Answers) -> ReviewStats:
    """The figures of one mixture by some answers."""
    said = current_opinions(mix, given)
    sources = {entry.source for entry in mix.manifest.entries}
    answers = [answer for source, own in given.items() if source in sources for answer in own]
    choices = Counter((answer.reviewer, answer.choice) for answer in answers)
    verdicts = Counter(opinion.verdict for opinion in said.values())
    return ReviewStats(
        mixture=f"{mix.manifest.recipe}.{mix.manifest.mixture}",
        waiting=mix.manifest.totals.review,
        keep=verdicts["keep"],
        drop=verdicts["drop"],
        settled=sum(opinion.settled is not None for opinion in said.values()),
        conflicts=[Conflict(key=key, said=dict(each.by)) for key, each in said.items() if each.conflict],
        reviewers=[
            ReviewerCounts(
                reviewer=reviewer,
                keep=choices[reviewer, "keep"],
                drop=choices[reviewer, "drop"],
                skip=choices[reviewer, "skip"],
            )
            for reviewer in sorted({answer.reviewer for answer in answers})
        ],
        agreement=agreement(answers),
        calibration=calibration(mix, said),
    )


def stats_lines(found: ReviewStats) -> Iterator[str]:
    """The figures for people."""
    yield f"{found.mixture}: {found.waiting:,} rows wait for review"
    yield f"reviewers say keep of {found.keep:,} samples and drop of {found.drop:,}"
    for person in found.reviewers:
        yield f"  {person.reviewer}: {person.keep:,} keep, {person.drop:,} drop, {person.skip:,} skip"
    for pair in found.agreement:
        kappa = "-" if pair.kappa is None else f"{pair.kappa:.2f}"
        equal = f"{pair.equal:,} of {pair.samples:,}"
        yield f"  {pair.left} and {pair.right} agree on {equal} ({pair.agreement:.0%}), kappa {kappa}"
    if found.conflicts:
        yield f"{len(found.conflicts):,} conflicts stay in review; somebody settles them with --settle or on the page"
    for conflict in found.conflicts[:MOST_CONFLICTS]:
        yield f"  {conflict.key}: {', '.join(f'{who} {word}' for who, word in conflict.said.items())}"
    if found.calibration:
        yield from _calibration_lines(found.calibration)


def _calibration_lines(found: Calibration) -> Iterator[str]:
    if not found.used:
        yield f"{found.answered:,} rows are answered, none of them at random; export with --audit to measure the rules"
        return
    yield f"measured on {found.used:,} rows drawn at random; intervals hold with {found.confidence:.0%}"
    yield f"{'rule':<28} {'then':<7} {'rows':>9} {'seen':>6}  {'precision':<22} recall"
    for rule in found.rules:
        if rule.rows:
            yield _rule_line(rule)
    for curve in found.curves:
        if curve.suggested is not None:
            yield _suggestion(curve)


def _rule_line(rule: RuleQuality) -> str:
    shares = f"{_words(rule.precision):<22} {_words(rule.recall)}"
    return f"{rule.rule:<28} {rule.then:<7} {rule.rows:>9,} {rule.answered:>6,}  {shares}"


def _words(share: Estimate | None) -> str:
    return "-" if share is None else f"{share.value:.1%} ({share.low:.1%}-{share.high:.1%})"


def _suggestion(curve: Curve) -> str:
    at = {point.at: point.wrong for point in curve.points}
    assert curve.suggested is not None
    now, then = at[curve.current], at[curve.suggested]
    return (
        f"{curve.rule}: {curve.score} {curve.operator} {curve.suggested:g} instead of {curve.current:g} is wrong about "
        f"{then.value:,.0f} rows ({then.low:,.0f}-{then.high:,.0f}) instead of "
        f"{now.value:,.0f} ({now.low:,.0f}-{now.high:,.0f})"
    )
