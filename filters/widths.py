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
        own = 0
        for place in range(starts[text], starts[text + 1]):
            if codes[place] >= _FIRST:
                own += within(codes[place], WIDE)
        found[text] = own
    return found
