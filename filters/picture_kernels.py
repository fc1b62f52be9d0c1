"""Compiled kernels: what is counted pixel by pixel."""

from typing import Final

import numpy as np
import numpy.typing as npt

from filters.compiled import compiled

Pixels = npt.NDArray[np.uint8]

LEVELS: Final = 16
"""Levels of a channel that colours are counted at."""


@compiled
def colour_counts(pixels: Pixels) -> npt.NDArray[np.int64]:
    """(4096,) how many pixels of (h, w, 3) have each colour at 16 levels a channel: red * 256 + green * 16 + blue."""
    counts = np.zeros(LEVELS * LEVELS * LEVELS, dtype=np.int64)
    for row in range(pixels.shape[0]):
        for column in range(pixels.shape[1]):
            red, green, blue = pixels[row, column]
            counts[(np.int64(red) >> 4) << 8 | (np.int64(green) >> 4) << 4 | np.int64(blue) >> 4] += 1
    return counts


@compiled
def block_energies(gray: Pixels, steps: npt.NDArray[np.int64], block: int) -> npt.NDArray[np.int32]:
    """Sums of squared differences to the pixels some steps to the right and below, over whole blocks.

    Args:
        gray: (h, w) pixels.
        steps: (s,) the last is the longest; as many last rows and columns belong to no block.
        block: pixels a side, at most 128.

    Returns:
        (s, rows of blocks, columns of blocks) exact.
    """
    rows, columns = (gray.shape[0] - steps[-1]) // block, (gray.shape[1] - steps[-1]) // block
    sums = np.zeros((len(steps), rows, columns), dtype=np.int32)
    # sums down each column first: a loop over neighbours is one that the compiler does sixteen at a time
    line = np.zeros(columns * block, dtype=np.int32)
    for which in range(len(steps)):
        step = steps[which]
        for own in range(rows):
            line[:] = 0
            for row in range(own * block, (own + 1) * block):
                for place in range(len(line)):
                    across = np.int32(gray[row, place + step]) - np.int32(gray[row, place])
                    down = np.int32(gray[row + step, place]) - np.int32(gray[row, place])
                    line[place] += np.int32(across * across + down * down)
            for place in range(len(line)):
                sums[which, own, place // block] += line[place]
    return sums
