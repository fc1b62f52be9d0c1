"""Which boxes of a store are needed: those that runs and mixtures which are kept were made from, step by step."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

DAY: Final = 24 * 3600

ORDER: Final = ("runs", "queues", "mixtures", "likeness", "leaks", "scores", "leakage", "shards", "pictures", "scans")
"""Kinds in the order in which boxes are removed: none goes before one that was made from it."""


class Limits(NamedTuple):
    """Which finished runs are kept, of each recipe: the last `keep_last` and those of the last `days`.

    Null does not speak; with neither all are kept, and the last run of a recipe always is. `unfinished`: whether the
    work of runs that were cut short goes, too.
    """

    keep_last: int | None = None
    days: float | None = None
    unfinished: bool = False

    @property
    def any(self) -> bool:
        """Whether some runs may go."""
        return self.keep_last is not None or self.days is not None


class Made(NamedTuple):
    """A finished run or mixture: its box, its recipe, seconds since 1970 at which it was finished."""

    box: str
    recipe: str
    finished: float


@dataclass(frozen=True, slots=True)
class Graph:
    """Boxes by name. `needs`: those that a box was made from. `follows`: those that stay while what they speak of does.

    Nothing needs one that follows: answers of a judge follow their samples, a queue follows its mixtures.
    """

    needs: Mapping[str, Collection[str]]
    follows: Mapping[str, Collection[str]]


def kept_runs(runs: Iterable[Made], limits: Limits, now: float) -> set[str]:
    """Boxes of the runs that limits keep; `now` in seconds since 1970."""
    by_recipe: dict[str, list[Made]] = {}
    for run in runs:
        by_recipe.setdefault(run.recipe, []).append(run)
    kept: set[str] = set()
    for own in by_recipe.values():
        own.sort(key=lambda run: (run.finished, run.box), reverse=True)
        for place, run in enumerate(own):
            beyond = limits.keep_last is not None and place >= limits.keep_last
            old = limits.days is not None and now - run.finished > limits.days * DAY
            # where both speak, a run goes that both let go
            gone = limits.any and (beyond or limits.keep_last is None) and (old or limits.days is None)
            if place == 0 or not gone:
                kept.add(run.box)
    return kept


def kept_mixtures(
    mixtures: Iterable[Made], runs: Collection[Made], named: Mapping[str, Collection[str]], limits: Limits
) -> set[str]:
    """Boxes of mixtures that are kept although no run names them: all without limits, else those of a run cut short.

    Args:
        mixtures: finished ones.
        runs: finished ones.
        named: run -> its mixtures.
        limits: see `Limits`.
    """
    spoken = {mixture for run in runs for mixture in named.get(run.box, ())}
    last: dict[str, float] = {}
    for run in runs:
        last[run.recipe] = max(last.get(run.recipe, run.finished), run.finished)
    return {
        each.box
        for each in mixtures
        if each.box not in spoken and (not limits.any or each.recipe not in last or each.finished > last[each.recipe])
    }


def needed(roots: Iterable[str], graph: Graph) -> set[str]:
    """The roots, all that they were made from, and what follows these."""
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        box = waiting.pop()
        if box not in found:
            found.add(box)
            waiting.extend(graph.needs.get(box, ()))
    return found | {box for box, others in graph.follows.items() if others and found.issuperset(others)}


def in_order(boxes: Iterable[str]) -> list[str]:
    """Names of boxes in the order in which they may be removed."""
    rank = {kind: place for place, kind in enumerate(ORDER)}
    return sorted(boxes, key=lambda box: (rank.get(box.partition("/")[0], len(rank)), box))
