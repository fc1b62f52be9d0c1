"""Beginning and end of texts, short enough to read."""

from typing import Final

from markupsafe import Markup

from flows.finding import NOWHERE, Part
from flows.report.number import count
from review.visible import visible

_SLACK: Final = 60  # a note that hides fewer characters than it has itself is no help
_NOTE: Final = Markup('<span class="note">{}</span>')


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
