"""Compiled kernel of FineWeb's measures of lines."""

from typing import Final

import numpy as np
import numpy.typing as npt

from filters.code_bits import BLANK, TERMINAL, Bits
from filters.compiled import compiled
from filters.gopher_counts import count_words
from filters.tables import Codes, Offsets, dup_pieces

_NEWLINE: Final = 10


@compiled
def fineweb_rows(codes: Codes, starts: Offsets, bits: Bits, short: int) -> npt.NDArray[np.float64]:
    """Measures of each text in the order of `filters.fineweb.FineWeb.writes`: (4, n) float64."""
    rows = np.zeros((4, len(starts) - 1), dtype=np.float64)
    for i in range(len(starts) - 1):
        text = codes[starts[i] : starts[i + 1]]
        newlines = 0
        for code in text:
            newlines += code == _NEWLINE
        begins, ends = np.empty(newlines + 1, dtype=np.int64), np.empty(newlines + 1, dtype=np.int64)
        lines, terminal, few, begin = 0, 0, 0, 0
        while begin <= len(text):
            end, blank = begin, True
            while end < len(text) and text[end] != _NEWLINE:
                blank = blank and bits[text[end]] & BLANK != 0
                end += 1
            if not blank:
                begins[lines], ends[lines] = begin, end
                lines += 1
                terminal += bits[text[end - 1]] & TERMINAL != 0
                few += end - begin <= short
            begin = end + 1
        if lines:
            _, chars = dup_pieces(text, begins, ends, lines)
            words = count_words(text, bits)
            rows[0, i] = terminal / lines
            rows[1, i] = few / lines
            rows[2, i] = chars / (len(text) - newlines)
            rows[3, i] = newlines / words if words else 0.0
    return rows
