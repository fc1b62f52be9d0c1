import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.tiles import sample_tiles, tiles


def slow(width: int, height: int, most: int) -> int:
    """Tiles of a picture as the words of the publication have it: every grid is tried, one after the other."""
    grids = [
        (columns, rows)
        for count in range(1, most + 1)
        for columns in range(1, count + 1)
        for rows in range(1, count + 1)
        if columns * rows == count
    ]
    nearest = min(abs(width / height - columns / rows) for columns, rows in grids)
    equal = [grid for grid in grids if abs(width / height - grid[0] / grid[1]) == nearest]
    # the smallest of equally near grids, or the largest one whose tiles the picture fills by more than half
    filled = [columns * rows for columns, rows in equal if width * height > 0.5 * 448 * 448 * columns * rows]
    count = max([equal[0][0] * equal[0][1], *filled])
    return count + 1 if count > 1 else 1


SIDES = st.integers(1, 5000)


@settings(max_examples=500, deadline=None)
@given(SIDES, SIDES, st.integers(1, 24))
def test_tiles_are_those_of_the_slow_search(width: int, height: int, most: int) -> None:
    assert tiles(width, height, most) == slow(width, height, most)


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 600), st.integers(1, 36))
def test_grids_that_are_equally_near(columns: int, rows: int, side: int, most: int) -> None:
    assert tiles(columns * side, rows * side, most) == slow(columns * side, rows * side, most)


@pytest.mark.parametrize(
    ("width", "height", "most", "expected"),
    [
        (448, 448, 1, 1),
        (448, 448, 12, 1),
        (10, 10, 12, 1),
        # 2 x 2 tiles from more than half of their pixels on: 633 squared is just below 2 x 448 squared
        (633, 633, 12, 1),
        (634, 634, 12, 5),
        (448 * 3, 448 * 3, 12, 10),
        (896, 448, 12, 3),
        (448, 896, 12, 3),
        # 3 : 4 fills 12 tiles, and the thumbnail makes 13
        (448 * 3, 448 * 4, 12, 13),
        (448 * 3, 448 * 4, 6, 2 * 3 + 1),
        (5000, 10, 6, 7),
        (5000, 10, 1, 1),
    ],
)
def test_tiles(width: int, height: int, most: int, expected: int) -> None:
    assert tiles(width, height, most) == expected


def test_pictures_of_a_sample_share_its_tiles() -> None:
    wide = (896, 448)
    assert sample_tiles([], 12) == 0
    assert sample_tiles([wide], 12) == 3
    # three pictures have four tiles each, thirteen pictures one each
    assert sample_tiles([wide] * 3, 12) == 9
    assert sample_tiles([wide] * 7, 12) == 7
    assert sample_tiles([wide] * 13, 12) == 13
