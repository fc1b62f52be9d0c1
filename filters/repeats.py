"""Compiled kernels: word n-grams and lines that occurred earlier in the same text.

Words, n-grams and lines are told apart by 64-bit hashes. In a text of a million words two different n-grams share a
hash with a chance of about 3e-8.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from filters.compiled import compiled, is_space, within
from filters.letters import ALNUM, HAN, MARKS

Codes = npt.NDArray[np.uint32]
Starts = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

_SEED: Final = np.uint64(0xCBF29CE484222325)  # FNV-1a's offset and prime
_PRIME: Final = np.uint64(0x100000001B3)
_BASE: Final = np.uint64(0x9E3779B97F4A7C15)  # odd: 2**64 / golden ratio
_NEWLINE: Final = 10


@compiled
def mixed(value: np.uint64) -> np.uint64:
    """Spread the bits of a hash (finalizer of splitmix64)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@compiled
def word_hashes(text: Codes) -> Hashes:
    """Hash of each word of a text, in order; see `filters.letters.WORD` for what a word is."""
    words = np.empty(len(text), dtype=np.uint64)
    size = 0
    inside = False
    for code in text:
        if is_space(code) or within(code, MARKS):
            inside = False
            continue
        han = within(code, HAN)
        if inside and not han:
            words[size - 1] = (words[size - 1] ^ np.uint64(code)) * _PRIME
        else:
            words[size] = (_SEED ^ np.uint64(code)) * _PRIME
            size += 1
        inside = not han
    for i in range(size):
        words[i] = mixed(words[i])
    return words[:size]


@compiled
def line_hashes(text: Codes) -> Hashes:
    """Hash of each line that holds a letter or a digit, white space at its ends left out."""
    lines = np.empty(len(text), dtype=np.uint64)
    size = 0
    position = 0
    while position < len(text):
        begin = position
        while position < len(text) and text[position] != _NEWLINE:
            position += 1
        end = position
        position += 1
        while begin < end and is_space(text[begin]):
            begin += 1
        while begin < end and is_space(text[end - 1]):
            end -= 1
        value, wordy = _SEED, False
        for i in range(begin, end):
            code = text[i]
            value = (value ^ np.uint64(code)) * _PRIME
            wordy = wordy or within(code, ALNUM)
        if wordy:
            lines[size] = mixed(value)
            size += 1
    return lines[:size]


@compiled
def ngram_hashes(words: Hashes, n: int) -> Hashes:
    """Hash of each n-gram of words, in order; none where there are fewer than n words."""
    count = max(len(words) - n + 1, 0)
    ngrams = np.empty(count, dtype=np.uint64)
    if count == 0:
        return ngrams
    oldest = np.uint64(1)
    for _ in range(n):
        oldest = oldest * _BASE
    value = np.uint64(0)
    for i in range(len(words)):
        value = value * _BASE + words[i]
        if i >= n:
            value = value - oldest * words[i - n]
        if i >= n - 1:
            ngrams[i - n + 1] = mixed(value)
    return ngrams


@compiled
def repeat_share(hashes: Hashes) -> float:
    """Share of the hashes that occurred before; 0.0 where there are none."""
    if len(hashes) == 0:
        return 0.0
    size = 4
    while size < 2 * len(hashes):
        size *= 2
    table = np.zeros(size, dtype=np.uint64)  # open addressing; 0 marks a free place
    mask = np.uint64(size - 1)
    repeats = 0
    for item in hashes:
        value = item if item != 0 else np.uint64(1)
        place = value & mask
        while table[place] not in (np.uint64(0), value):
            place = (place + np.uint64(1)) & mask
        repeats += table[place] == value
        table[place] = value
    return repeats / len(hashes)


@compiled
def repeat_shares(codes: Codes, starts: Starts, n: int) -> npt.NDArray[np.float64]:
    """Share of repeated word n-grams (row 0) and of repeated lines (row 1) of each text: (2, m) float64."""
    shares = np.zeros((2, len(starts) - 1), dtype=np.float64)
    for i in range(len(starts) - 1):
        text = codes[starts[i] : starts[i + 1]]
        shares[0, i] = repeat_share(ngram_hashes(word_hashes(text), n))
        shares[1, i] = repeat_share(line_hashes(text))
    return shares
