"""Decisions and samples to review items, the most informative first."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast

import polars as pl

from review.item import Comparison, Message, Reason, ReviewItem, ReviewPicture, Score, item_id, picture_file
from shards.schema import STATE_SUFFIX, NullState

ALWAYS_SHOWN: Final = ("quality", "repetition")
"""Scores that an item shows even if no rule that concerns it reads them."""

_JUNCTION: Final = re.compile(r"\b(?:and|or)\b", re.IGNORECASE)
_SIMPLE: Final = re.compile(
    r"""(?:"(?P<quoted>[^"]+)"|(?P<bare>[A-Za-z_]\w*))\s*
        (?P<operator><=|>=|<|>)\s*
        (?P<number>-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)""",
    re.VERBOSE | re.IGNORECASE,
)

Operator = Literal["<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class _Predicate:
    text: str
    scores: frozenset[str]
    thresholds: tuple[tuple[str, Operator, float], ...]


def build(rows: pl.DataFrame, *, stage: str, predicates: Mapping[str, str]) -> list[ReviewItem]:
    """Items of the rows that a person must see, in the order of the rows.

    Args:
        rows: (n, ...) frame: `entry`, `key`, `source`, `domain`, `cluster` (String; cluster may be null), `reasons`
            and `unknown` (List(String), rule names), `messages`, `images` and `videos` as in SAMPLE, and any score
            with its `_state` column.
        stage: stage that the mixture belongs to.
        predicates: rule name to SQL predicate, for every rule named in the rows.
    """
    parsed = {rule: _parse(text) for rule, text in predicates.items()}
    # the work per row is building Python objects, so a loop over rows it is
    return [_item(row, stage, parsed) for row in rows.iter_rows(named=True)]


def order(items: Iterable[ReviewItem]) -> list[ReviewItem]:
    """Items by value of information: closest to a threshold first, those without one last; ties by key, then entry."""
    return sorted(items, key=lambda item: (math.inf if item.margin is None else item.margin, item.key, item.entry))


def thresholds(predicate: str) -> tuple[tuple[str, Operator, float], ...]:
    """The simple comparisons `score < number` that a predicate joins by `and` or `or`: (score, operator, number)."""
    parts = [_SIMPLE.fullmatch(part.strip(" \t\r\n()")) for part in _JUNCTION.split(predicate)]
    return tuple(
        # the expression matches these four operators only
        (match["quoted"] or match["bare"], cast(Operator, match["operator"]), float(match["number"]))
        for match in parts
        if match
    )


def _parse(text: str) -> _Predicate:
    return _Predicate(text, frozenset(pl.sql_expr(text).meta.root_names()), thresholds(text))


def _item(row: dict[str, object], stage: str, predicates: Mapping[str, _Predicate]) -> ReviewItem:
    fields = {name: row[name] for name in ("entry", "key", "source", "domain", "cluster")}
    rules = {kind: cast(list[str], row[kind]) for kind in ("reasons", "unknown")}  # List(String)
    names = {name for rule in (*rules["reasons"], *rules["unknown"]) for name in predicates[rule].scores}
    shown = sorted(name for name in names.union(ALWAYS_SHOWN) if name in row and not name.endswith(STATE_SUFFIX))
    scores = {name: _score(row[name]) for name in shown}
    reasons = {kind: tuple(_reason(rule, predicates[rule], scores) for rule in found) for kind, found in rules.items()}
    return ReviewItem.model_validate(
        {
            **fields,
            **reasons,
            "id": item_id(str(row["entry"]), str(row["key"])),
            "stage": stage,
            "scores": scores,
            "states": _states(row, scores),
            "margin": _margin(reasons["reasons"]),
            "messages": tuple(Message.model_validate(turn) for turn in cast(list[object], row["messages"])),
            "pictures": tuple(_picture(image) for image in cast(list[dict[str, str]], row["images"])),
            "videos": tuple(cast(list[str], row["videos"])),
        }
    )


def _score(value: object) -> Score:
    # the types of score columns; NaN and infinity have no JSON form
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return cast(Score, value)


def _states(row: Mapping[str, object], scores: Mapping[str, Score]) -> dict[str, NullState]:
    found = {name: row.get(name + STATE_SUFFIX) for name, score in scores.items() if score is None}
    return {name: cast(NullState, state) for name, state in found.items() if state is not None}  # see NULL_STATES


def _reason(rule: str, predicate: _Predicate, scores: Mapping[str, Score]) -> Reason:
    comparisons = tuple(
        Comparison(score=name, operator=operator, threshold=number, distance=_distance(scores.get(name), number))
        for name, operator, number in predicate.thresholds
    )
    return Reason(rule=rule, predicate=predicate.text, comparisons=comparisons)


def _distance(score: Score, threshold: float) -> float | None:
    if isinstance(score, bool) or not isinstance(score, int | float):
        return None
    return score - threshold


def _margin(reasons: Iterable[Reason]) -> float | None:
    """Smallest share of its threshold by which a score is away from it: 0.1 of quality 7 is as near as 5 of 350 px."""
    shares = [
        abs(comparison.distance) / (abs(comparison.threshold) or 1.0)
        for reason in reasons
        for comparison in reason.comparisons
        if comparison.distance is not None
    ]
    return min(shares, default=None)


def _picture(image: Mapping[str, str]) -> ReviewPicture:
    kept = {name: image[name] for name in ("sha256", "width", "height", "format")}
    return ReviewPicture.model_validate({**kept, "file": picture_file(image["sha256"], image["format"])})
