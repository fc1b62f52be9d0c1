"""Pull the plug at several points and run again: same digest, nothing that was complete is done twice."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from commands import ROOT, DemoBuild, Vlmix, environment

pytestmark = [pytest.mark.integration, pytest.mark.long]

BOXES = ("scans", "pictures", "shards", "scores", "mixtures")


def files(store: Path) -> dict[Path, int]:
    """Finished files of the store with their modification times."""
    return {path: path.stat().st_mtime_ns for path in names(store)}


def names(store: Path) -> list[Path]:
    found = [path for kind in BOXES for path in (store / kind).rglob("*")]
    return [path for path in found if path.is_file() and not path.name.startswith(".")]


@pytest.mark.parametrize("share", [0.02, 0.2, 0.45, 0.7, 0.95])
def test_killed_and_run_again(small_demo: DemoBuild, vlmix: Vlmix, tmp_path: Path, share: float) -> None:
    store = tmp_path / "store"
    shutil.copytree(small_demo.store / "demo", store / "demo")
    target = share * len(files(small_demo.store))
    command = [sys.executable, "-m", "flows.cli", "run", "build-sft-mix", "--store", str(store)]
    run = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while run.poll() is None and len(names(store)) < target:
        time.sleep(0.01)
    assert run.poll() is None, "the run ended before it could be killed"
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    wait_for_orphans(run.pid)
    before = complete(store)
    again = vlmix("run", "build-sft-mix", "--store", store, "--json")
    assert again.code == 0, again.err
    assert again.document["digest"] == small_demo.document["digest"]
    after = files(store)
    # parts of score tables go when their table is complete; every other complete file stays as it was written
    assert all(after.get(path) in {time_before, None} for path, time_before in before.items())
    gone = [path for path in before if path not in after]
    assert all(path.name.startswith("part-") for path in gone)
    assert not list(store.rglob("*.tmp"))
    undisturbed = {path.relative_to(small_demo.store) for path in files(small_demo.store)}
    assert {path.relative_to(store) for path in after} == undisturbed


def complete(store: Path) -> dict[Path, int]:
    """Files of units that were complete: whole boxes, and finished shards, parts, download logs and ledger files."""
    return {path: modified for path, modified in files(store).items() if is_complete(path)}


def is_complete(path: Path) -> bool:
    if (path.parent / "index.json").is_file() or path.name.startswith(("part-", "log-", "asked-")):
        return True
    number = re.search(r"-(\d{5})", path.name)
    return number is not None and (path.parent / f"shard-{number[1]}.json").is_file()


def wait_for_orphans(group: int) -> None:
    """Workers notice that the main process is gone and end by themselves."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    os.killpg(group, signal.SIGKILL)
    pytest.fail("worker processes outlived the main process")


@pytest.mark.parametrize(
    "executor",
    ["local", pytest.param("ray", marks=pytest.mark.skipif(find_spec("ray") is None, reason="no extra `ray`"))],
)
def test_any_process_may_be_killed(executor: str, tmp_path: Path) -> None:
    """The short form of what `benchmarks/kill.py` does a hundred times."""
    command = [sys.executable, "-m", "benchmarks.kill", "--kills", "4", "--most", "2", "--rows", "300"]
    command += ["--executor", executor, "--folder", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("4 kills (")
