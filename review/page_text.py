"""Texts of samples as HTML: marked where a rule hit, folded where they are long."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal, NamedTuple

from markupsafe import Markup

from review.visible import visible

HEAD: Final = 4_000
TAIL: Final = 1_000
AROUND: Final = 500
"""Characters of a message that are shown at its beginning, at its end and on both sides of a mark. Ours."""

CHUNK: Final = 20_000
"""Characters in one box: a browser lays out boxes that are off the screen later, and takes long for huge ones."""

PART: Final = 100_000
"""Characters that one press of a fold's button shows. Ours."""

SLACK: Final = 400
"""A fold that hides fewer characters than this is no help."""

Kind = Literal["loop", "copy", "hit"]
"""`loop` and `copy` in turn are the copies of a loop; `hit` is what another rule looks for."""


class Mark(NamedTuple):
    """A part of message `turn` (characters `start` to `end`) that a filter found; `label` says what, in our words."""

    turn: int
    start: int
    end: int
    kind: Kind
    label: str


class Fold(NamedTuple):
    """A part of a text, shown or hidden behind a button."""

    start: int
    end: int
    shown: bool


_MARKED: Final = Markup('<mark class="{}" title="{}">{}</mark>')


def folds(size: int, marks: Sequence[Mark], *, closed: bool = False) -> list[Fold]:
    """What of a text is shown at once: beginning, end, and both sides of the first mark.

    Args:
        size: characters of the text.
        marks: of this text.
        closed: show only what surrounds the first mark, for messages in the middle of a long conversation.
    """
    if size <= HEAD + TAIL + SLACK and not closed:
        return [Fold(0, size, shown=True)]
    wanted = [] if closed else [(0, HEAD), (size - TAIL, size)]
    if marks:
        first = min(marks, key=lambda mark: mark.start)
        wanted.append((max(0, first.start - AROUND), min(size, first.end + AROUND, first.start + 4 * AROUND)))
    return list(_with_gaps(size, sorted(wanted)))


def _with_gaps(size: int, shown: Iterable[tuple[int, int]]) -> Iterator[Fold]:
    end = 0
    for first, last in shown:
        if first > end:
            yield Fold(end, first, shown=first - end < SLACK)
        if last > end:
            yield Fold(max(first, end), last, shown=True)
        end = max(end, last)
    if end < size:
        yield Fold(end, size, shown=False)


def boxes(text: str, start: int, end: int, marks: Sequence[Mark]) -> list[Markup]:
    """Characters `start` to `end` of a text as HTML, in boxes of at most `CHUNK` that end with a line if they can."""
    found = []
    while start < end:
        stop = min(end, start + CHUNK)
        line = text.rfind("\n", start + CHUNK // 2, stop) if stop < end else -1
        stop = line + 1 if line > start else stop
        found.append(marked(text, start, stop, marks))
        start = stop
    return found


def marked(text: str, start: int, end: int, marks: Sequence[Mark]) -> Markup:
    """Characters `start` to `end` of a text as HTML with `<mark>`; of marks that overlap the first wins."""
    pieces: list[Markup] = []
    place = start
    for mark in sorted(marks, key=lambda mark: (mark.start, -mark.end)):
        first, last = max(mark.start, place), min(mark.end, end)
        if first >= last:
            continue
        pieces += [visible(text[place:first]), _MARKED.format(mark.kind, mark.label, visible(text[first:last]))]
        place = last
    return Markup("").join([*pieces, visible(text[place:end])])
