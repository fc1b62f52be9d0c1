from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from manifests.balance import Balanced, Supply, balance, fill, whole_numbers
from manifests.targets import Targets


def supplies(*amounts: float, least: float = 0, most: float = 4) -> list[Supply]:
    return [Supply(name, units, least, most) for name, units in zip("abcdef", amounts, strict=False)]


def solved(having: list[Supply], **fields: Any) -> Balanced:
    return balance(having, Targets.model_validate(fields))


def near(expected: dict[str, float]) -> Any:
    return pytest.approx(expected, rel=1e-9, abs=1e-9)


# by hand


def test_amounts_are_met_each_for_itself() -> None:
    found = solved(supplies(100, 50, 10), amounts={"a": 150, "b": 10, "c": 40})
    assert found.units == near({"a": 150, "b": 10, "c": 40})
    assert found.factors == near({"a": 1.5, "b": 0.2, "c": 4})
    assert found.unmet == ()


def test_an_amount_beyond_a_limit_is_explained() -> None:
    few = [Supply("a", 10, 0, 4), Supply("b", 10, 0.5, 4)]
    found = solved(few, amounts={"a": 100, "b": 1}, unit="tokens")
    assert found.units == near({"a": 40, "b": 5})
    assert found.unmet == (
        "domain `a`: 100 tokens need 10 x what is there, the limit is at most 4 x: 40",
        "domain `b`: 1 tokens need 0.1 x what is there, the limit is at least 0.5 x: 5",
    )


def test_shares_fill_a_total() -> None:
    found = solved(supplies(100, 100), shares={"a": 3, "b": 1}, total=200)
    assert found.units == near({"a": 150, "b": 50})
    assert found.unmet == ()


def test_what_one_domain_cannot_give_the_others_give_by_their_shares() -> None:
    # a is at its limit of 40; 160 are left for b and c at 2 : 1
    found = solved(supplies(10, 100, 100), shares={"a": 4, "b": 2, "c": 1}, total=200)
    assert found.units == near({"a": 40, "b": 320 / 3, "c": 160 / 3})
    assert [sentence.split(":")[0] for sentence in found.unmet] == [f"domain `{name}`" for name in "abc"]


def test_a_total_beyond_all_limits_is_explained() -> None:
    found = solved(supplies(10, 20), shares={"a": 1, "b": 1}, total=1000)
    assert found.units == near({"a": 40, "b": 80})
    assert found.unmet[-1] == "all domains: the limits allow 120 of 1,000 rows"


def test_shares_without_total_are_kept_at_the_largest_size() -> None:
    found = solved(supplies(10, 100), shares={"a": 1, "b": 3})
    assert found.units == near({"a": 40, "b": 120})
    assert found.unmet == ()


def test_temperature() -> None:
    having = supplies(100, 400, most=1000)
    assert solved(having, temperature=1, total=500).units == near({"a": 100, "b": 400})
    # square roots: 10 to 20
    assert solved(having, temperature=2, total=300).units == near({"a": 100, "b": 200})
    even = solved(having, temperature=1e9, total=300).units
    assert even == pytest.approx({"a": 150, "b": 150}, rel=1e-6)
    # no power overflows
    assert solved(supplies(1e-3, 1e9, most=1e9), temperature=0.01, total=10).units["b"] == pytest.approx(10)


def test_a_domain_without_rows_is_named_and_the_others_are_solved() -> None:
    found = solved(supplies(0, 10), shares={"a": 1, "b": 1}, total=20)
    assert found.units == near({"b": 20})
    assert found.unmet == ("domain `a`: it has no rows left to repeat",)
    assert solved(supplies(0), amounts={"a": 0}).unmet == ()
    assert solved(supplies(0), amounts={"a": 5}) == Balanced({}, {}, ("domain `a`: it has no rows left to repeat",))


# against searches


@st.composite
def problems(draw: Any) -> tuple[list[Supply], dict[str, float], float]:
    count = draw(st.integers(1, 4))
    units = [draw(st.integers(1, 30)) for _ in range(count)]
    limits = [sorted([draw(st.integers(0, 8)) / 2, draw(st.integers(1, 8)) / 2]) for _ in range(count)]
    shares = {name: float(draw(st.integers(1, 9))) for name, _ in zip("abcd", units, strict=False)}
    having = [Supply(name, number, *limit) for name, number, limit in zip(shares, units, limits, strict=True)]
    return having, shares, float(draw(st.integers(1, 250)))


def divergence(x: Any, shares: Any) -> float:
    """Sum of x log(x / share): what the closed form says it makes smallest, for a given sum of x."""
    some = x > 0
    return float((x[some] * np.log(x[some] / shares[some])).sum())


@settings(max_examples=150, deadline=None)
@given(problems(), st.data())
def test_no_other_mixture_within_the_limits_is_nearer_to_the_shares(
    drawn: tuple[list[Supply], dict[str, float], float], data: Any
) -> None:
    having, shares, total = drawn
    low = np.array([each.units * each.least for each in having])
    high = np.array([each.units * each.most for each in having])
    found = np.array(list(solved(having, shares=shares, total=total).units.values()))
    wanted = float(np.clip(total, low.sum(), high.sum()))
    assert found.sum() == pytest.approx(wanted)
    assert (found >= low - 1e-9).all() and (found <= high + 1e-9).all()
    weights = np.array(list(shares.values())) / sum(shares.values())
    best = divergence(found, weights)
    # a grid over all mixtures with this sum: the last domain takes what the others leave
    grid = [np.linspace(lo, hi, 9) for lo, hi in zip(low[:-1], high[:-1], strict=True)]
    for point in product(*grid):
        last = wanted - sum(point)
        if low[-1] <= last <= high[-1]:
            assert divergence(np.array([*point, last]), weights) >= best - 1e-6
    # and small steps away from the solution, from one domain to another
    for giver, taker in product(range(len(found)), repeat=2):
        step = data.draw(st.floats(1e-3, 1))
        moved = found.copy()
        moved[giver] -= step
        moved[taker] += step
        if giver != taker and (moved >= low).all() and (moved <= high).all():
            assert divergence(moved, weights) >= best - 1e-9


@settings(max_examples=150, deadline=None)
@given(problems(), st.lists(st.integers(0, 200), min_size=4, max_size=4))
def test_amounts_are_as_near_as_limits_allow(
    drawn: tuple[list[Supply], dict[str, float], float], wanted: list[int]
) -> None:
    having, shares, _ = drawn
    amounts = dict(zip(shares, map(float, wanted), strict=False))
    found = solved(having, amounts=amounts)
    for supply in having:
        got, aim = found.units[supply.domain], amounts[supply.domain]
        low, high = supply.units * supply.least, supply.units * supply.most
        distance = min(abs(value - aim) for value in np.linspace(low, high, 400))
        assert low - 1e-9 <= got <= high + 1e-9
        assert abs(got - aim) <= distance + 1e-9
        missed = abs(got - aim) > 1e-6 * max(1, aim)
        assert any(f"`{supply.domain}`" in sentence for sentence in found.unmet) == missed


@settings(max_examples=100, deadline=None)
@given(problems(), st.randoms(use_true_random=False))
def test_the_order_of_domains_changes_nothing(drawn: tuple[list[Supply], dict[str, float], float], random: Any) -> None:
    having, shares, total = drawn
    shuffled = random.sample(having, len(having))
    assert solved(having, shares=shares, total=total).units == near(solved(shuffled, shares=shares, total=total).units)


@settings(max_examples=100, deadline=None)
@given(problems(), st.integers(1, 50))
def test_a_larger_total_takes_from_nobody(drawn: tuple[list[Supply], dict[str, float], float], more: int) -> None:
    having, shares, total = drawn
    less = solved(having, shares=shares, total=total).units
    most = solved(having, shares=shares, total=total + more).units
    assert all(less[name] <= most[name] + 1e-9 for name in less)


@settings(max_examples=100, deadline=None)
@given(problems(), st.floats(0.2, 20))
def test_temperature_is_shares_of_powers(drawn: tuple[list[Supply], dict[str, float], float], heat: float) -> None:
    having, _, total = drawn
    powers = {each.domain: each.units ** (1 / heat) for each in having}
    assume(max(powers.values()) < 1e200)
    expected = solved(having, shares=powers, total=total)
    assert solved(having, temperature=heat, total=total).units == pytest.approx(expected.units, rel=1e-6)


def test_fill_reaches_sums_between_and_beyond_all_kinks() -> None:
    shares, low, high = np.array([1.0, 2.0]), np.array([1.0, 0.0]), np.array([5.0, 4.0])
    for total in np.linspace(1, 9, 33):
        assert fill(shares, low, high, float(total)).sum() == pytest.approx(total)
    assert fill(shares, low, high, 0).tolist() == [1, 0]
    assert fill(shares, low, high, 99).tolist() == [5, 4]


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 1000), min_size=1))
def test_whole_numbers_add_up_and_are_next_to_the_amounts(amounts: dict[str, float]) -> None:
    total = round(sum(amounts.values()))
    found = whole_numbers(amounts, total)
    assert sum(found.values()) == total
    assert all(abs(found[name] - amounts[name]) < 1 + 1e-6 for name in amounts)
    assert whole_numbers(dict(reversed(amounts.items())), total) == found


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "exactly one of `amounts`, `shares` and `temperature`"),
        ({"amounts": {"a": 1}, "shares": {"a": 1}}, "exactly one of"),
        ({"amounts": {"a": 1}, "total": 5}, "`amounts` are absolute; they take no `total`"),
        ({"temperature": 0}, "greater than 0"),
        ({"shares": {"a": 0}}, "greater than 0"),
        ({"amounts": {"a": -1}}, "greater than or equal to 0"),
        ({"amounts": {"a": 1}, "limits": {"least": 5}}, "`least` 5 is above `most` 4"),
        ({"amounts": {"a": 1}, "unit": "bytes"}, "'rows', 'images', 'turns' or 'tokens'"),
    ],
)
def test_targets_that_say_nothing_clear(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Targets.model_validate(fields)
