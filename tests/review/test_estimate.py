"""Intervals hold the truth as often as they say, also where hardly anything hits."""

import numpy as np
import pytest

from review.estimate import Cell, Estimate, Total, part_of, share_of, total, wilson


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        # Newcombe 1998, table I, method 3: Wilson's score interval
        (Cell(10**9, 263, 81), (0.2553, 0.3662)),
        (Cell(10**9, 148, 15), (0.0624, 0.1605)),
        (Cell(10**9, 20, 0), (0.0, 0.1611)),
        (Cell(10**9, 29, 1), (0.0061, 0.1718)),
        (Cell(40, 40, 3), (0.075, 0.075)),  # all rows were seen
        (Cell(40, 0, 0), (0.0, 1.0)),
        (Cell(0, 0, 0), (0.0, 0.0)),
    ],
)
def test_limits_of_one_stratum(cell: Cell, expected: tuple[float, float]) -> None:
    assert wilson(cell) == pytest.approx(expected, abs=6e-5)


def test_strata_that_were_seen_whole_leave_nothing_to_guess() -> None:
    assert total([Cell(10, 10, 4), Cell(5, 5, 0)]) == Total(4, 4, 4)
    assert share_of([Cell(10, 10, 4), Cell(10, 10, 0)]) == Estimate(value=0.2, low=0.2, high=0.2)
    assert part_of(Total(4, 4, 4), Total(1, 1, 1)) == Estimate(value=0.8, low=0.8, high=0.8)


def test_what_was_not_looked_at_is_not_known() -> None:
    assert share_of([Cell(10, 0, 0)]) is None and share_of([]) is None
    assert part_of(Total(0, 0, 3), Total(0, 0, 9)) is None
    half = share_of([Cell(50, 50, 50), Cell(50, 0, 0)])
    assert half is not None and (half.value, half.low, half.high) == (1.0, 0.5, 1.0)


def test_no_miss_in_a_small_sample_is_no_proof() -> None:
    caught, missed = total([Cell(50, 50, 50)]), total([Cell(10_000, 100, 0)])
    recall = part_of(caught, missed)
    assert recall is not None
    assert (recall.value, recall.high) == (1.0, 1.0)
    assert 0.05 < recall.low < 0.15  # up to 370 of 10,000 rows may be bad


STRATA = [(400, 400, 0.9), (20_000, 200, 0.01), (3_000, 150, 0.25)]
"""Rows, rows drawn, share of bad ones: a rule that was looked through, and two strata that were drawn from."""


def test_intervals_hold_the_truth_in_about_95_of_100_cases() -> None:
    generator = np.random.default_rng(20)
    held = {"share": 0, "recall": 0}
    rounds = 1000
    for _ in range(rounds):
        bad = [generator.random(rows) < share for rows, _, share in STRATA]
        cells = [
            Cell(rows, drawn, int(generator.permutation(each)[:drawn].sum()))
            for (rows, drawn, _), each in zip(STRATA, bad, strict=True)
        ]
        sums = [int(each.sum()) for each in bad]
        share, recall = share_of(cells), part_of(total(cells[:1]), total(cells[1:]))
        assert share is not None and recall is not None
        held["share"] += share.low <= sum(sums) / sum(rows for rows, _, _ in STRATA) <= share.high
        held["recall"] += recall.low <= sums[0] / sum(sums) <= recall.high
    assert all(0.93 <= count / rounds <= 0.985 for count in held.values()), held
