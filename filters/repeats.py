"""Compiled kernels: word n-grams, lines, sentences and paragraphs that occurred earlier in the same text.

Words, and what is made of them, are told apart by 64-bit hashes. In a text of a million words two different n-grams
share a hash with a chance of about 3e-8.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from filters.classes import table
from filters.compiled import compiled
from filters.letters import ALNUM, HAN, MARKS, SPACES

Codes = npt.NDArray[np.uint32]
Starts = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

_SEED: Final = np.uint64(0xCBF29CE484222325)  # FNV-1a's offset and prime
_PRIME: Final = np.uint64(0x100000001B3)
_BASE: Final = np.uint64(0x9E3779B97F4A7C15)  # odd: 2**64 / golden ratio
_PLANE: Final = 0x10000

_SPACE, _BREAK, _LONE, _WORDY, _SIGN = range(5)
_PARTS: Final = table(_SIGN, (_WORDY, ALNUM), (_LONE, HAN), (_BREAK, MARKS), (_SPACE, SPACES))
"""White space; CJK marks, which part words, too; words by themselves; letters and digits, roughly; other signs."""

_SENTENCE, _LINE, _PARAGRAPH, _SAYS = 1, 2, 4, 8
"""What ends after a word, and whether the word has a letter or a digit."""

_NEWLINE: Final = 10
_STOP, _STOP_BEFORE_SPACE = 1, 2
_STOPS: Final = table(
    0,
    (_STOP, ((0x3002, 0x3002), (0xFF01, 0xFF01), (0xFF1F, 0xFF1F), (0x964, 0x965), (0x61F, 0x61F), (0x6D4, 0x6D4))),
    (_STOP_BEFORE_SPACE, ((0x21, 0x21), (0x2E, 0x2E), (0x3F, 0x3F), (0x2026, 0x2026))),
)
"""Marks that end a sentence: Chinese, Japanese, Indic and Arabic ones anywhere, others before white space only."""


@compiled
def mixed(value: np.uint64) -> np.uint64:
    """Spread the bits of a hash (finalizer of splitmix64)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def _traits() -> npt.NDArray[np.uint8]:
    """(0x10000,) what a character is to words, in the lowest three bits, with the bits below."""
    parts = _PARTS < _WORDY
    rare = parts & ((_PARTS != _SPACE) | (_STOPS == _STOP))
    rare[_NEWLINE] = True
    traits: npt.NDArray[np.uint8] = (_PARTS | _STOPS << _STOP_SHIFT | rare * _RARE).astype(np.uint8)
    return traits


_PART: Final = 7
_STOP_SHIFT: Final = 3
_RARE: Final = 32
"""Bits of a character's traits: its part; whether it ends a sentence; whether it is more than white space, and no
character within words."""
_TRAITS: Final = _traits()


@compiled
def _trait(code: int) -> int:
    if code < _PLANE:
        return int(_TRAITS[code])
    return _LONE | _RARE if 0x20000 <= code <= 0x3FFFF else _WORDY  # noqa: PLR2004  the rest of HAN; ALNUM


@compiled
def _gap_ends(code: int, ends: int) -> int:
    """What ends after a word, given what did before this mark or line feed that parts words."""
    if code == _NEWLINE:
        return ends | _SENTENCE | (_LINE | _PARAGRAPH if ends & _LINE else _LINE)
    return ends | _SENTENCE if _trait(code) >> _STOP_SHIFT & _STOP else ends


@compiled
def words_of(text: Codes, words: Hashes, ends: npt.NDArray[np.uint8]) -> int:
    """Hash of each word of a text, and what ends after it: the number of words.

    See `filters.letters.WORD` for what a word is. A line ends with a line feed, a paragraph with a line of white space,
    a sentence with its mark or with the line. There is no branch where a word ends, which no processor foretells: each
    character writes what would be the word, and truth is 0 or 1, since with booleans the compiler puts the branch back.
    """
    size = inside = stop = says = 0
    value = _SEED
    for place in range(len(text)):
        code = text[place]
        trait = _trait(code)
        part = trait & _PART
        inner = int(part > _LONE)
        words[size] = value
        stops = stop & _STOP | stop >> 1 & int(part == _SPACE)
        ends[size] = says * _SAYS | stops * _SENTENCE
        size += inside & (inner ^ 1)
        grown = (value ^ np.uint64(code)) * _PRIME
        value = grown if inner else _SEED
        says = inner & (says | int(part == _WORDY))
        stop = trait >> _STOP_SHIFT & 3
        inside = inner
        if trait & _RARE:
            if part == _LONE:
                words[size], ends[size] = (_SEED ^ np.uint64(code)) * _PRIME, _SAYS
                size += 1
            elif size > 0:
                ends[size - 1] = _gap_ends(code, ends[size - 1])
    if inside:
        words[size], ends[size] = value, says * _SAYS | int(stop > 0) * _SENTENCE
        size += 1
    for i in range(size):
        words[i] = mixed(words[i])
    return size


@compiled
def word_hashes(text: Codes) -> Hashes:
    """Hash of each word of a text, in order; see `filters.letters.WORD` for what a word is."""
    words = np.empty(len(text), dtype=np.uint64)
    return words[: words_of(text, words, np.empty(len(text), dtype=np.uint8))]


@compiled
def unit_hashes(words: Hashes, ends: npt.NDArray[np.uint8], end: int, units: Hashes) -> int:
    """Hashes of the units of a text that end where `ends` has the bit `end`, without those of signs only, in order.

    They are written to `units`, which has the room of `words`: how many there are.
    """
    size = says = 0
    value = _SEED
    for i in range(len(words)):
        value = (value ^ words[i]) * _BASE
        says |= int(ends[i] & _SAYS != 0)
        closes = int(ends[i] & end != 0) | int(i == len(words) - 1)
        units[size] = value
        size += closes & says
        value = _SEED if closes else value
        says &= closes ^ 1
    for i in range(size):
        units[i] = mixed(units[i])
    return size


@compiled
def fill_windows(values: Hashes, n: int, base: np.uint64, found: Hashes) -> int:
    """Write the polynomial in `base` of each n values in a row to `found`: how many; none where there are fewer."""
    count = max(len(values) - n + 1, 0)
    if count == 0:
        return 0
    oldest = np.uint64(1)
    for _ in range(n):
        oldest = oldest * base
    value = np.uint64(0)
    for i in range(n - 1):
        value = value * base + values[i]
    value = value * base + values[n - 1]
    found[0] = value
    for i in range(n, len(values)):
        value = value * base + (values[i] - oldest * values[i - n])
        found[i - n + 1] = value
    return count


@compiled
def window_hashes(values: Hashes, n: int, base: np.uint64) -> Hashes:
    """Polynomial in `base` of each n values in a row; none where there are fewer."""
    found = np.empty(max(len(values) - n + 1, 0), dtype=np.uint64)
    fill_windows(values, n, base, found)
    return found


@compiled
def ngram_hashes(words: Hashes, n: int) -> Hashes:
    """Hash of each n-gram of words, in order; none where there are fewer than n words."""
    ngrams = window_hashes(words, n, _BASE)
    for i in range(len(ngrams)):
        ngrams[i] = mixed(ngrams[i])
    return ngrams


@compiled
def repeat_share(hashes: Hashes, room: Hashes) -> float:
    """Share of the hashes that occurred before; 0.0 where there are none. `room`: 4 places and more for each hash."""
    if len(hashes) < 2:  # noqa: PLR2004  one says nothing again
        return 0.0
    size = 4
    while size < 2 * len(hashes):
        size *= 2
    seen = room[:size]  # open addressing; 0 marks a free place
    seen[:] = 0
    mask = np.uint64(size - 1)
    repeats = 0
    for item in hashes:
        value = item if item != 0 else np.uint64(1)
        place = value & mask
        while seen[place] not in (np.uint64(0), value):
            place = (place + np.uint64(1)) & mask
        repeats += seen[place] == value
        seen[place] = value
    return repeats / len(hashes)


@compiled
def repeat_shares(codes: Codes, starts: Starts, messages: Starts, n: int) -> npt.NDArray[np.float64]:
    """Share of repeated word n-grams, lines, sentences and paragraphs of the chosen messages: (4, k) float64."""
    shares = np.zeros((4, len(messages)), dtype=np.float64)
    room = 0
    for i in messages:
        room = max(room, starts[i + 1] - starts[i])
    all_words, all_ends = np.empty(room, dtype=np.uint64), np.empty(room, dtype=np.uint8)
    hashes, seen = np.empty(room, dtype=np.uint64), np.empty(4 * room + 4, dtype=np.uint64)
    for k in range(len(messages)):
        text = codes[starts[messages[k]] : starts[messages[k] + 1]]
        size = words_of(text, all_words, all_ends)
        words, ends = all_words[:size], all_ends[:size]
        count = fill_windows(words, n, _BASE, hashes)
        for i in range(count):
            hashes[i] = mixed(hashes[i])
        shares[0, k] = repeat_share(hashes[:count], seen)
        shares[1, k] = repeat_share(hashes[: unit_hashes(words, ends, _LINE, hashes)], seen)
        shares[2, k] = repeat_share(hashes[: unit_hashes(words, ends, _SENTENCE, hashes)], seen)
        shares[3, k] = repeat_share(hashes[: unit_hashes(words, ends, _PARAGRAPH, hashes)], seen)
    return shares
