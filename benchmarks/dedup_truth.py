"""Near-duplicate pictures against a truth: candidates by hash, verified on the pictures, clustered, scored.

`python -m benchmarks.dedup_truth FOLDER` reads `truth.csv` (image, origin, transform, tier, group_id, family),
`hard_negatives.csv`, `do_not_score.csv` and `images/`; groups fall in two halves by the hash of their name,
but the constants of the comparison were set with both in view, so neither half is held out; `dedup_others.py` takes
pictures of any other origin. Prints counts with Wilson intervals of 95 %.
"""

import argparse
import hashlib
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image

from filters.phash import PerceptualHash
from manifests.likeness import Likeness, likeness, shrunk
from shards.picture import Picture, decode

RADIUS: Final = 10
FAR: Final = 10
Gray = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Seen:
    """One picture: its gray values at no more than 512 pixels, and its three hashes."""

    gray: Gray
    whole: int
    mirror: int
    inner: int


def main() -> None:
    """Score the truth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--radius", type=int, default=RADIUS, help="bits between hashes of candidates")
    truth(parser.parse_args())


def see(data: bytes) -> Seen:
    """Decode, hash and scale one picture."""
    return _looked_at(decode(data))


def seen(image: Image.Image) -> Seen:
    """The same of pixels."""
    return _looked_at(Picture(image, "PNG", 0, 1, 1, image.width, image.height))


def _looked_at(picture: Picture) -> Seen:
    hashes = dict(zip(PerceptualHash.writes, PerceptualHash()(picture), strict=True))
    whole, mirror, inner = (int(hashes[name] or 0) for name in ("phash", "phash_mirror", "phash_inner"))
    return Seen(shrunk(picture.gray()), whole, mirror, inner)


def distances(pictures: list[Seen], *, mirrored: bool) -> NDArray[np.uint8]:
    """(n, n) bits between hashes: the least of whole and whole, and whole and inner both ways; or of mirrored ones."""
    whole, mirror, inner = (
        np.array([getattr(picture, name) for picture in pictures], dtype=np.uint64)
        for name in ("whole", "mirror", "inner")
    )
    if mirrored:
        return np.asarray(np.bitwise_count(whole[:, None] ^ mirror[None]))
    crossed = np.bitwise_count(whole[:, None] ^ inner[None])
    return np.asarray(np.minimum(np.bitwise_count(whole[:, None] ^ whole[None]), np.minimum(crossed, crossed.T)))


def wilson(hits: int, number: int) -> str:
    """`hits / number`, percent and 95 % interval."""
    if not number:
        return "0 / 0"
    share, z = hits / number, 1.96
    middle = (share + z * z / (2 * number)) / (1 + z * z / number)
    reach = z * (share * (1 - share) / number + z * z / (4 * number * number)) ** 0.5 / (1 + z * z / number)
    return f"{hits} / {number} = {share:.1%} ({max(0, middle - reach):.1%} to {min(1, middle + reach):.1%})"


class Verifier:
    """Likenesses of pictures by position, each pair compared once; counts its own time."""

    def __init__(self, pictures: list[Seen]) -> None:
        self._pictures = pictures
        self.times: dict[str, list[float]] = defaultdict(list)
        self.found: dict[tuple[int, int, bool], Likeness] = {}

    def __call__(self, left: int, right: int, *, mirrored: bool = False) -> Likeness:
        """Compare two; with the second mirrored if so asked."""
        key = (min(left, right), max(left, right), mirrored)
        if key not in self.found:
            mine, other = self._pictures[key[0]].gray, self._pictures[key[1]].gray
            begin = time.process_time()
            found = self.found[key] = likeness(mine, np.ascontiguousarray(other[:, ::-1]) if mirrored else other)
            placed = "as they are" if found.correlation in {None, 1.0} else "once placed"
            self.times[f"{'same' if found.same else 'not'}, {placed}"].append(time.process_time() - begin)
        return self.found[key]

    @property
    def seconds(self) -> float:
        """CPU time so far."""
        return sum(map(sum, self.times.values()))

    def told(self) -> str:
        """Pairs and milliseconds of CPU each, by answer and by whether they had to be placed on one another."""
        parts = [f"{len(each)} {name} {1000 * sum(each) / len(each):.1f}" for name, each in sorted(self.times.items())]
        return f"{len(self.found)} pairs, {1000 * self.seconds / len(self.found):.1f} ms each: {'; '.join(parts)}"


def clusters(near: NDArray[np.bool_], same: Callable[[int, int], bool]) -> list[int]:
    """For each picture the earliest kept one that it was verified against, or itself."""
    kept: list[int] = []
    joined = []
    for picture in range(len(near)):
        joined.append(next((other for other in kept if near[picture, other] and same(picture, other)), picture))
        if joined[-1] == picture:
            kept.append(picture)
    return joined


def truth(given: argparse.Namespace) -> None:
    """Run and score a folder with a truth."""
    folder: Path = given.folder
    table = pl.read_csv(folder / "truth.csv", infer_schema=False).sort("image")
    pictures = [see((folder / "images" / name).read_bytes()) for name in table["image"]]
    likeness(pictures[0].gray, pictures[1].gray)  # compiles
    verify = Verifier(pictures)
    straight, turned = distances(pictures, mirrored=False), distances(pictures, mirrored=True)
    plain = clusters(straight <= given.radius, lambda a, b: verify(a, b).same)
    print(f"{len(pictures)} pictures; {verify.told()}")
    either = clusters(
        np.minimum(straight, turned) <= given.radius,
        lambda a, b: (
            (straight[a, b] <= given.radius and verify(a, b).same)
            or (turned[a, b] <= given.radius and verify(a, b, mirrored=True).same)
        ),
    )
    rows = table.with_columns(kept=pl.Series(plain), kept_flips=pl.Series(either)).with_row_index("position")
    ignored = pl.read_csv(folder / "do_not_score.csv", infer_schema=False)
    hard = pl.read_csv(folder / "hard_negatives.csv", infer_schema=False)
    score(rows, ignored, hard)
    alone(rows, hard, ignored, verify, straight)


def score(rows: pl.DataFrame, ignored: pl.DataFrame, hard: pl.DataFrame) -> None:
    """Print recall, wrong merges and their tables."""
    kept = dict(rows.select("image", "kept").iter_rows())
    flips = dict(rows.select("image", "kept_flips").iter_rows())
    copies = [row for row in rows.iter_rows(named=True) if row["tier"] != "origin"]
    group = dict(rows.select("image", "group_id").iter_rows())
    allowed = {frozenset((group[a], group[b])) for a, b in ignored.select("image_a", "image_b").iter_rows()}
    for name, wanted in (("one half of the groups", 0), ("other half", 1), ("both", None)):
        part = [row for row in copies if wanted is None or half(row["group_id"]) == wanted]
        print(f"\n{name}")
        for tier in ("core", "stretch", "flip"):
            found = [kept[row["image"]] == kept[row["origin"]] for row in part if row["tier"] == tier]
            print(f"  {tier:<9} found {wilson(sum(found), len(found))}")
        turned = [flips[row["image"]] == flips[row["origin"]] for row in part if row["tier"] == "flip"]
        print(f"  flip, where a flip is a copy: found {wilson(sum(turned), len(turned))}")
        for policy, column in (("", "kept"), (", flips are copies", "kept_flips")):
            lost, number = _lost(rows, column, allowed, wanted)
            print(f"  distinct pictures wrongly merged{policy}: {wilson(lost, number)}")
        pairs = [(a, b) for a, b in hard.select("image_a", "image_b").iter_rows()
                 if wanted is None or half(group[a]) == wanted]  # fmt: skip
        print(f"  hard negatives merged {wilson(sum(kept[a] == kept[b] for a, b in pairs), len(pairs))}")
    for by in ("transform", "family"):
        print(f"\ncopies found by {by} (without flips)")
        hits: dict[str, list[bool]] = defaultdict(list)
        for row in copies:
            if row["tier"] != "flip":
                hits[row[by]].append(kept[row["image"]] == kept[row["origin"]])
        for name in sorted(hits):
            print(f"  {name:<18} {wilson(sum(hits[name]), len(hits[name]))}")


def half(group: str) -> int:
    """0 or 1 by the hash of a group's name."""
    return hashlib.sha256(group.encode()).digest()[0] & 1


def _lost(rows: pl.DataFrame, column: str, allowed: set[frozenset[str]], wanted: int | None) -> tuple[int, int]:
    """Groups that stand in a cluster of another group, the first of a cluster excepted, and all groups."""
    lost: set[str] = set()
    for groups in rows.group_by(column).agg(pl.col("group_id").unique(maintain_order=True))["group_id"]:
        first, *rest = groups
        lost |= {other for other in rest if frozenset((first, other)) not in allowed}
    groups = {name for name in rows["group_id"] if wanted is None or half(name) == wanted}
    return len(lost & groups), len(groups)


def alone(
    rows: pl.DataFrame, hard: pl.DataFrame, ignored: pl.DataFrame, verify: Verifier, straight: NDArray[np.uint8]
) -> None:
    """Print what the comparison says of pairs whatever their hashes, and how far copies and look-alikes stand apart."""
    place = dict(rows.select("image", "position").iter_rows())
    group, family = rows["group_id"].to_list(), rows["family"].to_list()
    skip = {frozenset((group[place[a]], group[place[b]])) for a, b in ignored.select("image_a", "image_b").iter_rows()}
    tiers = rows["tier"].to_list()
    pairs = {(place[a], place[b]) for a, b in hard.select("image_a", "image_b").iter_rows()}
    pairs |= {(int(a), int(b)) for a, b in zip(*np.nonzero(np.triu(straight <= FAR, 1)), strict=True)}
    pairs |= {(place[a], place[b]) for a, b, tier in rows.select("image", "origin", "tier").iter_rows()
              if tier in {"core", "stretch"}}  # fmt: skip
    found: dict[str, dict[bool, list[Likeness]]] = defaultdict(lambda: {True: [], False: []})
    for a, b in sorted(pairs):
        same = group[a] == group[b]
        if "flip" not in (tiers[a], tiers[b]) and (same or frozenset((group[a], group[b])) not in skip):
            found[family[a]][same].append(verify(a, b))
    print(f"\npairs by family, hashes within {FAR} bits, and all planted ones: copies accepted | look-alikes rejected")
    for name in sorted(found):
        accepted, refused = ([result.same is same for result in found[name][same]] for same in (True, False))
        print(f"  {name:<18} {wilson(sum(accepted), len(accepted))} | {wilson(sum(refused), len(refused))}")
    print("\nlargest difference by bound of copies (no caption), least of look-alikes; "
          "limit from other families: copies lost, look-alikes merged")  # fmt: skip
    for name in sorted(found):
        rest = [found[other] for other in found if other != name]
        limit = _limit(*([value for part in rest for value in _values(part[same])] for same in (True, False)))
        copies, strangers = (np.array(_values(found[name][same])) for same in (True, False))
        print(f"  {name:<18} {copies.max(initial=0):.2f} {strangers.min(initial=9):.2f}; {limit:.2f}: "
              f"{wilson(int((copies > limit).sum()), len(copies))}, "
              f"{wilson(int((strangers <= limit).sum()), len(strangers))}")  # fmt: skip


def _limit(copies: list[float], strangers: list[float]) -> float:
    """The value that tells them apart with the fewest errors: the geometric middle of the widest range of such."""
    values = np.sort(np.array(copies + strangers))
    errors = [sum(value > each for value in copies) + sum(value <= each for value in strangers) for each in values]
    best = [(values[i + 1] / max(values[i], 1e-9), i) for i in np.flatnonzero(np.array(errors) == min(errors))
            if i + 1 < len(values)]  # fmt: skip
    widest = max(best)[1]
    return float((values[widest] * values[widest + 1]) ** 0.5)


def _values(results: list[Likeness]) -> list[float]:
    """Differences by bounds, of pairs without captions."""
    return [result.difference / result.bound for result in results
            if result.difference is not None and result.bound and result.reason != "edge"]  # fmt: skip


if __name__ == "__main__":
    main()
