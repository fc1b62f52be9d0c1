"""JSON text to values: whole files in a bounded window, and single lines."""

import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple, TextIO

CHUNK: Final = 1 << 20
"""Characters read at a time; an element that is longer doubles the window. Ours."""

_FIRST_LINE: Final = 1 << 26
"""Longest first line (characters) that is tried as a row of a JSONL file with the wrong ending. Ours."""

_LONGEST_WORD: Final = 16
"""No JSON word, escape or delimiter that a window can cut is longer (`-Infinity` has 9 characters)."""

# NaN and Infinity are not JSON; pandas writes NaN where a value is absent, hence null.
_DECODER: Final = json.JSONDecoder(parse_constant=lambda _: None)


WRAPPER: Final = "data"
"""An object whose only member has this name and is a list is read as that list."""


class Broken(NamedTuple):
    """Stands for a row that is not readable; `why` is a phrase for people."""

    why: str


def open_bytes(path: Path) -> io.BufferedReader:
    """A file as bytes, unpacked on the way where its name ends in `.gz`."""
    return io.BufferedReader(gzip.GzipFile(path)) if path.suffix == ".gz" else path.open("rb")


def open_text(path: Path, *, newline: str = "", errors: str = "strict") -> TextIO:
    """A file as UTF-8 text without its byte order mark, unpacked on the way where its name ends in `.gz`."""
    return io.TextIOWrapper(open_bytes(path), encoding="utf-8-sig", errors=errors, newline=newline)


def parse_line(line: bytes) -> object:
    """The value of one line, or `Broken`."""
    if not line:
        return Broken("expected a JSON value, found an empty line")
    try:
        text = line.decode("utf-8")
        value, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError) as error:
        return Broken(f"expected a JSON value, found {error}")
    if end != len(text):
        return Broken(f"expected one JSON value, found more text after character {end}")
    return _encodable(value, "\\ud" in text or "\\uD" in text)


def iter_elements(path: Path) -> Iterator[tuple[str, object]]:
    """Name and value of each element of a JSON array (name empty) or of a JSON object.

    Memory is bounded by the longest element, not by the file. `{"data": [...]}` is read as the array.

    Raises:
        ValueError: the text is not a JSON array or object up to its end.
    """
    with open_text(path) as file:
        window = _Window(file)
        if window.take("[{") == "[":
            yield from _rest(window, "]")
        elif window.peek() == "}":
            window.take("}")
        else:
            name = window.name()
            if name == WRAPPER and window.peek() == "[":
                window.take("[")
                yield from _rest(window, "]")
                window.take("}")
            else:
                yield name, window.value()
                if window.take(",}") == ",":
                    yield from _more(window, "}")
        if window.peek():
            raise ValueError(f"expected the end of the file, found more text at character {window.position}")


def iter_nested(path: Path) -> Iterator[tuple[str, str, object]]:
    """Section, name and value of each element of the arrays (name empty) and objects in one JSON object.

    A section that is neither has one value and no name. Memory is bounded by the longest element.

    Raises:
        ValueError: the text is not a JSON object up to its end.
    """
    with open_text(path) as file:
        window = _Window(file)
        window.take("{")
        more = window.peek() != "}"
        if not more:
            window.take("}")
        while more:
            section = window.name()
            if window.peek() in ("[", "{"):
                close = "]" if window.take("[{") == "[" else "}"
                yield from ((section, name, value) for name, value in _rest(window, close))
            else:
                yield section, "", window.value()
            more = window.take(",}") == ","
        if window.peek():
            raise ValueError(f"expected the end of the file, found more text at character {window.position}")


def _rest(window: "_Window", close: str) -> Iterator[tuple[str, object]]:
    """The elements of an array or object whose opening bracket is taken, and that of its end."""
    if window.peek() == close:
        window.take(close)
    else:
        yield from _more(window, close)


def _more(window: "_Window", close: str) -> Iterator[tuple[str, object]]:
    more = True
    while more:
        yield window.name() if close == "}" else "", window.value()
        more = window.take("," + close) == ","


def is_lines(path: Path) -> bool:
    """Whether a `.json` file holds one JSON object per line, a spelling that the hub is full of."""
    with open_text(path, newline="\n", errors="replace") as file:
        first = file.readline(_FIRST_LINE).strip()
        if not (first.startswith("{") and first.endswith("}")):
            return False
        more = any(not line.isspace() for line in file)
    return more and not isinstance(parse_line(first.encode()), Broken)


class _Window:
    """A window on a JSON text: grows at its right end, is cut at its left."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._text = ""
        self._at = 0
        self._cut = 0
        self._ended = False

    @property
    def position(self) -> int:
        """Characters from the start of the file."""
        return self._cut + self._at

    def peek(self) -> str:
        """The next character that is not blank, empty at the end of the file."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in " \t\r\n":
                    return self._text[self._at]
                self._at += 1
            if self._ended:
                return ""
            self._grow()

    def take(self, expected: str) -> str:
        """Step over the next character, which is one of `expected`."""
        found = self.peek()
        if not found or found not in expected:
            wanted = " or ".join(f"`{c}`" for c in expected)
            raise ValueError(
                f"expected {wanted} at character {self.position}, found {f'`{found}`' if found else 'the end'}"
            )
        self._at += 1
        return found

    def name(self) -> str:
        """Step over a name and its colon."""
        found = self.value()
        if not isinstance(found, str):
            raise ValueError(f"expected a name in quotes before character {self.position}")
        self.take(":")
        return found

    def value(self) -> object:
        """Step over one value."""
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except RecursionError as error:
                raise ValueError(f"nested too deeply after character {self.position}") from error
            except json.JSONDecodeError as error:
                cut_off = error.msg.startswith("Unterminated string") or error.pos > len(self._text) - _LONGEST_WORD
                if self._ended or not cut_off:
                    raise ValueError(f"{error.msg} at character {self._cut + error.pos}") from error
            else:
                if end < len(self._text) or self._ended:  # a number could go on in the next chunk
                    suspect = any(self._text.find(mark, self._at, end) >= 0 for mark in ("\\ud", "\\uD"))
                    self._at = end
                    return _encodable(value, suspect)
            self._grow()

    def _grow(self) -> None:
        rest = self._text[self._at :]
        more = self._file.read(max(CHUNK, len(rest)))
        self._ended = not more
        self._cut += self._at
        self._at = 0
        self._text = rest + more


def _encodable(value: object, suspect: bool) -> object:
    # `\ud800` alone is valid JSON and no valid text: Arrow would refuse the whole batch much later.
    if suspect:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return Broken("expected text, found half of a surrogate pair")
    return value
