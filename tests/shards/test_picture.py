import csv
import io
import struct
import zlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from shards.errors import PictureError
from shards.picture import MAX_PIXELS, SAMPLE_PX, Facts, Picture, decode, inspect, sample

# next to the checkout, on machines that have it; not part of the repository
CORRUPT = Path(__file__).parents[2].parent / "shared" / "data" / "real" / "corrupt"

ORIENTATION = 0x0112


def encoded(image: Image.Image, name: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


def gradient(mode: str = "RGB") -> Image.Image:
    return Image.linear_gradient("L").resize((40, 30)).convert(mode)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds four bytes of pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"1234")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "JPEG2000", "AVIF", "PPM"])
def test_a_picture_says_what_its_file_says(name: str) -> None:
    data = encoded(gradient(), name)
    picture = decode(data)
    assert (picture.format, picture.width, picture.height) == (name, 40, 30)
    assert (picture.num_bytes, picture.num_frames, picture.orientation) == (len(data), 1, 1)
    assert (picture.gray().mode, picture.rgb().mode) == ("L", "RGB")
    assert abs(np.asarray(picture.gray(), dtype=int) - np.asarray(gradient("L"), dtype=int)).max() <= 12


def with_wrong_chunk_length() -> bytes:
    """Pillow raises SyntaxError for this one, not OSError."""
    data = bytearray(encoded(gradient(), "PNG"))
    data[data.index(b"IDAT") - 1] = 6
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "picture_empty"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "picture_unknown_format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", "picture_unknown_format"),
        (b"\x89PNG\r\n\x1a\n", "picture_unknown_format"),
        (encoded(gradient(), "PNG")[:-60], "picture_undecodable"),
        (encoded(gradient(), "JPEG")[:-200], "picture_undecodable"),
        (with_wrong_chunk_length(), "picture_undecodable"),
        (png_header(100_000, 100_000), "picture_too_large"),  # beyond Pillow's own limit
        (png_header(10_001, 10_000), "picture_too_large"),  # within it
        (png_header(10_000, 10_000), "picture_undecodable"),  # as large as can be, so the missing pixels are noticed
        (encoded(gradient("LAB"), "TIFF"), "picture_undecodable"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_unusable_picture_has_a_reason(data: bytes, reason: str) -> None:
    for how in (decode, inspect):
        with pytest.raises(PictureError) as caught:
            how(data)
        assert caught.value.reason == reason
        assert str(caught.value)


def test_the_limit_is_on_pixels() -> None:
    assert MAX_PIXELS == 10_000 * 10_000


def test_an_animation_is_its_first_frame() -> None:
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "blue", "lime")]
    picture = decode(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert picture.num_frames == 3
    assert picture.rgb().getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize("name", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_and_not_clipped(name: str) -> None:
    values = np.array([[0, 256, 1000], [30000, 65279, 65535]], dtype=np.uint16)
    picture = decode(encoded(Image.fromarray(values), name))
    assert np.asarray(picture.gray()).tolist() == [[0, 1, 3], [117, 254, 255]]
    assert np.asarray(picture.rgb())[..., 2].tolist() == [[0, 1, 3], [117, 254, 255]]


@pytest.mark.parametrize("values", [[[-1.0, 0.0, 1.0]], [[0.0, float("nan"), 2.0]]])
def test_float_modes_are_spread_over_their_range(values: list[list[float]]) -> None:
    gray = np.asarray(decode(encoded(Image.fromarray(np.array(values, dtype=np.float32)), "TIFF")).gray())
    assert (gray.min(), gray.max()) == (0, 255)


def test_cmyk_becomes_rgb() -> None:
    picture = decode(encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG"))
    red, green, blue = np.asarray(picture.rgb())[8, 8]
    assert picture.image.mode == "CMYK"
    assert red > 200
    assert max(green, blue) < 60


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA"])
def test_every_mode_of_a_png_becomes_gray_and_rgb(mode: str) -> None:
    picture = decode(encoded(gradient(mode), "PNG"))
    assert (picture.gray().size, picture.rgb().size) == ((40, 30), (40, 30))


def test_exif_rotation_is_told_and_not_applied() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    picture = decode(encoded(gradient(), "JPEG", exif=exif))
    assert (picture.orientation, picture.width, picture.height) == (6, 40, 30)


def test_a_broken_exif_block_says_nothing() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    data = encoded(gradient(), "JPEG", exif=exif).replace(b"MM\x00\x2a", b"MM\xff\xff")
    assert decode(data).orientation == 1


def decodes_or_refuses(data: bytes) -> None:
    try:
        picture = decode(data)
    except PictureError as error:
        assert error.reason.startswith("picture_")
    else:
        assert picture.gray().size == picture.rgb().size == (picture.width, picture.height)


@lru_cache
def originals() -> tuple[bytes, ...]:
    return tuple(encoded(gradient(), name) for name in ("PNG", "JPEG", "GIF", "WEBP", "BMP"))


@given(st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM"]))
@settings(max_examples=200, deadline=None)
def test_random_bytes_never_break_out(data: bytes, start: bytes) -> None:
    decodes_or_refuses(start + data)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_random_damage_never_breaks_out(data: st.DataObject) -> None:
    damaged = bytearray(data.draw(st.sampled_from(originals())))
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    decodes_or_refuses(bytes(damaged[: data.draw(st.integers(1, len(damaged)))]))


@pytest.mark.parametrize("how", [decode, inspect])
def test_real_damaged_pictures_are_never_taken_for_good(how: Callable[[bytes], Picture | Facts]) -> None:
    table = CORRUPT / "expected_pillow.csv"
    if not table.is_file():
        pytest.skip(f"NOT TESTED on real damaged pictures: `{table}` is not on this machine")
    with table.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) > 100
    refused: dict[str, str] = {}
    for row in rows:
        data = (CORRUPT / row["file"]).read_bytes()
        try:
            how(data)
        except PictureError as error:
            refused[row["file"]] = error.reason
        else:
            picture = decode(data)
            assert picture.gray().size == picture.rgb().size, row["file"]
            assert inspect(data) == Facts(picture.width, picture.height, picture.format), row["file"]
    bad = {row["file"] for row in rows if row["pil_load"] != "ok"}
    assert bad <= refused.keys()
    # of what Pillow loads, only formats that training data does not hold and modes without RGB form are refused
    good = {row["file"]: row for row in rows if row["file"] in refused.keys() - bad}
    assert {row["format"] for row in good.values() if row["mode"] != "LAB"} <= {"ICO", "QOI", "SGI", "TGA", "PSD"}


def test_reductions_are_made_once() -> None:
    picture = decode(encoded(gradient().resize((900, 500)), "PNG"))
    assert picture.gray() is picture.gray()
    assert picture.gray_within(256) is picture.gray_within(256)
    assert picture.rgb_sample(64) is picture.rgb_sample(64)
    assert (picture.gray_within(256).size, picture.gray_within(100).size) == ((225, 125), (75, 42))
    assert picture.rgb_sample(64).size == (64, 64)


def test_what_is_made_once_has_a_name_and_a_side() -> None:
    picture, made = decode(encoded(gradient(), "PNG")), []
    for name, side in (("mean", 1), ("mean", 1), ("mean", 2), ("most", 1), ("mean", 2)):
        assert picture.once(name, side, lambda name=name, side=side: made.append(0) or (name, side)) == (name, side)
    assert len(made) == 3
    assert decode(encoded(gradient(), "PNG")).once("mean", 1, lambda: 7) == 7


def test_a_small_picture_is_not_reduced() -> None:
    picture = decode(encoded(gradient(), "PNG"))
    assert picture.gray_within(40) is picture.gray()
    assert picture.rgb_sample(100).tobytes() == picture.rgb().tobytes()


@pytest.mark.parametrize("side", [1, 7, 256])
def test_an_average_is_that_of_whole_blocks(side: int) -> None:
    picture = decode(encoded(gradient("L").resize((300, 100)), "PNG"))
    factor = {1: 300, 7: 44, 256: 2}[side]
    assert picture.gray_within(side).tobytes() == picture.gray().reduce(factor).tobytes()


def test_palettes_with_transparency_convert_without_a_warning() -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 9, 9, 9])
    picture = decode(encoded(image, "PNG", transparency=bytes((0, 100))))
    assert isinstance(picture.image.info["transparency"], bytes)
    assert picture.rgb().getpixel((0, 0)) == (9, 9, 9)
    assert picture.gray().getpixel((0, 0)) == 9
    assert picture.transparent_share() == 1


@pytest.mark.parametrize(
    ("width", "height", "scale"),
    [(256, 200, 1), (300, 200, 2), (640, 480, 4), (1200, 300, 2), (2000, 1500, 8), (5000, 6, 1), (40, 30, 1)],
)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_large_jpeg_is_sampled_at_a_fraction_of_its_size(width: int, height: int, scale: int, mode: str) -> None:
    data = encoded(gradient().resize((width, height)).convert(mode), "JPEG", quality=95)
    sampled, whole = sample(data), decode(data)
    assert (sampled.width, sampled.height, sampled.scale) == (width, height, scale)
    assert sampled.image.size == (-(-width // scale), -(-height // scale))
    assert (whole.width, whole.height, whole.scale, whole.image.size) == (width, height, 1, (width, height))
    near, exact = (np.asarray(each.gray_within(SAMPLE_PX), dtype=int) for each in (sampled, whole))
    assert near.shape == exact.shape
    # the last row and column of a fraction average pixels beyond the edge, which encoders make up
    assert np.abs(near - exact)[:-1, :-1].max(initial=0) <= 4
    assert np.abs(near - exact).mean() <= 1


def test_other_formats_are_sampled_in_full() -> None:
    data = encoded(gradient().resize((900, 500)), "PNG")
    assert sample(data).image.tobytes() == decode(data).image.tobytes()


def test_a_sample_of_many_pictures_has_the_size_and_frames_of_its_first() -> None:
    frames = [gradient().resize((640, 480)), gradient().resize((40, 30))]
    sampled = sample(encoded(frames[0], "MPO", save_all=True, append_images=frames[1:]))
    assert (sampled.width, sampled.height, sampled.scale, sampled.num_frames) == (640, 480, 4, 2)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.999])
def test_a_sample_finds_out_that_data_end_early(share: float, progressive: bool) -> None:
    data = encoded(gradient().resize((640, 480)), "JPEG", progressive=progressive)
    assert reason(data[: int(len(data) * share)], sample) == reason(data[: int(len(data) * share)], decode) is not None


@pytest.mark.skipif(not CORRUPT.is_dir(), reason="needs ../shared/data/real/corrupt")
def test_a_sample_refuses_what_decoding_refuses() -> None:
    for path in sorted(path for path in CORRUPT.rglob("*") if path.is_file() and path.suffix != ".csv"):
        data = path.read_bytes()
        assert reason(data, sample) == reason(data, decode), path.name


def reason(data: bytes, read: Callable[[bytes], Picture]) -> str | None:
    try:
        read(data)
    except PictureError as error:
        return error.reason
    return None
