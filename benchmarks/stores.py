"""What commands ask of a store at s3://: requests and bytes, on a machine whose working folder is empty.

`python -m benchmarks.stores [--rows 400000] [--folder DIR]`. Builds the demo on a server of the S3 protocol (moto), and
runs each command with a folder of its own. Then draws rows of the demo's table of scores again until there are `--rows`
and says how much of that table is read by range for those who want some of its columns. No times: the server is ours.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from flows.mixes import find
from flows.run import checked
from manifests.mixture import columns_of
from manifests.plan import PlannedStage
from shards.columns import Span, lacking, requests_of, spans_of
from shards.files import table_writer
from shards.remote import MARK, SCORES_FILE
from shards.store import Store

ROOT = Path(__file__).parents[1]
COMMANDS = (
    "run build-sft-mix",
    "run build-sft-mix",  # the second one in the folder of the first
    "report demo",
    "explain demo.chat/train/3",
    "decide demo",
    "diff demo.warm-up demo.sft",
    "filters show answer_chars --mix demo.sft",
    "store find --key demo.chat/train/3",
)
KINDS = ("list", "get", "put", "delete")
GROUP = 1 << 17


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT / "tests"))  # the server is that of the tests
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        commands(folder)
        (made,) = (folder / "made").iterdir()
        (made / MARK).unlink()  # a store of its own, now that the server is gone
        ranges(Store(made), folder / "large.parquet", options.rows)


def commands(folder: Path) -> None:
    """Requests and bytes of each command."""
    from s3_server import S3, running

    def run(server: S3, words: str, machine: str) -> None:
        asked, sent = [server.asked(kind) for kind in KINDS], server.sent()
        subprocess.run(
            [sys.executable, "-m", "flows.cli", *words.split(), "--store", server.store("demo")],
            cwd=ROOT,
            env={**os.environ, **server.environment(folder / machine)},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        counts = [server.asked(kind) - before for kind, before in zip(KINDS, asked, strict=True)]
        words += " (made)" * (machine == "made")
        print(f"{words:<45} {sum(counts):>6} {server.sent() - sent:>11,}", dict(zip(KINDS, counts, strict=True)))

    with running(folder / "port") as server:
        run(server, COMMANDS[0], "made")
        for words in COMMANDS:
            run(server, words, words.replace("/", "-"))


def ranges(store: Store, path: Path, rows: int) -> None:
    """What is read of a large table of scores."""
    mix = find(store, "demo")["sft"]
    enlarge(pl.read_parquet(mix.box.path / SCORES_FILE), path, rows)
    footer, size = pq.read_metadata(path), path.stat().st_size
    print(f"\n{rows:,} rows, {footer.num_columns} columns, {size:,} bytes")
    stage = next(each for each in checked("demo", store).plan.stages if each.name == "sft")
    row = range(rows // 2, rows // 2 + 1)
    wanted: list[tuple[str, Sequence[str] | None, range | None]] = [
        ("one score", ["source", "quality", "quality_state"], None),
        ("what is new", ["source", "key", "instruction_hash", "text_hash"], None),
        ("keys", ["key"], None),
        ("one row", None, row),
        ("decide", decided(stage), None),
    ]
    for label, columns, these in wanted:
        spans = lacking([Span(size - footer.serialized_size, size), *spans_of(footer, columns, these)], [])
        read = sum(span.end - span.begin for span in spans)
        print(f"{label:<45} {len(requests_of(spans)):>6} {read:>11,}")


def decided(stage: PlannedStage) -> list[str]:
    """Columns that decisions are made of."""
    return ["source", *columns_of(stage), "instruction_hash", "text_hash"]


def enlarge(table: pl.DataFrame, path: Path, rows: int) -> None:
    """Draw rows again; keys and hashes are new, and numbers differ a little, as those of other rows would."""
    draw = np.random.default_rng(1)
    with table_writer(path, table.schema) as write:
        for first in range(0, rows, GROUP):
            number = min(GROUP, rows - first)
            frame = table[draw.integers(0, table.height, number)]
            noise, keys = pl.Series(draw.random(number) / 100 + 1), pl.Series(np.arange(first, first + number))
            hashes = pl.Series(draw.integers(0, 1 << 63, number, dtype=np.uint64))
            write(
                frame.with_columns(
                    pl.selectors.float() * noise,
                    *[pl.when(pl.col(n).is_not_null()).then(hashes).alias(n) for n in unsigned(table)],
                    ("made.source/train/" + keys.cast(pl.String)).alias("key"),
                ).cast(dict(table.schema))
            )


def unsigned(table: pl.DataFrame) -> list[str]:
    """Columns of hashes."""
    return [name for name, kind in table.schema.items() if kind == pl.UInt64]


if __name__ == "__main__":
    main()
