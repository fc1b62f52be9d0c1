"""Pull the plug at several points and run again: same digest, nothing that was complete is done twice."""

import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
from commands import ROOT, DemoBuild, Vlmix, environment

from benchmarks.written import complete, finished, watching

pytestmark = [pytest.mark.integration, pytest.mark.long]


@pytest.mark.parametrize(
    ("pattern", "number"),
    [
        ("scans/*/*/index.json", 2),
        ("shards/*/*/shard-*.json", 6),
        ("scores/*/*/part-*.parquet", 100),
        ("scores/*/*/index.json", 50),
        ("scores/*/*/asked-*.parquet", 3),
        ("mixtures/*/*/scores.parquet", 1),
    ],
)
def test_killed_and_run_again(small_demo: DemoBuild, vlmix: Vlmix, tmp_path: Path, pattern: str, number: int) -> None:
    """Killed when so many of these files are there, which finished work may not make again."""
    store = tmp_path / "store"
    shutil.copytree(small_demo.store / "demo", store / "demo")
    command = [sys.executable, "-m", "flows.cli", "run", "build-sft-mix", "--store", str(store)]
    run = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while run.poll() is None and len(list(store.glob(pattern))) < number:
        time.sleep(0.01)
    assert run.poll() is None, "the run ended before it could be killed"
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    wait_for_orphans(run.pid)
    held = complete(store)
    assert pattern.startswith("mixtures") or set(store.glob(pattern)) & set(held)
    with watching(held) as written_again:
        again = vlmix("run", "build-sft-mix", "--store", store, "--json")
    assert again.code == 0, again.err
    assert again.document["digest"] == small_demo.document["digest"]
    assert not written_again
    assert not list(store.rglob("*.tmp"))
    undisturbed = {path.relative_to(small_demo.store) for path in finished(small_demo.store)}
    assert {path.relative_to(store) for path in finished(store)} == undisturbed


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
