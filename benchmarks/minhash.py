"""Near-duplicate texts: speed, recall and false merges of ours, datatrove, data-juicer and rensa; same rows, one run.

    python -m benchmarks.minhash [--largest 1000000] [--peers PEERS] [--peer-rows 10000]

PEERS is a folder with a virtual environment for each peer, made once; one that is not there is left out:

    for peer in datatrove data-juicer rensa; do python3 -m venv PEERS/$peer; done
    PEERS/datatrove/bin/pip install datatrove==0.10.1 spacy regex tokenizers 'xxhash<4'
    PEERS/data-juicer/bin/pip install py-data-juicer==1.6.1 aiohttp
    PEERS/rensa/bin/pip install rensa==0.5.0

A row is a question and an answer of 1 kB together. Of ten rows one fills in a template that is two thirds of it, and
three of a hundred copy another row with up to seven words of the answer replaced, left out or put in. Copies of a
similarity of 0.8 and more are to be found, counted with Python's sets. Seconds are CPU time of one thread.
"""

import argparse
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from filters.text_bands import SHINGLE_WORDS, TextBands
from flows.comparing_texts import StoredTexts
from flows.executor import LocalRunner
from flows.scoring import FilterSet, score_sources
from manifests.near_text import near_texts
from shards.files import write_table
from shards.pack import Image
from shards.sample import SampleRow, ShardCounts, ShardsIndex, read_samples, sample_path, write_samples
from shards.store import Box, Store
from sources.spec import Source

HERE = Path(__file__).parent
SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
SHARD = 10_000
COPIES = 300
"""Rows at the end of each shard that copy another one of it."""
SIMILARITY = 0.8
SOURCE = Source(name="made", layout="llava", files=("x.json",))

Row = tuple[list[str], list[str]]
"""Words of the question and of the answer."""


def edited(rng: random.Random, words: Sequence[str], edits: int) -> list[str]:
    """The words with so many of them replaced, left out, or followed by another one."""
    made = list(words)
    for _ in range(edits):
        place, new = rng.randrange(len(made)), "".join(rng.choices("aeioulmnrst", k=7))
        made[place : place + 1] = rng.choice(([new], [], [made[place], new]))
    return made


def rows_of(shard: int) -> Iterator[tuple[Row, int | None]]:
    """The rows of a shard, and for copies the place of what they copy."""
    rng, draw = random.Random(shard), np.random.default_rng(shard)
    spell = random.Random(0)
    words = ["".join(spell.choices("etaoinshrdlucmfw", k=spell.randint(2, 9))) for _ in range(20_000)]
    chances = 1 / (np.arange(len(words)) + 3)
    drawn = draw.choice(len(words), (SHARD, 175), p=chances / chances.sum())
    template = spell.choices(words, k=110)
    made: list[Row] = []
    for place in range(SHARD - COPIES):
        said = [words[word] for word in drawn[place]]
        made.append((template + said[:10], said[10:65]) if place % 10 == 0 else (said[:20], said[20:]))
    yield from ((row, None) for row in made)
    for place in range(COPIES):
        other = 10 * place + 1
        question, answer = made[other]
        yield (question, edited(rng, answer, place % 8)), other


def similarity(left: Row, right: Row) -> float:
    """Jaccard similarity of the shingles of the questions or the answers, whichever is lower."""
    sets = [
        [{tuple(part[i : i + SHINGLE_WORDS]) for i in range(len(part) - SHINGLE_WORDS + 1)} for part in row]
        for row in (left, right)
    ]
    return min(len(a & b) / len(a | b) for a, b in zip(*sets, strict=True))


def make(root: Path, rows: int) -> None:
    """Write a box of shards with so many rows, and `truth.json`: similarity by place of each copy."""
    box = shards_of(Store(root))
    truth: dict[int, float] = {}
    for shard in range(rows // SHARD):
        made = list(rows_of(shard))
        samples = []
        for place, (row, other) in enumerate(made, shard * SHARD):
            turns = (("user", " ".join(row[0])), ("assistant", " ".join(row[1])))
            samples.append(SampleRow(f"made/{place}", place, turns, (), (), "{}"))
            if other is not None:
                truth[place] = similarity(row, made[other][0])
        write_samples(sample_path(box.path, shard), samples)
    write_table(box.path / "pictures.parquet", pl.DataFrame(schema=dict.fromkeys(Image._fields, pl.String)))
    box.finish(
        ShardsIndex(
            source=SOURCE.name,
            fingerprint="0",
            items=rows,
            samples=rows,
            quarantined={},
            repairs={},
            pictures=0,
            picture_bytes=0,
            shards=[ShardCounts(samples=SHARD, quarantined=0, items=SHARD)] * (rows // SHARD),
        )
    )
    (root / "truth.json").write_text(json.dumps(truth))


def shards_of(store: Store) -> Box:
    """The box of the rows."""
    return store.box("shards", SOURCE.name, "0" * 20)


def peak() -> float:
    """Most memory of this process, MiB; `getrusage` would count what the parent had in memory, too."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


def line(name: str, rows: int, seconds: float, most: float, dropped: Sequence[int], truth: dict[int, float]) -> None:
    """Print what was found; a row that is no copy at all is dropped wrongly."""
    found = set(dropped)
    near = [place for place, value in truth.items() if value >= SIMILARITY]
    far = [place for place, value in truth.items() if value < SIMILARITY]
    speed = f"{rows:>10,} rows {seconds:>8.2f} s {rows / seconds:>9,.0f} rows/s  peak {most:>6,.0f} MiB"
    recall = f"copies at {SIMILARITY}: {len(found.intersection(near)):,} of {len(near):,}"
    others = f"below: {len(found.intersection(far)):,} of {len(far):,}, wrong: {len(found.difference(truth)):,}"
    print(f"{name:<12} {speed}  {recall}, {others}", flush=True)


def ours(root: Path, rows: int, truth: dict[int, float]) -> None:
    """Bands of all rows into the store, then the search; `filter` is what the bands of Arrow strings take alone."""
    store = Store(root)
    shards = shards_of(store)
    batch = read_samples(sample_path(shards.path, 0), list(TextBands.reads))
    TextBands()(batch[:20])  # compile or load
    begin = time.process_time()
    TextBands()(batch)
    print(f"filter alone: {batch.height / (time.process_time() - begin):,.0f} rows/s")
    begin = time.process_time()
    score_sources(
        LocalRunner(None), store, FilterSet((), (), (), apart=(TextBands(),)), {SOURCE.name: (SOURCE, shards)}
    )
    spent = time.process_time() - begin
    texts = StoredTexts(store, {"made": shards}, ["made"], np.zeros(rows, np.int32), np.arange(rows))
    near_texts(replace(texts, source=texts.source[:SHARD], row=texts.row[:SHARD]), SIMILARITY)  # compile or load
    begin = time.process_time()
    found = near_texts(texts, SIMILARITY)
    searched = time.process_time() - begin
    print(f"bands in the store {spent:.2f} s, search {searched:.2f} s")
    line("ours", rows, spent + searched, peak(), np.flatnonzero(found.kept != np.arange(rows)).tolist(), truth)


def peer(folder: Path, name: str, root: Path, rows: int, truth: dict[int, float]) -> None:
    """Run a peer in its own interpreter; left out where it is not installed."""
    python = folder / name / "bin" / "python"
    if not python.exists():
        print(f"{name}: not in {folder}")
        return
    command = [str(python), str(HERE / "minhash_peer.py"), name, str(root / "texts.jsonl")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        print(f"{name}: {done.stderr.strip().splitlines()[-1]}")
        return
    said = json.loads(done.stdout.strip().splitlines()[-1])
    line(name, rows, said["seconds"], said["peak"], said["dropped"], truth)


def write_texts(root: Path) -> None:
    """The rows for peers: a JSON string a line, question and answer."""
    folder, number = shards_of(Store(root)).path, 0
    with (root / "texts.jsonl").open("w") as file:
        while (path := sample_path(folder, number)).is_file():
            for (messages,) in read_samples(path, ["messages"]).iter_rows():
                file.write(json.dumps("\n".join(message["text"] for message in messages)) + "\n")
            number += 1


def measure(root: Path, rows: int, peers: Path | None) -> None:
    """All measurements at one size."""
    truth = {int(place): value for place, value in json.loads((root / "truth.json").read_text()).items()}
    ours(root, rows, truth)
    if peers:
        write_texts(root)
        for name in ("rensa", "data-juicer", "datatrove"):
            peer(peers, name, root, rows, truth)


def main() -> None:
    """Every size in a process of its own, so that its peak of memory is its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--largest", type=int, default=1_000_000)
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--peer-rows", type=int, default=10_000)
    given = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    for rows in (size for size in SIZES if size <= given.largest):
        with tempfile.TemporaryDirectory() as folder:
            for work in (
                context.Process(target=make, args=(Path(folder), rows)),
                context.Process(
                    target=measure, args=(Path(folder), rows, given.peers if rows == given.peer_rows else None)
                ),
            ):
                work.start()
                work.join()
                if work.exitcode:
                    sys.exit(work.exitcode)


if __name__ == "__main__":
    os.environ.update(POLARS_MAX_THREADS="1", OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1")
    main()
