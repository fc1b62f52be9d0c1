"""What several tests need: the command line as a subprocess, and one finished demo build per session."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
"""Real rows for development; tests that need them say so when the folder is not there."""


@dataclass(frozen=True)
class Done:
    """A finished command: exit code and output."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        return json.loads(self.out)


Vlmix = Callable[..., Done]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "VLMIX_"))}
    return {**clean, "DO_NOT_TRACK": "1", **(extra or {})}


@pytest.fixture(scope="session")
def vlmix() -> Vlmix:
    """Run the command line in a process of its own."""

    def run(*arguments: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> Done:
        command = [sys.executable, "-m", "flows.cli", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment(env), check=False)
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@dataclass(frozen=True)
class DemoBuild:
    """A store with a finished demo build, and what the command said."""

    store: Path
    document: dict[str, Any]


@pytest.fixture(scope="session")
def demo(vlmix: Vlmix, tmp_path_factory: pytest.TempPathFactory) -> DemoBuild:
    """Build the demo once; tests read it and must not write to it."""
    store = tmp_path_factory.mktemp("demo") / "store"
    done = vlmix("run", "build-sft-mix", "--store", store, "--json")
    assert done.code == 0, done.err
    return DemoBuild(store, done.document)
