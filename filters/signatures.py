"""Compiled kernels: shingles of words, and MinHash bands by which texts that share most of them are found."""

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from filters.classes import DIGIT, LETTER, SPACE, kind_of
from filters.compiled import compiled
from filters.folding import lower_table
from filters.repeats import mixed, ngram_hashes

Codes = npt.NDArray[np.uint32]
Indices = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Sides = npt.NDArray[np.bool_]

_MARKED: Final = 0xFFFFFFFE  # code points from here on are marks of `lower_table`
_KIND: Final = 24
_SEED: Final = np.uint64(0xCBF29CE484222325)  # FNV-1a's offset and prime
_PRIME: Final = np.uint64(0x100000001B3)
_BASE: Final = np.uint64(0x9E3779B97F4A7C15)  # odd: 2**64 / golden ratio
_NONE: Final = np.uint32(0xFFFFFFFF)
_HIGH: Final = np.uint64(32)


def multipliers(count: int) -> Hashes:
    """(count,) odd uint64: the hash functions of a signature, the same on every machine."""
    steps = np.arange(1, count + 1, dtype=np.uint64) * _BASE
    return np.array([mixed(step) for step in steps], dtype=np.uint64) | np.uint64(1)


@cache
def characters() -> Codes:
    """(0x20000,) the small letter of each code point where that is one, and its kind in the highest byte."""
    return _characters(lower_table())


@compiled
def _characters(small: Codes) -> Codes:
    found = np.empty(len(small), dtype=np.uint32)
    for code in range(len(small)):
        letter = int(small[code]) if small[code] < _MARKED else code
        found[code] = letter | kind_of(letter) << _KIND
    return found


@compiled
def words_into(text: Codes, table: Codes, words: Hashes, size: int) -> tuple[int, np.uint64]:
    """Write the hash of each word of a text behind the first `size` words, in small letters.

    A word is a run of letters and digits; a character of a script without spaces is one by itself, and so is any sign,
    so that `a+b` is `a + b`.

    Args:
        text: code points.
        table: `characters()`.
        words: room for all.
        size: words that are there.

    Returns:
        Number of words with those before, and a hash of the numbers in the text (runs of digits) in any order.
    """
    numbers = np.uint64(0)
    value, digits = _SEED, _SEED
    for place in range(len(text)):
        code = text[place]
        code = table[code] if code < len(table) else code | kind_of(code) << _KIND
        kind = code >> _KIND
        if kind == DIGIT:
            digits = (digits ^ np.uint64(code)) * _PRIME
        elif digits != _SEED:
            numbers += mixed(digits)
            digits = _SEED
        if kind in (LETTER, DIGIT):
            value = (value ^ np.uint64(code)) * _PRIME
            continue
        if value != _SEED:
            words[size] = mixed(value)
            size += 1
            value = _SEED
        if kind != SPACE:
            words[size] = mixed((_SEED ^ np.uint64(code)) * _PRIME)
            size += 1
    if value != _SEED:
        words[size] = mixed(value)
        size += 1
    return size, numbers + (mixed(digits) if digits != _SEED else np.uint64(0))


@compiled
def shingles(  # the parts of `Texts` one by one, since numba knows no dataclasses
    codes: Codes, starts: Indices, sides: Sides, messages: tuple[int, int], side: bool, size: int, table: Codes
) -> tuple[Hashes, np.uint64]:
    """Hashes of each run of `size` words in the messages of one side, joined; see `band_hashes` for the arguments.

    Fewer words make one shingle together, no words none.

    Returns:
        (k,) hashes, equal ones not taken out, and a hash of the numbers said.
    """
    room = 0
    for message in range(messages[0], messages[1]):
        if sides[message] == side:
            room += starts[message + 1] - starts[message]
    words = np.empty(room, dtype=np.uint64)
    count, numbers = 0, np.uint64(0)
    for message in range(messages[0], messages[1]):
        if sides[message] == side:
            count, said = words_into(codes[starts[message] : starts[message + 1]], table, words, count)
            numbers += said
    found = ngram_hashes(words[:count], max(min(size, count), 1))
    if side:
        for i in range(len(found)):
            found[i] = mixed(found[i] ^ _BASE)
    return found, numbers


@compiled
def band_hashes(
    codes: Codes,
    starts: Indices,
    sides: Sides,
    firsts: Indices,
    size: int,
    table: Codes,
    factors: Hashes,
    rows: int,
) -> Hashes:
    """Bands of a MinHash signature: two samples share one with the chance `similarity ** rows`.

    Questions and answers have shingles of their own: the same words on the other side are other shingles.

    Args:
        codes: (c,) code points of all messages.
        starts: (m + 1,) message i is `codes[starts[i]:starts[i + 1]]`.
        sides: (m,) whether a message is an answer.
        firsts: (n + 1,) messages of sample i are `firsts[i]` up to `firsts[i + 1]`.
        size: words of a shingle.
        table: `characters()`.
        factors: (bands * rows,) see `multipliers`.
        rows: hash functions of a band.

    Returns:
        (bands, n) uint64; 0 where a sample has no word.

    Source: Broder 1997, "On the resemblance and containment of documents"; hash functions: multiply-shift,
    Dietzfelbinger et al. 1997.
    """
    samples, bands = len(firsts) - 1, len(factors) // rows
    found = np.zeros((bands, samples), dtype=np.uint64)
    least = np.empty(len(factors), dtype=np.uint32)
    for sample in range(samples):
        least[:] = _NONE
        count = 0
        for side in (False, True):
            messages = (firsts[sample], firsts[sample + 1])
            hashes, _ = shingles(codes, starts, sides, messages, side, size, table)
            count += len(hashes)
            for value in hashes:
                for i in range(len(factors)):
                    least[i] = min(least[i], np.uint32((value * factors[i]) >> _HIGH))
        if count == 0:
            continue
        for band in range(bands):
            value = np.uint64(band)
            for i in range(band * rows, (band + 1) * rows):
                value = mixed((value ^ np.uint64(least[i])) * _BASE)
            found[band, sample] = max(value, np.uint64(1))
    return found


@compiled
def _distinct(hashes: Hashes) -> npt.NDArray[np.uint32]:
    """The upper halves of hashes, sorted, each once."""
    values = np.sort((hashes >> _HIGH).astype(np.uint32))
    size = 0
    for value in values:
        if size == 0 or values[size - 1] != value:
            values[size] = value
            size += 1
    return values[:size]


@compiled
def shingle_sets(
    codes: Codes, starts: Indices, sides: Sides, firsts: Indices, size: int, table: Codes
) -> tuple[npt.NDArray[np.uint32], Indices, Hashes]:
    """The sets of shingles of samples; arguments as in `band_hashes`.

    Shingles are told apart by 32 bits: one in 40 pairs of texts of 10,000 words each seems to share one too many.

    Returns:
        (s,) uint32 values; (n, 3) int64 places among them: the questions of sample i are sorted from the first to the
        second, its answers from the second to the third; (n,) uint64 hash of the numbers said.
    """
    samples = len(firsts) - 1
    values = np.empty(len(codes) + 1, dtype=np.uint32)
    places = np.zeros((samples, 3), dtype=np.int64)
    numbers = np.zeros(samples, dtype=np.uint64)
    end = 0
    for sample in range(samples):
        places[sample, 0] = end
        for side in (False, True):
            messages = (firsts[sample], firsts[sample + 1])
            hashes, said = shingles(codes, starts, sides, messages, side, size, table)
            distinct = _distinct(hashes)
            values[end : end + len(distinct)] = distinct
            end += len(distinct)
            places[sample, 1 + side] = end
            numbers[sample] = mixed(numbers[sample]) + said
    return values[:end].copy(), places, numbers
