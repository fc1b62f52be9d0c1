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
def gray_counts(gray: Pixels) -> npt.NDArray[np.int64]:
    """(256,) how many pixels of (h, w) have each value."""
    # two by turns, or a value that returns waits for the count before
    counts, other = np.zeros(256, dtype=np.int64), np.zeros(256, dtype=np.int64)
    for row in range(gray.shape[0]):
        line = gray[row]
        for column in range(0, len(line) - 1, 2):
            counts[line[column]] += 1
            other[line[column + 1]] += 1
        if len(line) % 2:
            counts[line[-1]] += 1
    for value in range(256):
        counts[value] += other[value]
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


@compiled
def ink_box(gray: Pixels, paper: int, step: int) -> tuple[int, int, int, int]:
    """First row, and one past the last, of the pixels of (h, w) that differ from `paper` by more; and columns.

    Four times 0 where no pixel does.
    """
    height, width = gray.shape
    top, bottom, left, right = height, 0, width, 0
    for row in range(height):
        line = gray[row]
        first = 0
        while first < width and abs(np.int64(line[first]) - paper) <= step:
            first += 1
        if first == width:
            continue
        top, bottom = min(top, row), row + 1
        left = min(left, first)
        last = width
        while last > right and abs(np.int64(line[last - 1]) - paper) <= step:
            last -= 1
        right = max(right, last)
    return (top, bottom, left, right) if bottom else (0, 0, 0, 0)
