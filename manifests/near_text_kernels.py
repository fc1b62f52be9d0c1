"""Compiled loops of the near-duplicate search in texts."""

from typing import Final

import numpy as np
from numba import njit

MOST_KEPT: Final = 16
"""Kept texts that are looked up under one band, the first ones. A template that a hundred thousand rows fill in would
otherwise cost five billion comparisons. Ours."""

MOST_COMPARED: Final = 16
"""Kept texts that one text is compared with, those that share most bands with it. Ours."""

FEWEST_FILLED: Final = 4
"""Duplicates of one text from which on a place where nearly all differ from it, each its own way, is a blank of a form
that they fill in. Ours."""

NEARLY_ALL: Final = 0.9

FEW_SAID: Final = 4
"""Shingles of an answer that is too short to tell questions apart: up to eight words. Ours."""

FEW_OWN: Final = 5
"""Shingles that either of two questions may have alone where an answer is that short: those of
one word. Of a long passage with a question after it, far more are shared than a similarity asks for. Ours."""


@njit(cache=True, nogil=True)
def by_row(owners, buckets, number):  # type: ignore[no-untyped-def]  # compiled
    """(n,) int64 how many buckets each row stands in, and the buckets by row."""
    starts = np.zeros(number + 1, dtype=np.int64)
    for owner in owners:
        starts[owner + 1] += 1
    shares = starts[1:].copy()
    for row in range(number):
        starts[row + 1] += starts[row]
    ordered = np.empty_like(buckets)
    for entry in range(len(owners)):
        ordered[starts[owners[entry]]] = buckets[entry]
        starts[owners[entry]] += 1
    return shares, ordered


@njit(cache=True, nogil=True)
def common(values, mine, theirs):  # type: ignore[no-untyped-def]  # compiled
    """How many values two sorted sets share that are given by their ends in `values`."""
    i, j = mine[0], theirs[0]
    both = 0
    while i < mine[1] and j < theirs[1]:
        left, right = values[i], values[j]
        both += left == right
        i, j = i + (left <= right), j + (right <= left)
    return both


@njit(cache=True, nogil=True)
def similarity(values, mine, theirs, least):  # type: ignore[no-untyped-def]  # compiled
    """Similarity of the questions of two texts or of their answers, whichever is lower; 0.0 where below `least`.

    It is 0.0, too, where an answer has at most `FEW_SAID` shingles and a question more than `FEW_OWN` that are its own.
    """
    found, own = 1.0, 0
    short = 0 < min(mine[2] - mine[1], theirs[2] - theirs[1]) <= FEW_SAID
    for side in range(2):
        ends = (mine[side], mine[side + 1]), (theirs[side], theirs[side + 1])
        most = max(ends[0][1] - ends[0][0], ends[1][1] - ends[1][0])
        fewest = min(ends[0][1] - ends[0][0], ends[1][1] - ends[1][0])
        if fewest < least * most:
            return 0.0
        both = common(values, ends[0], ends[1])
        own = max(own, most - both)
        found = min(found, both / (most + fewest - both) if most else 1.0)
        if found < least or (short and own > FEW_OWN):
            return 0.0
    return found


@njit(cache=True, nogil=True)
def nearest(buckets, slots, filled, kept_of, shares):  # type: ignore[no-untyped-def]  # compiled
    """Kept texts in the buckets of a text: in most of them first, full ones last, then the earliest."""
    found = np.empty(len(buckets) * MOST_KEPT, dtype=np.int64)
    size = 0
    for bucket in buckets:
        # a band that many texts have is that of a template and says little
        worth = 1 if filled[bucket] == MOST_KEPT else len(buckets)
        for slot in range(slots[bucket], slots[bucket] + filled[bucket]):
            other = kept_of[slot]
            if shares[other] == 0:
                found[size] = other
                size += 1
            shares[other] += worth
    for i in range(size):
        other = found[i]
        found[i] = ((len(buckets) ** 2 - shares[other]) << 40) | other
        shares[other] = 0
    return np.sort(found[:size]) & ((1 << 40) - 1)


@njit(cache=True, nogil=True)
def join(  # type: ignore[no-untyped-def]  # compiled
    starts, buckets, slots, values, places, numbers, least, same_numbers
):
    """Visit texts in turn: (k,) the one that each joins, itself where it is kept, and (k,) how similar they are.

    The buckets of text i are `buckets[starts[i]:starts[i + 1]]`; each has room for its kept texts from `slots` on.
    """
    texts = len(starts) - 1
    joined = np.arange(texts)
    alike = np.full(texts, np.nan)
    kept_of = np.empty(slots[-1], dtype=np.int64)
    filled = np.zeros(len(slots) - 1, dtype=np.int64)
    shares = np.zeros(texts, dtype=np.uint16)
    for text in range(texts):
        own = buckets[starts[text] : starts[text + 1]]
        best, chosen = 0.0, text
        for other in nearest(own, slots, filled, kept_of, shares)[:MOST_COMPARED]:
            if same_numbers and numbers[other] != numbers[text]:
                continue
            found = similarity(values, places[text], places[other], least)
            if found > best or (found == best and found >= least and other < chosen):
                best, chosen = found, other
        if chosen != text:
            joined[text], alike[text] = chosen, best
            continue
        for bucket in own:
            if slots[bucket] + filled[bucket] < slots[bucket + 1]:
                kept_of[slots[bucket] + filled[bucket]] = text
                filled[bucket] += 1
    return joined, alike


@njit(cache=True, nogil=True)
def lacking(values, kept, other, missed):  # type: ignore[no-untyped-def]  # compiled
    """Count in `missed`, for each shingle of a kept text, that another text lacks it."""
    for side in range(2):
        j = other[side]
        for i in range(kept[side], kept[side + 1]):
            while j < other[side + 1] and values[j] < values[i]:
                j += 1
            missed[i - kept[0]] += j == other[side + 1] or values[j] != values[i]


@njit(cache=True, nogil=True)
def has_own(values, mine, kept, other):  # type: ignore[no-untyped-def]  # compiled
    """Whether a text has a shingle that neither of two others has."""
    for side in range(2):
        i, j = kept[side], other[side]
        for place in range(mine[side], mine[side + 1]):
            value = values[place]
            while i < kept[side + 1] and values[i] < value:
                i += 1
            while j < other[side + 1] and values[j] < value:
                j += 1
            if (i == kept[side + 1] or values[i] != value) and (j == other[side + 1] or values[j] != value):
                return True
    return False


@njit(cache=True, nogil=True)
def is_form(values, places, kept, members):  # type: ignore[no-untyped-def]  # compiled
    """Whether a kept text and its duplicates fill in a form: at one place nearly all differ, each in its own way."""
    missed = np.zeros(places[kept, 2] - places[kept, 0], dtype=np.int64)
    own = 0
    for i in range(len(members)):
        lacking(values, places[kept], places[members[i]], missed)
        own += has_own(values, places[members[i]], places[kept], places[members[i - 1]])
    return min(own, missed.max()) >= NEARLY_ALL * len(members)


@njit(cache=True, nogil=True)
def unfilled(joined, alike, values, places):  # type: ignore[no-untyped-def]  # compiled
    """The same as `join` returns, where no text joins one that is a form filled in otherwise; see `FEWEST_FILLED`."""
    joined, alike = joined.copy(), alike.copy()
    order = np.argsort(joined, kind="mergesort")
    begin = 0
    for end in range(1, len(order) + 1):
        if end < len(order) and joined[order[end]] == joined[order[begin]]:
            continue
        kept = joined[order[begin]]
        members = order[begin:end][order[begin:end] != kept]
        if len(members) >= FEWEST_FILLED and is_form(values, places, kept, members):
            joined[members] = members
            alike[members] = np.nan
        begin = end
    return joined, alike
