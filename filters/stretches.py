"""Compiled kernels: the longest verbatim periodic stretch of a text, exact, in O(n log n) time on any input.

A stretch of period p is a part of the text in which every character equals the one p places before it. Cut the text in
halves: a stretch lies in one half or crosses the middle, and all that cross it follow from four linear passes.
Hashed shingles would find most periods with as much code, but miss those in which every shingle occurs twice and need
a guard against hostile text.

Source: Main and Lorentz 1984, "An O(n log n) algorithm for finding all repetitions in a string"; Z arrays: Gusfield
1997, "Algorithms on strings, trees and sequences", section 1.3.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from filters.compiled import compiled, is_space

_SPACE: Final = 0x20

Codes = npt.NDArray[np.uint32]
Lengths = npt.NDArray[np.int64]


@compiled
def squeezed(codes: Codes) -> Codes:
    """Replace each run of white space in a text by one space, and take it from the ends."""
    kept = np.empty(len(codes), dtype=np.uint32)
    size = 0
    for code in codes:
        if not is_space(code):
            kept[size] = code
            size += 1
        elif size > 0 and kept[size - 1] != _SPACE:
            kept[size] = _SPACE
            size += 1
    if size > 0 and kept[size - 1] == _SPACE:
        size -= 1
    return kept[:size]


@compiled
def z_array(pattern: Codes) -> Lengths:
    """For each position, how many characters from it on equal the start of `pattern`; 0 for the first position."""
    size = len(pattern)
    z = np.zeros(size, dtype=np.int64)
    left = right = 0  # the match that reaches farthest right
    for i in range(1, size):
        length = min(z[i - left], right - i) if i < right else 0
        while i + length < size and pattern[i + length] == pattern[length]:
            length += 1
        if i + length > right:
            left, right = i, i + length
        z[i] = length
    return z


@compiled
def prefix_matches(text: Codes, count: int, pattern: Codes, z: Lengths) -> Lengths:
    """For each of the first `count` positions of `text`, how many characters from it on equal the start of `pattern`.

    `z` is `z_array(pattern)`.
    """
    found = np.empty(count, dtype=np.int64)
    left = right = 0
    for i in range(count):
        length = min(z[i - left], right - i) if i < right else 0
        if i + length >= right:
            while length < len(pattern) and i + length < len(text) and text[i + length] == pattern[length]:
                length += 1
            left, right = i, i + length
        found[i] = length
    return found


@compiled
def keep_longest(best: Lengths, after: Lengths, before: Lengths, far: int) -> None:
    """Raise `best` to the longest stretches around a middle whose period fits on the side `after` belongs to.

    `after[p]`: characters that keep period p beyond the first p of that side; `before[-p]`: characters that keep it
    from there backwards. `best[0]` wants three copies of any period, `best[1]` two of at least `far` characters. The
    separator after the last copy may be missing, therefore one character less.
    """
    size = len(after)
    for period in range(1, size + 1):
        length = period + before[size - period] + (after[period] if period < size else 0)
        if length > best[0] and length >= 3 * period - 1:
            best[0] = length
        if length > best[1] and length >= 2 * period - 1 and period >= far:
            best[1] = length


@compiled
def longest_stretches(text: Codes, shortest: int, far: int) -> Lengths:
    """Length of the longest stretch with three copies, and with two copies of a period of at least `far` characters.

    Stretches below `shortest` characters may be missed; parts of the text shorter than that are not searched.
    """
    size = len(text)
    mirror = text[::-1].copy()
    best = np.zeros(2, dtype=np.int64)
    parts = 1
    # A part that is no longer than what was found cannot hold a longer stretch.
    while (size + parts - 1) // parts > max(shortest - 1, 1, best.min()):
        for part in range(parts):
            low, high = part * size // parts, (part + 1) * size // parts
            middle = (2 * part + 1) * size // (2 * parts)
            right, left = text[middle:high], mirror[size - middle : size - low]
            z_right, z_left = z_array(right), z_array(left)
            before_right = prefix_matches(mirror[size - high : size - low], high - middle, left, z_left)
            before_left = prefix_matches(text[low:high], middle - low, right, z_right)
            keep_longest(best, z_right, before_right, far)
            keep_longest(best, z_left, before_left, far)
        parts *= 2
    return best


@compiled
def periodic_shares(codes: Codes, starts: Lengths, shortest: int, far: int) -> npt.NDArray[np.float64]:
    """Share of each text that its longest periodic stretch covers, white space squeezed.

    Returns:
        (2, m) float64: row 0 for three copies or more; row 1 for two copies or more of at least `far` characters.
    """
    shares = np.zeros((2, len(starts) - 1), dtype=np.float64)
    for i in range(len(starts) - 1):
        text = squeezed(codes[starts[i] : starts[i + 1]])
        if len(text) < shortest:
            continue
        best = longest_stretches(text, shortest, far)
        for row in range(2):
            if best[row] >= shortest:
                shares[row, i] = best[row] / len(text)
    return shares
