"""Compiled kernels of Gopher's repetition and quality measures.

A word is cut as `filters.letters.WORD` says: at white space, each Han or kana character by itself. Words are read once
for all n-gram orders.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from filters.code_bits import ALPHA, BLANK, CJK, COUNTED, LINE_END, MARK, PLAIN, SPACE, Bits
from filters.compiled import compiled
from filters.repeats import mixed
from filters.tables import (
    BASE,
    ONE,
    Codes,
    Hashes,
    Offsets,
    Positions,
    bits_for,
    count_equal,
    dup_pieces,
    find,
    maybe_repeated,
)

Row = npt.NDArray[np.float64]
Kinds = npt.NDArray[np.int64]

TOP: Final = (2, 3, 4)
DUP: Final = (5, 6, 7, 8, 9, 10)
INVERSE: Final = np.uint64(pow(int(BASE), -1, 1 << 64))
"""Of `BASE`: their product is 1 modulo 2**64."""

_NEWLINE: Final = 10
_CARRIAGE: Final = 13
_HASH: Final = ord("#")
_STOP: Final = ord(".")
_ELLIPSIS: Final = 0x2026
_BULLET: Final = 0x2022
_DASH: Final = ord("-")
_DOTS: Final = 3
_APART: Final = 2  # newlines between paragraphs


@compiled
def count_words(text: Codes, bits: Bits) -> int:
    """Words of a text; see `filters.letters.WORD`."""
    words = 0
    inside = False
    for code in text:
        kind = bits[code]
        parts = kind & (SPACE | MARK | CJK) != 0
        words += (kind & CJK != 0) | (not (parts | inside))
        inside = not parts
    return words


@compiled
def powers_of(base: np.uint64, count: int) -> Hashes:
    """Powers 0..count of a number, modulo 2**64."""
    powers = np.empty(count + 1, dtype=np.uint64)
    powers[0] = ONE
    for i in range(count):
        powers[i + 1] = powers[i] * base
    return powers


@compiled
def words_of(text: Codes, bits: Bits, powers: Hashes) -> tuple[Offsets, Hashes, Kinds]:
    """Cut a text into words.

    White space left out, the value of a part of a text from character a to b is `(before[b] - before[a]) / powers[a]`.

    Args:
        text: code points.
        bits: `filters.code_bits.classes()`.
        powers: of `BASE`, one for each character.

    Returns:
        (w + 1,) characters before each of w words and after the last; (c + 1,) sums up to each of the c characters of
        all words; (w,) bits that any character of each word has.
    """
    ends = np.empty(len(text) + 2, dtype=np.int64)
    before = np.empty(len(text) + 1, dtype=np.uint64)
    kinds = np.empty(len(text) + 2, dtype=np.int64)
    size, chars, any_of, inside = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    whole = np.uint64(0)
    before[0] = whole
    for code in text:  # without a branch: where words end cannot be foretold
        kind = np.int64(bits[code])
        letter = np.int64(kind & (SPACE | MARK) == 0)
        alone = np.int64(kind & CJK != 0)
        begins = letter & (alone | (1 - inside))
        inside = letter & (1 - alone)
        ends[size] = chars
        size += begins
        any_of = kind | (any_of & (begins - 1))
        kinds[size] = any_of if letter else kinds[size]
        whole += (np.uint64(code) + ONE) * powers[chars] * np.uint64(letter)
        chars += letter
        before[chars] = whole
    ends[size] = chars
    return ends[: size + 1], before[: chars + 1], kinds[1 : size + 1]


@compiled
def count_kinds(text: Codes, ends: Offsets, kinds: Kinds, row: Row) -> None:
    """Fill words beyond symbols, their mean characters, hashes and ellipses per word, and words with a letter."""
    words, alphabetic = len(kinds), 0
    said, chars, noted = np.int64(0), np.int64(0), np.int64(0)
    for k in range(words):
        plain = np.int64(kinds[k] & PLAIN != 0)
        said += plain
        chars += plain * (ends[k + 1] - ends[k])
        alphabetic += kinds[k] & ALPHA != 0
        noted |= kinds[k] & COUNTED
    row[0] = said
    row[1] = chars / said if said else 0.0
    if noted:
        hashes, ellipses = symbols_of(text)
        row[2], row[3] = hashes / words, ellipses / words
    row[6] = alphabetic / words if words else 0.0


@compiled
def count_stops(values: Hashes, stops: Hashes) -> np.int64:
    """How many of the stop words, by their values, are among the words."""
    some = np.uint64(0)  # one bit for each six high bits that a stop word has
    high = np.uint64(58)
    for stop in stops:
        some |= ONE << (stop >> high)
    found = np.int64(0)
    for value in values:
        if (some >> (value >> high)) & ONE:
            for number in range(len(stops)):
                found |= np.int64(stops[number] == value) << number
    count = np.int64(0)
    while found:
        count += found & 1
        found >>= 1
    return count


@compiled
def symbols_of(text: Codes) -> tuple[int, int]:
    """Hashes and ellipses of a text; three full stops are an ellipsis."""
    hashes, ellipses, dots = 0, 0, 0
    for code in text:
        dots = dots + 1 if code == _STOP else 0
        hashes += code == _HASH
        ellipses += (code == _ELLIPSIS) | ((dots > 0) & (dots % _DOTS == 0))
    return hashes, ellipses


@compiled
def marked_lines(text: Codes, bits: Bits, row: Row) -> None:
    """Fill shares of lines that start with a bullet (`row[4]`) and end with an ellipsis (`row[5]`)."""
    lines, bullets, ellipses, begin = 0, 0, 0, 0
    while begin < len(text):
        end = begin
        while end < len(text) and not bits[text[end]] & LINE_END:
            end += 1
        following = end + 1
        if following < len(text) and text[end] == _CARRIAGE and text[following] == _NEWLINE:
            following += 1
        lines += 1
        while begin < end and bits[text[begin]] & BLANK:
            begin += 1
        while begin < end and bits[text[end - 1]] & BLANK:
            end -= 1
        if begin < end:
            bullets += text[begin] == _BULLET or text[begin] == _DASH
            dotted = end - begin >= _DOTS and text[end - 1] == text[end - 2] == text[end - 3] == _STOP
            ellipses += text[end - 1] == _ELLIPSIS or dotted
        begin = following
    row[4] = bullets / lines if lines else 0.0
    row[5] = ellipses / lines if lines else 0.0


@compiled
def newlines_of(text: Codes) -> Offsets:
    """Places of the newlines of a text."""
    count = 0
    for code in text:
        count += code == _NEWLINE
    places = np.empty(count + 1, dtype=np.int64)
    size = 0
    for place in range(len(text)):
        places[size] = place
        size += text[place] == _NEWLINE
    return places[:size]


@compiled
def dup_shares(text: Codes, begin: int, end: int, newlines: Offsets, least: int) -> tuple[float, float]:
    """Which of the pieces between runs of `least` or more newlines within a part of a text occurred before.

    Returns:
        Their share of the pieces, and that of their characters of the whole text.
    """
    starts, ends = np.empty(len(newlines) + 1, dtype=np.int64), np.empty(len(newlines) + 1, dtype=np.int64)
    count, start, i = 0, begin, 0
    while i < len(newlines):
        run = i + 1
        while run < len(newlines) and newlines[run] == newlines[run - 1] + 1:
            run += 1
        if run - i >= least and begin <= newlines[i] < end:
            starts[count], ends[count] = start, newlines[i]
            count += 1
            start = newlines[run - 1] + 1
        i = run
    starts[count], ends[count] = start, end
    pieces, chars = dup_pieces(text, starts, ends, count + 1)
    return pieces / (count + 1), chars / len(text)


@compiled
def stripped(text: Codes, bits: Bits) -> tuple[int, int]:
    """Where a text begins and ends without white space around it."""
    begin, end = 0, len(text)
    while begin < end and bits[text[begin]] & BLANK:
        begin += 1
    while begin < end and bits[text[end - 1]] & BLANK:
        end -= 1
    return begin, end


@compiled
def top_shares(single: Hashes, ends: Offsets, whole: int, row: Row) -> None:
    """Fill the shares of `whole` characters that the most frequent 2, 3 and 4-gram take, spaces between words too."""
    words = len(single)
    hashes = single.copy()
    repeated = np.ones(words, dtype=np.bool_)
    for n in TOP:
        count = words - n + 1
        if count < 1:
            return
        for k in range(count):
            hashes[k] = hashes[k] * BASE + single[k + n - 1]
        chosen = maybe_repeated(hashes[:count])
        size = 0
        for k in chosen:  # an n-gram is repeated only where both of its parts are
            chosen[size] = k
            size += repeated[k] & repeated[k + 1]
        first, counts = np.empty(size, dtype=np.int32), np.empty(size, dtype=np.int32)
        best, where = count_equal(hashes, chosen[:size], first, counts)
        row[n - TOP[0]] = best * (ends[where + n] - ends[where] + n - 1) / whole
        repeated[:] = False
        for i in range(size):
            repeated[chosen[i]] = counts[first[i]] > 1


@compiled
def lively(ends: Offsets, before: Hashes, inverses: Hashes) -> Positions:
    """Words, ascending, at which an n-gram of `DUP[0]` words or more may start that occurs elsewhere, too.

    N-grams are compared written together, so the shortest one of the text tells how many characters they have at least,
    and those characters must occur after another word's start.
    """
    starts = len(ends) - DUP[0]
    if starts <= 1:
        return np.empty(0, dtype=np.int32)
    least = ends[DUP[0]]
    for k in range(starts):
        least = min(least, ends[k + DUP[0]] - ends[k])
    heads = np.empty(starts, dtype=np.uint64)
    for k in range(starts):
        heads[k] = (before[ends[k] + least] - before[ends[k]]) * inverses[ends[k]]
    return maybe_repeated(heads)


@compiled
def dup_chars(ends: Offsets, before: Hashes, inverses: Hashes, chosen: Positions, n: int, table: Hashes) -> int:
    """Characters of n-grams that occurred before; after one that did, the search goes on behind its last word.

    Args:
        ends: see `words_of`.
        before: see `words_of`.
        inverses: powers of the inverse of `BASE`.
        chosen: (c,) the words to look at, ascending.
        n: words of an n-gram.
        table: at least twice as long as `chosen`, cleared here; its length is a power of two.
    """
    table[:] = 0
    shift = np.uint64(64 - bits_for(len(table) // 2))
    chars, free = 0, 0
    for k in chosen:
        if k < free or k + n >= len(ends):
            continue
        value = max((before[ends[k + n]] - before[ends[k]]) * inverses[ends[k]], ONE)  # 0 is a free place
        place = find(table, shift, value)
        if table[place] == value:
            chars += ends[k + n] - ends[k]
            free = k + n
        else:
            table[place] = value
    return chars


@compiled
def gopher_rows(codes: Codes, starts: Offsets, bits: Bits, stops: Hashes) -> Row:
    """All of Gopher's measures of each text, in the order of `filters.gopher.Gopher.writes`: (21, n) float64."""
    rows = np.zeros((len(starts) - 1, 21), dtype=np.float64)
    most = 0
    for i in range(len(starts) - 1):
        most = max(most, starts[i + 1] - starts[i])
    powers, inverses = powers_of(BASE, most), powers_of(INVERSE, most)
    for i in range(len(starts) - 1):
        text, row = codes[starts[i] : starts[i + 1]], rows[i]
        if len(text) == 0:
            continue
        newlines = newlines_of(text)
        begin, end = stripped(text, bits)
        row[0], row[1] = dup_shares(text, 0, len(text), newlines, 1)
        row[2], row[3] = dup_shares(text, begin, end, newlines, _APART)
        marked_lines(text, bits, row[13:])
        ends, before, kinds = words_of(text, bits, powers)
        count_kinds(text, ends, kinds, row[13:])
        values = np.empty(len(kinds), dtype=np.uint64)
        for k in range(len(kinds)):
            values[k] = (before[ends[k + 1]] - before[ends[k]]) * inverses[ends[k]]
        row[20] = count_stops(values, stops)
        for k in range(len(kinds)):
            values[k] = mixed(values[k])
        top_shares(values, ends, len(text), row[4:7])
        chosen = lively(ends, before, inverses)
        table = np.empty(1 << bits_for(len(chosen)), dtype=np.uint64)
        if len(chosen) <= 1:
            continue
        for n in DUP:
            row[2 + n] = dup_chars(ends, before, inverses, chosen, n, table) / len(text)
    return rows.T


@compiled
def word_value(word: Codes) -> np.uint64:
    """Value of a word as the words of a text have it."""
    powers = powers_of(BASE, len(word))
    value = np.uint64(0)
    for i in range(len(word)):
        value += (np.uint64(word[i]) + ONE) * powers[i]
    return value
