"""How well a student copies its judge, in figures on rows that it did not learn from."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel

from filters.student import BEST
from flows.calibrating import compare
from shards.errors import UsageError

THRESHOLDS: Final[Mapping[str, float]] = {"quality": 7.0, "repetition": 3.0}
"""Grade below which the rules of the set `default` drop, of the criteria that text alone can tell."""
LEVEL: Final = 0.9
"""Share of the rows kept aside that the interval holds."""
_BINS: Final = 10
_UPPER: Final = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Shares of the calls that limits of the upper tail are to save."""
_LOWER: Final = (0.25, 0.5, 1.0)
"""The same of the lower tail, in parts of the share of rows below the threshold."""

Mask = npt.NDArray[np.bool_]


def check_criterion(criterion: str) -> None:
    """Stop where a student cannot copy a criterion.

    Raises:
        UsageError: it is none that text alone can tell.
    """
    if criterion not in THRESHOLDS:
        raise UsageError(f"a student copies {' or '.join(f'`{name}`' for name in THRESHOLDS)}, not `{criterion}`")


class Figures(BaseModel):
    """How guesses compare with grades."""

    rows: int
    below: int
    """Rows that the judge grades below the threshold."""
    spearman: float | None
    """Rank correlation; null where either side is constant."""
    mae: float
    """Mean distance of guess and grade, in grades."""
    agreement: float
    """Share of the rows that both put on one side of the threshold."""
    auc: float | None
    """Chance that a row below the threshold has a lower guess than another one; null without both."""


class Bin(BaseModel):
    """Rows whose guess lies in one range, about a tenth of all."""

    least: float
    most: float
    rows: int
    guessed: float
    """Mean guess."""
    graded: float
    """Mean grade of the judge."""
    below: float
    """Share that the judge grades below the threshold."""


class Tail(BaseModel):
    """What sparing the judge one tail of the rows does to verdicts at the threshold."""

    when: str
    """Which rows are spared, as a rule would say it."""
    keeps: bool
    """Whether spared rows stay; otherwise they are dropped."""
    saved: float
    """Share of the calls."""
    changed: int
    """Rows whose verdict is another one than with the judge."""
    of: int
    """Rows whose verdict could change: those that the judge drops where spared rows stay, and the reverse."""
    sources: dict[str, tuple[int, int, int]]
    """By source: rows, calls saved, verdicts changed."""


class Copying(BaseModel):
    """The figures of a student; all but `learnt` and `aside` are of rows that were held out."""

    criterion: str
    judge: str
    threshold: float
    learnt: int
    """Rows learnt from."""
    aside: int
    """Rows that the width of the interval comes from."""
    figures: Figures
    mae_of_constant: float
    """The same distance of one guess for all, the mean grade learnt from."""
    agreement_of_constant: float
    """The same agreement of one verdict for all, the more frequent one."""
    half_width: float
    """Grades between a guess and either end of its interval."""
    level: float
    """Share that the interval should hold."""
    coverage: float
    """Share of the rows that it holds."""
    coverage_below: float | None
    """The same of rows below the threshold; null where there are none."""
    keep_limit: float | None
    """Guess above which at most `1 - level` of the rows below the threshold should lie; null with too few of these."""
    bins: list[Bin]
    tails: list[Tail]
    sources: dict[str, Figures]
    ask_when: str | None
    """Where the judge was asked in the mixture; rows elsewhere are in no figure. Null where it was asked everywhere."""


def copying(
    frame: pl.DataFrame,
    *,
    aside: Mask,
    held_out: Mask,
    judge: str,
    criterion: str,
    threshold: float,
    constant: float,
    ask_when: str | None = None,
) -> Copying:
    """Figures of (n, 3) rows with `source`, `grade` and `guess`.

    Args:
        frame: all rows.
        aside: which of them the width of the interval and the limits of the tails come from.
        held_out: which of them are measured.
        judge: whose grades they are.
        criterion: what is graded.
        threshold: grade below which a row is dropped.
        constant: guess of a model that knows nothing.
        ask_when: where the judge was asked.
    """
    kept = frame.filter(pl.Series(aside))
    test = frame.filter(pl.Series(held_out))
    half = _half_width(kept)
    inside = (test["grade"] - test["guess"]).abs() <= half
    below = test["grade"] < threshold
    most = int(below.sum()) / max(below.len(), 1)
    return Copying(
        criterion=criterion,
        judge=judge,
        threshold=threshold,
        learnt=int((~aside & ~held_out).sum()),
        aside=int(aside.sum()),
        figures=_figures(test, criterion, judge, threshold),
        mae_of_constant=_rounded((test["grade"] - constant).abs().mean()),
        agreement_of_constant=_rounded(max(most, 1 - most)),
        half_width=half,
        level=LEVEL,
        coverage=_rounded(inside.mean()),
        coverage_below=_rounded(inside.filter(below).mean()) if below.any() else None,
        keep_limit=_keep_limit(kept, threshold),
        bins=_bins(test, threshold),
        tails=_tails(test, kept, criterion, threshold, half),
        sources={
            str(source): _figures(own, criterion, judge, threshold)
            for (source,), own in test.sort("source", maintain_order=True).group_by("source", maintain_order=True)
        },
        ask_when=ask_when,
    )


def _rounded(value: object) -> float:
    assert isinstance(value, float)
    return round(value, 6)


def _half_width(aside: pl.DataFrame) -> float:
    """The least width that holds `LEVEL` of the rows, counting one more row that it does not hold.

    Source: split conformal prediction, Lei et al. 2018 (arXiv 1604.04173), algorithm 2.
    """
    misses = np.sort((aside["grade"] - aside["guess"]).abs().to_numpy())
    rank = int(np.ceil(LEVEL * (len(misses) + 1)))
    return round(float(misses[min(rank, len(misses)) - 1]), 6)


def _figures(test: pl.DataFrame, criterion: str, judge: str, threshold: float) -> Figures:
    grade, made = test["grade"], test["guess"]
    columns = {"label": grade, criterion: made, f"{criterion}_spread": pl.zeros(test.height, eager=True)}
    state = pl.Series([None] * test.height, dtype=pl.String)
    found = compare(pl.DataFrame({**columns, f"{criterion}_state": state}), criterion, judge, threshold)
    return Figures(
        rows=test.height,
        below=test.height - found.good,
        spearman=None if found.spearman is None else round(found.spearman, 6),
        mae=_rounded((grade - made).abs().mean()),
        agreement=_rounded(((grade < threshold) == (made < threshold)).mean()),
        auc=None if found.auc is None else round(found.auc, 6),
    )


def _bins(test: pl.DataFrame, threshold: float) -> list[Bin]:
    ordered = test.sort("guess", maintain_order=True)
    cuts = np.linspace(0, ordered.height, _BINS + 1).astype(int).tolist()
    parts = [ordered[start:end] for start, end in pairwise(cuts) if end > start]
    return [
        Bin(
            least=_rounded(part["guess"].min()),
            most=_rounded(part["guess"].max()),
            rows=part.height,
            guessed=_rounded(part["guess"].mean()),
            graded=_rounded(part["grade"].mean()),
            below=_rounded((part["grade"] < threshold).mean()),
        )
        for part in parts
    ]


def _keep_limit(aside: pl.DataFrame, threshold: float) -> float | None:
    """A guess, rounded up to hundredths; null with fewer rows below the threshold than can say anything (9).

    Source: as `_half_width`, but of the rows below the threshold alone (label-conditional).
    """
    bad = np.sort(aside.filter(pl.col("grade") < threshold)["guess"].to_numpy())[::-1]
    rank = int(np.floor(round((1 - LEVEL) * (len(bad) + 1), 9)))
    return float(np.ceil(bad[rank - 1] * 100) / 100) if rank else None


def _tails(test: pl.DataFrame, aside: pl.DataFrame, criterion: str, threshold: float, half: float) -> list[Tail]:
    """What the interval clears, what the limit to keep clears, upper and lower tails; limits from rows kept aside."""
    name, made = f"student_{criterion}", test["guess"]
    below = int((aside["grade"] < threshold).sum()) / max(aside.height, 1)
    clear = _keep_limit(aside, threshold)
    upper = _limits(aside, [1 - share for share in _UPPER])
    lower = _limits(aside, [share * below for share in _LOWER] if below else [])
    spared = [
        (f"{name}_low >= {threshold:g}", (made - half).clip(0, BEST) >= threshold, True),
        (f"{name}_high < {threshold:g}", (made + half).clip(0, BEST) < threshold, False),
        *([] if clear is None else [(f"{name} > {clear:g}", made > clear, True)]),
        *((f"{name} >= {limit:g}", made >= limit, True) for limit in upper),
        *((f"{name} < {limit:g}", made < limit, False) for limit in lower),
    ]
    return [_tail(test, when, rows, threshold, keeps=keeps) for when, rows, keeps in spared]


def _limits(aside: pl.DataFrame, shares: Sequence[float]) -> list[float]:
    """Distinct quantiles of the guesses, rounded to hundredths as a person would write them."""
    return list(dict.fromkeys(round(float(np.quantile(aside["guess"].to_numpy(), share)), 2) for share in shares))


def _tail(test: pl.DataFrame, when: str, spared: pl.Series, threshold: float, *, keeps: bool) -> Tail:
    changed = spared & ((test["grade"] < threshold) == keeps)
    by_source = (
        pl.DataFrame({"source": test["source"], "spared": spared, "changed": changed})
        .group_by("source")
        .agg(pl.len(), pl.col("spared").sum(), pl.col("changed").sum())
        .sort("source")
    )
    return Tail(
        when=when,
        keeps=keeps,
        saved=_rounded(spared.mean()),
        changed=int(changed.sum()),
        of=int(((test["grade"] < threshold) == keeps).sum()),
        sources={source: (rows, saved, other) for source, rows, saved, other in by_source.iter_rows()},
    )


def copying_lines(found: Copying) -> list[str]:
    """The figures for people."""
    all_rows, at = found.figures, f"{found.threshold:g}"
    below = "-" if found.coverage_below is None else f"{found.coverage_below:.1%}"
    lines = [
        f"{found.criterion} as by {found.judge}: {found.learnt:,} rows learnt, {found.aside:,} for the interval, "
        f"{all_rows.rows:,} held out, {all_rows.below:,} of them below {at}",
        f"held out: {_words(all_rows)}; a constant: mean distance {found.mae_of_constant:.3f}, "
        f"agreement {found.agreement_of_constant:.1%}",
        f"interval: guess +- {found.half_width:.3f}; holds {found.coverage:.1%} of the rows ({found.level:.0%} meant), "
        f"{below} of those below {at}",
        *([f"only rows where {found.ask_when}: nothing is known of others"] if found.ask_when else []),
        f"{'guess from':>10} {'to':>6} {'rows':>7} {'guessed':>8} {'graded':>7} {'below ' + at:>9}",
        *(
            f"{each.least:>10.2f} {each.most:>6.2f} {each.rows:>7,} {each.guessed:>8.2f} {each.graded:>7.2f} "
            f"{each.below:>9.1%}"
            for each in found.bins
        ),
        f"{'spared':<30} {'then':<5} {'calls saved':>11} {'changed':>8} {'of':>7}  changed by source",
    ]
    for tail in found.tails:
        own = ", ".join(f"{name} {other:,} of {rows:,}" for name, (rows, _, other) in tail.sources.items() if other)
        then = "keep" if tail.keeps else "drop"
        lines.append(f"{tail.when:<30} {then:<5} {tail.saved:>11.1%} {tail.changed:>8,} {tail.of:>7,}  {own or '-'}")
    lines += [f"{name}: {each.rows:,} rows, {_words(each)}" for name, each in found.sources.items()]
    return lines


def _words(found: Figures) -> str:
    shown = {"Spearman": found.spearman, "AUC": found.auc}
    known = [f"{name} {'-' if value is None else f'{value:.3f}'}" for name, value in shown.items()]
    return ", ".join([*known, f"mean distance {found.mae:.3f}", f"agreement {found.agreement:.1%}"])
