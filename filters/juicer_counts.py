"""Compiled kernels of the measures that data-juicer's default operators take without a model or a word list."""

from typing import Final

import numpy as np
import numpy.typing as npt

from filters.code_bits import ALNUM, LINE_END, SPECIAL, Bits
from filters.compiled import compiled
from filters.repeats import window_hashes
from filters.tables import BASE, ONE, Codes, Hashes, Offsets, count_equal, maybe_repeated

Row = npt.NDArray[np.float64]

_NEWLINE: Final = 10
_CARRIAGE: Final = 13
_TAB: Final = 9
_SPACE: Final = 32


@compiled
def refined_words(text: Codes, bits: Bits, lowered: Codes) -> tuple[Hashes, int]:
    """Hash of each word between spaces, tabs and newlines, in lower case, without special characters at its ends.

    Words of special characters only are left out. The second value counts words before they are put in lower case: a
    capital letter among the special characters is none in lower case.
    """
    most = 1
    for code in text:
        most += (code == _SPACE) | (code == _NEWLINE) | (code == _TAB)
    words = np.empty(most, dtype=np.uint64)
    size, count = 0, 0
    value, kept = np.uint64(0), np.uint64(0)  # kept: up to the last character that is not special
    said, counted = False, False
    for i in range(len(text) + 1):
        code = text[i] if i < len(text) else np.uint32(_SPACE)
        if code in (_SPACE, _NEWLINE, _TAB):
            count += counted
            counted = False
            if said:
                words[size] = kept
                size += 1
                value, kept = np.uint64(0), np.uint64(0)
                said = False
            continue
        counted = counted or bits[code] & SPECIAL == 0
        if code < len(lowered):
            code = lowered[code]
        special = bits[code] & SPECIAL != 0
        if special and not said:
            continue
        value = value * BASE + np.uint64(code) + ONE
        if not special:
            kept = value
            said = True
    return words[:size], count


@compiled
def repeated_share(hashes: Hashes) -> float:
    """Share of the hashes that occur more than once."""
    chosen = maybe_repeated(hashes)
    first, counts = np.empty(len(chosen), dtype=np.int32), np.empty(len(chosen), dtype=np.int32)
    count_equal(hashes, chosen, first, counts)
    repeated = 0
    for times in counts:
        repeated += int(times) if times > 1 else 0
    return repeated / len(hashes) if len(hashes) else 0.0


@compiled
def char_ngrams(text: Codes, n: int) -> Hashes:
    """Hash of each n characters in a row; none where there are fewer."""
    values = np.empty(len(text), dtype=np.uint64)
    for i in range(len(text)):
        values[i] = np.uint64(text[i]) + ONE
    return window_hashes(values, n, BASE)


@compiled
def frequent_share(hashes: Hashes) -> float:
    """Share of the hashes that are of the most frequent ones, of which the square root of all different ones count.

    Hashes that occur once are none of them.
    """
    chosen = maybe_repeated(hashes)
    first, counts = np.empty(len(chosen), dtype=np.int32), np.empty(len(chosen), dtype=np.int32)
    best, _ = count_equal(hashes, chosen, first, counts)
    if best == 1:
        return 0.0
    different = np.int64(len(hashes) - len(chosen))
    having = np.zeros(best + 1, dtype=np.int64)  # how many different hashes occur so often
    for times in counts:
        different += np.int64(times > 0)
        having[times] += 1
    left, covered = int(np.sqrt(different)), 0
    for often in range(best, 1, -1):
        taken = min(left, int(having[often]))
        covered += taken * often
        left -= taken
    return covered / len(hashes)


@compiled
def juicer_rows(codes: Codes, starts: Offsets, bits: Bits, lowered: Codes, n: int) -> Row:
    """Measures of each text in the order of `filters.data_juicer.DataJuicer.writes`: (8, n) float64."""
    rows = np.zeros((8, len(starts) - 1), dtype=np.float64)
    for i in range(len(starts) - 1):
        text = codes[starts[i] : starts[i + 1]]
        if len(text) == 0:
            continue
        special, alnum, lines, length, longest = 0, 0, 0, 0, 0
        for place in range(len(text)):
            kind = bits[text[place]]
            special += kind & SPECIAL != 0
            alnum += kind & ALNUM != 0
            length += 1
            if kind & LINE_END:
                second = text[place] == _NEWLINE and place > 0 and text[place - 1] == _CARRIAGE
                lines += not second
                longest = max(longest, length - 1)
                length = 0
        words, count = refined_words(text, bits, lowered)
        rows[0, i] = frequent_share(char_ngrams(text, n))
        rows[1, i] = repeated_share(window_hashes(words, n, BASE))
        rows[2, i] = special / len(text)
        rows[3, i] = alnum / len(text)
        rows[4, i] = len(text) / (lines + (length > 0))
        rows[5, i] = max(longest, length)
        rows[6, i] = len(text)
        rows[7, i] = count
    return rows
