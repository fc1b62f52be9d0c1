"""The proof that a JPEG decodes is one-sided: what it accepts, Pillow decodes. Good pictures of every kind pass."""

import io
import random
import struct
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import pytest
from PIL import Image, ImageCms

from shards import jpeg
from shards.errors import PictureError
from shards.picture import Facts, decode, inspect

SIZE = (61, 43)
EOI = b"\xff\xd9"


def photo(mode: str) -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 255, (43, 61, 3), dtype=np.uint8)
    return Image.blend(Image.fromarray(noise), Image.linear_gradient("L").resize(SIZE).convert("RGB"), 0.7).convert(
        mode
    )


def encoded(mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    photo(mode).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def rotated() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


@lru_cache
def good() -> dict[str, bytes]:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return {
        "plain": encoded(),
        "444": encoded(subsampling=0, quality=95),
        "422": encoded(subsampling=1),
        "gray": encoded("L"),
        "cmyk": encoded("CMYK"),
        "optimized": encoded(optimize=True),
        "progressive": encoded(progressive=True),
        "progressive gray": encoded("L", progressive=True),
        "progressive cmyk": encoded("CMYK", progressive=True),
        "restarts": encoded(restart_marker_blocks=1),
        "restarts in rows": encoded("L", restart_marker_rows=1),
        "progressive restarts": encoded(progressive=True, restart_marker_blocks=2),
        "exif": encoded(exif=rotated()),
        "icc": encoded(icc_profile=profile),
        "comment": encoded(comment=b"\xff\xd9 not the end"),
        "kept rgb": encoded(keep_rgb=True),
        "bytes behind the end": encoded() + b"\xff\xd8\xff\xda\xff\x01" * 9,
    }


def outcome(how: object, data: bytes) -> Facts | str:
    try:
        picture = how(data)  # type: ignore[operator]
    except PictureError as error:
        return error.reason
    return Facts(picture.width, picture.height, picture.format)


def check(data: bytes) -> bool:
    """Whether the picture is proven; whatever `inspect` says, `decode` says too."""
    facts = outcome(inspect, data)
    assert facts == outcome(decode, data)
    return isinstance(facts, Facts) and jpeg.prove(data) is not None


@pytest.mark.parametrize("name", good())
def test_good_pictures_need_no_decoding(name: str) -> None:
    assert check(good()[name])
    assert inspect(good()[name]) == Facts(*SIZE, "JPEG")


@pytest.mark.parametrize("name", good())
def test_a_picture_cut_off_anywhere_is_never_proven(name: str) -> None:
    data = good()[name]
    end = data.rindex(EOI) if name != "bytes behind the end" else data.index(EOI)
    for size in range(2, end + 2, 7):
        assert not check(data[:size]), size


@pytest.mark.parametrize("name", good())
def test_a_changed_byte_of_the_header_is_noticed_where_it_matters(name: str) -> None:
    data = good()[name]
    header = min(data.index(b"\xff\xda") + 14, 900)
    chosen = random.Random(name)
    for at in range(2, header):
        damaged = bytearray(data)
        damaged[at] = chosen.choice((0, 1, 0x11, 0x7F, 0xFF, damaged[at] ^ 1 << chosen.randrange(8)))
        check(bytes(damaged))


@pytest.mark.parametrize("name", good())
def test_changed_bytes_of_the_data_prove_no_more_than_decodes(name: str) -> None:
    data, chosen = good()[name], random.Random(name)
    begin = data.index(b"\xff\xda")
    for _ in range(60):
        damaged = bytearray(data)
        for _ in range(chosen.choice((1, 1, 3))):
            damaged[chosen.randrange(begin, len(data))] = chosen.choice((0, 0xFF, chosen.randrange(256)))
        check(bytes(damaged))


@pytest.mark.parametrize("code", range(256))
def test_a_marker_in_the_data(code: int) -> None:
    for name in ("plain", "progressive", "restarts"):
        data = good()[name]
        for share in (0.5, 0.9):
            at = round(data.index(b"\xff\xda") * (1 - share) + len(data) * share)
            check(data[:at] + bytes((0xFF, code)) + data[at:])
            check(data[:at] + bytes((0xFF, code, 0, 4, 0, 0)) + data[at:])


def segments(data: bytes) -> Iterator[bytes]:
    """The segments of a picture up to its first scan, and the rest."""
    at = 2
    while data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        yield data[at:end]
        at = end
    yield data[at:]


@pytest.mark.parametrize("name", good())
def test_segments_left_out_doubled_and_moved(name: str) -> None:
    parts = list(segments(good()[name]))
    chosen = random.Random(name)
    for at in range(len(parts)):
        check(b"\xff\xd8" + b"".join(parts[:at] + parts[at + 1 :]))
        check(b"\xff\xd8" + b"".join([*parts[: at + 1], *parts[at:]]))
        check(b"\xff\xd8" + b"".join(chosen.sample(parts, len(parts))))
        check(b"\xff\xd8" + b"".join([*parts[:at], b"\xff\xff", *parts[at:]]))


def segment(mark: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, mark, len(body) + 2) + body


def table(kind: int, counts: list[int], symbols: bytes) -> bytes:
    return segment(0xC4, bytes((kind, *counts, *[0] * (16 - len(counts)))) + symbols)


ONE = [1]


TABLES = table(0, ONE, b"\0") + table(0x10, ONE, b"\0")


def built(
    frame: bytes, *, mark: int = 0xC0, scan: bytes = b"\1\1\0\0\x3f\0", tables: bytes = TABLES, coded: bytes = b""
) -> bytes:
    """A gray picture of 8 x 8 made by hand, all of whose parts may be wrong."""
    quantization = segment(0xDB, b"\0" + bytes([1]) * 64)
    return b"\xff\xd8" + quantization + segment(mark, frame) + tables + segment(0xDA, scan) + (coded or b"\0" * 8) + EOI


def gray(width: int = 8, height: int = 8, factors: int = 0x11, quantization: int = 0, bits: int = 8) -> bytes:
    return struct.pack(">BHHB", bits, height, width, 1) + bytes((1, factors, quantization))


def colour(*factors: int, names: bytes = b"\1\2\3") -> bytes:
    parts = b"".join(bytes((name, factor, 0)) for name, factor in zip(names, factors, strict=True))
    return struct.pack(">BHHB", 8, 8, 8, len(factors)) + parts


ALL = b"\3\1\0\2\0\3\0\0\x3f\0"


@pytest.mark.parametrize(
    ("data", "proven"),
    [
        (built(gray()), True),
        (built(gray(), mark=0xC1), True),
        (built(gray(), mark=0xC3), False),
        (built(gray(), mark=0xC9), False),
        (built(gray(bits=12)), False),
        (built(gray(width=0)), False),
        (built(gray(quantization=1)), False),
        (built(gray(quantization=1), tables=TABLES + segment(0xDB, b"\x11" + bytes(128))), True),
        (built(gray(quantization=1), tables=TABLES + segment(0xDB, b"\x11" + bytes(64))), False),
        (built(gray(quantization=1), tables=TABLES + segment(0xDB, b"\x21" + bytes(128))), False),
        (built(gray(factors=0x01)), False),
        (built(gray(factors=0x31)), False),  # decodes, and is not worth a rule
        (built(gray(), tables=table(0, ONE, b"\0")), False),
        (built(gray(), tables=table(0x10, ONE, b"\0")), False),
        (built(gray(), tables=table(0, ONE, b"\x10") + table(0x10, ONE, b"\0")), False),  # a difference of 16 bits
        (built(gray(), tables=table(0, [2], b"\0\1") + table(0x10, ONE, b"\0")), False),  # a code of all ones
        (built(gray(), tables=table(0, [1, 2], b"\0\1\2") + table(0x10, ONE, b"\0")), False),
        (built(gray(), tables=table(0, [0, 3], b"\0\1\2") + table(0x10, [0, 0, 7], bytes(7))), True),
        (built(gray(), tables=table(4, ONE, b"\0") + table(0x10, ONE, b"\0")), False),
        (built(gray(), scan=b"\1\1\x10\0\x3f\0"), False),
        (built(gray(), scan=b"\1\2\0\0\x3f\0"), False),
        (built(gray(), scan=b"\1\1\0\1\x3f\0"), False),
        (built(gray(), scan=b"\0\0\x3f\0"), False),
        (built(gray(), coded=b"\xff\x00\xff\xd3\xff\xd0"), True),
        (built(gray(), coded=b"\xff\xff"), False),
        (built(gray(), mark=0xC2, scan=b"\1\1\0\0\0\0"), True),
        (built(gray(), mark=0xC2, scan=b"\1\1\0\0\0\x0d"), True),
        (built(gray(), mark=0xC2, scan=b"\1\1\0\0\0\x0e"), False),
        (built(gray(), mark=0xC2, scan=b"\1\1\0\0\1\0"), False),
        (built(gray(), mark=0xC2, scan=b"\1\1\0\5\4\0"), False),
        (built(gray(), mark=0xC2, scan=b"\1\1\0\1\x40\0"), False),
        (built(gray(), mark=0xC2, scan=b"\1\1\0\1\x3f\x21"), True),
        (built(gray(), mark=0xC2, scan=b"\1\1\0\1\x3f\x31"), False),
        (built(gray(), mark=0xC2, scan=b"\1\1\x33\0\0\x10"), True),  # a refinement reads no table
        (built(colour(0x22, 0x11, 0x11), scan=ALL), True),
        (built(colour(0x41, 0x11, 0x11), scan=ALL), True),
        (built(colour(0x42, 0x11, 0x11), scan=ALL), True),
        (built(colour(0x44, 0x11, 0x11), scan=ALL), False),  # 18 blocks in a unit
        (built(colour(0x31, 0x21, 0x11), scan=ALL), False),
        (built(colour(0x11, 0x22, 0x12), scan=ALL), True),
        (built(colour(0x11, 0x11, 0x11, names=b"\1\2\2"), scan=ALL), False),
        (built(colour(0x11, 0x11, 0x11), scan=b"\3\1\0\2\0\2\0\0\x3f\0"), False),
        (built(colour(0x11, 0x11, names=b"\1\2"), scan=b"\2\1\0\2\0\0\x3f\0"), False),
        (built(colour(0x11, 0x11, 0x11)), True),  # the other components are missing and gray
    ],
)
def test_pictures_made_by_hand(data: bytes, proven: bool) -> None:
    assert check(data) is proven


@pytest.mark.parametrize(
    ("mark", "body", "plain"),
    [
        (0xE0, b"JFIF\0\1\2\1\0\x48\0\x48\0\0", True),
        (0xE0, b"JFIF\0", False),  # Pillow reads the version behind these
        (0xE0, b"", True),
        (0xE1, b"Exif\0\0", False),
        (0xE1, b"Exif\0\0MM\0\x2a\0\0\0\x08\0\1" + bytes(12), False),
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>", True),
        (0xE1, b"http://ns.adobe.com/xap/1.0/", True),
        (0xE2, b"ICC_PROFILE\0\1\1", True),
        (0xE2, b"ICC_PROFILE\0\1", False),  # Pillow reads the number of segments behind this
        (0xE2, b"MPF\0MM", False),
        (0xE2, b"FPXR\0", True),
        (0xED, b"Photoshop 3.0\x008BIM\3\xed", False),  # Pillow reads the length of a name behind this
        (0xEE, b"Adobe\0\x64\0\0\0\0\1\0\0", True),
        (0xEE, b"Adobe", False),
        (0xEF, b"anything", True),
        (0xFE, b"", True),
    ],
)
def test_segments_that_pillow_reads_are_left_to_it(mark: int, body: bytes, plain: bool) -> None:
    for data in (good()["plain"], good()["gray"]):
        told = data[:2] + segment(mark, body) + data[2:]
        proof = jpeg.prove(told)
        assert proof == (*SIZE, plain)
        check(told)
        first, second = segment(mark, body), segment(mark, body[: len(body) // 2])
        check(data[:2] + first + second + data[2:])


def test_a_second_scan_needs_a_first_one_that_leaves_something() -> None:
    again = segment(0xDA, b"\1\2\0\0\x3f\0") + b"\0\0" + EOI
    assert check(built(colour(0x11, 0x11, 0x11))[:-2] + again)
    assert not check(built(colour(0x11, 0x11, 0x11), scan=ALL)[:-2] + again)


def test_sums_that_leave_32_bits_are_not_proven() -> None:
    # 67,108,864 pixels are 1,048,576 blocks, of which each may differ by 2,047 from the last
    tables = table(0, ONE, b"\x0b") + table(0x10, ONE, b"\0")
    assert jpeg.prove(built(gray(8192, 8192), tables=tables))
    assert not jpeg.prove(built(gray(8192, 8200), tables=tables))


def test_a_picture_of_several_frames_is_decoded() -> None:
    buffer = io.BytesIO()
    photo("RGB").save(buffer, "MPO", save_all=True, append_images=[photo("RGB")])
    assert inspect(buffer.getvalue()) == Facts(*SIZE, "MPO")
    assert not check(buffer.getvalue()[:600])


def test_the_limit_on_pixels_holds() -> None:
    with pytest.raises(PictureError) as caught:
        inspect(built(gray(10_001, 10_000)))
    assert caught.value.reason == "picture_too_large"


@pytest.mark.parametrize("name", ["PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_other_formats_are_decoded(name: str) -> None:
    buffer = io.BytesIO()
    photo("RGB").save(buffer, name)
    data = buffer.getvalue()
    assert inspect(data) == Facts(*SIZE, name)
    chosen = random.Random(name)
    for size in range(1, len(data), 97):
        damaged = bytearray(data)
        damaged[chosen.randrange(len(data))] ^= 1 << chosen.randrange(8)
        assert outcome(inspect, bytes(damaged)) == outcome(decode, bytes(damaged))
        assert outcome(inspect, data[:size]) == outcome(decode, data[:size])
