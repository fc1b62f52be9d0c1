"""Decoding of pictures that nobody vouches for: bounded, with a named reason for each refusal.

`inspect` says what `decode` would say of a picture's size and format, and refuses what it refuses, mostly without
decoding.
"""

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from shards import jpeg
from shards.errors import PictureError

MAX_PIXELS: Final = 100_000_000
"""Pixels of one frame above which a picture is refused before any of them is allocated. Ours: 300 MB as RGB."""

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "JPEG2000", "AVIF", "PPM")
"""Formats that training data holds (JPEG includes MPO). Pillow knows more, some of which start other programs (EPS)."""

_MODES: Final = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "HSV", "I", "F"})
_EXIF_ORIENTATION: Final = 0x0112
_STDERR: Final = 2
_JPEG: Final = b"\xff\xd8\xff"


class Facts(NamedTuple):
    """What is stored of a picture that is known to decode: pixels of its first frame, Pillow's name of its format."""

    width: int
    height: int
    format: str


@dataclass(frozen=True, slots=True)
class Picture:
    """One decoded picture with what its file said about itself.

    `image` holds the first frame in the mode that the file has; `gray` and `rgb` convert it as trainers do, apart from
    16-bit and float modes, which they would clip and we scale.
    """

    image: Image.Image
    format: str
    num_bytes: int
    num_frames: int
    orientation: int

    @property
    def width(self) -> int:
        """Pixels as stored; EXIF rotation is not applied, as no trainer applies it."""
        return self.image.width

    @property
    def height(self) -> int:
        """Pixels as stored."""
        return self.image.height

    def gray(self) -> Image.Image:
        """The picture in mode L."""
        return _eight_bit(self.image).convert("L")

    def rgb(self) -> Image.Image:
        """The picture in mode RGB."""
        return _eight_bit(self.image).convert("RGB")


def inspect(data: bytes) -> Facts:
    """Size and format of an encoded picture that is certain to decode.

    A JPEG is proven by its structure (shards/jpeg.py, 0.03 ms for 100 kB, 1.1 ms to decode). Other pictures are
    decoded: a PNG would have to be inflated, which is two thirds of the work; the data of a WebP say nowhere how long
    they have to be.

    Raises:
        PictureError: as `decode`, for the same pictures.
    """
    proof = jpeg.prove(data) if data.startswith(_JPEG) else None
    if proof and proof.width * proof.height <= MAX_PIXELS and (proof.is_plain or _opens_as_jpeg(data)):
        return Facts(proof.width, proof.height, "JPEG")
    picture = decode(data)
    return Facts(picture.width, picture.height, picture.format)


def _opens_as_jpeg(data: bytes) -> bool:
    """Pillow's own look at the header; it decodes nothing. A MPO has frames of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _open(data).format == "JPEG"


def decode(data: bytes) -> Picture:
    """Decode the first frame of an encoded picture.

    Raises:
        PictureError: with reason `picture_empty`, `picture_unknown_format`, `picture_too_large` (more than
            `MAX_PIXELS`, refused before allocation) or `picture_undecodable`.
    """
    if not data:
        raise PictureError("picture_empty", "picture file has no bytes")
    with warnings.catch_warnings(), _quiet(data):
        # Pillow warns about odd EXIF and large pictures; size is bounded here and the rest is not ours to mend.
        warnings.simplefilter("ignore")
        image = _open(data)
        if image.width * image.height > MAX_PIXELS:
            raise PictureError("picture_too_large", f"{image.width} x {image.height} pixels, limit {MAX_PIXELS}")
        try:
            frames = int(getattr(image, "n_frames", 1))
            image.seek(0)
            image.load()
        except Exception as error:
            # Decoders raise whatever they like on hostile bytes: OSError, SyntaxError, MemoryError ...
            raise PictureError("picture_undecodable", f"{image.format}: {type(error).__name__}: {error}") from error
        if image.mode not in _MODES and not image.mode.startswith("I;16"):
            # LAB and friends: trainers call `convert("RGB")`, which Pillow refuses for these
            raise PictureError("picture_undecodable", f"{image.format}: colour mode {image.mode} has no RGB form")
        return Picture(image, str(image.format), len(data), frames, _orientation(image))


@contextmanager
def _quiet(data: bytes) -> Iterator[None]:
    """Silence libtiff, which writes to standard error past Python; what it says is in the exception too."""
    if data[:2] not in {b"II", b"MM"}:
        yield
        return
    saved = os.dup(_STDERR)
    try:
        with Path(os.devnull).open("wb") as sink:
            os.dup2(sink.fileno(), _STDERR)
        yield
    finally:
        os.dup2(saved, _STDERR)
        os.close(saved)


def _open(data: bytes) -> Image.Image:
    Image.init()  # registers every plug-in once; `formats` decides which of them may look at the bytes
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise PictureError("picture_unknown_format", f"no known picture format, starts with {data[:8]!r}") from error
    except Image.DecompressionBombError as error:
        raise PictureError("picture_too_large", str(error)) from error
    except Exception as error:  # header parsers raise freely too
        raise PictureError("picture_undecodable", f"header: {type(error).__name__}: {error}") from error


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # a broken EXIF block says nothing about the pixels
        return 1


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit, 32-bit and float modes to 0..255; `convert` would clip them to white."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    if image.mode in {"I", "F"}:
        values = np.nan_to_num(np.asarray(image, dtype=np.float64))
        low, high = float(values.min()), float(values.max())
        return Image.fromarray(((values - low) * (255.0 / ((high - low) or 1.0))).astype(np.uint8))
    return image
