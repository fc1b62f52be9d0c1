"""A judge held against labels that people gave: agreement, rank correlation, and what each threshold would keep."""

from pathlib import Path
from typing import Final

import polars as pl
from pydantic import BaseModel

from filters.answer import MESSAGES
from filters.judge_domain import JudgeDomain
from filters.judges.base import Judge
from filters.judges.likelihood import LIKELIHOOD
from filters.judges.score import requests, scores
from filters.texts import read_texts
from flows.importing import read_table
from flows.mixes import find_one
from flows.recipe_judge import judge_of, prompts_of
from flows.scoring import CRITERIA, SIGHTED
from manifests.load import load_recipe
from shards.errors import UsageError
from shards.schema import STATE_SUFFIX
from shards.store import Store

_WORDS: Final = {"keep": True, "drop": False}


class Threshold(BaseModel):
    """What a rule `score < at: drop` would do to the scored rows."""

    at: int
    kept: float
    """Yield: share of the rows that stay."""
    agreement: float
    """Share of the rows whose label says the same."""
    good_kept: float | None
    """Share of the good rows that stay; null without good rows."""
    bad_dropped: float | None
    """Share of the bad rows that go; null without bad rows."""
    doubtful: float
    """Share of the rows whose grade has the threshold within a standard deviation."""


class Calibration(BaseModel):
    """How a judge's scores compare with labels."""

    criterion: str
    judge: str
    rows: int
    states: dict[str, int]
    """Rows by state; only `scored` ones are in the figures below."""
    good: int
    """Scored rows whose label is good: `keep`, or a number from the threshold on."""
    spearman: float | None
    """Rank correlation with labels that are numbers; null for words, or where either is constant."""
    auc: float | None
    """Chance that a good row has a higher grade than a bad one, ties counted half; null without both."""
    thresholds: list[Threshold]


def calibrate(
    labels: str, store: Store, *, recipe: str | None, mix: str | None, criterion: str, threshold: float
) -> Calibration:
    """Compare a judge with labels.

    Args:
        labels: table with `label` (keep or drop, or a number 0..10) and either `key`, looked up in `mix`, or `answer`
            and perhaps `question`, which are asked of the recipe's judge. Or the name of a mixture with human verdicts.
        store: where mixtures lie.
        recipe: whose judge is asked; None for the embedded one.
        mix: whose scores are taken, without any call.
        criterion: one of `CRITERIA` that is graded.
        threshold: from which on a label that is a number is good.

    Raises:
        UsageError: a file or column that is not there, labels that are no labels, or an unknown criterion.
    """
    graded = [name for name in CRITERIA if name != LIKELIHOOD]
    if criterion not in graded:
        raise UsageError(f"no criterion `{criterion}`; known: {', '.join(graded)}")
    if not Path(labels).is_file():
        scored = find_one(store, labels).scores.filter(pl.col("human").is_not_null())
        return compare(
            _named(scored, criterion).with_columns(scored["human"].alias("label")), criterion, labels, threshold
        )
    table = read_table(Path(labels))
    if "label" not in table.columns:
        raise UsageError(f"`{labels}`: expected a column `label`, found {', '.join(table.columns)}")
    if "key" in table.columns and mix is not None:
        held = find_one(store, mix)
        known = _named(held.scores, criterion).with_columns(held.scores["key"])
        joined = table.select("key", "label").join(known, on="key", how="left", maintain_order="left")
        return compare(joined, criterion, held.manifest.judge, threshold)
    if "answer" not in table.columns:
        raise UsageError(f"`{labels}`: expected a column `answer`, or `key` together with --mix")
    if criterion in SIGHTED:
        raise UsageError(f"{criterion} needs pictures, which a table of labels has not; give keys and --mix")
    loaded, folder = load_recipe(recipe or "demo")
    judge = judge_of(loaded, folder)
    if judge is None:
        raise UsageError(f"recipe `{recipe}` says `judge: off`; there is nobody to ask")
    return compare(table.select("label").hstack(grade(judge, table, criterion)), criterion, judge.judge_id, threshold)


def _named(frame: pl.DataFrame, criterion: str) -> pl.DataFrame:
    return frame.select(criterion, criterion + "_spread", criterion + STATE_SUFFIX)


def grade(judge: Judge, table: pl.DataFrame, criterion: str) -> pl.DataFrame:
    """Ask about (n,) rows of `answer`, and `question` where there is one; returns the columns of `scores`."""
    asked = table["question"] if "question" in table.columns else pl.Series([None] * table.height, dtype=pl.String)
    pairs = zip(asked.fill_null(""), table["answer"].fill_null(""), strict=True)
    chats = [
        [*([{"role": "user", "text": question}] if question else []), {"role": "assistant", "text": answer}]
        for question, answer in pairs
    ]
    batch = pl.DataFrame({"messages": chats}, schema={"messages": MESSAGES}).with_row_index("row")
    prompts = (
        "quality_" + JudgeDomain()(read_texts(batch))["judge_domain"].fill_null("general")
        if criterion == "quality"
        else pl.Series([criterion] * batch.height, dtype=pl.String)
    )
    found = []
    for prompt_id in prompts_of(criterion):
        own = batch.filter(prompts == prompt_id)
        found.append(scores(judge(requests(own, prompt_id)), criterion).with_columns(own["row"]))
    return pl.concat(found).sort("row").drop("row")


def compare(frame: pl.DataFrame, criterion: str, judge: str, threshold: float) -> Calibration:
    """Figures of a frame with `label`, the score, its spread and its state.

    Raises:
        UsageError: labels that are neither keep and drop nor numbers.
    """
    label = _labels(frame["label"])
    states = frame[criterion + STATE_SUFFIX].fill_null("scored")
    # a key that the mixture does not hold has neither score nor state
    absent = frame[criterion].is_null() & (states == "scored")
    states = states.set(absent, "absent")
    table = pl.DataFrame({"score": frame[criterion], "spread": frame[criterion + "_spread"], "label": label}).filter(
        frame[criterion].is_not_null() & label.is_not_null()
    )
    words = label.dtype == pl.Boolean
    good = table["label"] if words else table["label"] >= threshold
    table = table.with_columns(good.alias("good"))
    return Calibration(
        criterion=criterion,
        judge=judge,
        rows=frame.height,
        states=dict(sorted(states.value_counts().iter_rows())),
        good=int(good.sum()),
        spearman=None if words else spearman(table["score"], table["label"]),
        auc=_auc(table),
        thresholds=[_threshold(table, at) for at in range(1, 11)] if table.height else [],
    )


def _labels(label: pl.Series) -> pl.Series:
    """Labels as Booleans (keep) or as numbers."""
    if label.dtype.is_numeric():
        return label.cast(pl.Float64)
    words = label.cast(pl.String).str.to_lowercase()
    wrong = words.filter(words.is_not_null() & ~words.is_in(list(_WORDS)))
    if wrong.len():
        raise UsageError(f"label `{wrong[0]}`: expected `keep` or `drop`, or numbers 0 to 10")
    return words.replace_strict(_WORDS, return_dtype=pl.Boolean)


def spearman(left: pl.Series, right: pl.Series) -> float | None:
    """Rank correlation, ties at their mean rank; None where either is constant or fewer than two are given."""
    ranks = pl.DataFrame({"left": left.rank("average"), "right": right.rank("average")})
    if 1 in (ranks["left"].n_unique(), ranks["right"].n_unique()) or ranks.is_empty():
        return None
    return float(ranks.select(pl.corr("left", "right")).item())


def _auc(table: pl.DataFrame) -> float | None:
    good = int(table["good"].sum())
    bad = table.height - good
    if not good or not bad:
        return None
    ranks = table["score"].rank("average").filter(table["good"]).sum()
    return (float(ranks) - good * (good + 1) / 2) / (good * bad)


def _threshold(table: pl.DataFrame, at: int) -> Threshold:
    kept, good = table["score"] >= at, table["good"]
    return Threshold(
        at=at,
        kept=_share(kept) or 0.0,
        agreement=_share(kept == good) or 0.0,
        good_kept=_share(kept.filter(good)),
        bad_dropped=_share(~kept.filter(~good)),
        doubtful=_share((table["score"] - at).abs() < table["spread"]) or 0.0,
    )


def _share(values: pl.Series) -> float | None:
    return None if values.is_empty() else float(values.cast(pl.Float64).sum() / values.len())


def calibration_lines(found: Calibration) -> list[str]:
    """The figures for people."""
    states = ", ".join(f"{count:,} {state}" for state, count in found.states.items())
    shown = {"Spearman": found.spearman, "AUC": found.auc}
    figures = ", ".join(f"{name} {value:.3f}" for name, value in shown.items() if value is not None)
    lines = [
        f"{found.criterion} by {found.judge}: {found.rows:,} rows ({states}), {found.good:,} labelled good",
        figures or "labels or scores do not differ: no correlation",
        f"{'threshold':>9} {'kept':>7} {'agrees':>7} {'good kept':>10} {'bad dropped':>12} {'doubtful':>9}",
    ]
    for each in found.thresholds:
        good, bad = ("-" if share is None else f"{share:.1%}" for share in (each.good_kept, each.bad_dropped))
        lines.append(
            f"{each.at:>9} {each.kept:>7.1%} {each.agreement:>7.1%} {good:>10} {bad:>12} {each.doubtful:>9.1%}"
        )
    return lines
