"""Compiled kernel: what kinds of characters a text holds, and words that no language has."""

from typing import Final

import numpy as np
import numpy.typing as npt

from filters.compiled import compiled
from filters.kinds import (
    COMBINING,
    CYRILLIC_UPPER,
    DIGIT,
    LATIN_LOWER,
    LATIN_UPPER,
    LETTER,
    NUM_KINDS,
    SPACE,
    kind_of,
)

Codes = npt.NDArray[np.uint32]
Indices = npt.NDArray[np.int64]

MOJIBAKE, MIXED, PLAIN, ODD, MARK_RUN = range(NUM_KINDS, NUM_KINDS + 5)
"""Rows of `census` after one for each kind: UTF-8 read as Latin-1 or Windows-1252, in sequences; words of Latin and
Greek or Cyrillic letters together; Latin words of three letters and more; those of them that no language has; the
longest run of combining marks."""
NUM_ROWS: Final = NUM_KINDS + 5

_BOTH: Final = 3  # bits of scripts: Latin; Greek or Cyrillic
_SHORT: Final = 3  # letters below which a word says nothing
_LONG: Final = 40  # letters above which a word is data, a path or a loop
_CONSONANTS: Final = 9  # consonants in a row: German compounds have up to eight
_SWITCHES: Final = 3  # changes of small to capital within a word: more than a name such as "McDonaldHouse" has
_ALTERNATIONS: Final = 3  # changes between letters and digits
_ASCII, _NO_BREAK, _LETTERS = 0x80, 0xA0, 0xC0  # first codes beyond ASCII; the no-break space; Latin-1's letters
_LEADS: Final = (0xC2, 0xC3)
_WINDOWS: Final = (0x20AC, 0x2122, 0x152, 0x153, 0x160, 0x161, 0x201A)
_QUOTE_LEAD: Final = 0xE2
_QUOTE_SECONDS: Final = (0x20AC, 0x80, 0x82, 0x201A)
_VOWELS: Final = np.zeros(0x80, dtype=np.bool_)
_VOWELS[[ord(vowel) for vowel in "aeiouyAEIOUY"]] = True


@compiled
def _broken_utf8(codes: Codes, place: int, first: int) -> bool:
    """Whether two characters are the first and second byte of UTF-8 read as Latin-1 or Windows-1252.

    Only pairs that no language writes: a capital with a circumflex or tilde (bytes C2 and C3) before a symbol, and the
    three bytes of a curly quote.
    """
    if place == first:
        return False
    code, before = codes[place], codes[place - 1]
    if before in _LEADS:
        return (_ASCII <= code < _LETTERS and code != _NO_BREAK) or code in _WINDOWS
    return before == _QUOTE_LEAD and code in _QUOTE_SECONDS


@compiled
def _is_odd(letters: int, vowels: int, capitals: int, consonants: int, switches: int, alternations: int) -> bool:
    """Whether a Latin word of three letters and more is one that no language has."""
    if letters > _LONG or switches >= _SWITCHES or alternations >= _ALTERNATIONS:
        return True
    if capitals == letters:
        return False  # an abbreviation
    return consonants >= _CONSONANTS or (vowels == 0 and letters > _SHORT)


@compiled
def census(codes: Codes, starts: Indices, chosen: Indices) -> npt.NDArray[np.int32]:  # noqa: C901, PLR0912  one walk
    """Characters and words of some texts.

    Args:
        codes: (c,) code points of all texts.
        starts: (m + 1,) text i is `codes[starts[i]:starts[i + 1]]`.
        chosen: (k,) texts that are counted.

    Returns:
        (NUM_ROWS, k) int32: characters of each kind, then the rows named above.
    """
    counts = np.zeros((len(chosen), NUM_ROWS), dtype=np.int32)
    for row in range(len(chosen)):
        own = counts[row]
        first, last = starts[chosen[row]], starts[chosen[row] + 1]
        letters = vowels = capitals = consonants = longest = switches = alternations = marks = scripts = 0
        before = SPACE
        for place in range(first, last + 1):
            kind = kind_of(codes[place]) if place < last else SPACE
            if place < last:
                own[kind] += 1
                if codes[place] >= _ASCII and _broken_utf8(codes, place, first):
                    own[MOJIBAKE] += 1
            if kind == COMBINING:
                marks += 1
                own[MARK_RUN] = max(own[MARK_RUN], marks)
                continue
            marks = 0
            if LATIN_LOWER <= kind <= CYRILLIC_UPPER:
                letters += 1
                if kind <= LATIN_UPPER:
                    scripts |= 1
                    vowel = codes[place] >= _ASCII or _VOWELS[codes[place]]
                    vowels += vowel
                    consonants = 0 if vowel else consonants + 1
                    longest = max(longest, consonants)
                    if kind == LATIN_UPPER:
                        capitals += 1
                        switches += before == LATIN_LOWER
                else:
                    scripts |= 2
                alternations += before == DIGIT
            elif kind == DIGIT:
                consonants = 0
                alternations += LATIN_LOWER <= before <= CYRILLIC_UPPER
            elif kind == LETTER:
                scripts |= 4
                consonants = 0
            else:
                if letters:
                    own[MIXED] += scripts & 3 == _BOTH and letters >= _SHORT
                    if scripts == 1 and letters >= _SHORT:
                        own[PLAIN] += 1
                        own[ODD] += _is_odd(letters, vowels, capitals, longest, switches, alternations)
                letters = vowels = capitals = consonants = longest = switches = alternations = scripts = 0
            before = kind
    return counts.T.copy()
