"""Compiled kernel: how often each of many words and phrases stands in a text, in one walk whatever their number."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from filters.compiled import compiled

Codes = npt.NDArray[np.uint32]
Indices = npt.NDArray[np.int64]
Counts = npt.NDArray[np.uint8]

_CODES: Final = 0x110000
_CASED: Final = 0x20000
"""Code points from here on have no other case."""
_WORD_CHARACTERS: Final = Path(__file__).parent / "data" / "word_characters.npy"
"""(k, 2) first and last code points."""
_OTHER, _OTHER_WORD = range(2)
"""Classes of characters that no phrase names: of no word, and of a word. Characters of phrases follow."""
_FIRST_NAMED: Final = 2
EDGE: Final = "|"
"""Stands in a phrase for any one character that is in no word, or for either end of the text."""
REST: Final = "*"
"""Stands in a phrase for the rest of a word, perhaps nothing."""
ALL: Final = 1 << 62
"""Characters of a text that is read to its end."""


class Spotter(NamedTuple):
    """A deterministic automaton over classes of characters, as flat arrays.

    Attributes:
        classes: (0x110000,) class of each code point; both cases of a letter have one.
        moves: (states * width,) the next state times `width`, at the state times `width` plus the class; negative
            where phrases end.
        width: classes.
        starts: (states + 1,) the labels of the phrases that end in state i are `labels[starts[i]:starts[i + 1]]`.
        labels: see above.
        num_labels: all of them.
    """

    classes: npt.NDArray[np.uint8]
    moves: npt.NDArray[np.int32]
    width: int
    starts: npt.NDArray[np.int32]
    labels: npt.NDArray[np.uint8]
    num_labels: int


class _Phrases(NamedTuple):
    """Phrases as sets of places, bit i of an integer standing for place i; those of a phrase follow each other.

    A text reaches the place behind a character by that character, and the last place of a phrase by the whole of it.
    """

    first: int
    """Before the first character of each phrase."""
    moved_on: list[int]
    """Of each class, the places that it moves on from."""
    stayed: list[int]
    """Of each class, the places that it leaves as they are: in the rest of a word."""
    labels: dict[int, int]
    """Of each last place, the label of its phrase."""


def build(groups: Sequence[Iterable[str]]) -> Spotter:
    r"""The automaton of some groups of phrases in lower case; the label of a group is its place.

    Case is folded, and words are made of characters, as Rust's regular expressions say of `(?i)` and `\w`.
    """
    named = sorted(set("".join("".join(group) for group in groups)) - {EDGE, REST})
    number = {char: at for at, char in enumerate(named, _FIRST_NAMED)}
    in_word = word_characters()
    classes = _classes(number, in_word)
    words = np.zeros(_FIRST_NAMED + len(named), dtype=np.bool_)
    words[_OTHER_WORD] = True
    words[_FIRST_NAMED:] = in_word[list(map(ord, named))]
    rows, ends = _determined(_phrases(groups, number, words.tolist()), len(words))
    starts = np.cumsum([0, *map(len, ends)]).astype(np.int32)
    labels = np.array([label for each in ends for label in each], dtype=np.uint8)
    moves = np.array(rows, dtype=np.int32)
    told = np.where(np.diff(starts) > 0, -1, 1)[moves]
    return Spotter(
        classes, (told * moves * len(words)).ravel().astype(np.int32), len(words), starts, labels, len(groups)
    )


def _classes(number: dict[str, int], in_word: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    classes = np.where(in_word, np.uint8(_OTHER_WORD), np.uint8(_OTHER))
    for code in range(_CASED):
        char = chr(code)
        own = number.get(char.casefold(), number.get(char.lower()))
        if own is not None:
            classes[code] = own
    return classes


def word_characters() -> npt.NDArray[np.bool_]:
    r"""(0x110000,) whether a code point is in a word: `\w` of Rust's regular expressions, Unicode 16.

    From a file, since to ask the expressions takes each process 22 MB.
    """
    found = np.zeros(_CODES, dtype=np.bool_)
    for first, last in np.load(_WORD_CHARACTERS).tolist():
        found[first : last + 1] = True
    return found


def _phrases(groups: Sequence[Iterable[str]], number: dict[str, int], words: Sequence[bool]) -> _Phrases:
    outside = [symbol for symbol, word in enumerate(words) if not word]
    inside = [symbol for symbol, word in enumerate(words) if word]
    made = _Phrases(0, [0] * len(words), [0] * len(words), {})
    first, place = 0, 0
    for label, group in enumerate(groups):
        for phrase in group:
            assert not phrase.endswith(REST), "an edge follows the rest of a word"
            first |= 1 << place
            for char in phrase:
                if char == REST:
                    for symbol in inside:
                        made.stayed[symbol] |= 1 << place
                    continue
                for symbol in outside if char == EDGE else (number[char],):
                    made.moved_on[symbol] |= 1 << place
                place += 1
            made.labels[place] = label
            place += 1
    return made._replace(first=first)


Node = tuple[int, tuple[int, ...]]
"""Places that may go on, as bits, and labels of the phrases that end."""


def _determined(phrases: _Phrases, width: int) -> tuple[list[list[int]], list[tuple[int, ...]]]:
    """States and their moves by subset construction; state 0 stands at the start of a text."""
    last = sum(1 << place for place in phrases.labels)

    def node(places: int) -> Node:
        ended, labels = places & last, []
        while ended:
            lowest = ended & -ended
            labels.append(phrases.labels[lowest.bit_length() - 1])
            ended ^= lowest
        return places & ~last, tuple(sorted(labels))

    # the start of a text is an edge as any character outside words is
    edge = phrases.first & phrases.moved_on[_OTHER]
    first: Node = (edge << 1, ())
    fresh = [(phrases.first & moved_on) << 1 for moved_on in phrases.moved_on]
    begun = [node(places) for places in fresh]  # where no phrase goes on, as mostly
    nodes, order, rows = {first: 0}, [first], []
    for places, _ in order:
        row = []
        for symbol in range(width):
            gone_on = (places & phrases.moved_on[symbol]) << 1 | places & phrases.stayed[symbol]
            reached = node(fresh[symbol] | gone_on) if gone_on else begun[symbol]
            if reached not in nodes:
                nodes[reached] = len(order)
                order.append(reached)
            row.append(nodes[reached])
        rows.append(row)
    return rows, [ended for _, ended in order]


@compiled
def _note(own: Counts, state: int, starts: npt.NDArray[np.int32], labels: Counts) -> None:
    for at in range(starts[state], starts[state + 1]):
        own[labels[at]] = min(own[labels[at]] + 1, 255)


@compiled
def _walk(
    codes: Codes,
    places: Indices,
    members: Indices,
    ends: Indices,
    most: int,
    classes: Counts,
    moves: npt.NDArray[np.int32],
    width: int,
    starts: npt.NDArray[np.int32],
    labels: Counts,
    num_labels: int,
) -> Counts:
    counts = np.zeros((len(ends) - 1, num_labels), dtype=np.uint8)
    for text in range(len(ends) - 1):
        own = counts[text]
        left = most
        state = np.int32(0)
        for at in range(ends[text], ends[text + 1]):
            first = places[members[at]]
            last = min(places[members[at] + 1], first + left)
            for place in range(first, last):
                state = moves[state + classes[codes[place]]]
                if state < 0:
                    state = -state
                    _note(own, state // width, starts, labels)
            # the line feed to the next message, or the end of the text
            state = moves[state + _OTHER]
            if state < 0:
                state = -state
                _note(own, state // width, starts, labels)
            left = max(left - (last - first) - 1, 0)
    return counts


def count(
    codes: Codes, starts: Indices, members: Indices, ends: Indices, spotter: Spotter, *, most: int = ALL
) -> Counts:
    """How often phrases of each group stand in some texts.

    Args:
        codes: (c,) code points of all messages.
        starts: (m + 1,) message i is `codes[starts[i]:starts[i + 1]]`.
        members: messages of all texts; those of a text are joined by line feeds.
        ends: (t + 1,) messages of text i are `members[ends[i]:ends[i + 1]]`.
        spotter: of the phrases, none of which holds a line feed.
        most: characters of a text that are read.

    Returns:
        (t, labels) uint8; 255 means as many or more. Phrases that overlap count each.
    """
    return _walk(codes, starts, members, ends, most, *spotter)
