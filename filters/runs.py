"""Compiled kernel: runs of one character."""

import numpy as np
import numpy.typing as npt

from filters.compiled import compiled, is_space


@compiled
def longest_runs(codes: npt.NDArray[np.uint32], starts: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """Longest runs of one character per text, in characters.

    Returns:
        (3, m) int32: row 0 unbroken runs of a character that is not white space; row 1 such runs in which single
        white-space characters may stand, not counted; row 2 runs of white space.
    """
    texts = len(starts) - 1
    longest = np.zeros((3, texts), dtype=np.int32)
    for text in range(texts):
        tight = loose = gap = 0
        last = np.uint32(0)
        for position in range(starts[text], starts[text + 1]):
            code = codes[position]
            if is_space(code):
                gap += 1
                longest[2, text] = max(longest[2, text], gap)
                continue
            same = code == last and loose > 0
            tight = tight + 1 if same and gap == 0 else 1
            loose = loose + 1 if same and gap <= 1 else 1
            last = code
            gap = 0
            longest[0, text] = max(longest[0, text], tight)
            longest[1, text] = max(longest[1, text], loose)
    return longest
