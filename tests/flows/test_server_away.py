"""The Prefect server dies in the middle of a run: the build ends well, and one line says so."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import ROOT, Vlmix, environment
from prefect_server import prefect_server

from benchmarks.kill import write_recipe

pytestmark = [pytest.mark.integration, pytest.mark.long]


def test_the_server_dies_in_the_middle_of_a_run(vlmix: Vlmix, tmp_path: Path) -> None:
    recipe, store, home = write_recipe(tmp_path / "raw", 200), tmp_path / "store", tmp_path / "home"
    home.mkdir()
    command = [str(Path(sys.executable).with_name("prefect")), "run", "build-sft-mix", "--recipe", str(recipe)]
    with prefect_server(home) as variables:
        run = subprocess.Popen(
            [*command, "--store", str(store), "--workers", "1"],
            cwd=ROOT,
            # else the client asks for a minute each time
            env=environment({**variables, "PREFECT_CLIENT_MAX_RETRIES": "1"}),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        # late: the client tries for long to send the events of each task that is still to come
        while not any(store.glob("mixtures/*/*/scores.parquet")):
            assert run.poll() is None, "the run ended before"
            time.sleep(0.02)
        os.killpg(int((home / "group").read_text()), signal.SIGKILL)
        _, said = run.communicate(timeout=600)
    assert run.returncode == 1
    # the client has more to say, of each event and line of the log that it could not send
    (line,) = (line for line in said.splitlines() if line.startswith("vlmix: "))
    assert line.startswith("vlmix: the Prefect server does not answer ("), said
    assert "what is finished is kept; run again when it answers, or without it" in line
    assert "the build goes on, not shown there" in said
    assert list(store.glob("runs/killed/*/index.json")), said
    again = vlmix("run", "build-sft-mix", "--recipe", recipe, "--store", store, "--workers", "1", "--json")
    assert again.code == 0, again.err
    assert again.document["steps"]["executed"] == 0
