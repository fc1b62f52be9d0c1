"""Where windows differ, and which of that is a caption."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from manifests.likeness_kernels import Gray
from manifests.likeness_regions import STEP, WINDOW, Region, captions_among, regions_of, strips_of

SIZE = (200, 300)


def paper(*, text: str = "", top: int = 2, strip: int | None = None, depth: int = 24) -> Gray:
    """A white page with lines in its middle, a line of text somewhere, or a strip of one gray at the top."""
    image = Image.new("L", SIZE[::-1], 250)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(14)
    for line in range(5):
        draw.text((20, 60 + 24 * line), "some words of the page", font=font, fill=10)
    if strip is not None:
        draw.rectangle((0, 0, SIZE[1], depth - 1), fill=strip)
    draw.text((10, top), text, font=font, fill=120)
    return np.asarray(image, np.float32)


@pytest.mark.parametrize(
    ("windows", "difference", "regions"), [(7, 0.21, 1), (5, 0.21, 0), (3, 0.45, 1), (2, 0.45, 0), (1, 1.3, 1)]
)
def test_fewer_windows_count_where_they_differ_by_more(windows: int, difference: float, regions: int) -> None:
    differences = np.zeros((96, 146))
    differences[40, 50 : 50 + windows] = difference
    found = regions_of(differences, 0.2, SIZE)
    assert len(found) == regions
    for region in found:
        assert (region.windows, region.difference) == (windows, difference)
        assert region.left == 50 * STEP + WINDOW // 2


@pytest.mark.parametrize(
    ("strip", "depth", "found"),
    [(0, 24, [(0, 24)]), (150, 10, [(0, 10)]), (240, 24, []), (0, 60, [])],
    ids=["black", "gray", "on the same paper", "too deep"],
)
def test_a_strip_is_other_paper_over_the_whole_width(strip: int, depth: int, found: list[tuple[int, int]]) -> None:
    laid = paper(strip=strip, depth=depth, text="seen at example.org")
    assert [(each.top, each.bottom) for each in strips_of(paper(), laid)] == found
    assert [(200 - each.bottom, 200 - each.top) for each in strips_of(paper()[::-1], laid[::-1])] == found


def test_photos_are_no_strips() -> None:
    rng = np.random.default_rng(1)
    left, right = (np.vstack([rng.uniform(0, 255, (24, 300)).astype(np.float32), paper()[24:]]) for _ in range(2))
    assert not strips_of(left, right)


@pytest.mark.parametrize(
    ("region", "caption"),
    [(Region(0, 15, 300, 26, 90, 1.0), True), (Region(0, 15, 300, 60, 90, 1.0), False)],
    ids=["its rim", "more than its rim"],
)
def test_the_rim_of_a_strip_is_part_of_the_caption(region: Region, caption: bool) -> None:
    assert captions_among([region], paper(), paper(strip=0)) == ([region] if caption else [])


def test_another_line_of_print_is_no_caption() -> None:
    region = Region(8, 2, 150, 18, 90, 1.0)
    assert not captions_among([region], paper(text="invoice number 5317"), paper(text="invoice number 9842"))
    assert captions_among([region], paper(), paper(text="invoice number 9842")) == [region]


def test_no_region_no_caption() -> None:
    assert captions_among([], paper(), paper(strip=0)) == []
