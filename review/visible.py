"""Texts nobody vouches for as HTML: escaped, nothing invisible in them, picture markers as chips.

The report and the review page both show samples so.
"""

import re
from typing import Final

from markupsafe import Markup, escape

from shards.markers import unescape
from shards.schema import IMAGE_MARKER, VIDEO_MARKER

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


def visible(text: str) -> Markup:
    """Text as HTML: escaped, invisible and direction-changing characters spelled out, picture markers as chips."""
    pieces: list[Markup] = []
    end = 0
    for match in _ODD.finditer(text):
        pieces += [escape(text[end : match.start()]), _spelled(match)]
        end = match.end()
    return Markup("").join([*pieces, escape(text[end:])])


def plain(text: str) -> str:
    """Text for titles, attributes and charts: invisible and direction-changing characters spelled out, no markup."""
    return _ODD.sub(lambda match: f"[{_code(match[0])}]" if match["code"] else match[0], text)


def _spelled(match: re.Match[str]) -> Markup:
    found = match[0]
    if marker := match["marker"]:
        return _MARKER.format(marker.strip("<>") + _times(found.count(marker)))
    if match["literal"]:
        return escape(unescape(found))
    if found[0] == "\n":
        return Markup("\n") + _NOTE.format(f"{len(found):,} line breaks") + Markup("\n")
    return _NOTE.format(_code(found))


def _code(found: str) -> str:
    return f"U+{ord(found[0]):04X}{_times(len(found))}"


def _times(number: int) -> str:
    return f" x {number:,}" if number > 1 else ""
