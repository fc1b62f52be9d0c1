"""A sample as a card: pictures, the beginning of its conversation, and what decided about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl
from markupsafe import Markup

from flows.finding import looping
from flows.report.excerpt import excerpt
from flows.report.number import short
from flows.report.thumbnail import Thumbnail, thumbnail
from flows.report.view import SampleView, ScoreValue
from manifests.recipe import Rule
from shards.schema import ROLES, STATE_SUFFIX


@dataclass(frozen=True, slots=True)
class Room:
    """How much of a sample a card shows: pictures, messages, characters at both ends of a text, and scores or not."""

    pictures: int
    turns: int
    head: int
    tail: int
    scores: bool


FULL: Final = Room(pictures=4, turns=6, head=420, tail=160, scores=True)
SIDE_BY_SIDE: Final = Room(pictures=2, turns=4, head=260, tail=100, scores=False)


@dataclass(frozen=True, slots=True)
class Value:
    """A score of a card; `decisive` ones are read by the rule that decided."""

    name: str
    text: str
    decisive: bool


@dataclass(frozen=True, slots=True)
class Card:
    """What one card shows; `note` is a remark beside the verdict."""

    sample: SampleView
    verdict: str
    when: str
    note: str
    also: tuple[str, ...]
    values: tuple[Value, ...]
    pictures: tuple[Thumbnail, ...]
    more_pictures: int
    turns: tuple[tuple[str, Markup], ...]
    more_turns: int


def card(
    sample: SampleView, rules: Mapping[str, Rule], room: Room = FULL, *, verdict: str | None = None, note: str = ""
) -> Card:
    """The card of a sample; `verdict` replaces the sample's own, as clusters do."""
    deciding = rules.get(sample.rule or "")
    return Card(
        sample=sample,
        verdict=verdict or sample.verdict,
        when=(deciding.when or "") if deciding else "",
        note=note,
        also=tuple(name for name in sample.reasons if name != sample.rule),
        values=_values(sample, rules) if room.scores else (),
        pictures=tuple(thumbnail(data) for data in sample.pictures[: room.pictures]),
        more_pictures=max(0, len(sample.pictures) - room.pictures),
        turns=tuple(
            (
                role if role in ROLES else "other",
                excerpt(text, room.head, room.tail, looping(turn, text, sample.scores)),
            )
            for turn, (role, text) in enumerate(sample.messages[: room.turns])
        ),
        more_turns=max(0, len(sample.messages) - room.turns),
    )


def _values(sample: SampleView, rules: Mapping[str, Rule]) -> tuple[Value, ...]:
    """Scores that the true rules read, the deciding one's first; those of all rules where none is true."""
    decisive = _reads(rules, [sample.rule] if sample.rule else [])
    others = _reads(rules, sample.reasons or ([] if sample.rule else list(rules)))
    values = [Value(name, _text(name, sample.scores), name in decisive) for name in dict.fromkeys([*decisive, *others])]
    return tuple(value for value in values if value.decisive or value.text not in {"", "not applicable"})


def _reads(rules: Mapping[str, Rule], names: list[str] | tuple[str, ...]) -> list[str]:
    predicates = [rules[name].when for name in names if name in rules]
    return [score for when in predicates if when for score in sorted(set(pl.sql_expr(when).meta.root_names()))]


def _text(name: str, scores: Mapping[str, ScoreValue]) -> str:
    value = scores.get(name)
    if value is None:
        return str(scores.get(name + STATE_SUFFIX) or "").replace("_", " ")
    if isinstance(value, bool):
        return "true" if value else "false"
    return short(value) if isinstance(value, int | float) else value
