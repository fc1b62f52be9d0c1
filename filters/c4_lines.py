"""Compiled kernels of C4's cleaning: which lines of a text it would keep, and what the text has left.

What upstream removes is measured here; no text is changed.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from filters.code_bits import ANCHOR, BLANK, DIGIT, ENDER, LINE_END, Bits
from filters.compiled import compiled

Codes = npt.NDArray[np.uint32]
Starts = npt.NDArray[np.int64]
Row = npt.NDArray[np.float64]

_KELVIN: Final = 0x212A  # the one letter beyond ASCII whose lower case is a letter within
_CASE: Final = 32
_STOP: Final = ord(".")
_QUOTE: Final = ord('"')
_APOSTROPHE: Final = ord("'")
_OPEN: Final = ord("[")
_CLOSE: Final = ord("]")
_CURLY: Final = ord("{")
_ASCII: Final = 128

_JAVASCRIPT, _POLICY, _LOREM_IPSUM = range(3)  # kinds of phrases
KEPT, REMOVED, _, LOREM_IPSUM, CURLY = range(5)
"""What becomes of a line; the last two are columns of a row, for a text that goes as a whole."""


@compiled
def low(code: int) -> int:
    """Lower case of an ASCII letter."""
    if ord("A") <= code <= ord("Z"):
        return code + _CASE
    return ord("k") if code == _KELVIN else code


@compiled
def has(line: Codes, wanted: int) -> bool:
    """Whether a character is in a line."""
    found = 0
    for code in line:
        found += code == wanted
    return found > 0


@compiled
def starts_with(line: Codes, place: int, phrase: Codes) -> bool:
    """Whether the phrase, in lower case, stands at a place of a line in any case."""
    if place + len(phrase) > len(line):
        return False
    for i in range(len(phrase)):  # noqa: SIM110  numba compiles no generators
        if low(line[place + i]) != phrase[i]:
            return False
    return True


@compiled
def citation_end(line: Codes, place: int, bits: Bits, edit: Codes, needed: Codes) -> int:
    """End of the citation that opens at a place: `[12]`, `[edit]`, `[citation needed]`; the place itself for none."""
    end = place + 1
    while end < len(line) and bits[line[end]] & DIGIT:
        end += 1
    if end < len(line) and line[end] == _CLOSE:
        return end + 1
    for phrase in (edit, needed):
        matches = place + len(phrase) <= len(line)
        for i in range(len(phrase)):
            matches = matches and line[place + i] == phrase[i]
        if matches:
            return place + len(phrase)
    return place


@compiled
def without_citations(line: Codes, bits: Bits, edit: Codes, needed: Codes) -> Codes:
    """A line without its citations."""
    if not has(line, _OPEN):
        return line
    kept = np.empty(len(line), dtype=np.uint32)
    size, place = 0, 0
    while place < len(line):
        end = citation_end(line, place, bits, edit, needed) if line[place] == _OPEN else place
        if end == place:
            kept[size] = line[place]
            size += 1
            end += 1
        place = end
    return kept[:size]


@compiled
def trimmed(line: Codes, bits: Bits) -> Codes:
    """A line without white space at its ends."""
    begin, end = 0, len(line)
    while begin < end and bits[line[begin]] & BLANK:
        begin += 1
    while begin < end and bits[line[end - 1]] & BLANK:
        end -= 1
    return line[begin:end]


@compiled
def words_in(line: Codes, bits: Bits) -> int:
    """Words of a line between white space."""
    words, blank = 0, True
    for code in line:
        was, blank = blank, bits[code] & BLANK != 0
        words += was & (not blank)
    return words


@compiled
def longest_word(line: Codes, bits: Bits) -> int:
    """Characters of the longest word of a line."""
    longest, length = 0, 0
    for code in line:
        length = 0 if bits[code] & BLANK else length + 1
        longest = max(longest, length)
    return longest


@compiled
def is_terminated(line: Codes) -> bool:
    """Whether a line ends in . ? ! or a quote, and not in three full stops."""
    if len(line) == 0:
        return False
    last = line[-1]
    if last == _STOP:
        return len(line) < len("...") or line[-2] != _STOP or line[-3] != _STOP
    return last in (ord("?"), ord("!"), _QUOTE, _APOSTROPHE)


@compiled
def phrases_of(line: Codes, bits: Bits, phrases: Codes, offsets: Starts, anchors: Starts, kinds: Starts) -> int:
    """Bits of the kinds of phrases that a line holds.

    Args:
        line: code points.
        bits: see `filters.code_bits`.
        phrases: all phrases in lower case, phrase i is `phrases[offsets[i]:offsets[i + 1]]`.
        offsets: see there.
        anchors: which character of each phrase is a rare one, marked in `bits`; where none is, no phrase can be.
        kinds: of each phrase.
    """
    found = 0
    for place in range(len(line)):
        if not bits[line[place]] & ANCHOR:
            continue
        code = low(line[place])
        for i in range(len(kinds)):
            first = place - anchors[i]
            phrase = phrases[offsets[i] : offsets[i + 1]]
            if code == phrase[anchors[i]] and first >= 0 and starts_with(line, first, phrase):
                found |= 1 << kinds[i]
    return found


@compiled
def is_closer(code: int) -> bool:
    """Whether a character may stand between a full stop and the end of its sentence: quotes, closing brackets."""
    return code in (_QUOTE, _APOSTROPHE, ord(")"), _CLOSE, 0x2019, 0x201D)


@compiled
def sentences_of(line: Codes, bits: Bits) -> int:
    """Sentences of a line; see `filters.c4.SENTENCE_END` for where one ends."""
    count, place = 0, 0
    opened = 0  # an integer: numba 0.68 counts booleans here otherwise than Python does
    while place < len(line):
        code = line[place]
        kind = bits[code]
        if not kind & ENDER:
            opened |= int(kind & BLANK == 0)
            place += 1
            continue
        wide = code > _ASCII
        while place < len(line) and bits[line[place]] & ENDER and (line[place] > _ASCII) == wide:
            place += 1
        while place < len(line) and is_closer(line[place]):
            place += 1
        if wide or place == len(line) or bits[line[place]] & BLANK:
            count += opened
            opened = 0
        else:
            opened = 1
    return count + opened


@compiled
def fate(
    line: Codes,
    bits: Bits,
    phrases: tuple[Codes, Starts, Starts, Starts],
    citations: tuple[Codes, Codes],
    line_words: int,
    word_chars: int,
) -> tuple[int, Codes]:
    """What becomes of a line, one of the constants above, and the line without its citations."""
    # the cheap questions first: what upstream asks first makes no difference
    if len(line) == 0 or not (is_terminated(line) or line[-1] == _CLOSE):
        return REMOVED, line
    if words_in(line, bits) < line_words or (len(line) > word_chars and longest_word(line, bits) > word_chars):
        return REMOVED, line
    line = without_citations(line, bits, citations[0], citations[1])
    if not is_terminated(line):
        return REMOVED, line
    found = phrases_of(line, bits, phrases[0], phrases[1], phrases[2], phrases[3])
    if found & (1 << _LOREM_IPSUM):
        return LOREM_IPSUM, line
    if found & (1 << _JAVASCRIPT):
        return REMOVED, line
    if has(line, _CURLY):
        return CURLY, line
    return (REMOVED if found else KEPT), line


@compiled
def c4_rows(
    codes: Codes,
    starts: Starts,
    bits: Bits,
    phrases: tuple[Codes, Starts, Starts, Starts],
    citations: tuple[Codes, Codes],
    line_words: int,
    word_chars: int,
) -> Row:
    """Measures of each text in the order of `filters.c4.C4.writes`: (5, n) float64.

    Args:
        codes: code points of all texts.
        starts: (n + 1,) text i is `codes[starts[i]:starts[i + 1]]`.
        bits: `filters.code_bits.classes()`.
        phrases: arguments of `phrases_of`, in order.
        citations: `[edit]` and `[citation needed]`.
        line_words: fewest words of a line.
        word_chars: characters of the longest word of a line.
    """
    rows = np.zeros((len(starts) - 1, 5), dtype=np.float64)
    for i in range(len(starts) - 1):
        text, row = codes[starts[i] : starts[i + 1]], rows[i]
        lines, kept, begin = 0, 0, 0
        while begin < len(text):
            end = begin
            while end < len(text) and not bits[text[end]] & LINE_END:
                end += 1
            line = trimmed(text[begin:end], bits)
            begin = end + 1
            lines += int(len(line) > 0)
            kind, line = fate(line, bits, phrases, citations, line_words, word_chars)
            if kind == KEPT:
                kept += 1
                row[0] += sentences_of(line, bits)
                row[2] += len(line)
            elif kind != REMOVED:
                row[kind] = 1
        row[1] = kept / lines if lines else 0.0
        row[2] = row[2] / len(text) if len(text) else 0.0
    return rows.T
