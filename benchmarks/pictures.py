"""What the picture scores cost per picture, and which pictures of given folders the default rules flag.

    python -m benchmarks.pictures [FOLDER ...]

Times are CPU time of one thread, the least of five rounds. The photo is soft noise of all sizes, the document lines of
text; both are drawn here.
"""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image, ImageDraw, ImageFont

from filters import PICTURE_FILTERS
from filters.base import PictureFilter
from manifests.rules import load_rule_set
from shards.errors import PictureError
from shards.picture import decode

ROUNDS = 5
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".tif", ".tiff", ".bmp"}


def photo(width: int, height: int) -> bytes:
    """JPEG of soft noise."""
    rng = np.random.default_rng(0)
    image = Image.new("RGB", (width, height))
    for size in (5, 20, 80):
        pixels = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
        image = Image.blend(image, Image.fromarray(pixels).resize((width, height)), 0.5)
    return encoded(image)


def document(width: int, height: int) -> bytes:
    """JPEG of lines of text."""
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    for top in range(80, height - 80, 28):
        draw.text((100, top), "The quick brown fox jumps over the lazy dog. " * 4, "black", ImageFont.load_default(20))
    return encoded(image)


def encoded(image: Image.Image) -> bytes:
    """JPEG at quality 85."""
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def cost(work: Callable[[], object], number: int) -> float:
    """CPU time in milliseconds of one call, the least of several rounds of `number`."""
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(number):
            work()
        rounds.append((time.process_time() - start) / number)
    return 1000 * min(rounds)


def alone(made: PictureFilter, data: bytes) -> object:
    """Decode and measure with one filter."""
    return made(decode(data))


def all_filters(data: bytes) -> dict[str, object]:
    """Decode once, measure with every filter: sample scores of a sample with this one picture."""
    picture, scores = decode(data), {}
    for kind in PICTURE_FILTERS.values():
        values = dict(zip(kind.writes, kind()(picture), strict=True))
        scores |= {score: values[column] for score, (column, _) in kind.reduces.items()}
    return scores


def flags(folders: list[Path]) -> Iterator[str]:
    """Pictures of the folders by the first rule that flags them."""
    rules = {rule.name: pl.sql_expr(rule.when or "") for rule in load_rule_set("default")}
    known = {score for kind in PICTURE_FILTERS.values() for score in kind.reduces}
    ours = {name: when for name, when in rules.items() if set(when.meta.root_names()) <= known}
    for folder in folders:
        found = Counter[str]()
        for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES):
            try:
                frame = pl.DataFrame([all_filters(path.read_bytes())])
            except PictureError as error:
                found[error.reason] += 1
                continue
            named = [name for name, when in ours.items() if frame.select(when.fill_null(False)).item()]
            found[named[0] if named else "not flagged"] += 1
        yield f"{folder.name}: {', '.join(f'{count} {name}' for name, count in sorted(found.items()))}"


def main() -> None:
    """Print a table of costs, and what is flagged."""
    kinds = (("photo 640 x 480", photo(640, 480), 40), ("document 2000 x 1500", document(2000, 1500), 8))
    for name, data, number in kinds:
        parts = [f"decode {cost(partial(decode, data), number):.2f}"]
        for made in (kind() for kind in PICTURE_FILTERS.values()):
            parts.append(f"with {type(made).__name__} {cost(partial(alone, made, data), number):.2f}")
        parts.append(f"with all {cost(partial(all_filters, data), number):.2f}")
        print(f"{name}, {len(data):,} bytes, ms: {', '.join(parts)}")
    for line in flags([Path(name) for name in sys.argv[1:]]):
        print(line)


if __name__ == "__main__":
    main()
