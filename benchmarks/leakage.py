"""How many planted benchmark pictures and questions are found, what is found by mistake, and what the search costs.

python -m benchmarks.leakage pictures [FOLDER ...]   pictures below these folders, else drawn ones, as a benchmark
python -m benchmarks.leakage search [MILLIONS]       hashes of training pictures against 50,000 benchmark pictures
python -m benchmarks.leakage texts FILE ...          JSONL files with `question` and `answer`, each against the others
"""

import io
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import permutations
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps
from polars._typing import PolarsDataType

from filters.leak_boxes import BOXES, CUTS, Box, StripCuts, part_hashes
from filters.leak_index import TextIndex, index_part, whole_index
from filters.leak_match import find_texts
from filters.leak_texts import SHORT, read_turns
from filters.phash import PerceptualHash
from filters.texts import read_texts
from flows.leaking import NEAREST, RADIUS
from manifests.leak_likeness import WHOLE, likeness_of_parts
from manifests.leak_search import HashTable
from manifests.leaks import decided, paired, weighed
from manifests.likeness import SIDE, shrunk
from shards.errors import PictureError
from shards.picture import decode, sample
from shards.schema import MESSAGE

UNRELATED: Final = 10_000
WORDS: Final = ("amber", "bridge", "canal", "delta", "engine", "forest", "garden", "harbour", "island", "junction")

Picture = Image.Image


class Hashed(NamedTuple):
    """A picture as the search sees it: all hashes of a training picture, and what a comparison looks at."""

    name: str
    hashes: tuple[int, ...]
    mirror: int
    gray: NDArray[np.uint8]


class Known:
    """Pictures of a benchmark, ready to be searched: as flows/leaking.py does it, without a store."""

    def __init__(self, pictures: Sequence[bytes]) -> None:
        found = [(part_hashes(sample(data), BOXES, flat_std=2.0), data) for data in pictures]
        kept = [(parts, data) for parts, data in found if parts]
        self.grays = [shrunk(decode(data).gray(), SIDE) for _, data in kept]
        owners = np.repeat(np.arange(len(kept), dtype=np.uint32), len(BOXES))
        hashes = np.array([part for parts, _ in kept for part in parts], dtype=np.uint64)
        self.hashes = hashes.reshape(len(kept), len(BOXES))
        self.parts = HashTable(hashes, owners, RADIUS)
        self.wholes = HashTable(hashes[:: len(BOXES)].copy(), owners[:: len(BOXES)].copy(), RADIUS)

    def match(self, picture: Hashed) -> tuple[int | None, int]:
        """The picture of the benchmark that this one shows, and how many were compared."""
        asked = [(self.parts, value, False, WHOLE) for value in picture.hashes[:2]]
        asked += [(self.wholes, value, False, cut) for value, cut in zip(picture.hashes[2:], CUTS, strict=True)]
        asked.append((self.wholes, picture.mirror, True, WHOLE))
        best: dict[tuple[int, bool], tuple[int, Box, Box]] = {}
        for table, value, flipped, cut in asked:
            for _, owner, distance in table.nearest(np.array([value], np.uint64), NEAREST).iter_rows():
                part = BOXES[int(np.bitwise_count(self.hashes[owner] ^ np.uint64(value)).argmin())]
                if distance < best.get((owner, flipped), (65,))[0]:
                    best[owner, flipped] = (distance, cut, WHOLE if table is self.wholes else part)
        ordered = sorted(best, key=lambda key: (best[key][0], key))[:NEAREST]
        for tried, (owner, flipped) in enumerate(ordered, 1):
            mine = np.ascontiguousarray(picture.gray[:, ::-1]) if flipped else picture.gray
            _, cut, part = best[owner, flipped]
            if likeness_of_parts(mine, self.grays[owner], mine_without=cut, other_without=part).same:
                return owner, tried
        return None, len(ordered)


def hashed(name: str, data: bytes) -> Hashed | None:
    """A training picture measured; None for a flat one."""
    small = sample(data)
    whole, mirror, inner = PerceptualHash()(small)
    cuts = StripCuts()(small)
    if whole is None or mirror is None or inner is None:
        return None
    hashes = tuple(int(value) for value in (whole, inner, *cuts) if value is not None)
    return Hashed(name, hashes, int(mirror), shrunk(decode(data).gray(), SIDE))


def encoded(image: Picture, quality: int = 85) -> bytes:
    """As JPEG."""
    target = io.BytesIO()
    image.convert("RGB").save(target, "JPEG", quality=quality)
    return target.getvalue()


def cropped(image: Picture, left: float, top: float, right: float, bottom: float) -> Picture:
    """Without shares of its sides."""
    width, height = image.size
    box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
    return image.crop(tuple(round(value) for value in box))  # type: ignore[arg-type]  # four numbers


def captioned(image: Picture, share: float, rng: np.random.Generator) -> Picture:
    """With a strip of words above or below, black on white or white on black."""
    band = max(14, round(share * image.height))
    dark, above = rng.integers(0, 2, 2)
    border = (0, band, 0, 0) if above else (0, 0, 0, band)
    strip = ImageOps.expand(image.convert("RGB"), border, fill="black" if dark else "white")
    words = " ".join(rng.choice(WORDS, 6))
    place = (4, 1 if above else image.height + 1)
    ImageDraw.Draw(strip).text(place, words, font=ImageFont.load_default(0.6 * band), fill="white" if dark else "black")
    return strip


def resized(image: Picture, scale: float) -> Picture:
    """Scaled, 32 pixels a side at least."""
    width, height = (max(32, round(scale * side)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def planted(image: Picture, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """A picture as training sets hold it, by what was done to it."""
    for share in (0.02, 0.04, 0.06, 0.08, 0.1):
        yield "crop, every side", encoded(cropped(image, share, share, share, share))
        half = share / 2
        yield "crop, share of sides", encoded(cropped(image, half, half, half, half))
        x, y = rng.random(2)
        yield "crop, off centre", encoded(cropped(image, x * share, y * share, (1 - x) * share, (1 - y) * share))
        yield "crop, each side up to", encoded(cropped(image, *(share * rng.random(4))))
        yield "caption strip", encoded(captioned(image, share + 0.02, rng))
    for quality in (30, 50, 70, 90):
        yield "jpeg", encoded(image, quality)
    for scale in (0.4, 0.6, 0.8, 1.25, 1.5):
        yield "resize", encoded(resized(image, scale))
    yield "gray", encoded(image.convert("L"))
    yield "mirror", encoded(ImageOps.mirror(image))
    yield "crop, resize, jpeg 50", encoded(resized(cropped(image, *(0.06 * rng.random(4))), 0.7), 50)


def drawn(seed: int) -> Picture:
    """A picture of one of five kinds: photo, chart, page of text, table, diagram."""
    rng = np.random.default_rng(seed)
    width, height = (int(side) for side in rng.integers(240, 520, 2))
    image = [_photo, _chart, _page, _table, _diagram][seed % 5](rng, width, height)
    return image.convert("RGB")


def _photo(rng: np.random.Generator, width: int, height: int) -> Picture:
    mixed = np.full((height, width), 128.0)
    for step, weight in ((3, 8), (9, 14), (30, 26), (90, 40)):
        layer = Image.fromarray(rng.normal(0, 1, (height // step + 2, width // step + 2)).astype(np.float32))
        mixed += weight * np.asarray(layer.resize((width, height), Image.Resampling.BICUBIC))
    return Image.fromarray(np.clip(mixed, 0, 255).astype(np.uint8))


def _canvas(width: int, height: int) -> tuple[Picture, ImageDraw.ImageDraw]:
    image = Image.new("RGB", (width, height), "white")
    return image, ImageDraw.Draw(image)


def _words(rng: np.random.Generator, number: int) -> str:
    return " ".join("".join(rng.choice(list("abcdeghilmnoprstu"), rng.integers(2, 9))) for _ in range(number))


def _chart(rng: np.random.Generator, width: int, height: int) -> Picture:
    image, draw = _canvas(width, height)
    draw.text((20, 6), _words(rng, 4), font=ImageFont.load_default(14), fill="black")
    draw.line((30, 30, 30, height - 30, width - 20, height - 30), fill="black", width=2)
    bars, room = int(rng.integers(3, 9)), width - 60
    for bar in range(bars):
        left = 36 + bar * room / bars
        top = height - 30 - rng.uniform(0.1, 0.95) * (height - 70)
        draw.rectangle(
            (left, top, left + 0.6 * room / bars, height - 30), fill=tuple(int(v) for v in rng.integers(0, 220, 3))
        )
    return image


def _page(rng: np.random.Generator, width: int, height: int) -> Picture:
    image, draw = _canvas(width, height)
    top = 14
    while top < height - 20:
        if rng.integers(0, 7):
            words = _words(rng, int(rng.integers(2, 10)))
            draw.text((16, top), words, font=ImageFont.load_default(int(rng.choice([10, 12, 18]))), fill=20)
        top += 20
    return image


def _table(rng: np.random.Generator, width: int, height: int) -> Picture:
    image, draw = _canvas(width, height)
    columns, rows = int(rng.integers(2, 6)), int(rng.integers(4, 12))
    for row in range(rows + 1):
        y = 10 + row * (height - 20) / rows
        draw.line((10, y, width - 10, y), fill="gray")
        for column in range(columns if row < rows else 0):
            text = f"{rng.integers(0, 9999)}" if column else _words(rng, 1)
            draw.text(
                (16 + column * (width - 20) / columns, y + 4), text, font=ImageFont.load_default(12), fill="black"
            )
    return image


def _diagram(rng: np.random.Generator, width: int, height: int) -> Picture:
    image, draw = _canvas(width, height)
    for _ in range(int(rng.integers(5, 14))):
        (left, right), (top, bottom) = (sorted(rng.integers(0, side, 2)) for side in (width, height))
        shape: Callable[..., None] = (draw.ellipse, draw.rectangle)[rng.integers(0, 2)]
        fill = tuple(int(value) for value in rng.integers(60, 256, 3)) if rng.integers(0, 3) else None
        shape((left, top, right, bottom), outline="black", width=2, fill=fill)
    return image


def files_below(folders: Sequence[Path]) -> list[Path]:
    """Pictures, in order."""
    found = [path for folder in folders for path in sorted(folder.rglob("*"))]
    return [path for path in found if path.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"}]


def pictures(folders: Sequence[Path]) -> None:
    """Plant every picture of a benchmark in all ways, and hold unrelated ones against it."""
    known = [path.read_bytes() for path in files_below(folders)] or [encoded(drawn(10**6 + n), 92) for n in range(200)]
    data = [each for each in known if _usable(each)]
    bench = Known(data)
    rows: list[tuple[str, bool, bool]] = []
    rng = np.random.default_rng(0)
    began = time.process_time()
    for number, each in enumerate(data):
        for kind, copy in planted(decode(each).rgb(), rng):
            found = hashed(kind, copy)
            owner = None if found is None else bench.match(found)[0]
            rows.append((kind, owner is not None, owner == number))
    table = pl.DataFrame(rows, ["kind", "found", "right"], orient="row")
    print(f"{len(data)} pictures of a benchmark, {table.height} planted, {time.process_time() - began:.0f} s of CPU")
    counts = table.group_by("kind", maintain_order=True).agg(pl.len().alias("planted"), pl.col("found").sum())
    for kind, number, found_of in [*counts.iter_rows(), ("all", table.height, int(table["found"].sum()))]:
        print(f"  {kind:<24} {found_of:>6} of {number:>6}  {found_of / number:.2%}")
    _unrelated(bench)


def _usable(data: bytes) -> bool:
    try:
        return part_hashes(sample(data), BOXES[:1], flat_std=2.0) is not None and min(decode(data).image.size) > 1
    except PictureError:
        return False


def _unrelated(bench: Known) -> None:
    wrong = compared = 0
    began = time.process_time()
    for seed in range(UNRELATED):
        found = hashed(str(seed), encoded(drawn(seed)))
        if found is not None:
            owner, tried = bench.match(found)
            wrong, compared = wrong + (owner is not None), compared + tried
    spent = time.process_time() - began
    print(f"{wrong} of {UNRELATED} unrelated pictures found; {compared} comparisons, {spent:.0f} s of CPU with drawing")


def search(millions: float) -> None:
    """Random hashes, so that no time is spent on pictures that are alike."""
    rng = np.random.default_rng(0)
    benchmark, training = 50_000, round(millions * 1e6)
    parts = rng.integers(0, 1 << 64, benchmark * len(BOXES), dtype=np.uint64)
    owners = np.repeat(np.arange(benchmark, dtype=np.uint32), len(BOXES))
    queries = rng.integers(0, 1 << 64, training, dtype=np.uint64)
    planted_at = np.arange(0, training, 1000)
    queries[planted_at] = parts[planted_at % len(parts)] ^ np.uint64(0b1000100010000001000100010001)
    HashTable(parts[:10], owners[:10], RADIUS).nearest(queries[:10], NEAREST)  # compiled
    began = time.process_time()
    tables = HashTable(parts, owners, RADIUS), HashTable(parts[:: len(BOXES)], owners[:: len(BOXES)], RADIUS)
    made = time.process_time()
    found = tables[0].nearest(queries, NEAREST)
    once = time.process_time()
    tables[1].nearest(queries, NEAREST)
    done = time.process_time()
    planted_found = np.isin(planted_at, found["query"].to_numpy()).mean()
    whole = 2 * (once - made) + 7 * (done - once)
    print(
        f"{training:,} pictures against {benchmark:,} of {len(BOXES)} parts, radius {RADIUS}: "
        f"tables {made - began:.1f} s, "
        f"one hash against all parts {once - made:.1f} s, against the wholes {done - once:.1f} s; "
        f"all nine hashes of a picture {whole:.1f} s of CPU; {planted_found:.1%} of the planted found, "
        f"{found.height:,} candidates of one hash; peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MB"
    )


def batch_of(name: str, rows: Sequence[tuple[str, str]]) -> pl.DataFrame:
    """Samples that ask and answer, without pictures."""
    turns = [[{"role": "user", "text": asked}, {"role": "assistant", "text": told}] for asked, told in rows]
    message = pl.Struct({field.name: pl.String for field in MESSAGE})
    schema: dict[str, PolarsDataType] = {
        "key": pl.String,
        "messages": pl.List(message),
        "images": pl.List(pl.Struct({"sha256": pl.String})),
    }
    keys = [f"{name}/test/{number}" for number in range(len(rows))]
    return pl.DataFrame({"key": keys, "messages": turns, "images": [[]] * len(rows)}, schema=schema)


def found_in(training: pl.DataFrame, index: TextIndex) -> pl.DataFrame:
    """What the decision says of a whole source."""
    found = find_texts(training, read_turns(read_texts(training)), index)
    known = decided(weighed(found.hits, found.seen, index.grams["count"]), index.items)
    return pl.concat([known, paired(found.pairs, index.pairs)])


def paraphrased(text: str, rng: np.random.Generator) -> str:
    """Other case, no punctuation, something before it, and one word exchanged."""
    words = text.upper().replace("?", " ").split()
    words[int(rng.integers(len(words)))] = "SUCH"
    return "Please look closely and answer: " + " ".join(words)


def texts(files: Sequence[Path]) -> None:
    """Hold every file against every other one, and against itself in other words."""
    loaded = {path.stem: [json.loads(line) for line in path.read_text().splitlines() if line.strip()] for path in files}
    rows = {name: [(str(row["question"]), str(row["answer"])) for row in each] for name, each in loaded.items()}
    indexes = {name: TextIndex(*whole_index([index_part(batch_of(name, each))])) for name, each in rows.items()}
    rng = np.random.default_rng(0)
    for name, each in rows.items():
        long = [(asked, told) for asked, told in each if len(asked.split()) >= SHORT]
        other = batch_of("other", [(paraphrased(asked, rng), told) for asked, told in long])
        print(f"{name}: {found_in(other, indexes[name])['key'].n_unique()} of {len(long)} found in other words")
    wrong = {
        (left, right): found_in(batch_of(right, rows[right]), indexes[left]) for left, right in permutations(rows, 2)
    }
    number = sum(frame["key"].n_unique() for frame in wrong.values())
    print(f"{number} rows found in another file, {len(wrong)} pairs of files")


if __name__ == "__main__":
    what, rest = sys.argv[1], sys.argv[2:]
    if what == "search":
        search(float(rest[0]) if rest else 1)
    else:
        {"pictures": pictures, "texts": texts}[what]([Path(each) for each in rest])
