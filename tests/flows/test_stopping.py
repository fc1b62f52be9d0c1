"""Ctrl-C and SIGTERM: one line, the exit code of a shell, nothing left behind, and the next run goes on from there."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import ROOT, Vlmix, environment

from benchmarks.kill import Run, write_recipe

pytestmark = pytest.mark.integration

RESUME = "vlmix: stopped; run the same command again to go on from here"


def until(run: subprocess.Popen[Any], happened: Callable[[], bool]) -> None:
    while not happened():
        assert run.poll() is None, "the run ended before"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recipe(tmp_path_factory.mktemp("recipe") / "raw", 200)


@pytest.fixture(scope="module")
def digest(recipe: Path, vlmix: Vlmix, tmp_path_factory: pytest.TempPathFactory) -> str:
    done = vlmix(
        *("run", "build-sft-mix", "--recipe", recipe, "--store", tmp_path_factory.mktemp("store")),
        *("--workers", "1", "--json"),
    )
    assert done.code == 0, done.err
    found: str = done.document["digest"]
    return found


@pytest.mark.parametrize(
    ("number", "to_all", "code", "begun"),
    [
        (signal.SIGINT, True, 130, "shards/*/*/samples-*"),  # as a terminal sends it: to every process
        (signal.SIGINT, False, 130, "scores/*/*/*"),
        (signal.SIGTERM, False, 143, "scores/*/*/asked-*"),
    ],
)
def test_a_run_that_is_stopped(
    recipe: Path, digest: str, vlmix: Vlmix, tmp_path: Path, number: signal.Signals, to_all: bool, code: int, begun: str
) -> None:
    store = tmp_path / "store"
    run = Run.start(recipe, store, "local")
    until(run.process, lambda: any(store.glob(begun)))
    os.killpg(run.process.pid, number) if to_all else os.kill(run.process.pid, number)
    assert run.wait_for_all() == code, (tmp_path / "err").read_text()
    assert (tmp_path / "err").read_text().splitlines() == [RESUME]
    assert not list(store.rglob("*.tmp"))
    again = vlmix("run", "build-sft-mix", "--recipe", recipe, "--store", store, "--workers", "1", "--json")
    assert again.code == 0, again.err
    assert again.document["digest"] == digest


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_second_one_does_not_wait(number: signal.Signals, code: int) -> None:
    program = """
import time
from flows.console import messages
with messages():
    try:
        print("working", flush=True)
        time.sleep(600)
    finally:
        print("ending", flush=True)
        time.sleep(600)
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout
        for word in ("working\n", "ending\n"):
            assert run.stdout.readline() == word
            run.send_signal(number)
        assert run.wait(60) == code
