"""What several tests need: the command line as a subprocess, and one finished demo build per session."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from commands import ROOT, DemoBuild, Done, Vlmix, environment


@pytest.fixture(scope="session")
def vlmix() -> Vlmix:
    """Run the command line in a process of its own."""

    def run(*arguments: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> Done:
        command = [sys.executable, "-m", "flows.cli", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment(env), check=False)
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def demo(vlmix: Vlmix, tmp_path_factory: pytest.TempPathFactory) -> DemoBuild:
    """Build the demo once; tests read it and must not write to it."""
    store = tmp_path_factory.mktemp("demo") / "store"
    done = vlmix("run", "build-sft-mix", "--store", store, "--json")
    assert done.code == 0, done.err
    return DemoBuild(store, done.document)
