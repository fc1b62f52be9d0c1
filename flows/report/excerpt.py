"""Texts nobody vouches for, made harmless and short enough to read."""

import re
from typing import Final

from markupsafe import Markup, escape

from flows.finding import NOWHERE, Part
from flows.report.number import count
from shards.schema import IMAGE_MARKER, VIDEO_MARKER

_SLACK: Final = 60  # a note that hides fewer characters than it has itself is no help

# C0 and C1 controls but tab and line feed, soft hyphen, Arabic and Mongolian marks, zero-width space, bidi marks,
# embeddings and isolates, line separators, invisible operators, byte order mark, lone surrogates, tag characters.
# Zero-width joiners stay: Indic scripts, Persian and emoji need them.
_INVISIBLE: Final = (
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
_ODD: Final = re.compile(
    rf"(?P<code>{_INVISIBLE})(?P=code)*|\n{{4,}}|(?P<marker>{IMAGE_MARKER}|{VIDEO_MARKER})(?:\s*(?P=marker))*"
)
_NOTE: Final = Markup('<span class="note">{}</span>')
_MARKER: Final = Markup('<span class="marker">{}</span>')


def visible(text: str) -> Markup:
    """Text as HTML: escaped, invisible and direction-changing characters spelled out, picture markers as chips."""
    pieces: list[Markup] = []
    end = 0
    for match in _ODD.finditer(text):
        pieces += [escape(text[end : match.start()]), _spelled(match)]
        end = match.end()
    return Markup("").join([*pieces, escape(text[end:])])


def plain(text: str) -> str:
    """Text for attributes and charts: invisible and direction-changing characters spelled out, no markup."""
    return _ODD.sub(lambda match: Markup(_spelled(match)).striptags() if match["code"] else match[0], text)


def _spelled(match: re.Match[str]) -> Markup:
    found = match[0]
    if marker := match["marker"]:
        return _MARKER.format(marker.strip("<>") + _times(found.count(marker)))
    if found[0] == "\n":
        return Markup("\n") + _NOTE.format(f"{count(len(found))} line breaks") + Markup("\n")
    return _NOTE.format(f"U+{ord(found[0]):04X}{_times(len(found))}")


def _times(number: int) -> str:
    return f" x {count(number)}" if number > 1 else ""


def excerpt(text: str, head: int, tail: int, marked: Part = NOWHERE) -> Markup:
    """Beginning and end of a text as HTML, with a note of how many characters lie between.

    What is shown of the part `marked` stands in `<mark>`.
    """
    if not text.strip():
        return _NOTE.format(f"{count(len(text))} characters of white space" if text else "empty")
    hidden = len(text) - head - tail
    if hidden <= _SLACK:
        return _with_mark(text, 0, marked)
    note = Markup('<span class="cut">{} characters hidden</span>').format(count(hidden))
    begin, end = text[:head].rstrip(), text[-tail:].lstrip()
    return _with_mark(begin, 0, marked) + note + _with_mark(end, len(text) - len(end), marked)


def _with_mark(text: str, offset: int, marked: Part) -> Markup:
    """Text that stands at `offset` of a longer one, the part `marked` of that one in `<mark>`."""
    first, last = (min(max(place - offset, 0), len(text)) for place in marked)
    if first >= last:
        return visible(text)
    return visible(text[:first]) + Markup("<mark>{}</mark>").format(visible(text[first:last])) + visible(text[last:])
