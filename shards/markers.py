r"""Where media stand in stored text, and how literal `<image>` and `<video>` of upstream text are kept apart.

A literal token carries one backslash more than it had upstream: `<image>` is stored as `<\image>`, `<\image>` as
`<\\image>`, and so on; `unescape` takes one away again.
"""

import re
from typing import Final

_TOKEN: Final = re.compile(r"<(\\*)(image|video)>")
_ESCAPED: Final = re.compile(r"<\\(\\*)(image|video)>")
_MARKER: Final = re.compile("(<image>|<video>)")


def escape(text: str) -> str:
    r"""Make every `<image>` and `<video>` of `text` literal, by one more backslash after the `<`."""
    return _TOKEN.sub(r"<\\\1\2>", text)


def escape_literals(text: str) -> str:
    r"""Escape only what would read as escaped (`<\image>`); `<image>` and `<video>` stay markers."""
    return _ESCAPED.sub(r"<\\\\\1\2>", text)


def unescape(text: str) -> str:
    """Undo `escape` and `escape_literals`; markers stay as they are."""
    return _ESCAPED.sub(r"<\1\2>", text)


def pieces(text: str) -> list[str]:
    """Stored text cut at its markers: text, marker, text, marker, text; texts may be empty and are still escaped."""
    return _MARKER.split(text)


def place_in(text: str, place: int) -> int:
    """Where the character stands in a text that is number `place` once the markers are taken out of it.

    >>> place_in("<image>ab<video>c", 2)
    16
    """
    for match in _MARKER.finditer(text):
        if match.start() > place:
            break
        place += len(match[0])
    return place
