"""Compiled kernel: runs of one character."""

import numpy as np
import numpy.typing as npt

from filters.classes import SPACE, kind_of
from filters.compiled import compiled

Indices = npt.NDArray[np.int64]


@compiled
def longest_runs(codes: npt.NDArray[np.uint32], starts: Indices, messages: Indices) -> npt.NDArray[np.int32]:
    """Longest runs of one character in each of the chosen messages, in characters.

    Returns:
        (3, k) int32: row 0 unbroken runs of a character that is not white space; row 1 such runs in which single
        white-space characters may stand, not counted; row 2 runs of white space.
    """
    longest = np.zeros((3, len(messages)), dtype=np.int32)
    for k in range(len(messages)):
        tight = loose = gap = 0
        longest_tight = longest_loose = longest_gap = 0
        last = np.uint32(0)
        for place in range(starts[messages[k]], starts[messages[k] + 1]):
            code = codes[place]
            if kind_of(code) == SPACE:
                gap += 1
                longest_gap = max(longest_gap, gap)
                continue
            if code == last and loose > 0 and gap <= 1:
                tight = tight + 1 if gap == 0 else 1
                loose += 1
                longest_tight, longest_loose = max(longest_tight, tight), max(longest_loose, loose)
            else:
                tight = loose = 1
            last = code
            gap = 0
        if last != 0 or loose > 0:
            longest_tight, longest_loose = max(longest_tight, 1), max(longest_loose, 1)
        longest[0, k], longest[1, k], longest[2, k] = longest_tight, longest_loose, longest_gap
    return longest
