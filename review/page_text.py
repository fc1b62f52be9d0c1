"""Texts of samples as HTML: escaped, nothing invisible in them, marked where a rule hit, folded where they are long."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal, NamedTuple

from markupsafe import Markup, escape

from shards.markers import unescape
from shards.schema import IMAGE_MARKER, VIDEO_MARKER

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


# C0 and C1 controls but tab and line feed, soft hyphen, Arabic and Mongolian marks, zero-width space, bidi marks,
# embeddings and isolates, line separators, invisible operators and fillers, variation selectors past emoji's, byte
# order mark, lone surrogates, tag characters. Zero-width joiners stay between two letters or emoji that they join.
_INVISIBLE: Final = (
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u200e\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
_LONELY_JOINER: Final = "(?<![^\\s\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\\s\x00-\x7f])"
_ODD: Final = re.compile(
    rf"(?P<code>{_INVISIBLE}|{_LONELY_JOINER})(?P=code)*"
    rf"|\n{{4,}}|(?P<marker>{IMAGE_MARKER}|{VIDEO_MARKER})(?:\s*(?P=marker))*|(?P<literal><\\+(?:image|video)>)"
)
_NOTE: Final = Markup('<span class="note">{}</span>')
_MARKER: Final = Markup('<span class="marker">{}</span>')
_MARKED: Final = Markup('<mark class="{}" title="{}">{}</mark>')


def visible(text: str) -> Markup:
    """Text as HTML: escaped, invisible and direction-changing characters spelled out, picture markers as chips."""
    pieces: list[Markup] = []
    end = 0
    for match in _ODD.finditer(text):
        pieces += [escape(text[end : match.start()]), _spelled(match)]
        end = match.end()
    return Markup("").join([*pieces, escape(text[end:])])


def plain(text: str) -> str:
    """Text for titles and options: invisible and direction-changing characters spelled out, no markup."""
    return _ODD.sub(lambda match: f"[U+{ord(match[0][0]):04X}]" if match["code"] else match[0], text)


def _spelled(match: re.Match[str]) -> Markup:
    found = match[0]
    if marker := match["marker"]:
        return _MARKER.format(marker.strip("<>") + _times(found.count(marker)))
    if match["literal"]:
        return escape(unescape(found))
    if found[0] == "\n":
        return Markup("\n") + _NOTE.format(f"{len(found):,} line breaks") + Markup("\n")
    return _NOTE.format(f"U+{ord(found[0]):04X}{_times(len(found))}")


def _times(number: int) -> str:
    return f" x {number:,}" if number > 1 else ""


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
