import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.packing import NONE, pack


def lists(draws: list[int]) -> np.ndarray:
    return np.array(draws, dtype=np.int64)


@pytest.mark.parametrize(
    ("tokens", "budget", "sequences"),
    [
        ([], 10, []),
        ([10], 10, [0]),
        ([11], 10, [NONE]),
        ([5, 5, 5], 10, [0, 0, 1]),
        ([6, 5, 4, 5], 10, [0, 1, 0, 1]),  # 4 goes beside 6, where it leaves no room
        ([7, 6, 3, 4], 10, [0, 1, 0, 1]),
        ([0, 0, 1], 2, [0, 0, 1]),  # an empty row takes the room of one token
    ],
)
def test_rows_go_where_they_leave_least_room(tokens: list[int], budget: int, sequences: list[int]) -> None:
    assert pack(lists(tokens), budget).sequence.tolist() == sequences


def best_fit(tokens: list[int], budget: int) -> list[int]:
    """Slow and obvious: every open sequence is looked at for every row."""
    room: list[int] = []
    found = [NONE] * len(tokens)
    used: list[int] = []
    for row in sorted(range(len(tokens)), key=lambda row: -max(tokens[row], 1)):
        size = max(tokens[row], 1)
        if size > budget:
            continue
        fits = [number for number, left in enumerate(room) if left >= size]
        if fits:
            number = min(fits, key=lambda number: (room[number], -used[number]))
        else:
            number = len(room)
            room.append(budget)
            used.append(0)
        room[number] -= size
        used[number] = row_number = max(used) + 1  # of equal rooms the one used last is on top
        assert row_number
        found[row] = number
    return found


@given(st.lists(st.integers(0, 30), max_size=60), st.integers(1, 24))
@settings(max_examples=300, deadline=None)
def test_the_compiled_search_is_best_fit_decreasing(tokens: list[int], budget: int) -> None:
    assert pack(lists(tokens), budget).sequence.tolist() == best_fit(tokens, budget)


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=400), st.integers(500, 8192))
@settings(max_examples=50, deadline=None)
def test_every_row_that_fits_is_in_one_sequence_within_the_budget(tokens: list[int], budget: int) -> None:
    packed = pack(lists(tokens), budget)
    fits = packed.sequence != NONE
    assert (fits == (lists(tokens) <= budget)).all()
    sums = np.bincount(packed.sequence[fits], weights=lists(tokens)[fits], minlength=packed.num_sequences)
    assert (sums <= budget).all()
    assert (sums > 0).all()


def test_typical_rows_fill_sequences() -> None:
    tokens = np.random.default_rng(3).lognormal(6, 1, 20_000).astype(np.int64)
    packed = pack(tokens, 8192)
    fits = packed.sequence != NONE
    assert tokens[fits].sum() / (packed.num_sequences * 8192) > 0.98
