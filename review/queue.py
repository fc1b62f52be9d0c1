"""Decisions and samples to review items."""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, cast

import polars as pl

from review.item import Comparison, Mark, Message, Reason, ReviewItem, ReviewPicture, Score, item_id, picture_file
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


Marker = Callable[[Mapping[str, object]], tuple[Mark, ...]]
"""A row as `build` takes it -> the parts of its messages that filters speak of."""


def build(
    rows: pl.DataFrame, *, stage: str, predicates: Mapping[str, str], marker: Marker = lambda _: ()
) -> list[ReviewItem]:
    """Items of the rows that a person must see, in the order of the rows.

    Args:
        rows: (n, ...) frame: `entry`, `key`, `source`, `domain`, `cluster` (String; cluster may be null), `reasons`
            and `unknown` (List(String), rule names), `messages`, `images` and `videos` as in SAMPLE, and any score
            with its `_state` column. `template`, `asked`, `rule` and `probability` are taken over where they are there.
        stage: stage that the mixture belongs to.
        predicates: rule name to SQL predicate, for every rule named in the rows.
        marker: finds what to mark.
    """
    parsed = {rule: _parse(text) for rule, text in predicates.items()}
    # the work per row is building Python objects, so a loop over rows it is
    return [_item(row, stage, parsed, marker) for row in rows.iter_rows(named=True)]


def thresholds(predicate: str) -> tuple[tuple[str, Operator, float], ...]:
    """The simple comparisons `score < number` that a predicate joins by `and` or `or`: (score, operator, number)."""
    return tuple((found.score, found.operator, found.number) for found in comparisons(predicate))


class Simple(NamedTuple):
    """A simple comparison and where its number stands in the predicate."""

    score: str
    operator: Operator
    number: float
    start: int
    end: int


def comparisons(predicate: str) -> tuple[Simple, ...]:
    """The simple comparisons of a predicate, see `thresholds`."""
    found, begin = [], 0
    for end, following in [
        *((each.start(), each.end()) for each in _JUNCTION.finditer(predicate)),
        (len(predicate), 0),
    ]:
        part = predicate[begin:end]
        inner = part.strip(" \t\r\n()")
        if match := _SIMPLE.fullmatch(inner):
            offset = begin + part.index(inner)
            # the expression matches these four operators only
            operator = cast(Operator, match["operator"])
            place = (offset + match.start("number"), offset + match.end("number"))
            found.append(Simple(match["quoted"] or match["bare"], operator, float(match["number"]), *place))
        begin = following
    return tuple(found)


def _parse(text: str) -> _Predicate:
    return _Predicate(text, frozenset(pl.sql_expr(text).meta.root_names()), thresholds(text))


def _item(row: dict[str, object], stage: str, predicates: Mapping[str, _Predicate], marker: Marker) -> ReviewItem:
    fields = {name: row[name] for name in ("entry", "key", "source", "domain", "cluster")}
    fields |= {name: row[name] for name in ("template", "asked", "rule", "probability") if name in row}
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
            "marks": marker(row),
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
