"""A planned mixture of many rows: resolved, balanced, written, decided again and compared; synthetic ids and scores.

    python -m benchmarks.mixing --rows 10000000

Every phase is a process of its own, start-up counted: seconds of the wall and of all cores, largest resident set.
Twenty sources, eight rules over scores of which up to a third are null, shares by domain, caps, random takes and
fractional repeat factors; dedup is off. `write` is what a build does behind its scores: resolve, take, decide, balance,
write decisions, ids and manifest. `decide` counts all of that again under a changed threshold, as `vlmix decide` does
before it looks which rows a judge has yet to see. `diff` is `vlmix diff` between two mixtures. The scores are made in
the first phase, which is not part of the figures.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NoReturn

import numpy as np
import polars as pl

from flows.diffing import compare
from flows.mixes import Mix
from flows.mixing import StoredSources, write_mixture
from flows.rebuilding import mix_again, stored
from manifests.account import Told, report
from manifests.mixture import SourceScores, mix
from manifests.near import Evidence
from manifests.plan import PlannedStage, SourceFacts, plan
from manifests.recipe import Recipe
from shards.files import table_writer
from shards.remote import SCORES_FILE
from shards.store import Box, Store

SOURCES: Final = [f"source_{number:02}" for number in range(20)]
PHASES: Final = ("scores", "write", "write stricter", "decide", "diff")
RULES: Final = (
    ("character_run", "char_run > 200", "drop"),
    ("loop", "loop > 0.9", "drop"),
    ("refused", "refusal", "drop"),
    ("small_picture", "min_side_px < 28", "drop"),
    ("long_picture", "aspect > 9", "review"),
    ("low_quality", "quality < {threshold}", "drop"),
    ("middling", "quality < 4 AND repetition < 5", "review"),
    ("repetitive", "repetition < 1", "drop"),
)
TAKES: Final = (
    {"kind": "all"},
    {"kind": "first", "percent": 90},
    {"kind": "random", "percent": 80},
    {"kind": "end", "fraction": 0.95},
)
TEXT_ONLY: Final = 0.33
UNANSWERED: Final = 0.01
REFUSED: Final = 0.01
"""Shares of rows: without pictures, without answer of a judge (and as many with an error), refused."""

SCORES: Final = {
    "char_run": pl.Int32(),
    "loop": pl.Float32(),
    "refusal": pl.Boolean(),
    "min_side_px": pl.Int32(),
    "aspect": pl.Float32(),
    "quality": pl.Float64(),
    "repetition": pl.Float64(),
}


def recipe_of(threshold: float) -> Recipe:
    """Twenty entries in five domains, all targets and operators that cost something."""
    entries = [
        {
            "id": f"entry_{number:02}",
            "source": name,
            "domain": f"domain_{number % 5}",
            "take": TAKES[number % len(TAKES)],
            "cap": None if number % 3 else 2_000_000,
            "repeat": [1, 1.5, 0.7][number % 3],
        }
        for number, name in enumerate(SOURCES)
    ]
    rules = [{"name": name, "when": when.format(threshold=threshold), "then": then} for name, when, then in RULES]
    targets = {"shares": {f"domain_{number}": 1 + number for number in range(5)}, "limits": {"least": 0.2, "most": 3}}
    written = {"entries": entries, "rules": {"list": rules}, "targets": targets, "dedup": {"level": "off"}}
    return Recipe.model_validate({"name": "bench", "seed": 7, **written})


def stage_of(recipe: Recipe, rows: int) -> PlannedStage:
    """The resolved recipe."""
    each = rows // len(SOURCES)
    facts = {
        ("sft", entry.id): SourceFacts(name=str(entry.source), licence="none", rows=each, status="resolved")
        for entry in recipe.entries
    }
    (stage,) = plan(recipe, facts, SCORES).stages
    return stage


def write_scores(path: Path, rows: int) -> None:
    """Scores of all sources, in the form that a build leaves them."""
    each = rows // len(SOURCES)
    with table_writer(path, _scores(SOURCES[0], 0, 1).schema) as write:
        for number, name in enumerate(SOURCES):
            write(_scores(name, number, each))


def _scores(name: str, number: int, rows: int) -> pl.DataFrame:
    draw = np.random.default_rng(number)
    values = {
        "char_run": draw.geometric(0.05, rows),
        "loop": draw.random(rows) ** 4,
        "refusal": draw.random(rows) < REFUSED,
        "min_side_px": draw.integers(10, 2000, rows),
        "aspect": 1 + draw.exponential(1, rows),
        "quality": draw.normal(6, 2, rows),
        "repetition": draw.normal(7, 2, rows),
    }
    frame = pl.DataFrame(
        {
            "source": [name] * rows,
            "key": pl.Series(np.arange(rows)).cast(pl.String),
            "position": np.arange(rows, dtype=np.int64),
            **{score: pl.Series(value).cast(SCORES[score]) for score, value in values.items()},
            **{
                size: pl.Series(draw.integers(low, high, rows), dtype=pl.Int32)
                for size, low, high in (
                    ("num_turns", 2, 9),
                    ("num_images", 0, 3),
                    ("num_tokens", 20, 900),
                    ("answer_tokens", 10, 400),
                    ("question_chars", 10, 900),
                    ("answer_chars", 10, 900),
                )
            },
        }
    )
    lot = pl.Series(draw.random(rows))
    null = pl.lit(None, pl.String)
    not_applicable = pl.when(lot < TEXT_ONLY).then(pl.lit("not_applicable"))
    unanswered = pl.when(lot < UNANSWERED).then(pl.lit("no_answer")).when(lot < 2 * UNANSWERED).then(pl.lit("error"))
    states = {
        **dict.fromkeys(SCORES, null),
        **dict.fromkeys(("min_side_px", "aspect"), not_applicable.otherwise(null)),
        **dict.fromkeys(("quality", "repetition"), unanswered.otherwise(null)),
    }
    return frame.with_columns(
        (pl.lit(f"{name}/train/") + pl.col("key")).alias("key"),
        *[pl.when(state.is_null()).then(pl.col(score)).alias(score) for score, state in states.items()],
        *[state.alias(f"{score}_state") for score, state in states.items()],
    )


def write(folder: Path, rows: int, threshold: float, box: Box) -> None:
    """What a build does behind its scores."""
    recipe = recipe_of(threshold)
    stage = stage_of(recipe, rows)
    box.path.mkdir(parents=True)
    os.link(folder / SCORES_FILE, box.path / SCORES_FILE)
    each = rows // len(SOURCES)
    facts = {name: SourceScores(name, "none", "0" * 20, each, {}, {}, pl.DataFrame()) for name in SOURCES}
    source_of = {entry.id: str(entry.source) for entry in stage.entries}
    sources = StoredSources(box.path / SCORES_FILE, facts, stage)
    mixture = mix(recipe, stage, sources, source_of, Evidence(_unasked, _unasked, _unasked), _unasked)
    told = Told(judge="off", faithful=True)
    print(write_mixture(box, recipe, mixture, facts, told=told).totals)


def _unasked(*_: object) -> NoReturn:
    raise AssertionError("dedup and tiles are off")


def decide(built: Mix, rows: int, threshold: float) -> None:
    """What `vlmix decide` does: everything but writing."""
    recipe = recipe_of(threshold)
    stage = stage_of(recipe, rows)
    inputs = stored(built, stage)
    mixture = mix_again(built, recipe, stage, inputs)
    told = Told(judge="off", faithful=True)
    facts, digests = inputs.sources.facts, built.manifest.digests
    print(report(recipe, stage, facts, inputs.source_of, mixture, told=told, digests=digests).totals)


def phase(name: str, folder: Path, rows: int) -> None:
    """One phase, in this process."""
    store = Store(folder)
    loose, strict = (Box(folder, f"mixtures/bench.sft/{kind}") for kind in ("loose", "strict"))
    match name:
        case "scores":
            write_scores(folder / SCORES_FILE, rows)
        case "write":
            write(folder, rows, 3, loose)
        case "write stricter":
            write(folder, rows, 3.5, strict)
        case "decide":
            decide(Mix(store, loose), rows, 3.5)
        case _:
            changed = compare(Mix(store, loose), Mix(store, strict))
            print(f"{changed.changed:,} rows changed, {len(changed.rows)} shown")


def main() -> None:
    """Run every phase in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--phase", choices=PHASES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.phase:
        phase(options.phase, options.folder, options.rows)
        return
    whole = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for name in PHASES:
            words = ["--phase", name, "--folder", folder, "--rows", str(options.rows)]
            begin = time.perf_counter()
            child = subprocess.Popen([sys.executable, "-m", "benchmarks.mixing", *words])
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = status
            seconds = time.perf_counter() - begin
            if status:
                sys.exit(f"phase `{name}` failed")
            whole += seconds if name in {"write", "diff"} else 0
            busy = usage.ru_utime + usage.ru_stime
            print(f"{name:<16} {seconds:>6.1f} s {busy:>6.1f} CPU s {usage.ru_maxrss / 1024:>7,.0f} MiB", flush=True)
        size = sum(path.stat().st_size for path in Path(folder).rglob("loose/*.parquet")) / 2**20
    print(f"write and diff   {whole:>6.1f} s for {options.rows:,} rows; {size:,.0f} MiB on disk, scores included")


if __name__ == "__main__":
    main()
