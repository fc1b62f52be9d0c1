"""Figures of a judge against labels, on tables small enough to work out by hand."""

import json
from pathlib import Path

import polars as pl
import pytest
from commands import DemoBuild, Vlmix

from flows.calibrating import calibrate, calibration_lines, compare, spearman
from flows.mixes import find_one
from shards.errors import UsageError
from shards.store import Store


@pytest.fixture
def demo_scores(demo: DemoBuild) -> tuple[Path, list[str]]:
    """The store of the demo build, and keys of some of its samples."""
    return demo.store, find_one(Store(demo.store), "demo.sft").scores["key"].head(20).to_list()


def frame(scores: list[float | None], labels: list[object], spread: float = 0.0) -> pl.DataFrame:
    states = [None if score is not None else "no_answer" for score in scores]
    columns = {"quality": pl.Series(scores, dtype=pl.Float64), "label": labels}
    return pl.DataFrame(columns).with_columns(
        quality_spread=pl.lit(spread), quality_state=pl.Series(states, dtype=pl.String)
    )


def test_spearman_with_ties() -> None:
    assert spearman(pl.Series([1, 2, 3, 4]), pl.Series([10, 20, 30, 40])) == pytest.approx(1.0)
    # ranks 1, 2.5, 2.5, 4 against 4, 3, 2, 1: Pearson of the ranks, worked out by hand
    assert spearman(pl.Series([1, 2, 2, 3]), pl.Series([4, 3, 2, 1])) == pytest.approx(-4.5 / (4.5 * 5) ** 0.5)
    assert spearman(pl.Series([1, 1]), pl.Series([1, 2])) is None
    assert spearman(pl.Series([], dtype=pl.Float64), pl.Series([], dtype=pl.Float64)) is None


def test_labels_in_words() -> None:
    found = compare(frame([9.0, 8.0, 6.0, 2.0, None], ["keep", "drop", "Keep", "drop", "keep"]), "quality", "j", 7)
    assert (found.rows, found.states, found.good) == (5, {"no_answer": 1, "scored": 4}, 2)
    assert (found.spearman, found.auc) == (None, 0.75)
    seven = found.thresholds[6]
    assert (seven.at, seven.kept, seven.agreement, seven.good_kept, seven.bad_dropped) == (7, 0.5, 0.5, 0.5, 0.5)


def test_labels_in_numbers() -> None:
    found = compare(frame([9.0, 8.0, 6.0, 2.0], [10, 8, 7, 0], spread=1.5), "quality", "j", 7)
    assert (found.good, found.spearman, found.auc) == (3, pytest.approx(1.0), 1.0)
    assert [each.doubtful for each in found.thresholds[5:8]] == [0.25, 0.5, 0.5]
    assert "Spearman 1.000, AUC 1.000" in calibration_lines(found)[1]


def test_labels_of_one_kind_have_no_correlation() -> None:
    found = compare(frame([9.0, 8.0], ["keep", "keep"]), "quality", "j", 7)
    assert (found.auc, found.thresholds[0].bad_dropped) == (None, None)
    assert "no correlation" in calibration_lines(found)[1]


def test_unknown_labels_are_named() -> None:
    with pytest.raises(UsageError, match="label `maybe`"):
        compare(frame([1.0], ["maybe"]), "quality", "j", 7)


def test_the_command_asks_the_embedded_judge(vlmix: Vlmix, tmp_path: Path) -> None:
    rows = [("Why?", "It rained all night.", "keep"), ("Why?", "TODO", "drop"), ("Why?", "", "drop")]
    lines = [json.dumps(dict(zip(("question", "answer", "label"), row, strict=True))) for row in rows]
    (tmp_path / "labels.jsonl").write_text("\n".join(lines))
    done = vlmix("judge", "check", tmp_path / "labels.jsonl", "--store", tmp_path / "store", "--json")
    assert done.code == 0, done.err
    assert done.document["judge"] == "tiny-2" and done.document["auc"] == 1.0
    assert done.document["thresholds"][6]["agreement"] == 1.0


@pytest.mark.integration
def test_labels_by_key_need_no_call(demo_scores: tuple[Path, list[str]], tmp_path: Path) -> None:
    store, keys = demo_scores
    (tmp_path / "labels.csv").write_text("key,label\n" + "".join(f"{key},5\n" for key in [*keys, "demo.chat/train/x"]))
    found = calibrate(
        str(tmp_path / "labels.csv"), Store(store), recipe=None, mix="demo.sft", criterion="quality", threshold=7
    )
    assert found.rows == len(keys) + 1 and found.states["absent"] == 1


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("labels.txt", "x", "ends in .jsonl"),
        ("labels.csv", "answer\nx\n", "column `label`"),
        ("labels.csv", "key,label\na,keep\n", "together with --mix"),
        ("labels.jsonl", "{", "not understood"),
        ("missing.csv", None, "no mixture"),
    ],
)
def test_wrong_files_are_named(tmp_path: Path, name: str, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=message):
        calibrate(str(tmp_path / name), Store(tmp_path), recipe=None, mix=None, criterion="quality", threshold=7)
