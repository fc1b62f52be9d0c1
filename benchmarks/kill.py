"""Pull the plug: SIGKILL random processes of a run at random times, run again until done, compare with a quiet run.

`python -m benchmarks.kill [--kills 100] [--executor local|ray|FILE.yaml] [--folder DIR] [--seed 0]`. Any process of the
run may be hit: the main one, workers, and what a Ray cluster consists of. Prints one line per store and stops with exit
code 1 at the first store where

* the digest, or the name of any finished file, is not that of the quiet run,
* a file of a finished unit (a shard, a part of a score table, answers of a judge, a whole box) is written again,
* a ledger file changed after it was there, or two files answer for one row, so that a finished judge call was repeated,
* a temporary file, or any other that the quiet store lacks, is left after the last run and `vlmix store gc`, a process
  outlives its run, or a message is no message of ours.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
from PIL import Image, ImageDraw

from benchmarks.written import complete, finished, watching

ROOT = Path(__file__).parents[1]
ORPHANS_S = 90.0
"""How long processes may take to notice that their run is gone: a Ray cluster asks its parts every few seconds."""
_MOST = 0.7
"""Of a quiet run's seconds: when the next process is killed, at the latest."""
WORST = 40
"""Runs of one store after which it is given up."""


def write_recipe(folder: Path, rows: int) -> Path:
    """A recipe with chats of several shards, pictures that are near duplicates, a judge, rules, dedup and review."""
    folder.mkdir(parents=True)
    rng = random.Random(5)
    words = [f"word{number}" for number in range(400)]
    chats = [{"q": f"question {row}", "a": " ".join(rng.choices(words, k=1 + row % 30))} for row in range(rows)]
    (folder / "chats.jsonl").write_text("".join(json.dumps(chat) + "\n" for chat in chats))
    pictures = [_picture(folder, row, rng) for row in range(max(rows // 10, 20))]
    shown = [{"i": pictures[row % len(pictures)], "a": f"caption {row % 97}"} for row in range(rows // 3)]
    (folder / "shown.jsonl").write_text("".join(json.dumps(row) + "\n" for row in shown))
    chat = {"layout": "table", "files": "chats.jsonl", "columns": {"user": ["q"], "assistant": ["a"]}}
    show = {"layout": "table", "files": "shown.jsonl", "columns": {"assistant": ["a"], "images": ["i"]}}
    recipe = {
        "name": "killed",
        "judge": "tiny",
        "rules": {"extends": ["default"]},
        "dedup": {"level": "pair", "distance": 4},
        "entries": [
            {"id": "chat", "domain": "chat", "source": chat, "repeat": 1.5},
            {"id": "shown", "domain": "caption", "source": show},
        ],
    }
    path = folder / "killed.yaml"
    path.write_text(json.dumps(recipe))  # JSON is YAML
    return path


def _picture(folder: Path, row: int, rng: random.Random) -> str:
    """Every other picture is the one before with a corner cut, so that there are pairs to compare."""
    name = f"{row}.png"
    if row % 2:
        Image.open(folder / f"{row - 1}.png").crop((1, 1, 95, 95)).save(folder / name)
        return name
    picture = Image.new("RGB", (96, 96), tuple(rng.choices(range(256), k=3)))
    for _ in range(6):
        corners = sorted(rng.choices(range(96), k=2)) + sorted(rng.choices(range(96), k=2))
        box = (corners[0], corners[2], corners[1], corners[3])
        ImageDraw.Draw(picture).rectangle(box, tuple(rng.choices(range(256), k=3)))
    picture.save(folder / name)
    return name


@dataclass
class Run:
    """One start of the command, in a session of its own; its processes are all that belong to the session."""

    process: subprocess.Popen[str]

    @classmethod
    def start(cls, recipe: Path, store: Path, executor: str) -> "Run":
        """Begin to build."""
        command = [sys.executable, "-m", "flows.cli", "run", "build-sft-mix", "--recipe", str(recipe)]
        command += ["--store", str(store), "--executor", executor, "--workers", "2", "--json"]
        out, err = (store.parent / "out").open("w"), (store.parent / "err").open("w")
        with out, err:
            return cls(subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=err, text=True, start_new_session=True))

    def processes(self) -> list[int]:
        """Processes of the session that are no zombies."""
        return [number for number, session, state in _all_processes() if session == self.process.pid and state != "Z"]

    def kill_one(self, rng: random.Random) -> str | None:
        """Kill one of its processes; what it was, or None where nothing is left to kill."""
        if self.process.poll() is not None or not (there := sorted(self.processes())):
            return None
        chosen = rng.choice(there)
        name = "main" if chosen == self.process.pid else _name(chosen)
        try:
            os.kill(chosen, signal.SIGKILL)
        except ProcessLookupError:
            return None
        return name

    def wait_for_all(self) -> int:
        """Exit code, after every process of the session is gone.

        Raises:
            AssertionError: some process outlives the run.
        """
        code = self.process.wait()
        deadline = time.monotonic() + ORPHANS_S
        while left := self.processes():
            if time.monotonic() > deadline:
                names = [_name(number) for number in left]
                for number in left:
                    os.kill(number, signal.SIGKILL)
                raise AssertionError(f"processes outlive their run: {names}")
            time.sleep(0.05)
        return code


def _all_processes() -> Iterator[tuple[int, int, str]]:
    """(number, session, state) of every process."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            after = path.read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        yield int(path.parent.name), int(after[3]), after[0]


def _name(number: int) -> str:
    try:
        words = Path(f"/proc/{number}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return "gone"
    kinds = {"forkserver": "worker or server", "resource_tracker": "tracker", "gcs_server": "gcs", "raylet": "raylet"}
    found = [kind for sign, kind in kinds.items() if sign in words.split("--")[0]]
    return found[0] if found else words.split()[0].rsplit("/", 1)[-1][:24] if words.split() else "gone"


@dataclass
class Trial:
    """One store: what was killed, how many runs it took, what the ledgers held when."""

    folder: Path
    killed: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    known: dict[Path, int] = field(default_factory=dict)

    @property
    def store(self) -> Path:
        """Folder of the store."""
        return self.folder / "store"

    def disturb(self, recipe: Path, executor: str, kills: int, seconds: float, rng: random.Random) -> dict[str, object]:
        """Run until done, with so many kills on the way, soon after a start or the kill before."""
        for self.runs in range(1, WORST + 1):
            with watching(complete(self.store)) as again:
                run = Run.start(recipe, self.store, executor)
                while self.killed.total() < kills and run.process.poll() is None:
                    _wait(run, rng.uniform(0, _MOST * seconds))
                    if name := run.kill_one(rng):
                        self.killed[name] += 1
                code = run.wait_for_all()
            assert not again, f"finished before and written again: {again[:10]}"
            self._check_ledgers()
            if code == 0:
                return self.said()
            self._check_message(code)
        raise AssertionError(f"not done after {WORST} runs")

    def quiet(self, recipe: Path, executor: str) -> tuple[dict[str, object], float]:
        """Run without kills: what it says, and the seconds it took."""
        begin = time.monotonic()
        code = Run.start(recipe, self.store, executor).wait_for_all()
        assert code == 0, self.words()
        return self.said(), time.monotonic() - begin

    def collect(self) -> None:
        """Remove what a kill left where no later step comes by."""
        command = [sys.executable, "-m", "flows.cli", "store", "gc", "--yes", "--store", str(self.store)]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)

    def said(self) -> dict[str, object]:
        """The summary that the last run printed."""
        document: dict[str, object] = json.loads((self.folder / "out").read_text())
        return document

    def words(self) -> str:
        """What the last run told people."""
        return (self.folder / "err").read_text()

    def _check_message(self, code: int) -> None:
        """A run that was not killed itself says why it stopped, in a line of ours; without its head, Ray ends it."""
        if code == -signal.SIGKILL or (self.killed["gcs"] and "GCS may have been killed" in self.words()):
            return
        lines = [line for line in self.words().splitlines() if line.strip()]
        assert code == 1 and lines and lines[-1].startswith("vlmix: "), f"exit code {code}: {self.words()}"

    def _check_ledgers(self) -> None:
        """No answer that was there is gone or written again, and no row is answered twice."""
        there = {path: path.stat().st_mtime_ns for path in self.store.glob("scores/*/*/asked-*.parquet")}
        changed = [path for path, when in self.known.items() if there.get(path) != when]
        assert not changed, f"ledger files changed: {changed}"
        for ledger in {path.parent for path in there}:
            rows = pl.read_parquet(ledger / "asked-*.parquet", columns=["row"])["row"]
            assert rows.n_unique() == len(rows), f"rows asked twice in {ledger}"
        self.known = there

    def files(self) -> set[str]:
        """Finished files of the store."""
        return {path.relative_to(self.store).as_posix() for path in finished(self.store)}

    def check(self, said: dict[str, object], quiet: "Trial") -> None:
        """Compare a finished store with the quiet one, both after `vlmix store gc`."""
        self.collect()
        assert said["digest"] == quiet.said()["digest"], f"{said['digest']} is not {quiet.said()['digest']}"
        assert self.files() == quiet.files(), sorted(self.files() ^ quiet.files())[:10]
        left = [path for path in self.store.rglob("*.tmp")]
        assert not left, f"temporary files are left: {left}"


def _wait(run: Run, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while run.process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)


def main() -> None:
    """Kill until enough processes are dead."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--most", type=int, default=4, help="kills of one store: a random number up to this")
    parser.add_argument("--rows", type=int, default=2500)
    parser.add_argument("--executor", default="local")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="default: a temporary one")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder, rng = Path(name), random.Random(given.seed)
        recipe = write_recipe(folder / "raw", given.rows)
        quiet, again = Trial(folder / "quiet"), Trial(folder / "again")
        quiet.folder.mkdir()
        quiet.quiet(recipe, given.executor)
        quiet.collect()
        # the first run on a machine compiles for a minute, in which no later one can be hit
        again.folder.mkdir()
        said, seconds = again.quiet(recipe, given.executor)
        again.check(said, quiet)
        print(f"quiet run: {seconds:.1f} s, digest {said['digest']}", flush=True)
        total, runs = Counter[str](), 0
        while total.total() < given.kills:
            trial = Trial(folder / "killed")
            trial.folder.mkdir()
            kills = min(rng.randint(1, given.most), given.kills - total.total())
            trial.check(trial.disturb(recipe, given.executor, kills, seconds, rng), quiet)
            total, runs = total + trial.killed, runs + trial.runs
            hit = ", ".join(f"{name} {times}" for name, times in sorted(trial.killed.items())) or "none in time"
            print(f"{total.total():>4} kills, {runs:>4} runs: same digest; this store: {hit}", flush=True)
            shutil.rmtree(trial.folder)
    words = ", ".join(f"{name} {times}" for name, times in total.most_common())
    print(f"{total.total()} kills ({words}), {runs} runs, every digest {said['digest']}")


if __name__ == "__main__":
    main()
