"""Text rules: speed and quality of ours, datatrove's, data-juicer's and NeMo Curator's on the same rows, in one run.

    python -m benchmarks.text_rules PEERS [--texts FOLDER] [--labels repetition_labels.jsonl] [--rows 100000]

PEERS is a folder with a virtual environment for each peer, made once:

    for peer in datatrove data-juicer nemo-curator; do python3 -m venv PEERS/$peer; done
    PEERS/datatrove/bin/pip install datatrove==0.10.1 spacy regex
    PEERS/data-juicer/bin/pip install py-data-juicer==1.6.1 aiohttp
    PEERS/nemo-curator/bin/pip install nemo-curator==1.4.0

A peer that is not there is left out; the others read the first `--peer-rows` rows. FOLDER holds the extracts alpaca,
gsm8k, llamafactory and magpie: each row is another choice of their questions and answers, up to 3,000 bytes. Without it
texts are made of random words. Seconds are CPU time of one thread; `POLARS_MAX_THREADS=1` is set here for ours.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

import polars as pl

from benchmarks.heuristics import SAMPLE_BYTES, alpaca, chats
from filters import ON_DEMAND, TEXT_FILTERS
from filters.texts import read_texts
from flows.scoring import filter_set
from manifests.rules import load_rule_set, parse
from shards.schema import SAMPLE, STATE_SUFFIX
from sources.convert import SHARD_ITEMS

HERE = Path(__file__).parent
NO_RULES = ("TextHash", "Holdings", "JudgeDomain", "InjectionSpans")
"""Default filters that are no rules of repetition or heuristics: for dedup and for the judge."""
PUBLISHED = ("gopher", "c4", "fineweb", "data-juicer-default")

SAME = {"data-juicer": ("DataJuicer",), "datatrove": ("Gopher", "C4", "FineWeb")}
"""Filters of ours that measure what a peer does."""


def prose(rng: random.Random, words: Sequence[str], weights: Sequence[float], chars: int) -> str:
    """Sentences and paragraphs of about so many characters."""
    parts: list[str] = []
    size = 0
    while size < chars:
        sentence = " ".join(rng.choices(words, weights, k=rng.randint(5, 22))).capitalize()
        parts.append(sentence + rng.choice([". ", ". ", "? ", ".\n", ".\n\n"]))
        size += len(parts[-1])
    return "".join(parts)


def dialogues(folder: Path | None = None) -> Iterator[list[tuple[str, str]]]:
    """Dialogues of about 3,000 characters without end, all different, from a fixed seed."""
    rng = random.Random(6)
    if folder is not None:
        pool = [turns for _, turns in chain(alpaca(folder), chats(folder))]
        sizes = [sum(len(text.encode()) for _, text in turns) for turns in pool]
        while True:
            chosen: list[tuple[str, str]] = []
            size = 0
            while size < SAMPLE_BYTES:
                place = rng.randrange(len(pool))
                chosen += pool[place]
                size += sizes[place]
            yield chosen
    words = [
        "".join(rng.choices("etaoinshrdlucmfw", k=rng.choice((2, 3, 3, 4, 4, 5, 6, 7, 8, 9)))) for _ in range(20_000)
    ]
    weights = [1 / (rank + 3) for rank in range(len(words))]
    while True:
        yield [(role, prose(rng, words, weights, chars)) for role, chars in [("user", 150), ("assistant", 800)] * 3]


def batch_of(conversations: Sequence[list[tuple[str, str]]]) -> pl.DataFrame:
    """Samples in the schema on disk."""
    schema = pl.DataFrame(SAMPLE.empty_table()).schema
    rows = [
        {
            "key": f"made/train/{row}",
            "messages": [{"role": role, "text": text} for role, text in turns],
            "images": [],
            "videos": [],
            "meta": "{}",
        }
        for row, turns in enumerate(conversations)
    ]
    return pl.DataFrame(rows, schema)


def scores(batch: pl.DataFrame) -> pl.DataFrame:
    """All text scores of a batch."""
    texts = read_texts(batch)
    made = [item(texts) if type(item) in TEXT_FILTERS.values() else item(batch) for item in filter_set((), ()).samples]
    return pl.concat(made, how="horizontal")


def flags(found: pl.DataFrame, names: Sequence[str]) -> list[bool]:
    """Whether a rule of these sets drops a row or sends it to people, by text scores alone."""
    known = filter_set((), ()).scores()
    rules = [rule for name in names for rule in load_rule_set(name) if rule.then in ("drop", "review")]
    predicates = parse(rules, known)
    lacking = {column for item in predicates for column in item.columns} - set(found.columns)
    empty = [pl.lit(None, known.get(name, pl.String)).alias(name) for name in sorted(lacking)]
    frame = found.with_columns(empty)
    assert not any(name.endswith(STATE_SUFFIX) and name in known for name in frame.columns)
    return frame.select(pl.any_horizontal(item.true() for item in predicates)).to_series().to_list()


def ours(conversations: Iterator[list[tuple[str, str]]], rows: int) -> None:
    """Print CPU seconds of each text filter over the dialogues, in batches of a shard, and memory after a tenth."""
    at = time.process_time()
    scores(batch_of(list(islice(conversations, 10))))  # compile or load
    first = time.process_time() - at
    spent: dict[str, float] = {}
    size = early = 0
    for start in range(0, rows, SHARD_ITEMS):
        dialogues = list(islice(conversations, min(SHARD_ITEMS, rows - start)))
        size += sum(len(text.encode()) for turns in dialogues for _, text in turns)
        batch = batch_of(dialogues)
        reading = time.process_time()
        texts = read_texts(batch)
        spent["reading"] = spent.get("reading", 0.0) + time.process_time() - reading
        for item in filter_set((), ()).samples:
            at = time.process_time()
            _ = item(texts) if type(item) in TEXT_FILTERS.values() else item(batch)
            name = type(item).__name__
            spent[name] = spent.get(name, 0.0) + time.process_time() - at
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        early = peak if start <= rows // 10 else early
    print(json.dumps({"spent": spent, "bytes": size, "peak": peak, "early": early, "first": first}))


def peer(folder: Path, name: str, texts: Sequence[str]) -> dict[str, object] | None:
    """What a peer says of texts; None where it is not installed."""
    python = folder / name / "bin" / "python"
    if not python.exists():
        return None
    with tempfile.TemporaryDirectory() as where:
        path = Path(where) / "texts"
        path.write_text("".join(json.dumps(text) + "\n" for text in texts))
        command = [str(python), "-W", "ignore", str(HERE / "text_rules_peer.py"), name, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr[-2000:]}")
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def speed(folder: Path, given: Path | None, rows: int, peer_rows: int) -> None:
    """Print samples per CPU second; the peers see the answers of a sample as one text."""
    command = [sys.executable, "-m", "benchmarks.text_rules", "-", "--rows", str(rows), "--ours"]
    command += ["--texts", str(given)] if given else []
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "POLARS_MAX_THREADS": "1"}
    )
    found = json.loads(done.stdout)
    late = tuple(TEXT_FILTERS[name].__name__ for name in ON_DEMAND)
    rates = {}
    for title, spared in (("rules", late + NO_RULES), ("all by default", late), ("all", ())):
        seconds = sum(part for name, part in found["spent"].items() if name not in spared)
        rates[title] = rows / seconds
        print(f"ours, {title:<16} {rates[title]:>10,.0f} samples/s {found['bytes'] / seconds / 1e6:6.1f} MB/s")
    print(f"{rows:,} samples of {found['bytes'] // rows:,} bytes, {found['peak']:,.0f} MiB", end=", ")
    print(f"{found['early']:,.0f} after a tenth; first call {found['first']:.1f} s")
    for name, part in sorted(found["spent"].items(), key=lambda item: -item[1]):
        print(f"  {name:<24} {part / found['bytes'] * 1e9:6.2f} ns/byte")
    chosen = islice(dialogues(given), 10, 10 + peer_rows)  # ten rows are for our first call
    texts = ["\n\n".join(text for role, text in turns if role == "assistant") for turns in chosen]
    for name in ("data-juicer", "datatrove", "nemo-curator"):
        said = peer(folder, name, texts)
        if said is not None:
            theirs = peer_rows / float(str(said["seconds"]))
            times = ", ".join(f"{title} {rate / theirs:,.0f} x" for title, rate in rates.items())
            if name in SAME:
                seconds = sum(found["spent"][part] for part in ("reading", *SAME[name]))
                times += f", the same measures {rows / seconds / theirs:,.0f} x"
            print(f"{name:<22} {theirs:>10,.0f} samples/s, {said['peak']:,.0f} MiB; ours, {times}")


def quality(folder: Path, labels: Path) -> None:
    """Print the share of each label that each rule set flags, and precision and recall of `degenerate`."""
    rows = [json.loads(line) for line in labels.read_text().splitlines()]
    names = [row["label"] for row in rows]
    asked = [f"{row['instruction']}\n{row.get('input') or ''}".strip() for row in rows]
    batch = batch_of([[("user", q), ("assistant", row["output"])] for q, row in zip(asked, rows, strict=True)])
    found = scores(batch)
    sets = [*PUBLISHED, "vlmix-chat"]
    said: dict[str, list[bool]] = {}
    for name in sets:
        if (HERE.parent / "manifests" / "rules" / f"{name}.yaml").is_file():
            said[f"ours, {name}"] = flags(found, [name])
    for name in ("data-juicer", "datatrove", "nemo-curator"):
        answer = peer(folder, name, [row["output"] for row in rows])
        if answer is not None:
            said[name] = list(map(bool, answer["flags"]))  # type: ignore[call-overload]  # JSON
    for name, flagged in said.items():
        shares = []
        for label in ("degenerate", "legit_repetitive", "clean"):
            hits = [flag for flag, one in zip(flagged, names, strict=True) if one == label]
            shares.append(f"{label} {sum(hits)}/{len(hits)} = {sum(hits) / len(hits):.1%}")
        true = sum(flag and one == "degenerate" for flag, one in zip(flagged, names, strict=True))
        print(f"{name:<26} {', '.join(shares)}; precision {true / max(sum(flagged), 1):.1%}")


def main() -> None:
    """Measure speed, then quality where labels are given."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("peers", type=Path)
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--peer-rows", type=int, default=2000)
    parser.add_argument("--ours", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.ours:
        ours(dialogues(given.texts), given.rows)
        return
    speed(given.peers, given.texts, given.rows, given.peer_rows)
    if given.labels:
        quality(given.peers, given.labels)


if __name__ == "__main__":
    main()
