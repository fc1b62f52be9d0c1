"""Pictures of samples as the page shows them: encoded anew, so that nothing but pixels reaches a browser."""

import io
from typing import Final, Literal, NamedTuple

from PIL import Image

from shards.picture import decode

Size = Literal["fit", "full"]
SIDES: Final[dict[Size, int]] = {"fit": 1024, "full": 4096}
"""Pixels of the longer side at most. Ours: the width of a page, and what a tablet can hold in memory."""
_QUALITY: Final = 90
_LOSSY: Final = frozenset({"JPEG", "MPO", "WEBP", "JPEG2000", "AVIF"})


class Served(NamedTuple):
    """An encoded picture and its type, which is one of two and never what the file says of itself."""

    data: bytes
    media_type: Literal["image/jpeg", "image/png"]


def served(data: bytes, size: Size) -> Served:
    """The picture as trainers see it: first frame, without transparency and without EXIF rotation.

    Raises:
        PictureError: the bytes are no picture of a known format, broken, or more than `shards.picture.MAX_PIXELS`.
    """
    picture = decode(data)
    image = picture.rgb()
    image.thumbnail((SIDES[size], SIDES[size]), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    if picture.format in _LOSSY:
        image.save(buffer, "JPEG", quality=_QUALITY)
        return Served(buffer.getvalue(), "image/jpeg")
    image.save(buffer, "PNG", compress_level=1)
    return Served(buffer.getvalue(), "image/png")
