"""Rules and thresholds of a finished mixture held against what reviewers say."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import polars as pl
from pydantic import BaseModel

from flows.mixes import Mix
from flows.rebuilding import score_types
from flows.review_rows import ROWS, RulesAlone, first_of_strata, human_rules, rules_of, strata
from flows.review_scores import Answers, shown_of
from manifests.recipe import Entry
from manifests.rules import Predicate, parse
from review.calibration import (
    LEAST_ANSWERED,
    Curve,
    RuleQuality,
    Sizes,
    Stratum,
    drawn_sample,
    point,
    rule_quality,
    suggested,
)
from review.estimate import CONFIDENCE
from review.opinion import Opinion, opinions
from review.queue import Simple, comparisons

MOST_POINTS: Final = 20
"""Thresholds of a curve beside the current one."""


class Calibration(BaseModel):
    """What reviewers say of the rules of a mixture; intervals hold the true value with `confidence`."""

    confidence: float = CONFIDENCE
    answered: int
    """Rows with an opinion, drawn or not."""
    used: int
    """Rows that count as drawn at random, see review/calibration.py; only these are in the figures."""
    strata: list[Stratum]
    rules: list[RuleQuality]
    curves: list[Curve]


def current_opinions(mix: Mix, answers: Answers) -> dict[str, Opinion]:
    """What reviewers say of the samples of a mixture, by key."""
    found: dict[str, Opinion] = {}
    for source in sorted({entry.source for entry in mix.manifest.entries} & answers.keys()):
        keys = {answer.key for answer in answers[source]}
        found |= opinions(answers[source], dict(shown_of(mix.shards(source), keys)))
    return found


@dataclass(slots=True)
class _Counted:
    """Rows of a mixture by stratum, and by entry, stratum and true rules; answered ones by stratum."""

    strata: dict[str, int] = field(default_factory=dict)
    answered: dict[str, int] = field(default_factory=dict)
    combinations: dict[tuple[str, str, tuple[str, ...]], int] = field(default_factory=dict)


def calibration(mix: Mix, said: Mapping[str, Opinion]) -> Calibration | None:
    """Precision and recall of every rule, and curves of its thresholds; None where nobody has said anything.

    Args:
        mix: a finished mixture.
        said: see `current_opinions`.
    """
    verdicts = {key: opinion.verdict == "drop" for key, opinion in said.items() if opinion.verdict}
    if not verdicts:
        return None
    counted = _count(mix, verdicts)
    # a head with nine of ten rows answered is no longer than this
    most = {name: math.ceil(rows / LEAST_ANSWERED) for name, rows in counted.answered.items()}
    candidates, _ = first_of_strata(mix, most)
    bad = pl.col("key").replace_strict(verdicts, default=None, return_dtype=pl.Boolean).alias("bad")
    sample, told = drawn_sample(candidates.with_columns(bad), counted.strata)
    predicates = _predicates(mix)
    rules = [_quality(mix, predicate, sample, counted) for predicate in predicates]
    curves = [curve for predicate in predicates for curve in _curves(mix, predicate, sample)]
    answered = sum(counted.answered.values())
    return Calibration(answered=answered, used=sample.height, strata=told, rules=rules, curves=curves)


def _count(mix: Mix, verdicts: Mapping[str, bool]) -> _Counted:
    counted = _Counted()
    keys = pl.Series(sorted(verdicts), dtype=pl.String).implode()
    for frame in strata(mix, ("entry", "key", "reasons")):
        _add(counted.strata, frame["stratum"].value_counts())
        _add(counted.answered, frame.filter(pl.col("key").is_in(keys))["stratum"].value_counts())
        grouped = frame.group_by("entry", "stratum", "reasons").len()
        for entry, stratum, reasons, rows in grouped.iter_rows():
            place = (entry, stratum, tuple(reasons))
            counted.combinations[place] = counted.combinations.get(place, 0) + rows
    return counted


def _add(counts: dict[str, int], more: pl.DataFrame) -> None:
    for name, rows in more.iter_rows():
        counts[name] = counts.get(name, 0) + rows


def _predicates(mix: Mix) -> list[Predicate]:
    """The rules that read no score of people."""
    human = human_rules(mix)
    return [each for each in parse(rules_of(mix), score_types(mix)) if each.rule.name not in human]


def _looked_at(mix: Mix, predicate: Predicate) -> list[str]:
    """Entries that a rule looks at."""
    entries = [Entry.model_validate({**entry.entry, "source": entry.source}) for entry in mix.manifest.entries]
    return [entry.id for entry in entries if predicate.applies(entry)]


def _quality(mix: Mix, predicate: Predicate, sample: pl.DataFrame, counted: _Counted) -> RuleQuality:
    rule, entries = predicate.rule, set(_looked_at(mix, predicate))
    true: dict[str, int] = {}
    false: dict[str, int] = {}
    for (entry, stratum, reasons), rows in counted.combinations.items():
        if entry in entries:
            sizes = true if rule.name in reasons else false
            sizes[stratum] = sizes.get(stratum, 0) + rows
    own = sample.filter(pl.col("entry").is_in(list(entries)))
    own = own.with_columns(pl.col("reasons").list.contains(rule.name).alias("true"))
    return rule_quality(rule.name, rule.then, own, Sizes(true, false))


def _curves(mix: Mix, predicate: Predicate, sample: pl.DataFrame) -> Iterator[Curve]:
    """A curve for each simple comparison of a rule, where drawn rows have the score."""
    found = comparisons(predicate.rule.when or "")
    entries = _looked_at(mix, predicate)
    own = sample.filter(pl.col("entry").is_in(entries))
    if not found or own.is_empty() or predicate.rule.then == "keep":
        return
    scored = _scored(mix, own, predicate.scores)
    for comparison in found:
        values = scored[comparison.score].drop_nulls().cast(pl.Float64)
        grid = _grid(values.filter(values.is_finite()), comparison.number)
        if len(grid) > 1:
            yield _curve(mix, predicate, comparison, grid, entries, scored)


def _scored(mix: Mix, sample: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """The sample with some scores."""
    table = mix.some_scores(["key", *names])
    wanted = pl.LazyFrame({"key": sample["key"].unique()})
    scores = table.join(wanted, on="key", how="semi").unique("key").collect(engine="streaming")
    return sample.join(scores, on="key", how="left", maintain_order="left")


def _grid(values: pl.Series, current: float) -> list[float]:
    """Thresholds to try: values of the sample at even ranks, and the current one."""
    ordered = values.unique().sort()
    steps = max(1, min(MOST_POINTS, len(ordered)) - 1)
    places = sorted({round(step * (len(ordered) - 1) / steps) for step in range(steps + 1)}) if len(ordered) else []
    return sorted({float(f"{ordered[place]:.6g}") for place in places} | {current})


def _curve(
    mix: Mix,
    predicate: Predicate,
    comparison: Simple,
    grid: Sequence[float],
    entries: Sequence[str],
    scored: pl.DataFrame,
) -> Curve:
    when = predicate.rule.when or ""
    tried = [pl.sql_expr(f"{when[: comparison.start]}{at!r}{when[comparison.end :]}") for at in grid]
    flags = [each.fill_null(False).alias(f"at{place}") for place, each in enumerate(tried)]
    sizes = _sizes(mix, entries, predicate.scores, flags)
    flagged = scored.with_columns(flags)
    points = [
        point(at, flagged.with_columns(pl.col(f"at{place}").alias("true")), sizes[place])
        for place, at in enumerate(grid)
    ]
    return Curve(
        rule=predicate.rule.name,
        score=comparison.score,
        operator=comparison.operator,
        current=comparison.number,
        suggested=suggested(points, comparison.number, scored),
        points=points,
    )


def _sizes(mix: Mix, entries: Sequence[str], scores: Sequence[str], flags: Sequence[pl.Expr]) -> list[Sizes]:
    """Rows of each stratum, by whether each of the flags is true; one entry in memory at a time."""
    found = [Sizes({}, {}) for _ in flags]
    names = [f"at{place}" for place in range(len(flags))]
    source_of = {entry.id: entry.source for entry in mix.manifest.entries}
    table = mix.some_scores(["source", "key", *scores])
    alone = RulesAlone.of(mix)
    for entry in entries:
        own = table.filter(pl.col("source") == source_of[entry]).select("key", *scores).collect()
        decisions = mix.decisions_of(entry, [name for name in ROWS if name != "entry"])
        # decisions of an entry have a row for every sample of its source, in its order
        assert own["key"].equals(decisions["key"])
        frame = alone(decisions.hstack(own.drop("key").select(flags)))
        grouped = frame.group_by("stratum").agg(pl.len().alias("rows"), pl.col(names).sum())
        for stratum, rows, *true in grouped.iter_rows():
            for sizes, count in zip(found, true, strict=True):
                _raise(sizes.true, stratum, count)
                _raise(sizes.false, stratum, rows - count)
    return found


def _raise(counts: Mapping[str, int], name: str, more: int) -> None:
    assert isinstance(counts, dict)
    counts[name] = counts.get(name, 0) + more
