import io
import pickle
from pathlib import Path

import imagehash
import numpy as np
import pytest
from PIL import Image

from filters import PICTURE_FILTERS
from filters.phash import PerceptualHash
from filters.pictures import PictureBasics
from shards.picture import decode

REAL = sorted((Path(__file__).parents[3] / "shared/data/dedup_truth/images").glob("*"))[:60]


def encoded(image, format_="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def noise(width, height, mode="RGB", seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


@pytest.fixture(params=PICTURE_FILTERS)
def measure(request):
    return PICTURE_FILTERS[request.param]()


@pytest.mark.parametrize(
    "image", [noise(8, 8), noise(300, 2, "L"), noise(1, 700, "RGBA"), Image.new("P", (5, 5)), Image.new("1", (1, 1))]
)
def test_contract(measure, image):
    picture = decode(encoded(image))
    values = measure(picture)
    assert len(values) == len(measure.writes)
    assert None not in values
    assert pickle.loads(pickle.dumps(measure)) == measure
    assert measure(picture) == values
    assert {column for column, _ in measure.reduces.values()} <= set(measure.writes)
    assert {how for _, how in measure.reduces.values()} <= {"min", "max", "first"}


def basics(data):
    return dict(zip(PictureBasics.writes, PictureBasics()(decode(data)), strict=True))


def test_shape_and_size():
    data = encoded(noise(300, 100))
    found = basics(data)
    assert (found["side_px"], found["aspect"], found["num_frames"]) == (100, 3.0, 1)
    assert found["bytes_per_px"] == len(data) / 30_000


@pytest.mark.parametrize(
    ("image", "low", "high"), [(Image.new("RGB", (900, 500), "red"), 0, 0), (noise(200, 200, "L"), 45, 55)]
)
def test_gray_std(image, low, high):
    assert low <= basics(encoded(image))["gray_std"] <= high


def test_gray_std_reaches_its_end_on_half_black_half_white():
    image = Image.new("L", (1000, 1000))
    image.paste(255, (0, 0, 500, 1000))
    assert basics(encoded(image))["gray_std"] == pytest.approx(127.5, abs=0.5)


def test_frames_and_rotation():
    frames = [noise(20, 20, seed=seed) for seed in range(3)]
    assert basics(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))["num_frames"] == 3
    exif = Image.Exif()
    exif[0x0112] = 6
    assert basics(encoded(frames[0], "JPEG", exif=exif))["exif_rotated"] is True
    assert basics(encoded(frames[0], "JPEG"))["exif_rotated"] is False


def assert_same_hash(data):
    picture = decode(data)
    assert PerceptualHash()(picture) == (int(str(imagehash.phash(picture.image)), 16),)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "CMYK", "1", "LA"])
@pytest.mark.parametrize("size", [(64, 64), (500, 37), (1, 9)])
def test_hash_is_that_of_imagehash(mode, size):
    format_ = "TIFF" if mode == "CMYK" else "PNG"
    assert_same_hash(encoded(noise(*size).convert(mode), format_))


def test_hash_of_a_blank_picture_is_that_of_imagehash():
    assert_same_hash(encoded(Image.new("RGB", (50, 50), "gray")))


@pytest.mark.skipif(not REAL, reason="needs ../shared/data/dedup_truth")
def test_hash_of_real_pictures_is_that_of_imagehash():
    for path in REAL:
        assert_same_hash(path.read_bytes())


def test_the_lowest_bits_are_the_last_row():
    (value,) = PerceptualHash()(decode(encoded(noise(64, 64))))
    bits = np.unpackbits(np.frombuffer(value.to_bytes(8, "big"), dtype=np.uint8)).reshape(8, 8).astype(bool)
    assert (bits == imagehash.phash(noise(64, 64)).hash).all()
