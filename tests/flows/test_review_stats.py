"""Figures of a review of a real mixture: equal to a count by hand when everything is answered."""

from pathlib import Path

import polars as pl
import pytest
from mixture_store import build_small
from test_review_scores import again

from flows.mixes import Mix, latest_run
from flows.review_import import import_answers
from flows.review_stats import ReviewStats, stats, stats_lines
from flows.reviewing import queue_items
from review.estimate import Estimate
from review.ordering import QueueOptions

RULES: list[dict[str, object]] = [
    {"name": "doubt", "when": "answer_chars < 100 OR num_images > 0", "then": "review"},
    {"name": "long", "when": "answer_chars > 300", "then": "drop"},
    {"name": "exact", "when": "question_chars = 10", "then": "keep"},
]


@pytest.fixture
def mix(tmp_path: Path) -> Mix:
    return build_small(tmp_path, least=20, rules=RULES)


def bad(key: str) -> bool:
    """What every reviewer here thinks: rows whose number ends in 0 to 3 of a tens block are bad."""
    return int(key.rsplit("/", 1)[1]) % 10 < 4


def answer(mix: Mix, rows: pl.DataFrame, reviewer: str = "ann") -> None:
    lines = [f"{key},{'drop' if bad(key) else 'keep'}" for key in rows["key"]]
    path = mix.store.root.parent / "answers.csv"
    path.write_text("\n".join(["key,verdict", *lines]))
    assert not import_answers(mix.store, path, reviewer=reviewer).refused


def by_hand(mix: Mix, rule: str) -> tuple[float, float]:
    rows = mix.decisions.with_columns(
        pl.col("key").map_elements(bad, pl.Boolean).alias("bad"), pl.col("reasons").list.contains(rule).alias("true")
    )
    hit = rows.filter("bad", "true").height
    return hit / int(rows["true"].sum()), hit / int(rows["bad"].sum())


def exact(value: float) -> Estimate:
    return Estimate(value=round(value, 6), low=round(value, 6), high=round(value, 6))


def test_with_every_row_answered_nothing_is_estimated(mix: Mix) -> None:
    answer(mix, mix.decisions)
    for made in (mix, again(mix)):  # once before the answers count, and once when they have decided every row
        found = stats(made.store, str(made.box.path)).calibration
        assert found is not None and found.used == found.answered == 400
        for quality in found.rules:
            precision, recall = by_hand(mix, quality.rule)
            if quality.then != "keep":
                assert (quality.precision, quality.recall) == (exact(precision), exact(recall)), quality.rule
        curves = {(curve.rule, curve.score): curve for curve in found.curves}
        assert list(curves) == [
            ("short", "answer_chars"),
            ("doubt", "answer_chars"),
            ("doubt", "num_images"),
            ("long", "answer_chars"),
        ]
        chars = mix.scores["answer_chars"]
        wrong = mix.scores["key"].map_elements(bad, pl.Boolean)
        for point in curves["long", "answer_chars"].points:
            flagged = (chars > point.at).fill_null(False)
            assert point.kept == pytest.approx(1 - flagged.mean(), abs=1e-6)
            assert point.wrong.value == (flagged != wrong).sum()
            assert point.wrong.low == point.wrong.value == point.wrong.high


def test_an_audit_measures_with_intervals_and_a_worked_off_queue_does_not(mix: Mix) -> None:
    table = queue_items(mix.store, str(mix.box.path), QueueOptions(audit=12)).table
    answer(mix, table.filter(pl.col("asked") == "review"))
    only_review = stats(mix.store, "small")
    assert only_review.calibration is not None
    seen = {each.stratum: (each.rows, each.answered) for each in only_review.calibration.strata}
    assert seen["doubt:review"] == (mix.manifest.totals.review,) * 2
    assert {name for name, (_, answered) in seen.items() if answered} == {"doubt:review"}
    answer(mix, table.filter(pl.col("asked") != "review"), "bob")
    audited = stats(mix.store, "small").calibration
    assert audited is not None and {each.answered for each in audited.strata} == {12, mix.manifest.totals.review}
    for quality in audited.rules:
        for estimate, true in zip((quality.precision, quality.recall), by_hand(mix, quality.rule), strict=True):
            if estimate and quality.then != "keep":
                assert estimate.low - 1e-6 <= true <= estimate.high + 1e-6


def test_conflicts_and_agreement_are_told(mix: Mix) -> None:
    keys = mix.decisions.filter(pl.col("verdict") == "review")["key"].to_list()[:4]
    path = mix.store.root.parent / "said.csv"
    said = [("ann", "keep keep drop drop"), ("bob", "keep keep drop keep")]
    lines = [f"{key},{word},{who}" for who, words in said for key, word in zip(keys, words.split(), strict=True)]
    path.write_text("\n".join(["key,verdict,reviewer", *lines]))
    import_answers(mix.store, path)
    found = stats(mix.store, "small")
    assert (found.keep, found.drop, [each.key for each in found.conflicts]) == (2, 1, [keys[3]])
    assert found.conflicts[0].said == {"ann": "drop", "bob": "keep"}
    (pair,) = found.agreement
    assert (pair.samples, pair.equal, pair.kappa) == (4, 3, 0.5)
    assert ReviewStats.model_validate_json(found.model_dump_json()) == found
    text = "\n".join(stats_lines(found))
    assert "ann and bob agree on 3 of 4 (75%), kappa 0.50" in text and "1 conflicts stay in review" in text


def test_the_report_shows_what_reviewers_say(mix: Mix) -> None:
    def report() -> str:
        found = latest_run(mix.store, "small")
        assert found is not None
        return (found[0].path / "report.html").read_text()

    assert 'id="review"' not in report()
    table = queue_items(mix.store, str(mix.box.path), QueueOptions(audit=12)).table
    answer(mix, table, "<b>ann</b>")
    again(mix)
    page = report()
    assert 'id="review"' in page and "Rules held against people" in page
    assert "&lt;b&gt;ann&lt;/b&gt;" in page and "<b>ann" not in page
    found = stats(mix.store, "small").calibration
    assert found is not None
    for rule in found.rules:
        if rule.precision and rule.rows:
            low, high = 100 * rule.precision.low, 100 * rule.precision.high
            assert f"{100 * rule.precision.value:.1f} % ({low:.1f} to {high:.1f})" in page
    assert page.count('class="chart curve"') == len(found.curves) > 0


def test_a_mixture_that_nobody_reviewed(mix: Mix) -> None:
    found = stats(mix.store, "small")
    assert (found.calibration, found.reviewers, found.conflicts, found.keep) == (None, [], [], 0)
    assert found.waiting == mix.manifest.totals.review
