"""Tiles that a picture is cut into by trainers with dynamic resolution."""

from functools import cache
from typing import Final

TILE_SIDE: Final = 448
"""Pixels. Source: InternVL 1.5 to 2.5."""


@cache
def _grids(most: int) -> tuple[tuple[int, int], ...]:
    """Columns and rows of every grid of at most `most` tiles, small ones first."""
    grids = {(i, j) for i in range(1, most + 1) for j in range(1, most // i + 1)}
    return tuple(sorted(grids, key=lambda grid: (grid[0] * grid[1], grid)))


@cache
def tiles(width: int, height: int, most: int) -> int:
    """Tiles of one picture: of the grid whose aspect is nearest, and a thumbnail where that is more than one tile.

    Of grids with equally near aspects the larger one is taken when the picture has more than half its pixels.

    Args:
        width: pixels, above 0.
        height: pixels, above 0.
        most: tiles, thumbnail not counted, at least 1.

    Source: InternVL, internvl_chat/internvl/train/dataset.py, `find_closest_aspect_ratio` and `dynamic_preprocess`.
    """
    best, distance = (1, 1), float("inf")
    for columns, rows in _grids(most):
        apart = abs(width / height - columns / rows)
        if apart < distance:
            best, distance = (columns, rows), apart
        elif apart == distance and width * height > 0.5 * TILE_SIDE * TILE_SIDE * columns * rows:
            best = (columns, rows)
    count = best[0] * best[1]
    return count + 1 if count > 1 else 1


def sample_tiles(sizes: list[tuple[int, int]], most: int) -> int:
    """Tiles of all pictures of a sample: each has max(1, most // pictures) for itself.

    Source: the same file, `multi_modal_multi_image_get_item`.
    """
    return sum(tiles(width, height, max(1, most // len(sizes))) for width, height in sizes)
