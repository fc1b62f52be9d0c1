import csv
import pickle
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import polars as pl
import pytest
from cards import cut, encoded, icon_card, noise, only_in_alpha, page, scene, text_card
from commands import SHARED
from PIL import Image

from filters import PICTURE_FILTERS
from filters.pictures import PictureBasics
from manifests.rules import load_rule_set
from shards.errors import PictureError
from shards.picture import decode, sample

TRUTH = sorted((SHARED / "data/dedup_truth/images").glob("*"))
ROOT = Path(__file__).parents[2]
CORRUPT = SHARED / "data/real/corrupt"
NULLABLE = {"sharpness", "noise_floor", "phash", "phash_mirror", "phash_inner"}
"""Columns that are null where the picture is too small or flat."""


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
    assert {name for name, value in zip(measure.writes, values, strict=True) if value is None} <= NULLABLE
    assert pl.DataFrame([values], dict(measure.writes), orient="row").row(0) == values
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


def flagged(data):
    """Rules of the default set that are true for a sample of this one picture."""
    scores = {}
    for kind in PICTURE_FILTERS.values():
        measured = dict(zip(kind.writes, kind()(sample(data)), strict=True))
        scores |= {score: [measured[column]] for score, (column, _) in kind.reduces.items()}
    frame = pl.DataFrame(scores)
    expressions = {rule.name: pl.sql_expr(rule.when) for rule in load_rule_set("default")}
    ours = {name: told for name, told in expressions.items() if set(told.meta.root_names()) <= set(scores)}
    return [name for name, told in ours.items() if frame.select(told.fill_null(False)).item()]


@pytest.mark.parametrize(
    ("data", "rules"),
    [
        (encoded(scene(), "JPEG"), []),
        (encoded(page(), "JPEG"), []),
        (encoded(scene(640, 27)), ["tiny_picture", "strip_picture"]),
        (encoded(scene(640, 30)), ["strip_picture"]),
        (encoded(scene(640, 40)), []),
        (encoded(Image.new("RGB", (300, 300), "white")), ["blank_picture", "placeholder_picture"]),
        (encoded(only_in_alpha()), ["blank_picture", "placeholder_picture"]),
        (encoded(text_card(), "JPEG"), ["placeholder_picture"]),
        (encoded(icon_card()), ["placeholder_picture"]),
        (cut(0.5), ["cut_picture"]),
        (encoded(noise(300, 300)), ["noise_picture"]),
    ],
)
def test_the_default_rules_flag_what_is_meant(data, rules):
    assert flagged(data) == rules


@pytest.mark.skipif(not TRUTH, reason="needs ../shared/data/dedup_truth")
def test_no_real_picture_is_flagged():
    """Photos, charts, tables, receipts, document pages, screens, and copies of them."""
    assert [path.name for path in TRUTH if flagged(path.read_bytes())] == []


@pytest.mark.skipif(not CORRUPT.is_dir(), reason="needs ../shared/data/real/corrupt")
def test_every_damaged_file_is_measured_or_has_its_reason():
    reasons, named = {}, {}
    with (CORRUPT / "expected_pillow.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        data = (CORRUPT / row["file"]).read_bytes()
        try:
            named[row["file"]] = flagged(data)
        except PictureError as error:
            reasons[row["file"]] = error.reason
    assert len(reasons) + len(named) == len(rows) == 305
    assert not [row["file"] for row in rows if row["pil_load"] != "ok" and row["file"] in named]
    blank = ["blank_picture", "placeholder_picture"]
    assert named["made/all_white.jpg"] == named["made/all_black.png"] == named["libvips/trans-x.png"] == blank
    assert named["made/noise.png"] == ["noise_picture"]
    assert named["made/sliver_1x3000.png"] == ["tiny_picture", "strip_picture", *blank]
    # odd, but whole: modes, orientations, frames, wrong extensions
    for name in (
        "cmyk.jpg",
        "gray16.png",
        "la.png",
        "palette_transparent.gif",
        "float32.tif",
        "exif_orientation_6.jpg",
    ):
        assert named[f"made/{name}"] == []


MEASURED = """
import resource, sys
from pathlib import Path
from filters import PICTURE_FILTERS
from shards.errors import PictureError
from shards.picture import sample
made = [kind() for kind in PICTURE_FILTERS.values()]
kilobytes = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = kilobytes()
for path in sorted(path for path in Path(sys.argv[1]).rglob("*") if path.is_file()):
    try:
        picture = sample(path.read_bytes())
    except PictureError as error:
        print(path.name, error.reason)
    else:
        print(path.name, len([item(picture) for item in made]))
print("megabytes", (kilobytes() - start) >> 10)
"""


def measured(folder):
    """File name to its reason, or the number of filters; `megabytes`: what the peak of memory rose by."""
    command = [sys.executable, "-W", "error", "-c", MEASURED, str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return dict(line.rsplit(" ", 1) for line in done.stdout.splitlines())


def claiming(width, height):
    """A PNG with the header of a picture of this size."""
    data = bytearray(encoded(Image.new("1", (8, 8))))
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def test_pictures_that_claim_to_be_huge_cost_no_memory(tmp_path):
    """The largest JPEG allowed has 100 Mpx, 300 MB as RGB; it is sampled at an eighth of its sides."""
    (tmp_path / "claim.png").write_bytes(claiming(60_000, 60_000))
    (tmp_path / "largest.jpg").write_bytes(encoded(Image.new("RGB", (10_000, 10_000), "red"), "JPEG"))
    (tmp_path / "larger.jpg").write_bytes(encoded(Image.new("L", (10_000, 10_001)), "JPEG"))
    (tmp_path / "scene.jpg").write_bytes(encoded(scene(), "JPEG"))
    found = measured(tmp_path)
    assert int(found.pop("megabytes")) < 100
    assert found == {
        "claim.png": "picture_too_large",
        "largest.jpg": str(len(PICTURE_FILTERS)),
        "larger.jpg": "picture_too_large",
        "scene.jpg": str(len(PICTURE_FILTERS)),
    }


@pytest.mark.skipif(not CORRUPT.is_dir(), reason="needs ../shared/data/real/corrupt")
def test_damaged_files_cost_no_memory():
    """The limit is 300 MB, of one frame of `MAX_PIXELS` as RGB."""
    found = measured(CORRUPT)
    assert int(found["megabytes"]) < 300
    assert len(found) > 300
