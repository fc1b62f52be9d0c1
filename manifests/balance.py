"""Repeat factors that meet targets within limits: closed forms, exact, with what cannot be met explained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from manifests.targets import Targets

Floats = npt.NDArray[np.float64]

_LEAST_WEIGHT: Final = 1e-30
"""Of the largest domain's weight: far less than a row in any mixture, and no division by zero."""


@dataclass(frozen=True, slots=True)
class Supply:
    """A domain's units (rows, images, turns or tokens) at the repeat factors as written.

    `least` and `most` bound what those factors may be multiplied by.
    """

    domain: str
    units: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Balanced:
    """A solution: units per domain, the multipliers that give them, and what could not be met."""

    units: dict[str, float]
    factors: dict[str, float]
    unmet: tuple[str, ...]


def balance(supplies: Sequence[Supply], targets: Targets) -> Balanced:
    """Solve the multipliers of all domains that targets name (all domains under a temperature).

    Args:
        supplies: of the domains in question, each with units > 0 or it stays at 0 and is reported.
        targets: amounts: each domain as near as its limits allow. Shares and temperature: x = clip(level x share),
            with the one level that makes the sum `total`; of all mixtures within the limits with that sum, this is the
            one with the smallest relative entropy to the shares.

    Returns:
        Units and multipliers by domain; `unmet` has one sentence for each target that limits keep from being met.
    """
    some = [supply for supply in supplies if supply.units > 0]
    empty = [
        f"domain `{supply.domain}`: it has no {targets.unit} left to repeat"
        for supply in supplies
        if supply.units <= 0 and targets.amounts.get(supply.domain) != 0
    ]
    if not some:
        return Balanced({}, {}, tuple(empty))
    units = np.array([supply.units for supply in some])
    low = units * np.array([supply.least for supply in some])
    high = units * np.array([supply.most for supply in some])
    wanted, total = _wanted(some, targets, units, low, high)
    solved = np.clip(wanted, low, high) if total is None else fill(wanted, low, high, total)
    unmet = [*empty, *_unmet(some, targets, wanted, solved, total)]
    domains = [supply.domain for supply in some]
    return Balanced(
        dict(zip(domains, solved.tolist(), strict=True)),
        dict(zip(domains, (solved / units).tolist(), strict=True)),
        tuple(unmet),
    )


def _wanted(
    some: Sequence[Supply], targets: Targets, units: Floats, low: Floats, high: Floats
) -> tuple[Floats, float | None]:
    """Amounts asked for and no total, or shares that sum to 1 and the total they fill."""
    if targets.amounts:
        return np.array([targets.amounts[supply.domain] for supply in some]), None
    if targets.temperature is not None:
        # relative to the largest, so that no power overflows; a low temperature would leave the smallest nothing
        weights = np.maximum((units / units.max()) ** (1 / targets.temperature), _LEAST_WEIGHT)
    else:
        weights = np.array([targets.shares[supply.domain] for supply in some])
    shares = weights / weights.sum()
    if targets.total is not None:
        return shares, targets.total
    # the largest total at which no domain is above its limit; lower limits may then push the sum up
    level = float((high / shares).min())
    return shares, float(np.clip(level * shares, low, high).sum())


def fill(shares: Floats, low: Floats, high: Floats, total: float) -> Floats:
    """Water-filling: x = clip(level x shares, low, high) with sum `total`; all at a limit where no level reaches it.

    The sum grows piecewise linearly with the level; its kinks are where an x meets a limit, so the level is found
    between two kinks without iteration.

    Args:
        shares: (n,) above 0.
        low: (n,) least amounts.
        high: (n,) most amounts, `low <= high`.
        total: sum to reach; clipped to what the limits allow.
    """
    total = float(np.clip(total, low.sum(), high.sum()))
    kinks = np.unique(np.concatenate([low / shares, high / shares]))
    sums = np.array([np.clip(level * shares, low, high).sum() for level in kinks])
    upper = int(np.searchsorted(sums, total))
    if upper == 0:
        return low.copy()
    if upper == len(kinks):
        return high.copy()
    begin, end = kinks[upper - 1], kinks[upper]
    reached, beyond = sums[upper - 1], sums[upper]
    level = end if beyond == reached else begin + (total - reached) / (beyond - reached) * (end - begin)
    filled: Floats = np.clip(level * shares, low, high)
    return filled


def _unmet(some: Sequence[Supply], targets: Targets, wanted: Floats, solved: Floats, total: float | None) -> list[str]:
    """One sentence for each target that is missed by more than rounding."""
    sentences = []
    goal = wanted if total is None else wanted * total
    for supply, aim, got in zip(some, goal.tolist(), solved.tolist(), strict=True):
        if abs(got - aim) <= 1e-6 * max(1.0, aim):
            continue
        needed, limit = aim / supply.units, supply.most if got < aim else supply.least
        bound = "most" if got < aim else "least"
        sentences.append(
            f"domain `{supply.domain}`: {aim:,.0f} {targets.unit} need {needed:.3g} x what is there, "
            f"the limit is {'at ' + bound} {limit:.3g} x: {got:,.0f}"
        )
    if total is not None and abs(solved.sum() - total) > 1e-6 * max(1.0, total):
        sentences.append(f"all domains: the limits allow {solved.sum():,.0f} of {total:,.0f} {targets.unit}")
    return sentences


def whole_numbers(amounts: Mapping[str, float], total: int) -> dict[str, int]:
    """Amounts rounded to integers that add up to `total`: down, then one more for the largest remainders (Hamilton).

    Args:
        amounts: not negative, with a sum within len(amounts) of `total`.
        total: the sum to reach.
    """
    floors = {name: int(np.floor(amount + 1e-9)) for name, amount in amounts.items()}
    missing = total - sum(floors.values())
    by_remainder = sorted(amounts, key=lambda name: (floors[name] - amounts[name], name))
    for name in by_remainder[: max(missing, 0)]:
        floors[name] += 1
    return floors
