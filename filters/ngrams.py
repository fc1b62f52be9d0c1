"""Compiled kernels: the distinct words and word pairs of a conversation, as buckets of a hash table."""

from typing import Final

import numpy as np
import numpy.typing as npt

from filters.compiled import compiled
from filters.repeats import Codes, Hashes, Starts, mixed, ngram_hashes, word_hashes

BITS: Final = 18
"""Of a bucket's number: 262,144 buckets. Two of the 90 n-grams of a usual sample share one with a chance of 1.5 %."""

_FIRST: Final = 0x41  # A
_LAST: Final = 0x5A  # Z
_FOLD: Final = 0x20
_SHIFT: Final = np.uint64(64 - BITS)

Buckets = npt.NDArray[np.int32]


@compiled
def _folded(text: Codes) -> Codes:
    """The text with ASCII letters in lower case; other scripts stay as they are, so that no table of Unicode counts."""
    out = text.copy()
    for i in range(len(out)):
        if _FIRST <= out[i] <= _LAST:
            out[i] += _FOLD
    return out


@compiled
def _add(grams: Hashes, salt: int, row: int, stamps: Buckets, out: Buckets, size: int) -> int:
    """Append the buckets that the row does not have yet to `out`; returns the number of entries in it."""
    key = mixed(np.uint64(salt))
    for gram in grams:
        bucket = mixed(gram ^ key) >> _SHIFT
        if stamps[bucket] != row:
            stamps[bucket] = row
            out[size] = bucket
            size += 1
    return size


@compiled
def distinct_ngrams(
    answers: Codes, answer_starts: Starts, questions: Codes, question_starts: Starts
) -> tuple[Buckets, Starts]:
    """Buckets of the distinct words and word pairs of answers, and of the distinct words of questions.

    Args:
        answers: code points of all answers, one text for each row.
        answer_starts: (n + 1,) row i is `answers[answer_starts[i]:answer_starts[i + 1]]`.
        questions: code points of everything else that is said, in the same way.
        question_starts: as `answer_starts`.

    Returns:
        Buckets 0..2**BITS - 1 of all rows, int32, and (n + 1,) int64: row i has `buckets[ends[i]:ends[i + 1]]`, none
        twice, in the order of their first place. A word and a pair may share a bucket; the row then has it once.

    Source: feature hashing, Weinberger et al. 2009 (arXiv 0902.2206), without the sign.
    """
    rows = len(answer_starts) - 1
    stamps = np.full(1 << BITS, -1, dtype=np.int32)
    # a text has no more words than characters, and no more pairs than words
    out = np.empty(2 * len(answers) + len(questions), dtype=np.int32)
    ends = np.zeros(rows + 1, dtype=np.int64)
    size = 0
    for i in range(rows):
        words = word_hashes(_folded(answers[answer_starts[i] : answer_starts[i + 1]]))
        asked = word_hashes(_folded(questions[question_starts[i] : question_starts[i + 1]]))
        size = _add(words, 1, i, stamps, out, size)
        size = _add(ngram_hashes(words, 2), 2, i, stamps, out, size)
        size = _add(asked, 3, i, stamps, out, size)
        ends[i + 1] = size
    return out[:size].copy(), ends
