"""Scores to verdicts: a bit per row and rule, so that ten million rows are small; words are made when they are read."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from manifests.recipe import Entry
from manifests.rules import Predicate
from shards.schema import VERDICTS

Codes = npt.NDArray[np.uint8]
Bits = npt.NDArray[np.uint64]

_CODE: Final[dict[str, int]] = {verdict: code for code, verdict in enumerate(VERDICTS)}


class Verdicts(NamedTuple):
    """Verdicts of n rows as (n,) arrays; `words` spells them out.

    `verdict` is a place in `VERDICTS`; `rule` is 1 + the place of the deciding rule in order of evaluation, 0 without
    one. Bit i of `true` says that rule i is true, bit i of `unknown` that it could not be decided.
    """

    verdict: Codes
    rule: Codes
    true: Bits
    unknown: Bits

    @classmethod
    def join(cls, parts: Sequence["Verdicts"]) -> "Verdicts":
        """The rows of all parts, in order."""
        empty = np.empty(0, np.uint8), np.empty(0, np.uint8), np.empty(0, np.uint64), np.empty(0, np.uint64)
        return cls(*(np.concatenate(column) for column in zip(empty, *parts, strict=True)))

    def only(self, taken: npt.NDArray[np.bool_]) -> "Verdicts":
        """The same with rows that are not taken marked so; no rule speaks of them."""
        if taken.all():
            return self
        verdict = np.where(taken, self.verdict, np.uint8(_CODE["not_taken"]))
        return Verdicts(verdict, self.rule * taken, self.true * taken, self.unknown * taken)

    def kept(self) -> npt.NDArray[np.bool_]:
        """(n,) mask of rows with the verdict `keep`."""
        kept: npt.NDArray[np.bool_] = self.verdict == _CODE["keep"]
        return kept


def decide(scores: pl.DataFrame, predicates: Sequence[Predicate], entry: Entry) -> Verdicts:
    """Verdicts of one entry's rows.

    Args:
        scores: (n, ...) frame with the columns that the predicates read and their `_state` columns.
        predicates: in order of evaluation, at most `manifests.rules.MAX_RULES`; the first true one wins.
        entry: decides which rules apply.
    """
    active = [(place, predicate) for place, predicate in enumerate(predicates) if predicate.applies(entry)]
    results = scores.select(predicate.expression.alias(str(place)) for place, predicate in active)
    true, unknown = np.zeros((2, scores.height), dtype=np.uint64)
    verdict, rule = np.full(scores.height, _CODE["keep"], np.uint8), np.zeros(scores.height, np.uint8)
    for place, predicate in active:
        result, bit = results[str(place)], np.uint64(1 << place)
        hit = result.fill_null(False).to_numpy()
        true |= hit * bit
        first = hit & (rule == 0)
        rule[first] = place + 1
        verdict[first] = _CODE[predicate.rule.then]
        if result.null_count():
            unknown[_undecided(scores, predicate, result)] |= bit
    verdict[(rule == 0) & (unknown > 0)] = _CODE["unscored"]
    return Verdicts(verdict, rule, true, unknown)


def _undecided(scores: pl.DataFrame, predicate: Predicate, result: pl.Series) -> npt.NDArray[np.int64]:
    """Rows whose null result means unknown, not false; states are looked at in rows with a null only."""
    rows = result.is_null().arg_true()
    part = scores.select(predicate.columns)
    unknown = (part if len(rows) == len(result) else part[rows]).select(predicate.unknown().alias("unknown"))
    return rows.filter(unknown["unknown"]).to_numpy().astype(np.int64)


def words(verdicts: Verdicts, predicates: Sequence[Predicate]) -> pl.DataFrame:
    """Verdicts in words.

    Returns:
        (n, 4) frame: `verdict` (not_taken | keep | drop | review | unscored), `rule` (name of the deciding rule, null
        without one), `reasons` (names of all true rules), `unknown` (names of rules that could not be decided).
    """
    names = [predicate.rule.name for predicate in predicates]
    return pl.DataFrame(
        {
            "verdict": pl.Series(VERDICTS, dtype=pl.String).gather(verdicts.verdict),
            "rule": pl.Series([None, *names], dtype=pl.String).gather(verdicts.rule),
            "reasons": _lists(verdicts.true, names),
            "unknown": _lists(verdicts.unknown, names),
        }
    )


def _lists(masks: Bits, names: Sequence[str]) -> pl.Series:
    """The names whose bits are set, a list a row; made once for each of the few different masks."""
    distinct, places = np.unique(masks, return_inverse=True)
    lists = [[name for bit, name in enumerate(names) if mask >> bit & 1] for mask in distinct.tolist()]
    return pl.Series(lists, dtype=pl.List(pl.String)).gather(places)
