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


@compiled
def _part(code: int) -> int:
    if code < _PLANE:
        return int(_PARTS[code])
    return _LONE if 0x20000 <= code <= 0x3FFFF else _WORDY  # noqa: PLR2004  the rest of HAN; ALNUM


@compiled
def _stop(code: int) -> int:
    return int(_STOPS[code]) if code < _PLANE else 0


@compiled
def _gap_ends(code: int, ends: int) -> int:
    """What ends after a word, given what did before this character that parts words."""
    if code == _NEWLINE:
        return ends | _SENTENCE | (_LINE | _PARAGRAPH if ends & _LINE else _LINE)
    return ends | _SENTENCE if _stop(code) == _STOP else ends


@compiled
def words_of(text: Codes, words: Hashes, ends: npt.NDArray[np.uint8]) -> int:
    """Hash of each word of a text, and what ends after it: the number of words.

    See `filters.letters.WORD` for what a word is. A line ends with a line feed, a paragraph with a line of white space,
    a sentence with its mark or with the line.
    """
    size = place = 0
    while place < len(text):
        part = _part(text[place])
        if part <= _BREAK:
            if size > 0:
                ends[size - 1] = _gap_ends(text[place], ends[size - 1])
            place += 1
            continue
        value, wordy = (_SEED ^ np.uint64(text[place])) * _PRIME, part != _SIGN
        place += 1
        while part != _LONE and place < len(text):
            inner = _part(text[place])
            if inner <= _LONE:
                break
            value = (value ^ np.uint64(text[place])) * _PRIME
            wordy |= inner == _WORDY
            place += 1
        words[size] = mixed(value)
        stops = _stop(text[place - 1]) == _STOP_BEFORE_SPACE and (place == len(text) or _part(text[place]) == _SPACE)
        ends[size] = (_SAYS if wordy else 0) | (_SENTENCE if stops or _stop(text[place - 1]) == _STOP else 0)
        size += 1
    return size


@compiled
def word_hashes(text: Codes) -> Hashes:
    """Hash of each word of a text, in order; see `filters.letters.WORD` for what a word is."""
    words = np.empty(len(text), dtype=np.uint64)
    return words[: words_of(text, words, np.empty(len(text), dtype=np.uint8))]


@compiled
def unit_hashes(words: Hashes, ends: npt.NDArray[np.uint8], end: int) -> Hashes:
    """Hashes of the units of a text that end where `ends` has the bit `end`, without those of signs only, in order."""
    units = np.empty(len(words), dtype=np.uint64)
    size = 0
    value, says = _SEED, False
    for i in range(len(words)):
        value = (value ^ words[i]) * _BASE
        says |= ends[i] & _SAYS != 0
        if ends[i] & end or i == len(words) - 1:
            if says:
                units[size] = mixed(value)
                size += 1
            value, says = _SEED, False
    return units[:size]


@compiled
def window_hashes(values: Hashes, n: int, base: np.uint64) -> Hashes:
    """Polynomial in `base` of each n values in a row; none where there are fewer."""
    count = max(len(values) - n + 1, 0)
    found = np.empty(count, dtype=np.uint64)
    if count == 0:
        return found
    oldest = np.uint64(1)
    for _ in range(n):
        oldest = oldest * base
    value = np.uint64(0)
    for i in range(len(values)):
        value = value * base + values[i]
        if i >= n:
            value = value - oldest * values[i - n]
        if i >= n - 1:
            found[i - n + 1] = value
    return found


@compiled
def ngram_hashes(words: Hashes, n: int) -> Hashes:
    """Hash of each n-gram of words, in order; none where there are fewer than n words."""
    ngrams = window_hashes(words, n, _BASE)
    for i in range(len(ngrams)):
        ngrams[i] = mixed(ngrams[i])
    return ngrams


@compiled
def repeat_share(hashes: Hashes) -> float:
    """Share of the hashes that occurred before; 0.0 where there are none."""
    if len(hashes) < 2:  # noqa: PLR2004  one says nothing again
        return 0.0
    size = 4
    while size < 2 * len(hashes):
        size *= 2
    seen = np.zeros(size, dtype=np.uint64)  # open addressing; 0 marks a free place
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
    for k in range(len(messages)):
        text = codes[starts[messages[k]] : starts[messages[k] + 1]]
        size = words_of(text, all_words, all_ends)
        words, ends = all_words[:size], all_ends[:size]
        shares[0, k] = repeat_share(ngram_hashes(words, n))
        shares[1, k] = repeat_share(unit_hashes(words, ends, _LINE))
        shares[2, k] = repeat_share(unit_hashes(words, ends, _SENTENCE))
        shares[3, k] = repeat_share(unit_hashes(words, ends, _PARAGRAPH))
    return shares
