"""One whole job at growing sizes: whether its cost per row stays the same, and its memory where it is.

    python -m benchmarks.scale --rows 1000 10000 100000 [--workers 2] [--folder DIR] [--json FILE]

Eight sources of samples with small pictures (`benchmarks.scale_data`): five Parquet, two JSON beside tar, one of text.
Two per cent of the rows are copies, two per cent have their picture encoded anew, three per cent are bad. Every size is
built by a process of its own with rule set `default`, the embedded judge, dedup with comparisons, a cap, fractional
repeat factors, manifest and report; then the same command runs again with nothing left to do; then the mixture is
exported to `hf`. CPU seconds are those of all processes, from /proc. Steps `plan`, `compact`, `mix` and `report` run in
the main process alone. Sizes that `--json` has figures of already are shown and not measured again.

Starting costs a fixed time, so what counts is the cost of a further row: the difference between two sizes. `growth` is
that of a step between the two largest sizes over that between the two before them; 1.00 is linear, above 1.15 is bold.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from benchmarks.processes import Taken, cpu_seconds, family, watched
from benchmarks.scale_data import SOURCES, TEXTS, declared, write_sources

if TYPE_CHECKING:
    from filters.judges.vllm import VllmJudge
    from flows.executor import Runner, Steps

SIZES: Final = (1_000, 10_000, 100_000)
LINEAR: Final = 1.15
"""Growth of the cost of a row up to which a step counts as linear."""
_LEAST: Final = 0.05
"""CPU seconds below which a step is not shown."""
_COMPARED: Final = 3
"""Sizes that it takes to see the cost of a row grow."""
AFTER: Final = {"convert": "compact", "score": "mix", "leakage": "mix", "mix": "report"}
"""What the main process does after it has told of a step."""
CAPPED: Final = 0
REPEATED: Final = 1
"""Places of the entries that have a cap of half their rows, and a repeat factor of 1.5."""

Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass
class Measured:
    """One size: what each step took, and what it left behind."""

    rows: int
    raw_bytes: int
    steps: dict[str, dict[str, float]]
    """CPU and wall seconds."""
    build: Taken
    again: Taken
    export: Taken
    totals: dict[str, int]
    stored: dict[str, tuple[int, int]]
    """Kind of box -> bytes and files."""

    def said(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def read(cls, document: dict[str, Any]) -> "Measured":
        """From JSON."""
        parts = {name: Taken.read(document[name]) for name in ("build", "again", "export")}
        return cls(**{**document, **parts})


def write_recipe(folder: Path, rows: int) -> Path:
    """A recipe over all sources."""
    entries: list[dict[str, object]] = [
        {"id": name, "domain": "text" if name == TEXTS else "caption", "source": declared(name)} for name in SOURCES
    ]
    entries[CAPPED]["cap"] = rows // len(SOURCES) // 2
    entries[REPEATED]["repeat"] = 1.5
    recipe = {
        "name": "scale",
        "judge": "tiny",
        "rules": {"extends": ["default"]},
        "dedup": {"level": "pair", "distance": 4},
        "entries": entries,
    }
    path = folder / "scale.yaml"
    path.write_text(json.dumps(recipe))  # JSON is YAML
    return path


@dataclass
class _Clock:
    """Wall and CPU seconds of this process and those below it by step, and a file that names the step."""

    now: Path
    steps: dict[str, list[float]] = field(default_factory=dict)
    phase: str = "plan"
    """What the main process does when nothing is mapped."""
    _step: str = "plan"

    def __post_init__(self) -> None:
        self._last = self._read()

    @staticmethod
    def _read() -> tuple[float, float]:
        # workers live as long as the run, so nothing that ended has to be counted
        return sum(map(cpu_seconds, family(_own()))), time.perf_counter()

    def begin(self, step: str) -> None:
        """Charge what was taken to the step before."""
        read = self._read()
        spent = self.steps.setdefault(self._step, [0.0, 0.0])
        for place in range(2):
            spent[place] += read[place] - self._last[place]
        self._last, self._step = read, step
        # whole or not at all: somebody reads it four times a second
        self.now.with_suffix(".tmp").write_text(step)
        self.now.with_suffix(".tmp").replace(self.now)

    def tell(self, step: str, _: "Steps") -> None:
        """A step of the build has ended."""
        self.phase = AFTER.get(step, self.phase)
        self.begin(self.phase)

    def said(self) -> dict[str, dict[str, float]]:
        """Seconds by step, until now."""
        self.begin("end")
        return {step: {"cpu": cpu, "wall": wall} for step, (cpu, wall) in self.steps.items()}


def _own() -> int:
    return int(Path("/proc/self").readlink().name)


@dataclass
class _Timed:
    """Another runner, with a clock that knows what is mapped."""

    inner: "Runner"
    clock: _Clock

    def map(self, step: str, function: Callable[[Job], Result], jobs: Sequence[Job]) -> list[Result]:
        """See `flows.executor.Runner.map`."""
        self.clock.begin(step)
        try:
            return self.inner.map(step, function, jobs)
        finally:
            # what follows the comparison of pictures is another phase than what leads to it
            self.clock.phase = "mix, after comparing" if step == "compare" else self.clock.phase
            self.clock.begin(self.clock.phase)

    def ask(self, judge: "VllmJudge", function: Callable[[Job], int], jobs: Sequence[Job]) -> None:
        """See `flows.executor.Runner.ask`."""
        self.inner.ask(judge, function, jobs)


def build(folder: Path, workers: int) -> None:
    """Build the mixture; prints a line of JSON."""
    clock = _Clock(folder / "step")
    from flows.execution import execution, open_runner
    from flows.run import checked, run_with
    from shards.store import Store

    store = Store((folder / "store").absolute())
    prepared = checked(str(folder / "scale.yaml"), store)
    clock.phase = "main"
    with open_runner(execution("local", workers=workers), store) as inner:
        done = run_with(prepared, store, _Timed(inner, clock), None, clock.tell)
        steps = clock.said()
    print(json.dumps({"steps": steps, "totals": done.summary.totals.model_dump(), "digest": done.summary.digest}))


def export(folder: Path) -> None:
    """Write the mixture for trainers."""
    from flows.exporting import export_all
    from flows.mixes import find
    from shards.store import Store

    reports = export_all(find(Store((folder / "store").absolute()), "scale"), to="hf", out=folder / "export")
    print(json.dumps({"written": sum(each.written for each in reports)}))


def measure(folder: Path, rows: int, workers: int) -> Measured:
    """Make the data up, build, build again and export; everything lies in the folder afterwards."""
    raw_bytes = make(folder, rows)
    taken, found = built(folder, workers)
    again, once_more = built(folder, workers)
    assert once_more["digest"] == found["digest"], "the second run made something else"
    exported, printed = watched([*_words(folder, workers), "export"])
    assert json.loads(printed)["written"] == found["totals"]["emitted"], "the export lacks rows"
    stored = {path.name: _size(path) for path in sorted((folder / "store").iterdir()) if path.is_dir()}
    stored["export"] = _size(folder / "export")
    return Measured(rows, raw_bytes, found["steps"], taken, again, exported, found["totals"], stored)


def make(folder: Path, rows: int) -> int:
    """Write raw files and recipe; their bytes."""
    raw_bytes = write_sources(folder, rows)
    write_recipe(folder, rows)
    return raw_bytes


def built(folder: Path, workers: int) -> tuple[Taken, dict[str, Any]]:
    """Build in a process of its own: what it took, and steps, totals and digest as it prints them."""

    def step() -> str:
        return (folder / "step").read_text() if (folder / "step").exists() else "plan"

    taken, printed = watched([*_words(folder, workers), "build"], step=step)
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return taken, found


def _words(folder: Path, workers: int) -> list[str]:
    words = ["--folder", str(folder), "--workers", str(workers), "--side"]
    return [sys.executable, "-m", "benchmarks.scale", *words]


def _size(folder: Path) -> tuple[int, int]:
    files = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return sum(files), len(files)


def table(sizes: Sequence[Measured]) -> list[str]:
    """What people read, as Markdown: CPU seconds by step with their growth, memory, what lies on disk."""
    names = list(dict.fromkeys(name for each in sizes for name, taken in each.steps.items() if taken["cpu"] > _LEAST))
    spent = {name: [each.steps.get(name, {}).get("cpu", 0.0) for each in sizes] for name in names}
    spent |= {
        "**build**": [each.build.cpu for each in sizes],
        "built again": [each.again.cpu for each in sizes],
        "export": [each.export.cpu for each in sizes],
    }
    memory = {
        "worker: held": [_most(each.build, "worker", "held") for each in sizes],
        "worker: resident, mapped files included": [_most(each.build, "worker", "rss") for each in sizes],
        "main: held": [_most(each.build, "main", "held") for each in sizes],
        "main: held before the report": [_before_report(each.build) for each in sizes],
        "main: resident": [_most(each.build, "main", "rss") for each in sizes],
        "all processes together (PSS)": [each.build.together for each in sizes],
        "export: resident": [_most(each.export, "main", "rss") for each in sizes],
    }
    stored = {"raw files": [f"{each.raw_bytes / each.rows:,.0f}" for each in sizes]}
    for kind in sizes[-1].stored:
        own = [each.stored.get(kind, (0, 0)) for each in sizes]
        cells = [f"{size / each.rows:,.0f} in {files:,}" for (size, files), each in zip(own, sizes, strict=True)]
        stored[kind] = cells
    rows = [each.rows for each in sizes]
    return [
        *_head("CPU seconds", [*(f"{each:,} rows" for each in rows), "growth"]),
        *(_line(name, [f"{each:,.1f}" for each in own] + [_word(growth(own, rows))]) for name, own in spent.items()),
        "",
        *_head("MiB at most", [f"{each:,} rows" for each in rows]),
        *(_line(name, [f"{each:,.0f}" for each in own]) for name, own in memory.items()),
        "",
        *_head("bytes a row, in files", [f"{each:,} rows" for each in rows]),
        *(_line(name, cells) for name, cells in stored.items()),
    ]


def _head(name: str, cells: Sequence[str]) -> list[str]:
    return [_line(name, cells), _line("---", ["---:"] * len(cells))]


def _line(name: str, cells: Sequence[str]) -> str:
    return f"| {name} | " + " | ".join(cells) + " |"


def _word(found: float | None) -> str:
    return "" if found is None else f"{found:.2f}" if found <= LINEAR else f"**{found:.2f}**"


def _before_report(taken: Taken) -> float:
    main = next(each for each in taken.processes.values() if each.name == "main")
    return max(held for step, held in main.by_step.items() if step not in {"report", "end"})


def growth(spent: Sequence[float], rows: Sequence[int]) -> float | None:
    """Cost of a further row between the two largest sizes over that between the two before; None below three sizes."""
    if len(rows) < _COMPARED:
        return None
    last, before = (
        (spent[place] - spent[place - 1]) / (rows[place] - rows[place - 1]) for place in (len(rows) - 1, len(rows) - 2)
    )
    return last / before if before > 0 else None


def _most(taken: Taken, name: str, what: str) -> float:
    return max((getattr(each, what) for each in taken.processes.values() if each.name == name), default=0.0)


def main() -> None:
    """Measure every size, smallest first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where to work; default: a temporary folder")
    parser.add_argument("--json", type=Path, help="all figures; kept from one run to the next")
    parser.add_argument("--side", choices=("build", "export"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side == "build":
        build(options.folder, options.workers)
        return
    if options.side == "export":
        export(options.folder)
        return
    sizes: list[Measured] = []
    if options.json and options.json.exists():
        sizes = [Measured.read(each) for each in json.loads(options.json.read_text())]
    for rows in sorted(set(options.rows) - {each.rows for each in sizes}):
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            sizes = sorted([*sizes, measure(Path(name), rows, options.workers)], key=lambda each: each.rows)
        if options.json:
            options.json.write_text(json.dumps([each.said() for each in sizes], indent=1))
    print("\n".join(table(sizes)))


if __name__ == "__main__":
    main()
