"""What the page shows of one item, ready for its templates."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from review.item import Comparison, Reason, ReviewItem
from review.item import Mark as Found
from review.page_text import Fold, Kind, Mark, boxes, folds
from review.sheet import show

OPEN_TURNS: Final = 40
"""Messages that are shown at once, half of them the first and half the last; the others are folded. Ours."""
_MOST_COPIES: Final = 200
_MOST_LOOPED: Final = 20_000  # characters of a loop that are searched for its copies, 5 ms
_SCALE: Final = 10.0
_JUDGED: Final = frozenset({"quality", "repetition", "relevance", "correspondence"})


@dataclass(frozen=True, slots=True)
class Limit:
    """A threshold of a rule: `quality < 7`, and how far the score is from it, with its sign."""

    rule: str
    text: str
    distance: str


@dataclass(frozen=True, slots=True)
class Line:
    """A score with its thresholds; `places` are tenths of a judge's scale: of the score, and of the thresholds."""

    name: str
    value: str
    limits: tuple[Limit, ...]
    places: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a message: boxes of HTML, or, where there are none, characters behind a button."""

    start: int
    end: int
    boxes: tuple[Markup, ...]


@dataclass(frozen=True, slots=True)
class Turn:
    """A message; `found` says in words what is marked in it, by the kind of the mark."""

    number: int
    role: str
    size: int
    parts: tuple[Part, ...]
    found: tuple[tuple[Kind, str], ...]


def lines(item: ReviewItem) -> list[Line]:
    """The scores of an item with the thresholds that rules hold against them, those that a rule speaks of first."""
    limits: dict[str, list[tuple[Reason, Comparison]]] = {}
    for reason in (*item.reasons, *item.unknown):
        for comparison in reason.comparisons:
            limits.setdefault(comparison.score, []).append((reason, comparison))
    found = [_line(item, name, limits.get(name, [])) for name in item.scores]
    return sorted(found, key=lambda line: not line.limits)


def _line(item: ReviewItem, name: str, limits: Sequence[tuple[Reason, Comparison]]) -> Line:
    value = item.scores[name]
    told = tuple(
        Limit(
            reason.rule,
            f"{each.operator} {each.threshold:g}",
            "" if each.distance is None else f"{each.distance:+.3g}",
        )
        for reason, each in limits
    )
    graded = name in _JUDGED and isinstance(value, int | float) and 0 <= value <= _SCALE
    places = [float(value)] if graded and isinstance(value, int | float) else []
    return Line(name, show(item, name), told, tuple(places + [each.threshold for _, each in limits if places]))


def turns(item: ReviewItem, marks: Sequence[Mark]) -> list[Turn]:
    """The messages of an item, long ones and those in the middle of a long conversation folded."""
    half = OPEN_TURNS // 2
    last = len(item.messages) - half
    found = []
    for number, message in enumerate(item.messages):
        own = [mark for mark in marks if mark.turn == number]
        size = len(message.text)
        parts = [_part(message.text, fold, own) for fold in folds(size, own, closed=half <= number < last)]
        words = {mark.label: mark.kind for mark in reversed(own)}  # the first mark of a label gives the kind
        found.append(
            Turn(number, message.role, size, tuple(parts), tuple((words[label], label) for label in reversed(words)))
        )
    return found


def _part(text: str, fold: Fold, marks: Sequence[Mark]) -> Part:
    return Part(fold.start, fold.end, tuple(boxes(text, fold.start, fold.end, marks)) if fold.shown else ())


def marks(item: ReviewItem, hits: Sequence[Mark]) -> list[Mark]:
    """The marks of an item, loops cut into their copies, with what other rules look for."""
    found = [copy for mark in item.marks for copy in _copies(mark, item.messages[mark.turn].text)]
    return [*found, *hits]


def _copies(mark: Found, text: str) -> list[Mark]:
    start, end = mark.start, mark.end
    period = _period(text[start:end]) if end - start <= _MOST_LOOPED else end - start
    copies = (end - start) / (period or 1)
    if copies <= 1:
        return [Mark(mark.turn, start, end, "loop", mark.what)]
    label = f"{mark.what}, {copies:.1f} copies of {period:,} characters"
    starts = [*range(start, end, period)][:_MOST_COPIES]
    kinds: tuple[Kind, Kind] = ("loop", "copy")
    parts = enumerate(zip(starts, [*starts[1:], end], strict=True))
    return [Mark(mark.turn, first, last, kinds[number % 2], label) for number, (first, last) in parts]


def _period(text: str) -> int:
    """Characters after which a text says the same again to its end; its length if it never does.

    Source: the failure function of Knuth, Morris and Pratt 1977.
    """
    border = [0] * len(text)
    for place in range(1, len(text)):
        length = border[place - 1]
        while length and text[place] != text[length]:
            length = border[length - 1]
        border[place] = length + (text[place] == text[length])
    return len(text) - (border[-1] if border else 0)


def part_of(item: ReviewItem, marks: Sequence[Mark], turn: int, start: int, end: int) -> Part:
    """Characters `start` to `end` of a message.

    Raises:
        IndexError: the item has no such message, or that no such part.
    """
    text = item.messages[turn].text if 0 <= turn < len(item.messages) else ""
    if not 0 <= start < end <= len(text):
        raise IndexError(f"no characters {start} to {end} in message {turn}")
    return _part(text, Fold(start, end, shown=True), [mark for mark in marks if mark.turn == turn])


def rules_of(item: ReviewItem) -> list[tuple[str, str, bool]]:
    """Name and predicate of the rules that are true of an item, then of those that could not be decided (True)."""
    told = ((item.reasons, False), (item.unknown, True))
    return [(reason.rule, reason.predicate, unknown) for reasons, unknown in told for reason in reasons]
