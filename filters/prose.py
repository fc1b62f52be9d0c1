"""Compiled kernel: words, lines and sentences of a text, and how it ends."""

from typing import Final

import numpy as np
import numpy.typing as npt

from filters.compiled import compiled, is_space, within
from filters.kinds import COMBINING, DIGIT, LATIN_LOWER, SPACE, kind_of
from filters.letters import HAN, LETTERS, MARKS, SPACES

Codes = npt.NDArray[np.uint32]
Indices = npt.NDArray[np.int64]

(CHARS, WORDS, LINES, LONGEST_WORD, WORD_CHARS, SENTENCES, LONGEST_SENTENCE, SENTENCE_WORDS, TERMINATED, ENDING) = (
    range(10)
)
"""Rows of `measure`: characters between the white space at both ends; words; lines with text; characters of the longest
word and of all words; sentences, words of the longest and of all; sentences that a mark ends; how the text ends."""
NUM_ROWS: Final = 10

COMPLETE, FENCE, BRACKET, COMMA, OPEN_SENTENCE = range(5)
"""How a text ends: as it should or nobody knows; within a code fence; within a bracket; with a mark after which
something follows; without the mark that all its other sentences have."""

_NEW_LINE: Final = 0x0A
_TICK: Final = ord("`")
_PARENTHESIS: Final = ord(")")
_ASCII: Final = 0x80
_OPENERS: Final = (ord("("), ord("["), 0xFF08, 0x3010)
_CLOSERS: Final = (ord(")"), ord("]"), 0xFF09, 0x3011)
_MARKS: Final = (ord("."), ord("!"), ord("?"), ord(":"), 0x61F, 0x6D4, 0x964, 0x965, 0x2026, 0x1362, 0x104B, 0x17D4)
_WIDE_MARKS: Final = (0x3002, 0xFF01, 0xFF1F, 0xFF0E, 0xFF61)
_QUOTES: Final = (ord('"'), ord("'"), ord("*"), ord("_"), ord("`"), 0x2019, 0x201D, 0x300D, 0x300F, 0xBB, 0x7D)
_COMMAS: Final = (ord(","), ord("("), ord("["), 0x3001, 0xFF0C, 0x60C)
_LIST_SIGNS: Final = (ord("-"), ord("*"), ord("+"), 0x2022, 0x25CF, 0x25E6, 0x2013)
_LINE_SIGNS: Final = (ord("|"), ord("#"), ord("<"), ord("{"), ord("}"), ord("$"), ord("\\"))
_CODE_SIGNS: Final = tuple(ord(sign) for sign in "\\{}<>|_=@#")
_FEWEST_SENTENCES: Final = 3  # ended by marks, before a missing last mark says anything
_FEWEST_WORDS: Final = 6  # in a line without a last mark; names below a letter have fewer
_FEWEST_TAIL: Final = 4  # words before a last comma; letters end with "Best regards,"
_OPEN_WORDS: Final = 8  # in an answer whose last comma or bracket says anything
_PLANE: Final = 0x10000
_OTHER, _LETTER, _SINGLE, _PARTS, _SIGN, _OPENER, _CLOSER, _MARK, _FEED = 0, 1, 2, 4, 8, 16, 32, 64, 128
_BOUND: Final = _OPENER | _CLOSER | _MARK
_RARE: Final = _BOUND | _SINGLE | _FEED
_PARTS_BIT, _SIGN_BIT = 2, 3


def _traits() -> npt.NDArray[np.uint8]:
    """What each character does to words and sentences, as bits."""
    traits = np.zeros(_PLANE, dtype=np.uint8)
    for ranges, bits in ((LETTERS, _LETTER), (MARKS, _PARTS), (SPACES, _PARTS), (HAN, _SINGLE | _PARTS)):
        for low, high in ranges:
            traits[low : min(high, _PLANE - 1) + 1] = bits
    for codes, bit in ((_OPENERS, _OPENER), (_CLOSERS, _CLOSER), (_MARKS + _WIDE_MARKS, _MARK), (_CODE_SIGNS, _SIGN)):
        for code in codes:
            # a mark among letters (Ethiopic, Burmese, Khmer) is none of them
            traits[code] = (traits[code] & _PARTS) | bit
    traits[_NEW_LINE] |= _FEED
    return traits


_TRAITS: Final = _traits()


@compiled
def _has_text(codes: Codes, place: int, last: int) -> bool:
    """Whether the line that starts here holds anything but white space."""
    while place < last and codes[place] != _NEW_LINE:
        if not is_space(codes[place]):
            return True
        place += 1
    return False


@compiled
def _line_is_prose(codes: Codes, place: int, last: int) -> bool:
    """Whether the line that starts here may hold sentences: no list item, table row, heading, markup or code."""
    indent = 0
    while place < last and codes[place] != _NEW_LINE and kind_of(codes[place]) == SPACE:
        indent += 1
        place += 1
    if indent >= 4 or place == last:  # noqa: PLR2004  Markdown's indent of code
        return False
    code = codes[place]
    if code in _LINE_SIGNS:
        return False
    if code in _LIST_SIGNS:
        return place + 1 < last and kind_of(codes[place + 1]) not in (SPACE, DIGIT)
    if place + 1 < last and codes[place + 1] == _PARENTHESIS:
        return False  # a), b)
    digits = 0
    while place < last and kind_of(codes[place]) == DIGIT and digits < 4:  # noqa: PLR2004
        place += 1
        digits += 1
    return not (digits and place < last and codes[place] in (ord("."), ord(")"), ord(":")))


@compiled
def _is_fence(codes: Codes, place: int, last: int) -> bool:
    """Whether the line that starts here opens or closes a code fence."""
    while place < last and codes[place] != _NEW_LINE and kind_of(codes[place]) == SPACE:
        place += 1
    return place + 2 < last and codes[place] == _TICK and codes[place + 1] == _TICK and codes[place + 2] == _TICK


@compiled
def _goes_on(codes: Codes, place: int, last: int) -> bool:
    """Whether the line after this line feed goes on with the sentence: it starts with a small letter."""
    place += 1
    if place < last and codes[place] == ord(" "):
        place += 1
    return place < last and kind_of(codes[place]) in (LATIN_LOWER, LATIN_LOWER + 2, LATIN_LOWER + 4)


@compiled
def _ends_sentence(codes: Codes, place: int, last: int) -> bool:
    """Whether the mark at this place ends a sentence; marks of spaced scripts need white space or a quote after."""
    code = codes[place]
    if code in _WIDE_MARKS:
        return True
    if code not in _MARKS:
        return False
    place += 1
    return place >= last or kind_of(codes[place]) == SPACE or codes[place] in _QUOTES or codes[place] in _CLOSERS


@compiled
def _ending(
    codes: Codes,
    first: int,
    last: int,
    fenced: bool,
    depth: int,
    words: int,
    terminated: int,
    open_lines: int,
    tail: int,
) -> int:
    """How a text without white space at its end ends; `tail` are the words of an open last sentence."""
    if fenced:
        return FENCE
    if words < _OPEN_WORDS:
        return COMPLETE
    place = last - 1
    while place > first and codes[place] in _QUOTES:
        place -= 1
    if codes[place] in _COMMAS:
        return COMMA if tail >= _FEWEST_TAIL else COMPLETE
    if codes[place] in _MARKS or codes[place] in _WIDE_MARKS:
        return COMPLETE
    if depth > 0 and kind_of(codes[place]) != SPACE and codes[place] not in _CLOSERS:
        return BRACKET
    letter = LATIN_LOWER <= kind_of(codes[place]) <= COMBINING
    if letter and tail >= _FEWEST_WORDS and terminated >= _FEWEST_SENTENCES and open_lines == 0:
        return OPEN_SENTENCE
    return COMPLETE


@compiled
def measure(codes: Codes, starts: Indices, chosen: Indices) -> npt.NDArray[np.int32]:
    """Sizes and endings of some texts.

    A word is a Han or kana character, or a run of others up to white space or CJK marks, as `filters.letters.WORD`
    says. A sentence is a run of words with a letter and without a sign of code, up to a mark of its script, within
    lines of prose; a line that starts with a small letter goes on with the sentence of the line before.

    Args:
        codes: (c,) code points of all texts.
        starts: (m + 1,) text i is `codes[starts[i]:starts[i + 1]]`.
        chosen: (k,) texts that are measured.

    Returns:
        (NUM_ROWS, k) int32, see the rows named above.
    """
    found = np.zeros((len(chosen), NUM_ROWS), dtype=np.int32)
    for row in range(len(chosen)):
        _measure(codes, starts[chosen[row]], starts[chosen[row] + 1], found[row])
    return found.T.copy()


@compiled
def _trait(code: int) -> int:
    if code < _PLANE:
        return int(_TRAITS[code])
    return _SINGLE | _PARTS if within(code, HAN) else _OTHER


@compiled
def _measure(codes: Codes, first: int, last: int, own: npt.NDArray[np.int32]) -> None:  # noqa: C901, PLR0912, PLR0915  one walk
    # There is no branch where a word ends, which no processor foretells; truth is 0 or 1, since with booleans the
    # compiler puts the branch back.
    while first < last and is_space(codes[first]):
        first += 1
    while last > first and is_space(codes[last - 1]):
        last -= 1
    own[CHARS] = last - first
    prose, new_line, fenced = 1, True, False
    letters = signs = size = words = word_chars = longest = sentence = depth = open_lines = 0
    for place in range(first, last + 1):
        code = int(codes[place]) if place < last else _NEW_LINE
        trait = _trait(code)
        if new_line:
            if trait == _LETTER and code < _ASCII and (place + 1 == last or codes[place + 1] != _PARENTHESIS):
                # what most lines start with
                prose = int(not fenced)
                own[LINES] += 1
            else:
                fence = _is_fence(codes, place, last)
                fenced = fenced != fence
                prose = int(not fenced and not fence and _line_is_prose(codes, place, last))
                own[LINES] += _has_text(codes, place, last)
            new_line = False
        parts = trait >> _PARTS_BIT & 1
        ended = parts & int(size > 0)
        words += ended
        sentence += ended & prose & letters & (signs ^ 1)
        size = (size + 1) * (parts ^ 1)
        word_chars += parts ^ 1
        longest = max(longest, size)
        letters = (letters | trait & _LETTER) & (parts ^ 1)
        signs = (signs | trait >> _SIGN_BIT & 1) & (parts ^ 1)
        if not trait & _RARE:
            continue
        if trait & _SINGLE:
            words += 1
            word_chars += 1
            longest = max(longest, 1)
            sentence += prose
        if prose and trait & _BOUND:
            if trait & _OPENER:
                depth += 1
            elif trait & _CLOSER:
                depth = max(depth - 1, 0)
            elif place < last and _ends_sentence(codes, place, last):
                # the word before an ASCII mark is still open; the mark is part of it
                sentence += int(size > 0) & letters & (signs ^ 1)
                letters = 0
                own[TERMINATED] += sentence > 0
                _close(own, sentence)
                sentence = 0
        if code == _NEW_LINE:
            new_line = True
            if place == last:
                own[ENDING] = _ending(codes, first, last, fenced, depth, words, own[TERMINATED], open_lines, sentence)
            if sentence and not _goes_on(codes, place, last):
                open_lines += 1
                _close(own, sentence)
                sentence = depth = 0
    own[WORDS], own[WORD_CHARS], own[LONGEST_WORD] = words, word_chars, longest


@compiled
def _close(own: npt.NDArray[np.int32], sentence: int) -> None:
    """Count a sentence of so many words, if it has any."""
    if sentence:
        own[SENTENCES] += 1
        own[SENTENCE_WORDS] += sentence
        own[LONGEST_SENTENCE] = max(own[LONGEST_SENTENCE], sentence)
