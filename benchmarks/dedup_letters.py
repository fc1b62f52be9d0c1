"""Letters of a picture exchanged for others of it, as one receipt differs from the next: for benchmarks.dedup_others.

A letter is a spot of ink that stands free on even paper, dark or light, as high as letters are. It gives way to another
one of about its height and width that has its ink in other places.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

HEIGHTS: Final = (6, 64)
WIDTHS: Final = (0.25, 1.2)
"""Pixels of a letter's height; its width by that."""

EVEN: Final = 20
CONTRAST: Final = 80
"""Gray levels that paper around a letter may stray, and that ink is away from it at least."""

OTHER: Final = 0.3
ALIKE: Final = 0.5
"""Mean difference of two letters by the contrast at least, and their correlation at most."""

SLACK: Final = 2
"""Pixels by which two letters may differ in width."""

LEVEL: Final = 0.2
LOWEST: Final = 0.6
"""By the height of a letter: how far the foot of the next one may be away, and its height at least."""

TRIES: Final = 200
MOST: Final = 20
"""Letters that are tried as the first of a word, and as another one."""

Gray = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Letter:
    """Box of a letter in pixels, with one pixel of paper around it, and the gray of that."""

    left: int
    top: int
    right: int
    bottom: int
    paper: int

    @property
    def height(self) -> int:
        """Of the ink."""
        return self.bottom - self.top - 2

    @property
    def width(self) -> int:
        """Of the ink."""
        return self.right - self.left - 2


def exchanged_letters(image: Image.Image, number: int, rng: np.random.Generator) -> tuple[Image.Image, int] | None:
    """The picture with so many letters that stand side by side exchanged, and their height in pixels; None: no print.

    Args:
        image: mode RGB.
        number: letters.
        rng: chooses them.
    """
    gray = np.asarray(image.convert("L")).astype(np.int16)
    letters = _letters(gray)
    if len(letters) < 2 * number:
        return None
    for _ in range(TRIES):
        line = _side_by_side(letters[rng.integers(len(letters))], letters, number)
        pairs = [(each, _another(each, letters, gray, rng)) for each in line]
        if len(pairs) == number and all(other for _, other in pairs):
            return _pasted(image, pairs), line[0].height
    return None


def _pasted(image: Image.Image, pairs: list[tuple[Letter, Letter | None]]) -> Image.Image:
    made = image.copy()
    for mine, other in pairs:
        if other:
            paper = image.getpixel((mine.left, mine.top))
            made.paste(paper, (mine.left, mine.top, mine.right, mine.bottom))
            made.paste(image.crop((other.left, other.top, other.right, other.bottom)), (mine.left, mine.top))
    return made


def _letters(gray: Gray) -> list[Letter]:
    """Spots of ink, darker or lighter than the middle of their surroundings, on even paper."""
    found = []
    for ink in (gray < np.median(gray) - CONTRAST // 2, gray > np.median(gray) + CONTRAST // 2):
        labels, _ = ndimage.label(ink, structure=np.ones((3, 3)))
        for rows, columns in ndimage.find_objects(labels):
            height, width = rows.stop - rows.start, columns.stop - columns.start
            if HEIGHTS[0] <= height <= HEIGHTS[1] and WIDTHS[0] * height <= width <= WIDTHS[1] * height:
                letter = _standing_free(gray, rows.start - 1, rows.stop + 1, columns.start - 1, columns.stop + 1)
                found += [letter] if letter else []
    return sorted(found, key=lambda each: (each.top, each.left))


def _standing_free(gray: Gray, top: int, bottom: int, left: int, right: int) -> Letter | None:
    if min(top, left) < 0 or bottom > gray.shape[0] or right > gray.shape[1]:
        return None
    box = gray[top:bottom, left:right]
    rim = np.concatenate([box[0], box[-1], box[:, 0], box[:, -1]])
    paper = int(np.median(rim))
    if np.abs(rim - paper).max() > EVEN or np.abs(box - paper).max() < CONTRAST:
        return None
    return Letter(left, top, right, bottom, paper)


def _side_by_side(first: Letter, letters: list[Letter], number: int) -> list[Letter]:
    """A letter and those right of it on its line, no further apart than letters of a word."""
    line = [first]
    while len(line) < number:
        after = [each for each in letters if _follows(line[-1], each)]
        if not after:
            break
        line.append(min(after, key=lambda each: each.left))
    return line


def _follows(last: Letter, each: Letter) -> bool:
    near = 0 <= each.left + 1 - last.right + 1 <= last.height
    return near and abs(each.bottom - last.bottom) <= LEVEL * last.height and each.height > LOWEST * last.height


def _another(mine: Letter, letters: list[Letter], gray: Gray, rng: np.random.Generator) -> Letter | None:
    """A letter of about the same size on the same paper that looks clearly otherwise."""
    near = [each for each in letters if abs(each.height - mine.height) <= 1
            and abs(each.width - mine.width) <= SLACK and abs(each.paper - mine.paper) <= EVEN]  # fmt: skip
    for place in rng.permutation(len(near))[:MOST]:
        other = near[place]
        height, width = min(mine.height, other.height) + 2, min(mine.width, other.width) + 2
        a = gray[mine.top : mine.top + height, mine.left : mine.left + width]
        b = gray[other.top : other.top + height, other.left : other.left + width]
        contrast = np.abs(a - mine.paper).max()
        if np.abs(a - b).mean() > OTHER * contrast and np.corrcoef(a.ravel(), b.ravel())[0, 1] < ALIKE:
            return other
    return None
