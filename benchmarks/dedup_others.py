"""Near-duplicate pictures without a truth: copies and edits of each are made, and told apart.

`python -m benchmarks.dedup_others FOLDER` takes pictures of any origin; those below one folder of FOLDER are a family.
Copies are what people make of a picture, edits another picture of the same form: a piece of print exchanged for another
once the picture has 512 pixels, or a letter, or three letters, exchanged for others in the picture as it is, whatever
is left of them at 512 pixels. Pairs found the same among the originals are listed for the eye. `--rows FILE` writes a
line for every comparison. Prints counts with Wilson intervals of 95 %.
"""

import argparse
import csv
import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps

from benchmarks.dedup_letters import exchanged_letters
from benchmarks.dedup_truth import RADIUS, Seen, Verifier, distances, see, seen, wilson
from manifests.likeness import SIDE, likeness
from shards.errors import PictureError
from shards.picture import decode

SUFFIXES: Final = {".png", ".jpg", ".jpeg", ".webp"}
EDITS: Final = ((6, 8), (8, 10), (12, 12), (24, 12))
"""Width and height in pixels, at a longest side of 512, of the piece of print that an edit exchanges."""

PAPER: Final = 160
INK: Final = 45
ANOTHER: Final = 0.3
"""Gray levels of paper at least, standard deviation of print at least, correlation of two letters at most."""

LARGEST: Final = 1600
"""Pixels of the longest side of what copies are made of; letters are exchanged in up to twice as many."""

LETTERS: Final = (1, 3)
HEIGHTS: Final = (4, 5, 6, 8, 12)
"""Pixels of a letter at 512, by which results are listed."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One comparison: of which picture, with what change, whether found the same, whether hashes are near."""

    family: str
    picture: str
    change: str
    is_copy: bool
    same: bool
    near: bool
    reason: str


def main() -> None:
    """Make, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--radius", type=int, default=RADIUS, help="bits between hashes of candidates")
    parser.add_argument("--most", type=int, default=400, help="pictures to take of a family")
    parser.add_argument("--skip", type=int, default=0, help="pictures of a family to leave out, of those chosen first")
    parser.add_argument("--rows", type=Path, help="a CSV of all comparisons")
    given = parser.parse_args()
    paths = _chosen(given.folder, given.skip, given.most)
    pictures = {path: picture for path in paths if (picture := _readable(path))}
    _natives(given.folder, pictures, given.radius)
    tried = [each for path in pictures for each in _compared(given.folder, path, pictures[path], given.radius)]
    if given.rows:
        with given.rows.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([field.name for field in fields(Tried)])
            writer.writerows(map(astuple, tried))
    for title, is_copy in (("copies found", True), ("edits merged", False)):
        part = [each for each in tried if each.is_copy is is_copy]
        _print(f"{title}, by change; of them by hash, too", part, lambda each: each.change)
        _print(f"{title}, by family", part, lambda each: each.family)


def _print(title: str, tried: list[Tried], by: Callable[[Tried], str]) -> None:
    print(f"\n{title}")
    for name in sorted({by(each) for each in tried}):
        part = [each for each in tried if by(each) == name]
        merged = [each.near for each in part if each.same]
        print(f"  {name:<24} {wilson(len(merged), len(part))}; {sum(merged)}")


def _chosen(folder: Path, skip: int, most: int) -> list[Path]:
    """As many pictures of each family, chosen by the hash of their name, after those that are left out."""
    paths = [path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES]
    paths.sort(key=lambda path: hashlib.sha256(path.name.encode()).digest())
    families = sorted({_family(folder, path) for path in paths})
    return [path for name in families for path in _of(folder, paths, name)[skip:][:most]]


def _of(folder: Path, paths: list[Path], family: str) -> list[Path]:
    return [path for path in paths if _family(folder, path) == family]


def _family(folder: Path, path: Path) -> str:
    first, *rest = path.relative_to(folder).parts
    return first if rest else "all"


def _readable(path: Path) -> Seen | None:
    """What a file shows; None, and a line that says why, where it does not decode, or is flat and has no hash."""
    try:
        found = see(path.read_bytes())
    except PictureError as error:
        print(f"{path.name}: {error}")
        return None
    if not found.whole:
        print(f"{path.name}: flat, no hash, never compared")
        return None
    return found


def _natives(folder: Path, pictures: dict[Path, Seen], radius: int) -> None:
    """Print pairs of originals that are found the same; nobody knows whether they are."""
    paths, verify = list(pictures), Verifier(list(pictures.values()))
    near = np.argwhere(np.triu(distances(list(pictures.values()), mirrored=False) <= radius, 1))
    same = [(int(a), int(b)) for a, b in near if verify(int(a), int(b)).same]
    print(f"{len(paths)} pictures; {len(near)} pairs within {radius} bits, {len(same)} found the same")
    for a, b in same:
        names = (paths[each].relative_to(folder).as_posix() for each in (a, b))
        print(f"  {' '.join(names)}: {verify(a, b).sentence}")


def _compared(folder: Path, path: Path, whole: Seen, radius: int) -> Iterator[Tried]:
    """All changes of one picture, each held against what it was made of."""
    full = decode(path.read_bytes()).rgb()
    full.thumbnail((2 * LARGEST, 2 * LARGEST))
    large, small = full.copy(), full.copy()
    large.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    rng = np.random.default_rng(list(hashlib.sha256(path.name.encode()).digest()))
    origin, shrunken = seen(large), seen(small)
    changed = [
        *((name, origin, seen(copy), True) for name, copy in copies_of(large, rng)),
        *((name, shrunken, seen(edit), False) for name, edit in edits_of(small, rng)),
        *((name, whole, seen(edit), False) for name, edit in _letters_of(full, rng)),
    ]
    for name, mine, other, is_copy in changed:
        near = int(distances([mine, other], mirrored=False)[0, 1]) <= radius
        found = likeness(mine.gray, other.gray)
        relative = path.relative_to(folder).as_posix()
        yield Tried(_family(folder, path), relative, name, is_copy, found.same, near, found.reason)


def copies_of(image: Image.Image, rng: np.random.Generator) -> Iterator[tuple[str, Image.Image]]:
    """Copies as people make them."""
    width, height = image.size
    yield "jpeg30", _jpeg(image, 30)
    share = rng.uniform(0.01, 0.05, 4)
    crop = image.crop((int(share[0] * width), int(share[1] * height), width - int(share[2] * width),
                       height - int(share[3] * height)))  # fmt: skip
    yield "crop of 2 to 10 %", crop
    yield "crop, 0.7 x, jpeg50", _jpeg(crop.resize((round(crop.width * 0.7), round(crop.height * 0.7))), 50)
    yield (
        "border",
        ImageOps.expand(image, max(2, round(0.03 * max(image.size))), fill=int(rng.integers(0, 256)) * 65793),
    )
    yield "0.5 x", image.resize((max(1, width // 2), max(1, height // 2)), Image.Resampling.LANCZOS)
    yield "gamma 1.4", _gamma(image, 1.4)
    yield "squashed by 0.8", image.resize((max(1, round(width * 0.8)), height), Image.Resampling.BICUBIC)
    unit = max(1.0, max(image.size) / SIDE)
    deep = max(round(12 * unit), height // 14)
    top, paper = int(rng.choice([0, height - deep])), int(rng.integers(0, 2)) * 0xFFFFFF
    yield "caption strip", _captioned(image, (0, top, width, top + deep), paper)
    yield "gray", image.convert("L").convert("RGB")
    yield "gamma 0.7", _gamma(image, 0.7)
    yield "1.25 x", image.resize((round(width * 1.25), round(height * 1.25)), Image.Resampling.BICUBIC)
    yield "webp50", _encoded(image, "WEBP", 50)
    corner = width - min(width, round(130 * unit)), height - min(height, round(14 * unit))
    yield "caption in a corner", _captioned(image, (*corner, width, height), 0xFFFFFF)


def _captioned(image: Image.Image, box: tuple[int, int, int, int], paper: int) -> Image.Image:
    made = image.copy()
    draw = ImageDraw.Draw(made)
    draw.rectangle(box, fill=paper)
    font = ImageFont.load_default(max(10.0, 0.7 * (box[3] - box[1])))
    draw.text((box[0] + 4, box[1] + 1), "Downloaded from www.example.org/archive", fill=(128, 60, 60), font=font)
    return made


def _gamma(image: Image.Image, power: float) -> Image.Image:
    return image.point([round(255 * (value / 255) ** power) for value in range(256)] * 3)


def edits_of(image: Image.Image, rng: np.random.Generator) -> Iterator[tuple[str, Image.Image]]:
    """Look-alikes: one piece of print exchanged by another of the same picture; none where there is no print."""
    for width, height in EDITS:
        edited = _exchanged(image, width, height, rng)
        if edited:
            yield f"{width:>2} x {height}", edited
            yield f"{width:>2} x {height}, jpeg50", _jpeg(edited, 50)


def _letters_of(image: Image.Image, rng: np.random.Generator) -> Iterator[tuple[str, Image.Image]]:
    """Look-alikes: letters exchanged by others of the same height, named by that at 512 pixels."""
    shrinks = min(1.0, SIDE / max(image.size))
    for number in LETTERS:
        found = exchanged_letters(image, number, rng)
        if found:
            edited, height = found
            least = max((each for each in HEIGHTS if each <= height * shrinks), default=0)
            most = next((each for each in HEIGHTS if each > height * shrinks), "more")
            name = f"{number} letter{'s' * (number > 1)} of {least:>2} to {most} px"
            yield name, edited
            yield f"{name}, jpeg75", _jpeg(edited, 75)


def _exchanged(image: Image.Image, width: int, height: int, rng: np.random.Generator) -> Image.Image | None:
    """Paste one piece over another that differs from it as one letter does from another."""
    pixels: NDArray[np.float64] = np.asarray(image.convert("L"), dtype=np.float64)
    if image.width < 4 * width or image.height < 4 * height:
        return None
    for _ in range(300):
        x, u = rng.integers(width, image.width - 2 * width, 2)
        y, v = rng.integers(height, image.height - 2 * height, 2)
        mine, other = pixels[y : y + height, x : x + width], pixels[v : v + height, u : u + width]
        paper = min(np.median(mine), np.median(other)) > PAPER  # print on paper: other textures hold no letters
        if paper and min(mine.std(), other.std()) > INK and np.corrcoef(mine.ravel(), other.ravel())[0, 1] < ANOTHER:
            edited = image.copy()
            edited.paste(image.crop((u, v, u + width, v + height)), (int(x), int(y)))
            return edited
    return None


def _jpeg(image: Image.Image, quality: int) -> Image.Image:
    return _encoded(image, "JPEG", quality)


def _encoded(image: Image.Image, kind: str, quality: int) -> Image.Image:
    target = io.BytesIO()
    image.save(target, kind, quality=quality)
    return Image.open(io.BytesIO(target.getvalue())).convert("RGB")


if __name__ == "__main__":
    main()
