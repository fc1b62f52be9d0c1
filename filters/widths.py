"""Compiled kernel: characters that are a token each."""

from typing import Final

import numpy as np
import numpy.typing as npt

from filters.compiled import compiled, within
from filters.tokens import WIDE

_FIRST: Final = min(low for low, _ in WIDE)


@compiled
def wide_characters(codes: npt.NDArray[np.uint32], starts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Han, kana and Hangul characters of each text `codes[starts[i]:starts[i + 1]]`: (m,) int64."""
    found = np.zeros(len(starts) - 1, dtype=np.int64)
    for text in range(len(starts) - 1):
        own = codes[starts[text] : starts[text + 1]]
        high = 0
        for code in own:  # without a branch, so that many characters are compared at once
            high += code >= _FIRST
        if high:
            for code in own:
                found[text] += code >= _FIRST and within(code, WIDE)
    return found
