"""The way of the rows through a stage: every step, what it took away, and why."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl

from flows.report.blocks import Table, blocks
from flows.report.number import count, short
from manifests.manifest import Counts, Manifest
from manifests.recipe import Rule


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason of a step with its rows; `detail` is the predicate of a rule."""

    name: str
    rows: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the funnel.

    A step that takes rows away has the verdict it gives them in `kind`, and `left` rows afterwards; a subtotal takes 0.
    """

    label: str
    kind: str
    taken: int
    left: int
    reasons: tuple[Reason, ...] = ()
    note: str = ""

    @property
    def subtotal(self) -> bool:
        """Whether the line says how many rows there are, rather than what is taken away."""
        return self.kind in {"read", "made", "keep", "written", "emitted"}


def funnel(
    manifest: Manifest, rules: Mapping[str, Rule], decisions: Table, clusters: pl.DataFrame, epochs: float
) -> tuple[Step, ...]:
    """The steps of a stage in order of work."""
    total = manifest.totals
    decided = _decided(manifest, rules)
    undecided = total.made - total.not_taken - total.drop
    kept = total.keep - total.duplicates
    return (
        Step("Rows read", "read", 0, total.read),
        Step(
            "Quarantined", "quarantined", total.quarantined, total.made, _merged(e.quarantine for e in manifest.entries)
        ),
        Step("Samples made", "made", 0, total.made),
        Step("Not taken", "not_taken", total.not_taken, total.made - total.not_taken),
        Step("Dropped", "drop", total.drop, undecided, decided["drop"]),
        Step("To review", "review", total.review, undecided - total.review, decided["review"]),
        Step(
            "Unscored",
            "unscored",
            total.unscored,
            total.keep,
            _unknown(decisions, rules),
            "by rule that could not be decided; one row may stand under several",
        ),
        Step("Kept", "keep", 0, total.keep, decided["keep"]),
        Step("Duplicates", "duplicate", total.duplicates, kept, _duplicates(decisions, clusters)),
        Step("Capped", "capped", total.capped, total.written, (), "more rows than the recipe's `cap`"),
        Step("Rows written", "written", 0, total.written),
        Step("Rows emitted", "emitted", 0, total.emitted, (), _epochs(total, epochs)),
    )


def _epochs(total: Counts, epochs: float) -> str:
    times = f"{short(total.emitted / total.written)} times each on average" if total.written else "nothing written"
    return f"{times}; with epochs {short(epochs)}, {count(round(total.emitted * epochs))} rows shown"


def _decided(manifest: Manifest, rules: Mapping[str, Rule]) -> dict[str, tuple[Reason, ...]]:
    reasons: dict[str, list[Reason]] = {"drop": [], "review": [], "keep": []}
    for reason in _merged(entry.rules for entry in manifest.entries):
        rule = rules.get(reason.name)
        reasons[rule.then if rule else "drop"].append(Reason(reason.name, reason.rows, (rule and rule.when) or ""))
    return {verdict: tuple(found) for verdict, found in reasons.items()}


def _merged(counts: Iterable[Mapping[str, int]]) -> tuple[Reason, ...]:
    whole: dict[str, int] = {}
    for part in counts:
        for name, rows in part.items():
            whole[name] = whole.get(name, 0) + rows
    return tuple(
        Reason(name, rows) for name, rows in sorted(whole.items(), key=lambda item: (-item[1], item[0])) if rows
    )


def _unknown(decisions: Table, rules: Mapping[str, Rule]) -> tuple[Reason, ...]:
    """Rules that left rows unscored; one row may stand under several."""
    found: Counter[str] = Counter()
    for rows in blocks(decisions, ["verdict", "unknown"]):
        found.update(_tally(rows.filter(pl.col("verdict") == "unscored"), "unknown"))
    return tuple(
        Reason(item.name, item.rows, (rules[item.name].when or "") if item.name in rules else "")
        for item in _merged([found])
    )


def _tally(decisions: pl.DataFrame, column: str) -> dict[str, int]:
    names = decisions.select(pl.col(column).explode(empty_as_null=True).drop_nulls().alias("name"))
    return dict(names.group_by("name").len().iter_rows())


def tallies(decisions: Table) -> tuple[Counter[str], Counter[str]]:
    """Per rule, the rows it is true for and the rows it could not be decided for."""
    true: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    for rows in blocks(decisions, ["reasons", "unknown"]):
        true.update(_tally(rows, "reasons"))
        unknown.update(_tally(rows, "unknown"))
    return true, unknown


def _duplicates(decisions: Table, clusters: pl.DataFrame) -> tuple[Reason, ...]:
    found: Counter[str] = Counter()
    for rows in blocks(decisions, ["key", "outcome"]):
        duplicates = rows.filter(pl.col("outcome") == "duplicate").select("key")
        reasons = duplicates.join(clusters.select("key", "reason"), on="key", how="left").drop_nulls()
        found.update(dict(reasons.group_by("reason").len().iter_rows()))
    return _merged([found])
