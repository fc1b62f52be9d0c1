import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.recipe import Take
from manifests.take import amount, emitted, hash_order, taken

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
    ],
)
def test_amount(fields: dict[str, Any], rows: int, expected: int) -> None:
    assert amount(Take(**fields), rows) == expected


@settings(max_examples=60, deadline=None)
@given(st.decimals(0, 100, places=3), st.integers(0, 10**7))
def test_percent_is_the_decimal_that_was_written(percent: Decimal, rows: int) -> None:
    exact = Fraction(percent) * rows / 100
    assert amount(Take(kind="first", percent=float(percent)), rows) == math.ceil(exact)
    assert amount(Take(kind="first", percent=float(percent), rounding="floor"), rows) == math.floor(exact)


def keys(count: int) -> pl.Series:
    return pl.Series("key", [f"s/train/{row}" for row in range(count)], pl.String)


def chosen(take: Take, count: int = 10, *, seed: int = 0, entry: str = "a") -> set[int]:
    positions = pl.Series(range(count), dtype=pl.Int64)
    return set(taken(take, keys(count), positions, count, seed=seed, entry=entry).arg_true().to_list())


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
    ],
)
def test_quarantined_rows_hold_their_place(fields: dict[str, Any], expected: list[bool]) -> None:
    # ten rows as published, six of them in quarantine
    positions = pl.Series([0, 2, 6, 9])
    assert taken(Take(**fields), keys(4), positions, 10, seed=0, entry="a").to_list() == expected


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 3), st.sampled_from(["a", "b"]))
def test_a_larger_random_take_contains_a_smaller(small: int, large: int, seed: int, entry: str) -> None:
    small, large = sorted((small, large))
    few = chosen(Take(kind="random", rows=small), 50, seed=seed, entry=entry)
    many = chosen(Take(kind="random", rows=large), 50, seed=seed, entry=entry)
    assert len(few) == min(small, 50)
    assert few <= many


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(40)))
def test_a_random_take_does_not_depend_on_row_order(order: list[int]) -> None:
    take = Take(kind="random", percent=33)
    positions = pl.Series(range(40), dtype=pl.Int64)
    plain = taken(take, keys(40), positions, 40, seed=5, entry="a")
    shuffled = taken(take, keys(40)[order], positions[order], 40, seed=5, entry="a")
    assert shuffled.to_list() == plain[order].to_list()


@pytest.mark.parametrize("other", [{"entry": "b"}, {"seed": 1}, {"seed": 1, "entry": "b"}])
def test_another_entry_or_seed_takes_another_sample(other: dict[str, Any]) -> None:
    half = Take(kind="random", percent=50)
    same, different = chosen(half, 400), chosen(half, 400, **other)
    assert same == chosen(half, 400)
    # hypergeometric: mean 100, standard deviation 5
    assert 70 < len(same & different) < 130


def test_seed_and_entry_are_kept_apart() -> None:
    names = keys(100).to_list()
    assert hash_order(names, seed=1, entry="1").tolist() != hash_order(names, seed=11, entry="").tolist()


def test_random_is_uniform() -> None:
    hits = np.zeros(200)
    for entry in range(300):
        hits[list(chosen(Take(kind="random", percent=25), 200, entry=str(entry)))] += 1
    # binomial per row: mean 75, standard deviation 7.5; and no trend along the file
    assert hits.mean() == 75
    assert abs(hits - 75).max() < 5 * 7.5
    assert abs(hits[:100].mean() - 75) < 3
    assert 40 < hits.var() < 75


def test_the_order_is_pinned() -> None:
    """A change of the hash changes every random mixture ever made."""
    assert hash_order([f"s/train/{row}" for row in range(8)], seed=7, entry="a").tolist() == [2, 6, 0, 7, 1, 5, 4, 3]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=5), unique=True, max_size=20))
def test_hash_order_is_a_permutation(names: list[str]) -> None:
    assert sorted(hash_order(names, seed=0, entry="a").tolist()) == list(range(len(names)))


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
    assert times.to_list() == expected
    assert times.dtype == pl.Int64


@settings(max_examples=60, deadline=None)
@given(st.decimals("0.001", 9, places=3), st.integers(0, 300), st.randoms(use_true_random=False))
def test_emitted_totals_and_is_stable(repeat: Decimal, rows: int, random: Any) -> None:
    names = [f"s/train/{row}" for row in range(rows)]
    times = emitted(float(repeat), hash_order(names, seed=3, entry="a")).to_list()
    assert sum(times) == math.floor(Fraction(repeat) * rows)
    assert set(times) <= {math.floor(repeat), math.floor(repeat) + 1}
    shuffled = random.sample(names, rows)
    again = emitted(float(repeat), hash_order(shuffled, seed=3, entry="a")).to_list()
    assert dict(zip(shuffled, again, strict=True)) == dict(zip(names, times, strict=True))


@settings(max_examples=60, deadline=None)
@given(st.decimals("0.1", 4, places=1), st.decimals("0.1", 4, places=1), st.integers(1, 100))
def test_a_larger_factor_never_emits_a_row_less(small: Decimal, large: Decimal, rows: int) -> None:
    small, large = sorted((small, large))
    order = hash_order([str(row) for row in range(rows)], seed=0, entry="a")
    assert (emitted(float(small), order) <= emitted(float(large), order)).all()
