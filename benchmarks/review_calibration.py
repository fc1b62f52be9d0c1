"""Whether what a review says of rules and thresholds holds: against labels of every row, from samples of them.

    python -m benchmarks.review_calibration repetition_labels.jsonl [--rounds 40] [--audit 60]

Reads rows with `instruction`, `output` and `label` (degenerate, or another word for a row to keep), builds a mixture of
them with the rules `loop >= 0.5` (review) and `dup_ngram_share >= 0.3` (drop), and lets the labels answer an audit of
`--audit` rows a stratum, drawn anew in each round (the recipe's seed). The figures of `vlmix review stats` are then
compared with those of all labels: how many of the intervals hold the true value, and how wide they are.
"""

import argparse
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import yaml

from flows.executor import LocalRunner
from flows.mixes import Mix, find
from flows.review_calibration import Calibration, calibration, current_opinions
from flows.review_scores import answers_by_source, journal
from flows.reviewing import queue_items
from flows.run import checked, run_with
from review.answer import Answer
from review.estimate import Estimate
from review.ordering import QueueOptions
from shards.store import Store

RULES = [
    {"name": "looping", "when": "loop >= 0.5", "then": "review"},
    {"name": "repeated", "when": "dup_ngram_share >= 0.3", "then": "drop"},
]


def build(folder: Path, labels: pl.DataFrame, seed: int) -> Mix:
    """The mixture of all rows; only the order of chance depends on the seed."""
    columns = {"user": ["instruction"], "assistant": ["output"]}
    source = {"layout": "table", "files": "rows.jsonl", "root": ".", "columns": columns}
    entry = {"id": "rows", "source": source, "domain": "chat"}
    recipe = {"name": "labelled", "seed": seed, "judge": "off", "rules": {"list": RULES}, "entries": [entry]}
    recipe["dedup"] = {"level": "off"}
    if not (folder / "rows.jsonl").is_file():
        labels.select("instruction", "output").write_ndjson(folder / "rows.jsonl")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    store = Store(folder / "store")
    journal(store).path.unlink(missing_ok=True)  # answers of the last round
    run_with(checked(str(folder / "recipe.yaml"), store), store, LocalRunner(None), None, lambda *_: None)
    return find(store, "labelled")["sft"]


def answered(mix: Mix, bad: dict[str, bool], audit: int) -> Calibration:
    """The calibration after the labels have answered an audit."""
    table = queue_items(mix.store, str(mix.box.path), QueueOptions(audit=audit)).table
    drawn = pl.concat([each.sort("place").head(audit) for each in _by_stratum(mix, table)])
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    journal(mix.store).append(
        Answer(
            answer_id=row["item"],
            item=row["item"],
            entry=row["entry"],
            key=row["key"],
            seen=row["seen"],
            choice="drop" if bad[row["key"]] else "keep",
            reviewer="labels",
            at=moment,
            via="page",
        )
        for row in drawn.iter_rows(named=True)
    )
    found = calibration(mix, current_opinions(mix, answers_by_source(mix.store)))
    assert found is not None
    return found


def _by_stratum(mix: Mix, table: pl.DataFrame) -> Iterator[pl.DataFrame]:
    from flows.review_rows import chance

    placed = table.with_columns(chance(mix, table).alias("place"))
    yield from (part for _, part in placed.group_by("stratum", maintain_order=True))


def truths(mix: Mix, bad: dict[str, bool], found: Calibration) -> Iterator[tuple[str, Estimate, float]]:
    """Every estimate with its true value, counted here from all scores and all labels."""
    rows = mix.scores.with_columns(pl.col("key").replace_strict(bad, return_dtype=pl.Boolean).alias("bad"))
    for rule in found.rules:
        when = next(str(each["when"]) for each in RULES if each["name"] == rule.rule)
        real = _counted(rows, when)
        for name, estimate in (("precision", rule.precision), ("recall", rule.recall)):
            if estimate:
                yield f"{rule.rule} {name}", estimate, real[name]
    for curve in found.curves:
        for point in curve.points:
            real = _counted(rows, f"{curve.score} {curve.operator} {point.at!r}")
            assert point.kept == round(real["kept"], 6), "what a threshold keeps is counted, not estimated"
            for name in ("bad_kept", "good_dropped", "recall", "wrong"):
                estimate = getattr(point, name)
                if estimate:
                    yield f"{curve.rule} curve {name}", estimate, real[name]


def _counted(rows: pl.DataFrame, when: str) -> dict[str, float]:
    flagged = rows.select(pl.sql_expr(when).fill_null(False).alias("flagged"))["flagged"]
    hit, missed = int((flagged & rows["bad"]).sum()), int((~flagged & rows["bad"]).sum())
    total, kept = int(flagged.sum()), rows.height - int(flagged.sum())
    precision = hit / total if total else 0.0
    return {
        "precision": precision,
        "recall": hit / (hit + missed),
        "kept": kept / rows.height,
        "bad_kept": missed / kept if kept else 0.0,
        "good_dropped": 1 - precision,
        "wrong": missed + total - hit,
    }


def main() -> None:
    """Print a line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--audit", type=int, default=60)
    options = parser.parse_args()
    labels = pl.read_ndjson(options.labels).select("instruction", "output", "label")
    tallies: dict[str, list[tuple[bool, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.rounds):
            mix = build(Path(folder), labels, seed)
            keys = mix.decisions["key"].to_list()
            bad = dict(zip(keys, labels["label"] == "degenerate", strict=True))
            found = answered(mix, bad, options.audit)
            if seed == 0:
                show(found)
            for name, estimate, value in truths(mix, bad, found):
                held = estimate.low - 1e-5 <= value <= estimate.high + 1e-5
                tallies.setdefault(name, []).append((held, estimate.high - estimate.low))
    for name, tally in tallies.items():
        held = sum(each for each, _ in tally) / len(tally)
        print(
            f"{name:<32} {len(tally):>5} intervals, {held:.1%} hold, width {sum(w for _, w in tally) / len(tally):.3f}"
        )


def show(found: Calibration) -> None:
    """Print what one round says."""
    for stratum in found.strata:
        print(f"{stratum.stratum}: {stratum.rows} rows, {stratum.answered} answered")
    for rule in found.rules:
        print(f"{rule.rule}: precision {rule.precision}, recall {rule.recall}")
    for curve in found.curves:
        print(f"{curve.rule}: {curve.score} {curve.operator} {curve.current}, suggested {curve.suggested}")


if __name__ == "__main__":
    main()
