"""A head of the order of chance is a sample; rules and thresholds are measured on it."""

import polars as pl
import pytest

from review.calibration import Sizes, drawn_sample, point, rule_quality, suggested


def candidates(stratum: str, answers: str) -> pl.DataFrame:
    """Rows in the order of chance: `d` for drop, `k` for keep, `.` for no answer."""
    rows = [
        (stratum, place, "e", f"{stratum}/{place}", {"d": True, "k": False, ".": None}[answer])
        for place, answer in enumerate(answers)
    ]
    names = {"stratum": pl.String, "draw": pl.UInt64, "entry": pl.String, "key": pl.String, "bad": pl.Boolean}
    return pl.DataFrame(rows, names, orient="row")


@pytest.mark.parametrize(
    ("answers", "used", "left_open"),
    [
        ("dkdk", 4, 0),
        ("dk..", 2, 0),
        ("....", 0, 0),
        (".dkd", 0, 0),  # the first was drawn, and somebody left it open
        ("dkdkdkdkd.dk", 11, 1),  # one in ten may be open
        ("dkd.kdkdkd", 9, 1),
        ("dkd.kdkdk.k", 3, 0),  # eight of nine are too few, and so is all behind them
        ("dk" * 5 + "." * 20 + "d" * 5, 10, 0),  # answered for another reason: near a threshold
    ],
)
def test_the_head_of_a_stratum_is_its_sample(answers: str, used: int, left_open: int) -> None:
    sample, (stratum,) = drawn_sample(candidates("s", answers).sample(fraction=1, shuffle=True, seed=3), {"s": 100})
    assert (sample.height, stratum.answered, stratum.open, stratum.rows) == (used, used, left_open, 100)
    assert sample["key"].to_list() == [f"s/{place}" for place, each in enumerate(answers) if each != "."][:used]


def test_strata_without_answers_are_told_too() -> None:
    sample, told = drawn_sample(pl.concat([candidates("b", "dk"), candidates("a", ".")]), {"a": 5, "b": 2, "c": 9})
    assert [(each.stratum, each.rows, each.answered) for each in told] == [("a", 5, 0), ("b", 2, 2), ("c", 9, 0)]
    assert set(sample["stratum"]) == {"b"}


def sample_of(*strata: tuple[str, str, bool]) -> pl.DataFrame:
    frames = [candidates(name, answers).with_columns(pl.lit(true).alias("true")) for name, answers, true in strata]
    return pl.concat(frames)


def test_strata_count_by_the_rows_they_stand_for() -> None:
    # 20 rows flagged and all seen, 15 bad; of 1,000 others 100 seen, 1 bad
    sample = sample_of(("hit", "d" * 15 + "k" * 5, True), ("rest", "d" + "k" * 99, False))
    found = rule_quality("r", "drop", sample, Sizes({"hit": 20}, {"rest": 1000}))
    assert found.precision is not None and found.recall is not None
    assert (found.rows, found.answered) == (20, 20)
    assert (found.precision.value, found.precision.low, found.precision.high) == (0.75, 0.75, 0.75)
    assert found.recall.value == pytest.approx(15 / 25)
    assert found.recall.low < 0.3 and 0.8 < found.recall.high < 1


def test_a_rule_that_keeps_is_right_where_people_keep() -> None:
    sample = sample_of(("hit", "kkkd", True), ("rest", "kd", False))
    found = rule_quality("r", "keep", sample, Sizes({"hit": 4}, {"rest": 2}))
    assert found.precision is not None and found.recall is not None
    assert (found.precision.value, found.recall.value) == (0.75, 0.75)


def test_a_rule_without_answers_says_nothing() -> None:
    nothing = sample_of(("rest", "", False))
    found = rule_quality("r", "drop", nothing, Sizes({"hit": 4}, {"rest": 2}))
    assert (found.precision, found.recall, found.answered) == (None, None, 0)


def test_the_threshold_with_the_fewest_wrong_rows_is_suggested() -> None:
    scores = pl.Series([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] * 2)
    bad = (scores <= 6).to_list()
    frame = candidates("s", "".join("d" if one else "k" for one in bad))

    def flagged(at: float) -> tuple[pl.DataFrame, Sizes]:
        true = scores < at
        return frame.with_columns(true.alias("true")), Sizes({"s": int(true.sum())}, {"s": int((~true).sum())})

    points = [point(at, *flagged(at)) for at in (3.0, 5.0, 7.0, 9.0)]
    assert [each.wrong.value for each in points] == [8, 4, 0, 4]
    assert [each.kept for each in points] == pytest.approx([20 / 24, 16 / 24, 12 / 24, 8 / 24], abs=1e-6)
    assert [each.bad_kept.value for each in points if each.bad_kept] == pytest.approx([0.4, 0.25, 0, 0], abs=1e-6)
    assert suggested(points, 5.0, frame) == 7.0
    assert suggested(points, 7.0, frame) is None
    assert suggested(points, 5.0, frame.filter(pl.col("bad"))) is None
