import imagehash
import numpy as np
import pytest
from cards import bars, encoded, noise, page, scene, table
from commands import SHARED
from PIL import Image, ImageOps

from filters.phash import PerceptualHash
from shards.picture import decode, sample

TRUTH = sorted((SHARED / "data/dedup_truth/images").glob("*"))


def hashes(data, read=decode):
    return dict(zip(PerceptualHash.writes, PerceptualHash()(read(data)), strict=True))


def bits(left, right):
    return (left ^ right).bit_count()


def letter():
    """A page of text with a picture; pages of nothing but even lines have coefficients of rounding alone."""
    image = page(lines=28)
    image.paste(scene(300, 200), (90, 120))
    return image


def published(image):
    return int(str(imagehash.phash(image)), 16)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "CMYK", "1", "LA", "YCbCr"])
@pytest.mark.parametrize("size", [(64, 64), (500, 37), (3, 9), (700, 601)])
def test_a_picture_decoded_in_full_has_the_hash_of_imagehash(mode, size):
    data = encoded(noise(*size).convert(mode), "TIFF" if mode in {"CMYK", "YCbCr"} else "PNG")
    for read in (decode, sample):
        assert hashes(data, read)["phash"] == published(decode(data).image)


@pytest.mark.parametrize("image", [bars(), table(), page(), Image.linear_gradient("L"), Image.radial_gradient("L")])
def test_so_have_drawings_whose_coefficients_are_tied(image):
    assert hashes(encoded(image))["phash"] == published(image)


@pytest.mark.skipif(not TRUTH, reason="needs ../shared/data/dedup_truth")
def test_so_have_real_pictures():
    for path in TRUTH[:60]:
        data = path.read_bytes()
        assert hashes(data)["phash"] == published(decode(data).image)


def test_the_lowest_bits_are_the_last_row():
    value = hashes(encoded(noise(64, 64)))["phash"]
    found = np.unpackbits(np.frombuffer(value.to_bytes(8, "big"), dtype=np.uint8)).reshape(8, 8).astype(bool)
    assert (found == imagehash.phash(noise(64, 64)).hash).all()


@pytest.mark.parametrize("size", [(300, 200), (640, 480), (641, 427), (850, 1100), (2000, 1500), (1654, 2339)])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 30}])
def test_a_jpeg_decoded_at_a_fraction_has_nearly_that_of_imagehash(size, options):
    for image in (scene(*size), letter().resize(size), bars().resize(size), scene(*size).convert("CMYK")):
        data = encoded(image, "JPEG", **options)
        assert sample(data).scale > 1
        found, exact = hashes(data, sample), hashes(data)
        assert exact["phash"] == published(decode(data).image)
        assert [name for name in found if bits(found[name], exact[name]) > 2] == []


@pytest.mark.parametrize("image", [scene(), page(), scene(201, 333), table(), noise(64, 64)])
def test_the_mirror_hash_is_that_of_the_picture_in_a_mirror(image):
    found, mirrored = hashes(encoded(image)), hashes(encoded(ImageOps.mirror(image)))
    assert bits(found["phash_mirror"], mirrored["phash"]) <= 2
    assert bits(found["phash"], mirrored["phash_mirror"]) <= 2
    assert bits(found["phash"], mirrored["phash"]) > 8


@pytest.mark.parametrize("image", [scene(), letter(), bars(), scene(1000, 700)])
def test_the_inner_hash_is_that_of_a_crop(image):
    width, height = image.size
    rim = (round(width * 0.03), round(height * 0.03))
    cropped = image.crop((*rim, width - rim[0], height - rim[1]))
    assert bits(hashes(encoded(image))["phash_inner"], hashes(encoded(cropped))["phash"]) <= 2


@pytest.mark.parametrize("colour", ["gray", "white", "black"])
def test_flat_pictures_have_none(colour):
    assert set(hashes(encoded(Image.new("RGB", (50, 50), colour))).values()) == {None}


def test_one_spot_is_enough():
    image = Image.new("L", (50, 50), 255)
    assert set(hashes(encoded(image)).values()) == {None}
    image.paste(0, (10, 10, 20, 20))
    assert None not in hashes(encoded(image)).values()
