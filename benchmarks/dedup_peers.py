"""Near-duplicate pictures from files to clusters: ours, imagehash, imagededup, data-juicer and faiss, in one run.

`python -m benchmarks.dedup_peers FOLDER PYTHON` reads the truth that `dedup_truth.py` reads; PYTHON is an interpreter
with imagehash, imagededup (`--no-deps`; PyWavelets, scikit-learn and tqdm) and faiss-cpu. Every way joins a picture to
the first kept one that it finds the same. Prints CPU seconds, peak memory of the process, and the counts of the truth.
faiss searches fewer hashes than ours; its time grows with the square.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from benchmarks.dedup_truth import wilson
from benchmarks.hamming import hashes

RADII: Final = (0, 2, 4, 8)
SEARCHED: Final = (50_000, 100_000)
MILLION: Final = 1_000_000
FAR: Final = 8
ONE_THREAD: Final = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")}


@dataclass(frozen=True, slots=True)
class Found:
    """What one way took and found: CPU seconds, MiB at most, and what each picture is joined to."""

    seconds: float
    peak: float
    joined: list[int]
    hashed: float = 0.0
    verified: float = 0.0
    pairs: int = 0


def ours(folder: Path) -> None:
    """In a process of its own: hash, search, verify, join; prints what a peer prints."""
    import resource
    import time

    from benchmarks.dedup_truth import RADIUS, Verifier, clusters, distances, see

    paths = sorted((folder / "images").iterdir())
    warm = Verifier([see(path.read_bytes()) for path in paths[:2]])
    warm(0, 1)
    begin = time.process_time()
    pictures = [see(path.read_bytes()) for path in paths]
    hashed = time.process_time() - begin
    verify = Verifier(pictures)
    joined = clusters(distances(pictures, mirrored=False) <= RADIUS, lambda a, b: verify(a, b).same)
    seconds = time.process_time() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    parts = {"hashed": hashed, "verified": verify.seconds, "pairs": len(verify.found)}
    print(json.dumps({"seconds": seconds, "peak": peak, "joined": joined, **parts}))


def asked(command: list[str]) -> Found:
    """What a process of one thread prints as its last line."""
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **ONE_THREAD}, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return Found(**json.loads(done.stdout.splitlines()[-1]))


def report(name: str, found: Found, folder: Path) -> None:
    """One line of counts."""
    joined = found.joined
    truth = pl.read_csv(folder / "truth.csv", infer_schema=False).sort("image")
    ignored = pl.read_csv(folder / "do_not_score.csv", infer_schema=False)
    hard = pl.read_csv(folder / "hard_negatives.csv", infer_schema=False)
    kept = dict(zip(truth["image"], joined, strict=True))
    group = truth["group_id"].to_list()
    place = {image: at for at, image in enumerate(truth["image"])}
    allowed = {frozenset((group[place[a]], group[place[b]])) for a, b in ignored.select("image_a", "image_b").rows()}
    lost = {group[at] for at, to in enumerate(joined)
            if group[at] != group[to] and frozenset((group[at], group[to])) not in allowed}  # fmt: skip
    merged = sum(kept[a] == kept[b] for a, b in hard.select("image_a", "image_b").rows())
    tiers = [
        [kept[image] == kept[origin] for image, origin in truth.filter(tier=tier).select("image", "origin").rows()]
        for tier in ("core", "stretch")
    ]
    print(f"{name:<34} {found.seconds:6.1f} s {found.peak:5.0f} MiB  "
          f"core {wilson(sum(tiers[0]), len(tiers[0]))}  stretch {wilson(sum(tiers[1]), len(tiers[1]))}  "
          f"distinct lost {wilson(len(lost), len(set(group)))}  hard merged {wilson(merged, hard.height)}",
          flush=True)  # fmt: skip


def searched(python: str) -> None:
    """Print what searching costs."""
    from benchmarks.hamming import measure
    from manifests.hamming import hamming_pairs

    hamming_pairs(pl.Series([1, 2], dtype=pl.UInt64), FAR)  # compiles
    values = pl.Series(hashes(MILLION))
    measure(f"ours, radius {FAR}", MILLION, lambda: hamming_pairs(values, FAR).height)
    for number in SEARCHED:
        found = asked([python, "benchmarks/dedup_peer.py", "faiss", str(FAR), str(number)])
        whole = found.seconds * (MILLION / number) ** 2
        print(f"faiss, radius {FAR} {number:>16,} hashes {found.seconds:>8.2f} s; {whole:,.0f} s for {MILLION:,}")


def main() -> None:
    """Run all, or our part where `--ours` says so."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("python", nargs="?")
    parser.add_argument("--ours", action="store_true", help="only our part, as a line of JSON")
    given = parser.parse_args()
    if given.ours:
        ours(given.folder)
        return
    found = asked([sys.executable, "-m", "benchmarks.dedup_peers", str(given.folder), "--ours"])
    report("ours", found, given.folder)
    print(f"  {found.hashed:.1f} s to decode and hash, {found.verified:.1f} s to compare {found.pairs} pairs")
    for name in ("imagehash", "imagededup"):
        for radius in RADII:
            found = asked([given.python, "benchmarks/dedup_peer.py", name, str(radius), str(given.folder / "images")])
            title = f"{name}, {radius} bits" + (" (data-juicer)" if name == "imagededup" and not radius else "")
            report(title, found, given.folder)
    searched(given.python)


if __name__ == "__main__":
    main()
