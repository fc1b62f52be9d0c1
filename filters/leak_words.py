"""Compiled kernels: the words of messages as hashes, and which of a benchmark's texts they hold."""

from typing import Final

import numpy as np
import numpy.typing as npt

from filters.compiled import compiled, within
from filters.repeats import Codes, Hashes, ngram_hashes, words_of

Indices = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.uint32]
Weights = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

GRAM: Final = 3
"""Words of an n-gram. A light paraphrase exchanges a word in five or ten; of longer n-grams too few would be left."""

_CASED: Final = 0x20000
_SPACE: Final = 0xFFFFFFFF
_ALONE: Final = 0xFFFFFFFE
_BLANK: Final = 0x20
"""Marks of `filters.folding.lower_table`, and what words are parted by."""
_SIGNS: Final = ((0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0xA9), (0xAB, 0xB4), (0xB6, 0xB9), (0xBB, 0xBF))
"""ASCII and Latin signs; those of general punctuation follow."""
_MORE_SIGNS: Final = (0x2010, 0x206F)


@compiled
def _folded(code: int, small: Numbers) -> int:
    """A character in small letters; a blank for what stands between words, signs among them."""
    lower = int(small[code]) if code < _CASED else code
    if lower == _SPACE or within(code, _SIGNS) or _MORE_SIGNS[0] <= code <= _MORE_SIGNS[1]:
        return _BLANK
    return code if lower == _ALONE else lower


@compiled
def content_words(codes: Codes, starts: Indices, small: Numbers) -> tuple[Hashes, Indices]:
    """Hashes of the words in small letters, parted by white space and signs: neither case nor punctuation counts.

    Args:
        codes: code points of all texts.
        starts: (m + 1,) text i is `codes[starts[i]:starts[i + 1]]`.
        small: `filters.folding.lower_table()`.

    Returns:
        Hashes of all texts, and (m + 1,) int64 where each text starts there.
    """
    texts = len(starts) - 1
    words = np.empty(len(codes), dtype=np.uint64)
    places = np.zeros(texts + 1, dtype=np.int64)
    room = 0
    for text in range(texts):
        room = max(room, starts[text + 1] - starts[text])
    folded, ends = np.empty(room, np.uint32), np.empty(room, np.uint8)
    size = 0
    for text in range(texts):
        length = starts[text + 1] - starts[text]
        for i in range(length):
            folded[i] = _folded(codes[starts[text] + i], small)
        size += words_of(folded[:length], words[size:], ends)
        places[text + 1] = size
    return words[:size].copy(), places


@compiled
def run_hash(words: Hashes) -> np.uint64:
    """One hash for all words in their order; 0 for none."""
    return ngram_hashes(words, len(words))[0] if len(words) else np.uint64(0)


@compiled
def run_hashes(words: Hashes, starts: Indices) -> Hashes:
    """(m,) uint64: `run_hash` of each text."""
    found = np.empty(len(starts) - 1, dtype=np.uint64)
    for i in range(len(found)):
        found[i] = run_hash(words[starts[i] : starts[i + 1]])
    return found


@compiled
def holds_run(words: Hashes, size: int, run: np.uint64) -> bool:
    """Whether `size` words in a row have the hash `run`."""
    for found in ngram_hashes(words, size):  # noqa: SIM110  numba compiles no generators
        if found == run:
            return True
    return False


@compiled
def text_grams(words: Hashes, starts: Indices) -> tuple[Hashes, Indices]:
    """The distinct n-grams of each text, in the order of their hashes, and (m + 1,) int64 where each text starts."""
    out = np.empty(len(words), dtype=np.uint64)
    places = np.zeros(len(starts), dtype=np.int64)
    size = 0
    for text in range(len(starts) - 1):
        grams = np.unique(ngram_hashes(words[starts[text] : starts[text + 1]], GRAM))
        out[size : size + len(grams)] = grams
        size += len(grams)
        places[text + 1] = size
    return out[:size].copy(), places


@compiled
def hash_table(keys: Hashes) -> tuple[Hashes, Numbers]:
    """Open addressing for distinct hashes: slots with a hash, and its place in `keys` plus one; 0 is a free slot."""
    size = 4
    while size < 2 * len(keys):
        size *= 2
    slots, places = np.zeros(size, dtype=np.uint64), np.zeros(size, dtype=np.uint32)
    mask = np.uint64(size - 1)
    for i in range(len(keys)):
        slot = keys[i] & mask
        while places[slot]:
            slot = (slot + np.uint64(1)) & mask
        slots[slot], places[slot] = keys[i], i + 1
    return slots, places


@compiled
def _place(key: np.uint64, slots: Hashes, places: Numbers) -> int:
    """Where a hash stands among the keys of the table; -1 where it does not."""
    mask = np.uint64(len(slots) - 1)
    slot = key & mask
    while places[slot]:
        if slots[slot] == key:
            return int(places[slot]) - 1
        slot = (slot + np.uint64(1)) & mask
    return -1


@compiled
def gram_places(
    words: Hashes, starts: Indices, chosen: Indices, slots: Hashes, places: Numbers
) -> tuple[Numbers, Indices]:
    """The n-grams of texts that a table has: their places, none twice in a text, and (k + 1,) where each text starts.

    Args:
        words: as of `content_words`.
        starts: as of `content_words`.
        chosen: (k,) the texts looked at.
        slots: as of `hash_table`.
        places: as of `hash_table`.
    """
    total = 0
    for text in chosen:
        total += max(starts[text + 1] - starts[text] - GRAM + 1, 0)
    out = np.empty(total, dtype=np.uint32)
    bounds = np.zeros(len(chosen) + 1, dtype=np.int64)
    stamps = np.full(len(places) + 1, -1, dtype=np.int64)
    size = 0
    for k in range(len(chosen)):
        for gram in ngram_hashes(words[starts[chosen[k]] : starts[chosen[k] + 1]], GRAM):
            place = _place(gram, slots, places)
            if place >= 0 and stamps[place] != k:
                stamps[place] = k
                out[size] = place
                size += 1
        bounds[k + 1] = size
    return out[:size].copy(), bounds


@compiled
def _weighed(others: Numbers, weight: float, found: Weights, touched: Numbers, seen: int) -> int:
    """Add the weight of an n-gram to the texts that hold it; the number of texts touched."""
    for other in others:
        if found[other] == 0:
            touched[seen] = other
            seen += 1
        found[other] += weight
    return seen


@compiled
def similar_texts(
    grams: Numbers,
    bounds: Indices,
    postings: Numbers,
    posting_starts: Indices,
    weights: Weights,
    totals: Weights,
    share: float,
) -> tuple[Indices, Numbers]:
    """Pairs of a text and a benchmark's text of which it holds at least a share of the n-grams, by weight.

    Args:
        grams: as of `gram_places`.
        bounds: as of `gram_places`.
        postings: numbers of the benchmark's texts that hold each n-gram, one n-gram after the other.
        posting_starts: (g + 1,) those of n-gram i are `postings[posting_starts[i]:posting_starts[i + 1]]`.
        weights: (g,) of the n-grams; those of weight 0 find nothing.
        totals: (t,) sum of the weights of each of the benchmark's texts.
        share: 0..1.

    Returns:
        (n,) int64 index in `chosen` of `gram_places`, ascending, and (n,) number of the benchmark's text.
    """
    found = np.zeros(len(totals), dtype=np.float64)
    touched = np.empty(len(totals), dtype=np.uint32)
    texts, others = np.empty(64, dtype=np.int64), np.empty(64, dtype=np.int64)
    size = 0
    for k in range(len(bounds) - 1):
        seen = 0
        for gram in grams[bounds[k] : bounds[k + 1]]:
            if weights[gram] > 0:
                seen = _weighed(
                    postings[posting_starts[gram] : posting_starts[gram + 1]], weights[gram], found, touched, seen
                )
        for other in touched[:seen]:
            if found[other] >= share * totals[other]:
                if size == len(texts):
                    texts, others = _longer(texts), _longer(others)
                texts[size], others[size] = k, other
                size += 1
            found[other] = 0
    return texts[:size].copy(), others[:size].astype(np.uint32)


@compiled
def _longer(values: Indices) -> Indices:
    more = np.empty(2 * len(values), dtype=values.dtype)
    more[: len(values)] = values
    return more
