from typing import Any

import pytest

from manifests.recipe import Entry
from manifests.scale import scaled_entry, scaled_rows, scaled_targets
from manifests.targets import Targets


@pytest.mark.parametrize(
    ("rows", "scale", "expected"),
    [
        (1000, 0.01, 10),
        (1001, 0.01, 11),
        (1, 1e-6, 1),
        (0, 0.5, 0),
        # 0.07 x 100 is 7.000000000000001 in binary
        (100, 0.07, 7),
        (7, 1, 7),
    ],
)
def test_rows_are_scaled_by_the_decimal_number_and_rounded_up(rows: int, scale: float, expected: int) -> None:
    assert scaled_rows(rows, scale) == expected


@pytest.mark.parametrize(
    ("take", "expected"),
    [
        ({"kind": "first", "rows": 960}, {"kind": "first", "rows": 10}),
        ({"kind": "random", "rows": 50}, {"kind": "random", "rows": 1}),
        ({"kind": "even", "rows": 1_000_000}, {"kind": "even", "rows": 10_000}),
        ({"kind": "top", "by": "clip", "rows": 300}, {"kind": "top", "by": "clip", "rows": 3}),
        ({"kind": "first", "percent": 10}, {"kind": "first", "percent": 10}),
        ({"kind": "end", "fraction": 0.3}, {"kind": "end", "fraction": 0.3}),
        ({"kind": "exclude", "file": "x.json"}, {"kind": "exclude", "file": "x.json"}),
        ({"kind": "all"}, {"kind": "all"}),
    ],
)
def test_absolute_takes_shrink_and_shares_stay(take: dict[str, Any], expected: dict[str, Any]) -> None:
    entry = Entry.model_validate({"id": "a", "source": "s", "take": take, "repeat": 1.5, "slice": {"end": 30}})
    small = scaled_entry(entry, 0.01)
    assert small.take.model_dump(exclude_none=True) == expected
    assert small.model_copy(update={"take": entry.take}) == entry


def test_caps_shrink() -> None:
    entry = Entry(id="a", source="s", cap=50_000)
    assert scaled_entry(entry, 0.0001).cap == 5
    assert scaled_entry(entry, 1) is entry


def test_targets_shrink_and_shares_and_limits_stay() -> None:
    amounts = Targets.model_validate({"amounts": {"a": 1000, "b": 3}, "limits": {"most": 2}})
    assert scaled_targets(amounts, 0.1) == Targets.model_validate(
        {"amounts": {"a": 100, "b": 0.3}, "limits": {"most": 2}}
    )
    shares = Targets.model_validate({"shares": {"a": 2, "b": 1}, "total": 500})
    assert scaled_targets(shares, 0.1) == Targets.model_validate({"shares": {"a": 2, "b": 1}, "total": 50})
    assert scaled_targets(None, 0.1) is None
