"""Decoding of pictures that nobody vouches for: bounded, with a named reason for each refusal.

`inspect` says what `decode` would say of a picture's size and format, and refuses what it refuses, mostly without
decoding. `sample` decodes what measures need: large JPEGs at a fraction of their size.
"""

import io
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, TypeVar, cast

import numpy as np
from PIL import Image, UnidentifiedImageError

from shards import jpeg
from shards.errors import PictureError

MAX_PIXELS: Final = 100_000_000
"""Pixels of one frame above which a picture is refused before any of them is allocated. Ours: 300 MB as RGB."""

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "JPEG2000", "AVIF", "PPM")
"""Formats that training data holds (JPEG includes MPO). Pillow knows more, some of which start other programs (EPS)."""

SAMPLE_PX: Final = 256
"""Pixels a side that measures of a picture are made from at most. Ours."""

_MODES: Final = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "HSV", "I", "F"})
_EXIF_ORIENTATION: Final = 0x0112
_STDERR: Final = 2
_HALF_CLEAR: Final = 128
_JPEG: Final = b"\xff\xd8\xff"
_SCALES: Final = {8: 128, 4: 32, 2: 32}
"""What libjpeg divides sides by, with the pixels that the shorter side must keep. Ours.

Below 32 the last row stands for too little. At 1/8 only the mean of a block is left, which nobody has clipped to white:
around fine print it strays by a level.
"""


Kept = TypeVar("Kept")


class Facts(NamedTuple):
    """What is stored of a picture that is known to decode: pixels of its first frame, Pillow's name of its format."""

    width: int
    height: int
    format: str


@dataclass(frozen=True, slots=True)
class Picture:
    """One decoded picture with what its file said about itself.

    `image` holds the first frame in the mode that the file has; `gray` and `rgb` convert it as trainers do, apart from
    16-bit and float modes, which they would clip and we scale. What several filters measure (`gray`, `gray_within`,
    `rgb_sample`) is made once and kept; nobody may write to it.

    `width` and `height` are pixels as stored, whatever was decoded; EXIF rotation is not applied, as no trainer
    applies it. One pixel of `image` is the mean of `scale` x `scale` stored ones, in the last row and column of fewer.
    """

    image: Image.Image
    format: str
    num_bytes: int
    num_frames: int
    orientation: int
    width: int
    height: int
    scale: int = 1
    _kept: dict[tuple[str, int], object] = field(default_factory=dict, init=False, repr=False, compare=False)

    def gray(self) -> Image.Image:
        """The picture in mode L, as it was decoded; kept."""
        return self.once("gray", 0, lambda: _converted(self.image, "L"))

    def gray_within(self, side: int) -> Image.Image:
        """The gray picture averaged down by a whole factor (`_factor`) to at most `side` pixels a side; kept.

        Pixels of the last row and column may average fewer. A picture of `sample` has the same up to rounding, since
        what it was divided by divides the factor.

        Args:
            side: pixels; at most `SAMPLE_PX` for a picture of `sample`.
        """
        assert self.scale == 1 or side <= SAMPLE_PX, "larger than what was decoded"
        factor = _factor(self.width, self.height, side) // self.scale
        return self.once("gray_within", side, lambda: self.gray().reduce(factor) if factor > 1 else self.gray())

    def size_within(self, side: int) -> tuple[float, float]:
        """Width and height of `gray_within(side)` in its pixels, of which the last row and column may be parts."""
        factor = _factor(self.width, self.height, side)
        return self.width / factor, self.height / factor

    def rgb_sample(self, side: int) -> Image.Image:
        """Single pixels of `image` in mode RGB, evenly spread, at most `side` by `side`; kept.

        Beside what decoding averaged, nothing is, so that drawings keep their few colours; thin lines may fall through.
        """
        size = (min(self.image.width, side), min(self.image.height, side))
        return self.once(
            "rgb_sample", side, lambda: _converted(self.image.resize(size, Image.Resampling.NEAREST), "RGB")
        )

    def rgb(self) -> Image.Image:
        """The picture in mode RGB, as it was decoded."""
        return _converted(self.image, "RGB")

    def transparent_share(self) -> float:
        """Share (0..1) of pixels that are more transparent than not; 0 where the file holds no transparency.

        Trainers drop transparency and see the colour that lies below it.
        """
        return _transparent_share(self.image) if self.image.has_transparency_data else 0.0

    def once(self, name: str, side: int, make: Callable[[], Kept]) -> Kept:
        """What `make` makes of this picture, at first; then the same again.

        Args:
            name: says what it is, of one type each.
            side: pixels, or 0.
            make: called if nothing of that name and side is kept.
        """
        if (name, side) not in self._kept:
            self._kept[name, side] = make()
        return cast(Kept, self._kept[name, side])  # a name has one type


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


def sample(data: bytes) -> Picture:
    """Decode the first frame of an encoded picture, as far as measures at `SAMPLE_PX` a side need it.

    A JPEG is decoded at 1/2, 1/4 or 1/8 of its size where that leaves no less than `gray_within(SAMPLE_PX)` has, which
    spares its transform; that its data are whole is still found out. Other formats offer no such thing.

    Raises:
        PictureError: as `decode`, for the same pictures.
    """
    return _decode(data, scaled=True)


def decode(data: bytes) -> Picture:
    """Decode the first frame of an encoded picture, every pixel of it.

    Raises:
        PictureError: with reason `picture_empty`, `picture_unknown_format`, `picture_too_large` (more than
            `MAX_PIXELS`, refused before allocation) or `picture_undecodable`.
    """
    return _decode(data, scaled=False)


def _decode(data: bytes, *, scaled: bool) -> Picture:
    if not data:
        raise PictureError("picture_empty", "picture file has no bytes")
    with warnings.catch_warnings(), _quiet(data):
        # Pillow warns about odd EXIF and large pictures; size is bounded here and the rest is not ours to mend.
        warnings.simplefilter("ignore")
        image = _open(data)
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise PictureError("picture_too_large", f"{width} x {height} pixels, limit {MAX_PIXELS}")
        try:
            frames = int(getattr(image, "n_frames", 1))
            image.seek(0)
            scale = _draft(image) if scaled else 1
            image.load()
        except Exception as error:
            # Decoders raise whatever they like on hostile bytes: OSError, SyntaxError, MemoryError ...
            raise PictureError("picture_undecodable", f"{image.format}: {type(error).__name__}: {error}") from error
        if image.mode not in _MODES and not image.mode.startswith("I;16"):
            # LAB and friends: trainers call `convert("RGB")`, which Pillow refuses for these
            raise PictureError("picture_undecodable", f"{image.format}: colour mode {image.mode} has no RGB form")
        if scale == 1:
            width, height = image.size  # loading turns a TIFF upright
        return Picture(image, str(image.format), len(data), frames, _orientation(image), width, height, scale)


def _draft(image: Image.Image) -> int:
    """Have a JPEG decoded at a fraction of its size; returns by what its sides are divided, rounded up."""
    if image.format not in {"JPEG", "MPO"}:
        return 1
    factor, short = _factor(*image.size, SAMPLE_PX), min(image.size)
    scale = next((each for each, least in _SCALES.items() if factor % each == 0 and short >= each * least), 1)
    if scale > 1:
        image.draft(None, (image.width // scale, image.height // scale))
    return scale


def _factor(width: int, height: int, side: int) -> int:
    """Smallest number of 1, 2, 4, 6, 8, 12, 16, 20 ... by which both sides, rounded up, are at most `side`.

    Even, so that a JPEG can be decoded at half or less of its size whatever that is; above 8 at a quarter or less.
    """
    factor = -(-max(width, height) // side)
    step = 1 if factor == 1 else 2 if factor <= max(_SCALES) else 4
    return -(-factor // step) * step


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


def _transparent_share(image: Image.Image) -> float:
    pixels = image.width * image.height
    clear = image.info.get("transparency")
    if image.getbands()[-1] in {"A", "a"}:
        counts = image.getchannel(len(image.getbands()) - 1).histogram()[:_HALF_CLEAR]
    elif image.mode == "P":
        # 0.9 ms for 4 Mpx; laid out as RGBA it were 11 ms
        alphas = clear if isinstance(clear, bytes) else b"\xff" * int(clear or 0) + b"\0"
        counts = [count for count, alpha in zip(image.histogram(), alphas, strict=False) if alpha < _HALF_CLEAR]
    elif image.mode in {"1", "L", "RGB"}:
        counts = image.convert("RGBA").getchannel("A").histogram()[:_HALF_CLEAR]
    else:
        return 0.0  # one clear gray among 65,536 hides no picture
    return sum(counts) / pixels


def _converted(image: Image.Image, mode: str) -> Image.Image:
    with warnings.catch_warnings():
        # palettes with transparency: to drop it is what is meant here
        warnings.simplefilter("ignore")
        return _eight_bit(image).convert(mode)


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit, 32-bit and float modes to 0..255; `convert` would clip them to white."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    if image.mode in {"I", "F"}:
        values = np.nan_to_num(np.asarray(image, dtype=np.float64))
        low, high = float(values.min()), float(values.max())
        return Image.fromarray(((values - low) * (255.0 / ((high - low) or 1.0))).astype(np.uint8))
    return image
