"""Which rows a judge is asked about next."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from manifests.recipe import Entry
from manifests.rules import Predicate
from shards.schema import STATE_SUFFIX

_Mask = npt.NDArray[np.bool_]


def to_ask(
    scores: pl.DataFrame, predicates: Sequence[Predicate], entry: Entry, askable: frozenset[str]
) -> dict[str, pl.Series]:
    """Which rows need which judge scores next: those whose first undecided rule waits for a score not asked for.

    Args:
        scores: (n, ...) frame with the columns that the predicates read and their `_state` columns.
        predicates: in order of evaluation.
        entry: decides which rules apply.
        askable: names of scores that a judge gives.

    Returns:
        score name -> (n,) Boolean; empty when nothing is left to ask.
    """
    active = [predicate for predicate in predicates if predicate.applies(entry)]
    while active and askable.isdisjoint(active[-1].scores):  # what follows the last question changes no question
        active.pop()
    still_open = np.ones(scores.height, dtype=np.bool_)
    wanted: dict[str, _Mask] = {}
    for predicate, result in zip(active, _results(scores, active), strict=True):
        not_asked = {name: _not_asked(scores, name) for name in askable.intersection(predicate.scores)}
        pending = _pending(scores, result, not_asked)
        for name, mask in not_asked.items():
            wanted[name] = wanted.get(name, False) | (still_open & pending & mask)
        still_open &= ~result.fill_null(False).to_numpy() & ~pending
    return {name: pl.Series(name, mask) for name, mask in sorted(wanted.items()) if mask.any()}


def waiting(
    scores: pl.DataFrame, predicates: Sequence[Predicate], entry: Entry, askable: frozenset[str]
) -> npt.NDArray[np.bool_]:
    """(n,) mask of rows in which a rule, whatever the others say, waits for a score not asked for; as `to_ask`."""
    active = [item for item in predicates if item.applies(entry) and not askable.isdisjoint(item.scores)]
    found = np.zeros(scores.height, dtype=np.bool_)
    for predicate, result in zip(active, _results(scores, active), strict=True):
        found |= _pending(scores, result, {n: _not_asked(scores, n) for n in askable.intersection(predicate.scores)})
    return found


def _results(scores: pl.DataFrame, predicates: Sequence[Predicate]) -> list[pl.Series]:
    """(n,) Booleans or nulls of each predicate.

    One expression a rule: of one nested expression for all, planning takes longer than a million rows do.
    """
    return scores.select(item.expression.alias(str(place)) for place, item in enumerate(predicates)).get_columns()


def _pending(scores: pl.DataFrame, result: pl.Series, not_asked: dict[str, _Mask]) -> _Mask:
    """(n,) mask of rows in which a predicate is undecided since a score was not asked for yet."""
    waits = np.zeros(len(result), dtype=np.bool_)
    for name, mask in not_asked.items():
        waits |= mask & scores[name].is_null().to_numpy()
    waits &= result.is_null().to_numpy()
    return waits


def _not_asked(scores: pl.DataFrame, name: str) -> _Mask:
    mask: _Mask = (scores[name + STATE_SUFFIX] == "not_asked").fill_null(False).to_numpy()
    return mask
