"""Pictures small enough to lie inside a page."""

import base64
import io
from dataclasses import dataclass
from typing import Final

from PIL import Image

from shards.errors import PictureError
from shards.picture import decode

MAX_SIDES: Final = (400, 300)
"""Pixels: enough to stay sharp in print, about 15 kB each."""
_QUALITY: Final = 80


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A picture of a card. `uri` is null where the bytes do not decode; `caption` then says why."""

    uri: str | None
    width: int
    height: int
    caption: str


def thumbnail(data: bytes) -> Thumbnail:
    """A JPEG thumbnail of an encoded picture, as trainers would see it: first frame, no transparency."""
    try:
        picture = decode(data)
    except PictureError as error:
        return Thumbnail(None, 0, 0, f"no picture: {error.reason}")
    image = picture.rgb()
    image.thumbnail(MAX_SIDES, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY)
    uri = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    return Thumbnail(uri, image.width, image.height, f"{picture.width} x {picture.height} {picture.format}")
