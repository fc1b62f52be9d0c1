"""Compiled kernel: all phrases of a table found in one walk over the text, whatever their number."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from filters.compiled import compiled, is_space
from filters.letters import SPACES

Codes = npt.NDArray[np.uint32]
Indices = npt.NDArray[np.int64]
States = npt.NDArray[np.int16]

_PLANE: Final = 0x10000
_OTHER, _SPACE, _FEED, _TICKED, _OTHER_WORD = range(5)
"""Classes: a character of no phrase; white space; a line feed, which moves as a space does; a back tick; a letter or
digit of no phrase. Characters of phrases follow."""
_FIRST_SYMBOL: Final = 5
ON_LINE_START, OPEN_END, TOGGLES = 1, 2, 4
"""Bits of `Automaton.flags`: counts only as the first text of its line; may go on as a longer word; is a code fence."""

_WORDS_END: Final = 0x530
"""Scripts from here on part no words."""
_NEW_LINE: Final = 0x0A
_TICK: Final = 0x60
_SAME: Final = {
    "\u2018": "'",
    "\u2019": "'",
    "\uff1a": ":",
    "\uff0c": ",",
    "\u3000": " ",
}
"""Characters that count as another one."""


class Automaton(NamedTuple):
    """An Aho-Corasick automaton over classes of characters, as flat arrays.

    Phrases that start with a letter are looked for at the starts of words only, so within most words it rests.

    Attributes:
        classes: (65536,) class of each code point; ASCII letters have one class for both cases.
        moves: (states * width,) the next state times `width`, at the state times `width` plus the class; negative
            where a phrase ends.
        width: classes.
        found: (states,) the longest phrase that ends in a state, or -1.
        shorter: (phrases,) the next shorter phrase that ends where this one does, or -1.
        sizes: (phrases,) characters, each run of white space being one.
        flags: (phrases,) bits, see above.
    """

    classes: npt.NDArray[np.uint16]
    moves: npt.NDArray[np.int32]
    width: int
    found: States
    shorter: States
    sizes: States
    flags: npt.NDArray[np.uint8]


class Hits(NamedTuple):
    """Phrases found: (h,) arrays in the order in which they end.

    Attributes:
        message: index of the text.
        phrase: index of the phrase.
        start: place of its first character among all code points.
        end: place after its last character.
        in_code: whether it stands in a code fence or between back ticks.
    """

    message: Indices
    phrase: Indices
    start: Indices
    end: Indices
    in_code: npt.NDArray[np.bool_]


def build(phrases: Sequence[str], flags: Sequence[int]) -> Automaton:
    """The automaton of distinct phrases in lower case, with single spaces within."""
    assert len(set(phrases)) == len(phrases), "phrases differ"
    symbols = sorted(set("".join(phrases)) - {" ", "`"})
    number = {" ": _SPACE, "`": _TICKED} | {symbol: at for at, symbol in enumerate(symbols, _FIRST_SYMBOL)}
    classes = np.full(_PLANE, _OTHER, dtype=np.uint16)
    # all others are no words: to ask each code point would take 50 ms in every process
    spaces = {code for low, high in SPACES for code in range(low, high + 1)}
    for code in {*range(_WORDS_END), *spaces, *map(ord, number), *map(ord, _SAME)}:
        classes[code] = _class(code, number)
    words = np.array([False] * _FIRST_SYMBOL + [bool(_is_word(ord(symbol))) for symbol in symbols])
    words[_OTHER_WORD] = True
    children, ends = _trie([[number[char] for char in phrase] for phrase in phrases])
    moves, found, shorter = _link(children, ends, words)
    width = len(words)
    sizes = np.array([len(phrase) for phrase in phrases], dtype=np.int16)
    flat = (np.where(found >= 0, -1, 1)[moves] * moves.astype(np.int32) * width).astype(np.int32).ravel()
    return Automaton(classes, flat, width, found, shorter, sizes, np.array(flags, dtype=np.uint8))


def _class(code: int, number: dict[str, int]) -> int:
    if code == _NEW_LINE:
        return _FEED
    if is_space(code):
        return _SPACE
    char = _SAME.get(chr(code), chr(code))
    return number.get(char.lower() if char.isascii() else char, _OTHER_WORD if _is_word(code) else _OTHER)


def _trie(phrases: Sequence[Sequence[int]]) -> tuple[list[dict[int, int]], dict[int, int]]:
    """Children of each state, and the phrase that ends in a state; states 0 and 1 are both roots, see `_link`."""
    children: list[dict[int, int]] = [{}, {}]
    ends: dict[int, int] = {}
    for index, phrase in enumerate(phrases):
        state = 0
        for symbol in phrase:
            if symbol not in children[state]:
                children.append({})
                children[state][symbol] = len(children) - 1
            state = children[state][symbol]
        ends[state] = index
    assert len(children) < np.iinfo(np.int16).max
    return children, ends


def _link(
    children: list[dict[int, int]], ends: dict[int, int], words: npt.NDArray[np.bool_]
) -> tuple[States, States, States]:
    """Breadth first: where a state has no child it moves as the state of its longest proper suffix does.

    State 0 is the root at the start of a word or beside marks, state 1 the root within a word: there a letter starts
    no phrase, so suffixes that start within a word are none.
    """
    moves = np.zeros((len(children), len(words)), dtype=np.int16)
    found = np.full(len(children), -1, dtype=np.int16)
    shorter = np.full(len(ends), -1, dtype=np.int16)
    suffix = {0: 0, 1: 1}
    moves[:2, words] = 1
    for symbol, child in children[0].items():
        moves[0, symbol] = child
        moves[1, symbol] = 1 if words[symbol] else child
    queue = [(child, symbol) for symbol, child in children[0].items()]
    suffix |= {child: int(words[symbol]) for child, symbol in queue}
    for state, _ in queue:
        moves[state] = moves[suffix[state]]
        found[state] = ends.get(state, found[suffix[state]])
        if state in ends:
            shorter[ends[state]] = found[suffix[state]]
        for symbol, child in children[state].items():
            suffix[child] = int(moves[state, symbol])
            moves[state, symbol] = child
            queue.append((child, symbol))
    moves[:, _FEED] = moves[:, _SPACE]
    return moves, found, shorter


@compiled
def _is_word(code: int) -> bool:
    """A letter or digit of a script that parts words: ASCII, Latin, Greek, Cyrillic."""
    if code < 0x80:  # noqa: PLR2004
        return 0x30 <= code <= 0x39 or 0x41 <= code <= 0x5A or 0x61 <= code <= 0x7A  # noqa: PLR2004
    return 0xC0 <= code < _WORDS_END and code not in (0xD7, 0xF7)  # noqa: PLR2004


@compiled
def _start(codes: Codes, first: int, end: int, size: int) -> int:
    """Where a phrase of `size` characters starts that ends before `end`; runs of white space count once."""
    place = end
    gap = False
    while size > 0 and place > first:
        space = is_space(codes[place - 1])
        if not (space and gap):
            size -= 1
        gap = space
        place -= 1
    return place


@compiled
def _stands(codes: Codes, first: int, last: int, start: int, end: int, flags: int) -> bool:
    """Whether a phrase is bounded as it should be, within the text `codes[first:last]`."""
    if not flags & OPEN_END and end < last and _is_word(codes[end - 1]) and _is_word(codes[end]):
        return False
    if flags & ON_LINE_START:
        place = start - 1
        while place >= first and codes[place] != _NEW_LINE:
            if not is_space(codes[place]):
                return False
            place -= 1
    return True


@compiled
def _grown(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    larger = np.empty((2 * len(rows), rows.shape[1]), dtype=np.int64)
    larger[: len(rows)] = rows
    return larger


@compiled
def _walk(  # noqa: C901  one walk
    codes: Codes,
    starts: Indices,
    classes: npt.NDArray[np.uint16],
    moves: npt.NDArray[np.int32],
    width: int,
    found: States,
    shorter: States,
    sizes: States,
    flags: npt.NDArray[np.uint8],
) -> npt.NDArray[np.int64]:
    rows = np.empty((1024, 5), dtype=np.int64)
    size = 0
    for text in range(len(starts) - 1):
        first, last = starts[text], starts[text + 1]
        state = np.int32(0)
        fenced = ticked = False
        spaced = 0
        for place in range(first, last):
            code = codes[place]
            symbol = np.int64(classes[code]) if code < _PLANE else np.int64(_OTHER)
            if int(symbol == _FEED) | int(symbol == _TICKED):
                ticked = symbol == _TICKED and not ticked
            # 0 or 1, and no branch of its own: where a word ends cannot be foretold
            space = int(symbol == _SPACE) | int(symbol == _FEED)
            again = space & spaced
            spaced = space
            if again:
                continue
            state = moves[state + symbol]
            if state >= 0:
                continue
            state = -state
            phrase = found[state // width]
            while phrase >= 0:
                if flags[phrase] & TOGGLES:
                    # a fence may have more than three ticks; it is one fence
                    fenced = fenced != (place - 3 < first or codes[place - 3] != _TICK)
                    ticked = False
                else:
                    start = _start(codes, first, place + 1, sizes[phrase])
                    if _stands(codes, first, last, start, place + 1, flags[phrase]):
                        if size == len(rows):
                            rows = _grown(rows)
                        rows[size, 0], rows[size, 1] = text, phrase
                        rows[size, 2], rows[size, 3] = start, place + 1
                        rows[size, 4] = fenced or ticked
                        size += 1
                phrase = shorter[phrase]
    return rows[:size]


def find(codes: Codes, starts: Indices, automaton: Automaton) -> Hits:
    """Every phrase in every text; one that starts or ends inside a longer word is none.

    Args:
        codes: (c,) code points of all texts.
        starts: (m + 1,) text i is `codes[starts[i]:starts[i + 1]]`.
        automaton: of the phrases.
    """
    rows = _walk(codes, starts, *automaton)
    message, phrase, start, end, in_code = rows.T
    return Hits(message, phrase, start, end, in_code.astype(np.bool_))


@compiled
def url_chars(codes: Codes, starts: Indices, messages: Indices, places: Indices) -> Indices:
    """Characters of the web addresses that start at these places, in ascending order: (h,) int64.

    An address goes up to white space, a bracket, a quote or CJK text; 0 for one that lies in the one before.
    """
    sizes = np.zeros(len(places), dtype=np.int64)
    end = np.int64(0)
    for row in range(len(places)):
        if places[row] < end:
            continue
        end = places[row]
        while end < starts[messages[row] + 1] and not _parts_url(codes[end]):
            end += 1
        sizes[row] = end - places[row]
    return sizes


@compiled
def _parts_url(code: int) -> bool:
    return code in (0x22, 0x27, 0x3C, 0x3E, 0x29, 0x5D, 0x7D, 0x60) or code >= 0x2000 or is_space(code)  # noqa: PLR2004
