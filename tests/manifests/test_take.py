import math
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.operators import Slice, Take
from manifests.order import hash_order
from manifests.recipe import Entry
from manifests.take import Rows, amount, bounds, emitted, emitted_rows, emitted_units, evenly, taken

# Lengths of nine public sources in InternVL 1.2's meta file. First two columns: ceil(10 %) and ceil(1 %), as
# LLaVA-NeXT's loader takes `first:10%` (llava/train/train.py, LazySupervisedDataset.__init__). Last two: int(n * 0.3)
# and int(n * 0.03), as InternVL takes repeat_time 0.3 and 0.03 (internvl_chat_finetune.py, same class).
PUBLISHED = [
    (102025, 10203, 1021, 30607, 3060),
    (157712, 15772, 1578, 47313, 4731),
    (665058, 66506, 6651, 199517, 19951),
    (200000, 20000, 2000, 60000, 6000),
    (18317, 1832, 184, 5495, 549),
    (12413, 1242, 125, 3723, 372),
    (10211, 1022, 103, 3063, 306),
    (72318, 7232, 724, 21695, 2169),
    (29765, 2977, 298, 8929, 892),
]


@pytest.mark.parametrize(("rows", "ceil_10", "ceil_1", "floor_30", "floor_3"), PUBLISHED)
def test_published_counts(rows: int, ceil_10: int, ceil_1: int, floor_30: int, floor_3: int) -> None:
    assert amount(Take(kind="first", percent=10), rows) == ceil_10
    assert amount(Take(kind="first", percent=1), rows) == ceil_1
    assert amount(Take(kind="first", fraction=0.3), rows) == floor_30 == int(rows * 0.3)
    assert amount(Take(kind="first", fraction=0.03), rows) == floor_3 == int(rows * 0.03)
    assert amount(Take(kind="first", percent=30, rounding="floor"), rows) == floor_30
    assert amount(Take(kind="first", percent=3, rounding="floor"), rows) == floor_3
    assert emitted(0.3, np.arange(rows)).sum() == floor_30
    assert emitted(0.03, np.arange(rows)).sum() == floor_3


def test_published_lengths_add_up() -> None:
    assert sum(rows for rows, *_ in PUBLISHED) == 1_267_819


@pytest.mark.parametrize(
    ("fields", "rows", "expected"),
    [
        ({"kind": "all"}, 7, 7),
        ({"kind": "first", "rows": 3}, 7, 3),
        ({"kind": "first", "rows": 9}, 7, 7),
        ({"kind": "end", "rows": 0}, 7, 0),
        ({"kind": "first", "percent": 0}, 7, 0),
        ({"kind": "first", "percent": 100}, 7, 7),
        ({"kind": "first", "percent": 0.0001}, 7, 1),
        ({"kind": "first", "percent": 0.0001, "rounding": "floor"}, 7, 0),
        ({"kind": "first", "percent": 10}, 0, 0),
        ({"kind": "first", "percent": 12.5}, 8, 1),
        ({"kind": "first", "percent": 12.5}, 9, 2),
        ({"kind": "first", "percent": 12.5, "rounding": "floor"}, 15, 1),
        # 29 / 100 * 100 is 28.999... in binary, 7 / 100 * 100 is 7.000...01
        ({"kind": "first", "percent": 29, "rounding": "floor"}, 100, 29),
        ({"kind": "first", "percent": 7}, 100, 7),
        ({"kind": "first", "percent": 0.1}, 1000, 1),
        ({"kind": "first", "percent": 0.07}, 10000, 7),
        # InternVL: int(100 * 0.29) is 28, though 0.29 of 100 rows is 29
        ({"kind": "first", "fraction": 0.29}, 100, 28),
        ({"kind": "first", "fraction": 0.29, "rounding": "float-floor"}, 100, 28),
        ({"kind": "first", "fraction": 0.29, "rounding": "floor"}, 100, 29),
        ({"kind": "first", "fraction": 0.291, "rounding": "ceil"}, 100, 30),
        ({"kind": "first", "percent": 29, "rounding": "float-floor"}, 100, 28),
        ({"kind": "first", "fraction": 1}, 7, 7),
        ({"kind": "first", "fraction": 0}, 7, 0),
        ({"kind": "random", "fraction": 0.5}, 7, 3),
        ({"kind": "top", "by": "clip", "fraction": 0.2}, 14, 2),
        ({"kind": "top", "by": "clip", "percent": 20}, 14, 3),
        ({"kind": "even", "rows": 3}, 7, 3),
        ({"kind": "even", "rows": 9}, 7, 7),
    ],
)
def test_amount(fields: dict[str, Any], rows: int, expected: int) -> None:
    assert amount(Take(**fields), rows) == expected


def test_excluded_rows_beyond_the_end_take_nothing_away() -> None:
    take = Take(kind="exclude", file="rows.json")
    assert amount(take, 10, (0, 3, 9)) == 7
    assert amount(take, 10, (0, 3, 10, 11)) == 8
    assert amount(take, 0, (0, 1)) == 0


@settings(max_examples=60, deadline=None)
@given(st.decimals(0, 100, places=3), st.integers(0, 10**7))
def test_percent_is_the_decimal_that_was_written(percent: Decimal, rows: int) -> None:
    exact = Fraction(percent) * rows / 100
    assert amount(Take(kind="first", percent=float(percent)), rows) == math.ceil(exact)
    assert amount(Take(kind="first", percent=float(percent), rounding="floor"), rows) == math.floor(exact)


def keys(count: int) -> pl.Series:
    return pl.Series("key", [f"s/train/{row}" for row in range(count)], pl.String)


def entry(take: Take, name: str = "a", part: dict[str, Any] | None = None) -> Entry:
    return Entry.model_validate({"id": name, "source": "s", "take": take, "slice": part})


def chosen(take: Take, count: int = 10, *, seed: int = 0, name: str = "a", **fields: Any) -> set[int]:
    """Row numbers taken of `count` rows, none of them in quarantine."""
    part = fields.pop("part", None)
    rows = Rows(keys(count), pl.Series(range(count), dtype=pl.Int64), count, **fields)
    return set(taken(entry(take, name, part), rows, seed=seed).arg_true().to_list())


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"kind": "all"}, set(range(10))),
        ({"kind": "first", "rows": 3}, {0, 1, 2}),
        ({"kind": "first", "rows": 0}, set()),
        ({"kind": "first", "rows": 99}, set(range(10))),
        ({"kind": "end", "rows": 3}, {7, 8, 9}),
        ({"kind": "end", "rows": 0}, set()),  # LLaVA-NeXT's loader: [-0:] takes all
        ({"kind": "end", "rows": 99}, set(range(10))),
        ({"kind": "end", "percent": 11}, {8, 9}),
        ({"kind": "end", "percent": 11, "rounding": "floor"}, {9}),
        ({"kind": "random", "rows": 0}, set()),
        ({"kind": "random", "rows": 99}, set(range(10))),
        ({"kind": "first", "fraction": 0.39}, {0, 1, 2}),
        ({"kind": "end", "fraction": 0.39}, {7, 8, 9}),
        ({"kind": "even", "rows": 0}, set()),
        ({"kind": "even", "rows": 1}, {0}),
        ({"kind": "even", "rows": 2}, {0, 9}),
        ({"kind": "even", "rows": 4}, {0, 3, 6, 9}),
        ({"kind": "even", "rows": 5}, {0, 2, 4, 6, 9}),
        ({"kind": "even", "rows": 99}, set(range(10))),
    ],
)
def test_taken(fields: dict[str, Any], expected: set[int]) -> None:
    assert chosen(Take(**fields)) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"kind": "all"}, [True, True, True, True]),
        ({"kind": "first", "rows": 4}, [True, True, False, False]),
        ({"kind": "first", "percent": 70}, [True, True, True, False]),
        ({"kind": "end", "rows": 4}, [False, False, True, True]),
        ({"kind": "end", "percent": 10}, [False, False, False, True]),
        ({"kind": "end", "rows": 8}, [False, True, True, True]),
        # 0, 3, 6, 9: row 3 is in quarantine and nobody takes its place
        ({"kind": "even", "rows": 4}, [True, False, True, True]),
        # an amount is of the rows as published, so there are more than enough
        ({"kind": "random", "rows": 4}, [True, True, True, True]),
        ({"kind": "random", "percent": 40}, [True, True, True, True]),
        ({"kind": "top", "by": "clip", "rows": 2}, [False, True, False, True]),
        ({"kind": "top", "by": "clip", "percent": 30}, [True, True, False, True]),
        ({"kind": "exclude", "file": "x.json"}, [True, False, True, False]),
    ],
)
def test_quarantined_rows_hold_their_place(fields: dict[str, Any], expected: list[bool]) -> None:
    # ten rows as published, six of them in quarantine
    score = pl.Series([0.3, 0.9, 0.1, 0.4])
    excluded = (1, 2, 9) if fields["kind"] == "exclude" else ()
    rows = Rows(keys(4), pl.Series([0, 2, 6, 9]), 10, score, excluded)
    assert taken(entry(Take(**fields)), rows, seed=0).to_list() == expected


@pytest.mark.parametrize(
    ("part", "fields", "expected"),
    [
        ({"end": 30}, {"kind": "all"}, {0, 1, 2}),
        ({"start": 30, "end": 60}, {"kind": "all"}, {3, 4, 5}),
        ({"start": 60}, {"kind": "all"}, {6, 7, 8, 9}),
        ({"start": 30, "end": 60}, {"kind": "first", "rows": 1}, {3}),
        ({"start": 30, "end": 60}, {"kind": "first", "rows": 9}, {3, 4, 5}),
        ({"start": 30, "end": 60}, {"kind": "end", "rows": 1}, {5}),
        ({"start": 30, "end": 60}, {"kind": "end", "rows": 0}, set()),
        ({"start": 20, "end": 70}, {"kind": "first", "percent": 21}, {2, 3}),
        ({"start": 20, "end": 70}, {"kind": "even", "rows": 3}, {2, 4, 6}),
        ({"start": 20, "end": 70}, {"kind": "exclude", "file": "x.json"}, {3, 5, 6}),
        ({"start": 20, "end": 70}, {"kind": "top", "by": "clip", "rows": 2}, {5, 6}),
        ({"start": 20, "end": 70}, {"kind": "random", "rows": 5}, {2, 3, 4, 5, 6}),
        ({"start": 1, "end": 9}, {"kind": "all"}, set()),
    ],
)
def test_a_take_counts_within_its_slice(part: dict[str, Any], fields: dict[str, Any], expected: set[int]) -> None:
    score = pl.Series([float(row) for row in range(10)])
    excluded = (0, 2) if fields["kind"] == "exclude" else ()
    assert chosen(Take(**fields), part=part, score=score, excluded=excluded) == expected


def test_a_slice_holds_its_place_when_rows_are_in_quarantine() -> None:
    rows = Rows(keys(4), pl.Series([0, 2, 6, 9]), 10)
    last = entry(Take(kind="end", rows=2), part={"start": 20, "end": 70})
    assert taken(last, rows, seed=0).to_list() == [False, False, True, False]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 100), min_size=1, max_size=6, unique=True), st.integers(0, 10**9))
def test_slices_next_to_each_other_leave_no_row_out(cuts: list[int], rows: int) -> None:
    edges = sorted({0, 100, *cuts})
    parts = [Entry(id="a", source="s", slice=Slice(start=low, end=high)).slice for low, high in pairwise(edges)]
    ends = [bounds(part, rows) for part in parts]
    assert ends[0][0] == 0 and ends[-1][1] == rows
    assert all(before[1] == after[0] for before, after in pairwise(ends))


def test_top_takes_the_highest_and_of_equal_ones_the_first() -> None:
    score = pl.Series([0.5, None, 0.9, float("nan"), 0.5, float("inf"), 0.5, -1.0])
    tops = [chosen(Take(kind="top", by="clip", rows=rows), 8, score=score) for rows in range(9)]
    assert tops[:5] == [set(), {2}, {0, 2}, {0, 2, 4}, {0, 2, 4, 6}]
    # rows without a finite score are never taken
    assert tops[5:] == [{0, 2, 4, 6, 7}] * 4
    whole = pl.Series([3, None, 3, 7], dtype=pl.Int32)
    assert chosen(Take(kind="top", by="clip", rows=2), 4, score=whole) == {0, 3}


def test_evenly_spaced_rows_stay_in_range() -> None:
    # VILA's float32 linspace gives 378,000,000 as the last index of as many rows
    found = evenly(1_000_000, 378_000_000)
    assert (found[0], found[-1], len(found)) == (0, 377_999_999, 1_000_000)
    exact = [row * 377_999_999 // 999_999 for row in (1, 2, 499_999, 999_998)]
    assert found[[1, 2, 499_999, 999_998]].tolist() == exact


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 2000), st.integers(0, 2000))
def test_evenly_spaced_rows_are_distinct_and_even(rows: int, wanted: int) -> None:
    found = evenly(min(wanted, rows), rows)
    assert len(found) == min(wanted, rows)
    steps = np.diff(found)
    assert len(steps) == 0 or (steps.min() >= 1 and steps.max() - steps.min() <= 1)
    assert len(found) < 2 or (found[0], found[-1]) == (0, rows - 1)


AMOUNTS = st.one_of(
    st.tuples(st.just("rows"), st.integers(0, 60), st.integers(0, 60)),
    st.tuples(st.just("percent"), st.integers(0, 100), st.integers(0, 100)),
    st.tuples(st.just("fraction"), st.floats(0, 1), st.floats(0, 1)),
)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["first", "end", "random", "top"]), AMOUNTS, st.integers(0, 50))
def test_a_larger_take_contains_a_smaller(kind: str, drawn: tuple[str, float, float], rows: int) -> None:
    unit, *amounts = drawn
    score = pl.Series([row * 7 % 5 for row in range(rows)], dtype=pl.Int32)
    by = {"by": "clip"} if kind == "top" else {}
    few, many = (
        chosen(Take.model_validate({"kind": kind, unit: value, **by}), rows, score=score) for value in sorted(amounts)
    )
    assert few <= many
    assert len(few) == amount(Take.model_validate({"kind": kind, unit: min(amounts), **by}), rows)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 3), st.sampled_from(["a", "b"]))
def test_a_random_take_holds_what_was_asked_for(small: int, large: int, seed: int, name: str) -> None:
    small, large = sorted((small, large))
    few = chosen(Take(kind="random", rows=small), 50, seed=seed, name=name)
    many = chosen(Take(kind="random", rows=large), 50, seed=seed, name=name)
    assert len(few) == min(small, 50)
    assert few <= many


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(40)))
def test_a_random_take_does_not_depend_on_row_order(order: list[int]) -> None:
    take = Take(kind="random", percent=33)
    positions = pl.Series(range(40), dtype=pl.Int64)
    plain = taken(entry(take), Rows(keys(40), positions, 40), seed=5)
    shuffled = taken(entry(take), Rows(keys(40)[order], positions[order], 40), seed=5)
    assert shuffled.to_list() == plain[order].to_list()


@pytest.mark.parametrize("other", [{"name": "b"}, {"seed": 1}, {"seed": 1, "name": "b"}])
def test_another_entry_or_seed_takes_another_sample(other: dict[str, Any]) -> None:
    half = Take(kind="random", percent=50)
    same, different = chosen(half, 400), chosen(half, 400, **other)
    assert same == chosen(half, 400)
    # hypergeometric: mean 100, standard deviation 5
    assert 70 < len(same & different) < 130


def test_random_is_uniform() -> None:
    hits = np.zeros(200)
    for number in range(300):
        hits[list(chosen(Take(kind="random", percent=25), 200, name=str(number)))] += 1
    # binomial per row: mean 75, standard deviation 7.5; and no trend along the file
    assert hits.mean() == 75
    assert abs(hits - 75).max() < 5 * 7.5
    assert abs(hits[:100].mean() - 75) < 3
    assert 40 < hits.var() < 75


@pytest.mark.parametrize(
    ("repeat", "expected"),
    [
        (1, [1, 1, 1, 1, 1]),
        (2, [2, 2, 2, 2, 2]),
        (1.5, [2, 2, 1, 1, 1]),
        (0.3, [1, 0, 0, 0, 0]),
        (3.999, [4, 4, 4, 4, 3]),
        (0.19, [0, 0, 0, 0, 0]),
        (2.2, [3, 2, 2, 2, 2]),
    ],
)
def test_emitted(repeat: float, expected: list[int]) -> None:
    times = emitted(repeat, np.arange(5))
    assert times.tolist() == expected
    assert times.dtype == np.int64


@settings(max_examples=60, deadline=None)
@given(st.decimals("0.001", 9, places=3), st.integers(0, 300), st.randoms(use_true_random=False))
def test_emitted_totals_and_is_stable(repeat: Decimal, rows: int, random: Any) -> None:
    names = keys(rows).to_list()
    times = emitted(float(repeat), hash_order(keys(rows), seed=3, entry="a")).tolist()
    assert sum(times) == math.floor(Fraction(repeat) * rows)
    assert set(times) <= {math.floor(repeat), math.floor(repeat) + 1}
    shuffled = random.sample(names, rows)
    again = emitted(float(repeat), hash_order(pl.Series(shuffled, dtype=pl.String), seed=3, entry="a")).tolist()
    assert dict(zip(shuffled, again, strict=True)) == dict(zip(names, times, strict=True))


@settings(max_examples=60, deadline=None)
@given(st.decimals("0.1", 4, places=1), st.decimals("0.1", 4, places=1), st.integers(1, 100))
def test_a_larger_factor_never_emits_a_row_less(small: Decimal, large: Decimal, rows: int) -> None:
    small, large = sorted((small, large))
    order = hash_order(keys(rows), seed=0, entry="a")
    assert (emitted(float(small), order) <= emitted(float(large), order)).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 500), st.integers(1, 50))
def test_emitted_rows_add_up_to_the_total(total: int, rows: int) -> None:
    order = hash_order(keys(rows), seed=0, entry="a")
    times = emitted_rows(total, order)
    assert times.sum() == total
    assert times.max() - times.min() <= 1
    assert times[order.argsort()].tolist() == sorted(times, reverse=True)


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 500), st.lists(st.integers(0, 40), min_size=1, max_size=20))
def test_emitted_units_are_as_near_as_rows_allow(wanted: float, sizes: list[int]) -> None:
    units, order = np.array(sizes), hash_order(keys(len(sizes)), seed=0, entry="a")
    times = emitted_units(wanted, units, order)
    if not sum(sizes):
        assert not times.any()
        return
    assert times.max() - times.min() <= 1
    assert times[order.argsort()].tolist() == sorted(times, reverse=True)
    # every number of passes, whole ones and one more of the first rows in hash order
    ordered = units[order.argsort()]
    reachable = [
        whole * sum(sizes) + int(ordered[:extra].sum())
        for whole in range(int(wanted // sum(sizes)) + 2)
        for extra in range(len(sizes) + 1)
    ]
    assert abs(int((times * units).sum()) - wanted) == min(abs(found - wanted) for found in reachable)


def test_emitted_units_of_nothing() -> None:
    none = np.zeros(0, dtype=np.int64)
    assert emitted_units(5, none, none).tolist() == []
    assert emitted_rows(0, none).tolist() == []
