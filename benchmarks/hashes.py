"""What a perceptual hash and the whole picture pass cost, against imagehash, and how far they agree.

    python -m benchmarks.hashes [FOLDER ...]

Rates are pictures by second of CPU time of one thread, the best of five rounds over the same encoded files, each opened
from memory. Photos are soft noise of all sizes, documents are paragraphs with a heading and a figure; both are drawn
here. Of a folder every file is read that opens as a picture; those refused are counted by their reason.
"""

import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from io import BytesIO
from itertools import repeat
from pathlib import Path
from typing import Final

import imagehash
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.pictures import encoded
from filters import PICTURE_FILTERS
from filters.phash import PerceptualHash
from shards.errors import PictureError
from shards.picture import Picture, decode, sample

ROUNDS: Final = 5
PICTURES: Final = 40
NEAR: Final = 2  # bits
WORDS: Final = ("of", "the", "light", "a", "measured", "field", "with", "some", "values", "are", "given", "by", "which")
FOOT: Final = 1360  # pixels from the top

Hashing = Callable[[bytes], object]


def photo(seed: int) -> bytes:
    """JPEG of 640 x 480: soft noise of four sizes."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (640, 480))
    for size in (4, 12, 40, 160):
        pixels = rng.integers(0, 256, (size * 3 // 4, size, 3), dtype=np.uint8)
        image = Image.blend(image, Image.fromarray(pixels).resize(image.size, Image.Resampling.BICUBIC), 0.45)
    return encoded(image)


def document(seed: int) -> bytes:
    """JPEG of 2000 x 1500: a heading, paragraphs of many lengths in one or two columns, a figure."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (2000, 1500), "white")
    draw, columns = ImageDraw.Draw(image), int(rng.integers(1, 3))
    width, font = 1700 // columns - 30, ImageFont.load_default(30)
    draw.text((150, 90), " ".join(rng.choice(WORDS, 5)), "black", ImageFont.load_default(60))
    for column in range(columns):
        left, top = 150 + column * (width + 60), 220
        while top < FOOT:
            for _ in range(int(rng.integers(2, 9))):
                draw.text((left, top), _line(rng, width * rng.choice((1, 1, 1, 0.6))), "black", font)
                top += 42
            top += 30
    across, down = (int(side) for side in rng.integers(300, 700, 2))
    figure = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    place = (int(rng.integers(150, 1200)), int(rng.integers(250, 750)))
    image.paste(Image.fromarray(figure).resize((across, down)), place)
    return encoded(image)


def _line(rng: np.random.Generator, width: float) -> str:
    return " ".join(rng.choice(WORDS, int(width / 75)))


def by_imagehash(data: bytes) -> int:
    """The reference."""
    return int(str(imagehash.phash(Image.open(BytesIO(data)))), 16)


def by_us(data: bytes) -> tuple[float | int | None, ...]:
    """The three hashes, with as much decoding as the picture pass does."""
    return PerceptualHash()(sample(data))


def whole_pass(read: Callable[[bytes], Picture]) -> Hashing:
    """All picture filters on one decode."""
    made = [kind() for kind in PICTURE_FILTERS.values()]

    def measure(data: bytes) -> object:
        picture = read(data)
        return [item(picture) for item in made]

    return measure


def rates_of(ways: dict[str, Hashing], files: list[bytes]) -> dict[str, float]:
    """Files by second of CPU time, best of several rounds, which take turns: a busy machine slows all ways alike."""
    least = dict.fromkeys(ways, float("inf"))
    for _ in repeat(None, ROUNDS):
        for way, work in ways.items():
            start = time.process_time()
            for data in files:
                work(data)
            least[way] = min(least[way], time.process_time() - start)
    return {way: len(files) / seconds for way, seconds in least.items()}


def agreement(files: list[bytes]) -> str:
    """How many bits lie between `phash` and imagehash; flat pictures have none."""
    pairs = [(by_us(data)[0], by_imagehash(data)) for data in files]
    found = [(int(ours) ^ theirs).bit_count() for ours, theirs in pairs if ours is not None]
    near = sum(bits <= NEAR for bits in found)
    counts = ", ".join(f"{count} by {bits}" for bits, count in sorted(Counter(found).items()) if bits)
    flat = len(files) - len(found)
    return f"{near} of {len(found)} within {NEAR} bits ({100 * near / max(len(found), 1):.1f} %; {counts}); {flat} flat"


def compare(name: str, files: list[bytes]) -> None:
    """Print rates and agreement on one kind of file."""
    ways = {
        "imagehash": by_imagehash,
        "all three hashes": by_us,
        "picture pass, decoded in full": whole_pass(decode),
        "picture pass": whole_pass(sample),
    }
    rates = rates_of(ways, files)
    print(f"{name}, {len(files)} files of {sum(map(len, files)) // len(files):,} bytes")
    for way, found in rates.items():
        print(f"  {way}: {found:.0f}/s, {1000 / found:.2f} ms, {found / rates['imagehash']:.2f} x imagehash")
    print(f"  phash: {agreement(files)}")


def readable(folder: Path) -> list[bytes]:
    """Files of a folder that the picture pass measures; prints how many it refuses, and why."""
    kept, refused = [], Counter[str]()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix not in {".csv", ".txt"}):
        data = path.read_bytes()
        try:
            whole_pass(sample)(data)
            kept.append(data)
        except PictureError as error:
            refused[error.reason] += 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(refused.items())) or "none"
    print(f"{folder.name}: {len(kept)} measured, refused: {reasons}; peak memory so far {peak} MB")
    return kept


def main() -> None:
    """Print drawn kinds, then folders, JPEGs and others apart."""
    compare("photos 640 x 480", [photo(seed) for seed in range(PICTURES)])
    compare("documents 2000 x 1500", [document(seed) for seed in range(PICTURES)])
    for folder in map(Path, sys.argv[1:]):
        files = readable(folder)
        jpegs = [data for data in files if data.startswith(b"\xff\xd8\xff")]
        for name, kind in (("JPEG", jpegs), ("other", [data for data in files if data not in jpegs])):
            if kind:
                compare(f"{folder.name}, {name}", kind)


if __name__ == "__main__":
    main()
