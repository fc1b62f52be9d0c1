"""How often each chosen row is emitted: by the repeat factors as written, or as the targets of a stage ask."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import polars as pl

from manifests.balance import Balanced, Supply, balance, whole_numbers
from manifests.order import Ranks
from manifests.plan import PlannedStage
from manifests.recipe import Entry
from manifests.take import Counts, emitted, emitted_rows, emitted_units
from manifests.targets import Limits, Targets, Unit

_COLUMN: dict[Unit, str] = {"images": "num_images", "turns": "num_turns", "tokens": "num_tokens"}

Chosen = Mapping[str, tuple[pl.DataFrame, Ranks]]
"""Entry id -> rows that may be emitted (key, num_turns, num_images, num_tokens ...), rank of each in hash order."""


@dataclass(frozen=True, slots=True)
class Emission:
    """Times that each chosen row is emitted, by entry: (n,) Int64, 0 where a factor below 1 leaves it out.

    `solved` holds the repeat factors that targets gave, by entry; `unmet` what limits keep from being met.
    """

    times: Mapping[str, pl.Series]
    solved: Mapping[str, float]
    unmet: tuple[str, ...]


def emit(stage: PlannedStage, chosen: Chosen) -> Emission:
    """Emission of every entry of a stage."""
    times = {entry.id: pl.Series(emitted(entry.repeat, chosen[entry.id][1])) for entry in stage.entries}
    if stage.targets is None:
        return Emission(times, {}, ())
    targets = stage.targets
    units = {entry.id: _units(targets.unit, *chosen[entry.id]) for entry in stage.entries}
    named = targets.amounts or targets.shares
    entries = [entry for entry in stage.entries if not named or entry.domain in named]
    balanced = balance(_supplies(entries, units, targets), targets)
    solved = {
        entry.id: balanced.factors[entry.domain] * entry.repeat for entry in entries if entry.domain in balanced.factors
    }
    amounts = _amounts([entry for entry in entries if entry.id in solved], units, solved, balanced, targets.unit)
    for name, amount in amounts.items():
        order = chosen[name][1]
        if targets.unit == "rows":
            rows = emitted_rows(int(amount), order)
        elif units[name].any():
            rows = emitted_units(amount, units[name], order)
        else:
            # text rows under a target in images have nothing to count; they follow the factor of their domain
            rows = emitted(solved[name], order)
        times[name] = pl.Series(rows)
    return Emission(times, solved, balanced.unmet)


def _units(unit: Unit, rows: pl.DataFrame, order: Ranks) -> Counts:
    """Units of each row."""
    if unit == "rows":
        return np.ones(len(order), dtype=np.int64)
    return rows[_COLUMN[unit]].fill_null(0).cast(pl.Int64).to_numpy()


def _supplies(entries: list[Entry], units: Mapping[str, Counts], targets: Targets) -> list[Supply]:
    """Supply of each domain; limits hold for final repeat factors, so they tighten with what is written."""
    # a named domain whose entries were all left out has nothing, and is told of
    domains: dict[str, list[Entry]] = {name: [] for name in targets.amounts or targets.shares}
    for entry in entries:
        domains.setdefault(entry.domain, []).append(entry)
    supplies = []
    for name, members in sorted(domains.items()):
        if not members:
            supplies.append(Supply(name, 0, 0, 0))
            continue
        limits: Limits = targets.domains.get(name, targets.limits)
        most = limits.most / max(entry.repeat for entry in members)
        least = min(limits.least / min(entry.repeat for entry in members), most)
        supplies.append(
            Supply(name, float(sum(units[entry.id].sum() * entry.repeat for entry in members)), least, most)
        )
    return supplies


def _amounts(
    entries: list[Entry], units: Mapping[str, Counts], solved: Mapping[str, float], balanced: Balanced, unit: Unit
) -> dict[str, float]:
    """Units of each entry; rows are whole numbers that add up to the rounded sum of all domains."""
    exact = {entry.id: float(units[entry.id].sum()) * solved[entry.id] for entry in entries}
    if unit != "rows":
        return exact
    total = math.floor(Fraction(sum(balanced.units.values())) + Fraction(1, 2))
    by_domain = whole_numbers(balanced.units, total)
    amounts: dict[str, float] = {}
    for domain, rows in by_domain.items():
        members = {entry.id: exact[entry.id] for entry in entries if entry.domain == domain}
        amounts.update(whole_numbers(members, rows))
    return amounts
