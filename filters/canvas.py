"""How the content of a picture lies on its paper: blank pictures, placeholders, borders, cut files, transparency."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from filters.base import Columns
from shards.picture import Picture

_SEEN: Final = 1000  # a colour counts from one in so many pixels on
_MISSING: Final = 128  # gray that libjpeg writes where the file has no data

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class PictureCanvas:
    """Scores of flat and drawn pictures: range of gray, colours, content on paper, cut bottom, transparency.

    The sample gets the value of its most suspicious picture. Per picture:

    * `gray_range`: lightest minus darkest gray value (0..255) once the picture is averaged down to at most `sample_px`
      a side. A page with one formula has over 80 where its standard deviation is 1; a blank page has 0.
    * `num_colours`: colours, at 16 levels a channel, of at least one in 1,000 pixels. A colour that lies on the edge of
      two levels counts as two; a picture of pure noise has 0.
    * `top_colour_share`: share (0..1) of pixels within one of 16 levels a channel of the most frequent colour.
    * `content_share`: area (0..1) of the smallest box that holds all content, by the area of the picture. Content is
      what differs by more than `ink_step` levels of gray from the paper, which is the gray of the four corners once a
      frame of `frame_share` of each side is taken off. 1 without a border, less with one (letterbox, page margins).
    * `card_share`: `content_share` where the content lies in the middle (its middle is at most `off_centre` of a side
      away from the picture's) and is drawn in few colours (`num_colours` at most `few_colours`), 1 elsewhere. Small for
      the cards that hosts serve in the place of a lost picture: a line of text, an icon or both on an empty ground.
    * `cut_share`: share (0..1) of the height that is missing: rows at the bottom of exactly middle gray, which libjpeg
      writes where the data of a picture end early.
    * `transparent_share`: share (0..1) of pixels more transparent than not. Trainers see the colour below, so content
      that lies in the transparency alone has `gray_range` 0.

    Args of the dataclass:
        sample_px: pixels a side, at most 256, that all but colours and transparency are measured at.
        colour_px: pixels a side of the sample that colours are counted in.
        frame_share: of each side, taken off before content is looked for: thin frames are no content.
        ink_step: levels of gray.
        off_centre: share of a side.
        few_colours: 16 is what black ink on white paper has, at 16 levels, with all shades between them.

    Source: ours; gray of missing data: libjpeg-turbo, src/jdhuff.c, `insufficient_data`.
    """

    writes: ClassVar[Columns] = {
        "gray_range": pl.Int32,
        "num_colours": pl.Int32,
        "top_colour_share": pl.Float64,
        "content_share": pl.Float64,
        "card_share": pl.Float64,
        "cut_share": pl.Float64,
        "transparent_share": pl.Float64,
    }
    reduces: ClassVar[Mapping[str, tuple[str, str]]] = {
        "gray_range": ("gray_range", "min"),
        "num_colours": ("num_colours", "min"),
        "top_colour_share": ("top_colour_share", "max"),
        "content_share": ("content_share", "min"),
        "card_share": ("card_share", "min"),
        "cut_share": ("cut_share", "max"),
        "transparent_share": ("transparent_share", "max"),
    }
    version: ClassVar[int] = 1

    sample_px: int = 256
    colour_px: int = 128
    frame_share: float = 0.03
    ink_step: int = 10
    off_centre: float = 0.1
    few_colours: int = 16

    def __call__(self, picture: Picture) -> tuple[float | int | None, ...]:
        """Values in the order of `writes`; never None."""
        gray = np.asarray(picture.gray_within(self.sample_px))
        num_colours, top_colour_share = _colours(np.asarray(picture.rgb_sample(self.colour_px)))
        rows, columns = self._content(gray)
        content_share = (rows[1] - rows[0]) * (columns[1] - columns[0])
        off_centre = max(abs(sum(rows) - 1), abs(sum(columns) - 1)) / 2
        is_card = off_centre <= self.off_centre and num_colours <= self.few_colours
        return (
            int(gray.max()) - int(gray.min()),
            num_colours,
            top_colour_share,
            content_share,
            content_share if is_card else 1.0,
            _cut_share(gray),
            picture.transparent_share(),
        )

    def _content(self, gray: Pixels) -> tuple[tuple[float, float], tuple[float, float]]:
        """Where content begins and ends, downwards and across, as shares of the sides; begins where it ends: none."""
        from filters.picture_kernels import ink_box

        height, width = gray.shape
        top, left = round(self.frame_share * height), round(self.frame_share * width)
        inner = np.ascontiguousarray(gray[top : height - top, left : width - left])
        _, low, high, _ = sorted(int(inner[row, column]) for row in (0, -1) for column in (0, -1))
        first, last, begin, end = ink_box(inner, (low + high) // 2, self.ink_step)
        return _extent(first, last, top, height), _extent(begin, end, left, width)


def _extent(first: int, last: int, start: int, side: int) -> tuple[float, float]:
    """From the first to behind the last place; content that reaches the frame that was taken off reaches the edge."""
    if first == last:
        return 0.5, 0.5
    begin = first + start if first else 0
    end = last + start if last + 2 * start < side else side
    return begin / side, end / side


def _colours(sample: Pixels) -> tuple[int, float]:
    """Number of colours seen, and share of pixels within one level of the most frequent one."""
    from filters.picture_kernels import LEVELS, colour_counts

    counts = colour_counts(sample).reshape(LEVELS, LEVELS, LEVELS)
    pixels = sample.shape[0] * sample.shape[1]
    found = int((counts >= max(1, pixels / _SEEN)).sum())
    near = tuple(slice(max(int(at) - 1, 0), int(at) + 2) for at in np.unravel_index(counts.argmax(), counts.shape))
    return found, float(counts[near].sum()) / pixels


def _cut_share(gray: Pixels) -> float:
    if gray[-1, -1] != _MISSING or gray[-1, 0] != _MISSING:
        return 0.0
    rows = (gray != _MISSING).any(axis=1)
    return 1.0 if not rows.any() else float(rows[::-1].argmax()) / len(rows)
