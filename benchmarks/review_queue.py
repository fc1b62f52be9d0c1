"""What a queue of many items costs to make, to export and to import: CPU seconds and memory.

    python -m benchmarks.review_queue --items 100000 --folder SCRATCH

Builds the mixture of benchmarks/review_page.py, whose rows all wait for a person, unless it is there. Every step runs
in a process of its own: the queue, an export in each format, the import of a verdict about every row, the figures.
Memory is the most that the process ever held, Python and Polars included.
"""

import argparse
import multiprocessing
import resource
import shutil
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import get_args

import polars as pl

from benchmarks.review_page import build
from review.export import Format
from shards.store import Store


def make(store: Store, _: Path) -> str:
    """The queue."""
    from flows.reviewing import queue_items

    return f"{len(queue_items(store, 'large'))} items"


def read(store: Store, _: Path) -> str:
    """Every item, in order."""
    from flows.reviewing import queue_items

    return f"{sum(len(item.messages) for item in queue_items(store, 'large'))} messages"


def write(to: Format) -> Callable[[Store, Path], str]:
    """An export."""

    def run(store: Store, folder: Path) -> str:
        from flows.reviewing import export_queue

        out = folder / f"out-{to}"
        shutil.rmtree(out, ignore_errors=True)
        done = export_queue(store, "large", to=to, out=out)
        size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
        return f"{done.items} items, {size / 1e6:.0f} MB"

    return run


def take(store: Store, folder: Path) -> str:
    """A verdict about every row."""
    from flows.review_import import import_answers

    keys = pl.read_parquet(next((store.root / "queues").rglob("order.parquet")), columns=["key", "entry"])
    said = keys.with_columns(pl.Series("verdict", ["keep", "drop"]).gather(pl.int_range(keys.height, eager=True) % 2))
    said.write_csv(folder / "said.csv")
    found = import_answers(store, folder / "said.csv", mix="large")
    return f"{found.new} new answers"


def count(store: Store, _: Path) -> str:
    """The figures of the review."""
    from flows.review_stats import stats

    found = stats(store, "large").calibration
    return f"{found.used if found else 0} rows used"


def main() -> None:
    """Print a line for each step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    store = Store(options.folder / "store")
    if not (store.root / "runs").is_dir():
        build(options.folder, options.items)
    for name in ("queues", "review"):
        shutil.rmtree(store.root / name, ignore_errors=True)
    context = multiprocessing.get_context("spawn")  # Polars has threads, which a fork would not survive
    for name in steps():
        receive, send = context.Pipe(duplex=False)
        process = context.Process(target=_measured, args=(name, store, options.folder, send))
        process.start()
        print(f"{name:<26} {receive.recv()}", flush=True)
        process.join()


def steps() -> dict[str, Callable[[Store, Path], str]]:
    """Steps by name, in order."""
    exports = {f"export as {to}": write(to) for to in get_args(Format)}
    return {
        "make the queue": make,
        "read every item": read,
        **exports,
        "import a verdict for each": take,
        "figures": count,
    }


def _measured(name: str, store: Store, folder: Path, send: Connection) -> None:
    said = steps()[name](store, folder)
    used = resource.getrusage(resource.RUSAGE_SELF)
    status = Path("/proc/self/status").read_text()  # `ru_maxrss` would be that of the process that started this one
    most = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    send.send(f"{said:<28} {used.ru_utime + used.ru_stime:7.1f} s CPU {most / 1024:6.0f} MiB")


if __name__ == "__main__":
    main()
