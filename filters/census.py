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
_VOWELS: Final = np.zeros(_ASCII, dtype=np.bool_)
_VOWELS[[ord(vowel) for vowel in "aeiouyAEIOUY"]] = True
_TURNS: Final = 4
_KINDS: Final = np.arange(NUM_KINDS)
_WORDLIKE: Final = ((DIGIT <= _KINDS) & (_KINDS <= COMBINING)).astype(np.int64)
_CAPITALS: Final = 20  # bits of a count within a word's worth; a word of more letters is looked at closely, being long
_FIELD: Final = (1 << _CAPITALS) - 1
_UNUSUAL: Final = 1 << 40
"""What a character adds to the worth of a word: 1 if it is a vowel, 2**20 a capital, 2**40 if it is no ASCII letter."""
_WORTHS: Final = np.array(
    [
        _UNUSUAL * (kind_of(code) == DIGIT) + (chr(code).isupper() << _CAPITALS) + int(_VOWELS[code])
        for code in range(_ASCII)
    ],
    dtype=np.int64,
)


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
def census(codes: Codes, starts: Indices, chosen: Indices) -> npt.NDArray[np.int32]:
    """Characters and words of some texts.

    Args:
        codes: (c,) code points of all texts.
        starts: (m + 1,) text i is `codes[starts[i]:starts[i + 1]]`.
        chosen: (k,) texts that are counted.

    Returns:
        (NUM_ROWS, k) int32: characters of each kind, then the rows named above.
    """
    counts = np.zeros((len(chosen), NUM_ROWS), dtype=np.int32)
    room = 0
    for text in chosen:
        room = max(room, starts[text + 1] - starts[text])
    edges, sums = np.empty(room + 2, dtype=np.int64), np.empty(room + 2, dtype=np.int64)
    for row in range(len(chosen)):
        first, last = starts[chosen[row]], starts[chosen[row] + 1]
        size = _edges(codes, first, last, counts[row], edges, sums)
        _weigh_words(codes, edges[:size], sums[:size], counts[row])
    return counts.T.copy()


@compiled
def _edges(codes: Codes, first: int, last: int, own: npt.NDArray[np.int32], edges: Indices, sums: Indices) -> int:
    """Count a text's characters by kind, and find its words: runs of letters, digits and combining marks.

    `edges` gets the first place of each word and the place after its last one, `sums` the sums of `_WORTHS` before
    these places; how many there are. There is no branch where a word ends, which no processor foretells, and truth is
    0 or 1, since with booleans the compiler puts the branch back.
    """
    turns = np.zeros((_TURNS, NUM_KINDS), dtype=np.int32)  # a count that is raised twice in a row waits for itself
    size = inside = total = 0
    for place in range(first, last):
        code = codes[place]
        kind = kind_of(code)
        turns[place & (_TURNS - 1), kind] += 1
        wordlike = int(_WORDLIKE[kind])
        edges[size], sums[size] = place, total
        size += wordlike ^ inside
        inside = wordlike
        if code < _ASCII:
            total += _WORTHS[code]
        else:
            total += wordlike * _UNUSUAL
            own[MOJIBAKE] += _broken_utf8(codes, place, first)
    if inside:
        edges[size], sums[size] = last, total
        size += 1
    for turn in range(_TURNS):
        for kind in range(NUM_KINDS):
            own[kind] += turns[turn, kind]
    return size


@compiled
def _weigh_words(codes: Codes, edges: Indices, sums: Indices, own: npt.NDArray[np.int32]) -> None:
    """Count words; most are of Latin letters alone, and what these are worth says that they are not odd."""
    plain = 0
    for edge in range(0, len(edges), 2):
        letters, worth = edges[edge + 1] - edges[edge], sums[edge + 1] - sums[edge]
        vowels, capitals = worth & _FIELD, worth >> _CAPITALS & _FIELD
        close = worth >= _UNUSUAL or capitals >= _SWITCHES or letters - vowels >= _CONSONANTS or letters > _LONG
        if close or (vowels == 0 and letters > _SHORT):
            _look_closely(codes, edges[edge], edges[edge + 1], own)
        else:
            plain += int(letters >= _SHORT)
    own[PLAIN] += plain


@compiled
def _look_closely(codes: Codes, first: int, last: int, own: npt.NDArray[np.int32]) -> None:
    """Count a word character by character."""
    letters = vowels = capitals = consonants = longest = switches = alternations = marks = scripts = 0
    before = SPACE
    for place in range(first, last):
        kind = kind_of(codes[place])
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
        else:
            consonants = 0
            scripts |= 4 if kind == LETTER else 0
            alternations += kind == DIGIT and LATIN_LOWER <= before <= CYRILLIC_UPPER
        before = kind
    own[MIXED] += scripts & 3 == _BOTH and letters >= _SHORT
    if scripts == 1 and letters >= _SHORT:
        own[PLAIN] += 1
        own[ODD] += _is_odd(letters, vowels, capitals, longest, switches, alternations)
