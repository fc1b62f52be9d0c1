"""What several tests need: the command line as a process, and one finished demo build for all workers."""

import fcntl
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path

import pytest
from commands import ROOT, DemoBuild, Done, Vlmix, environment
from warm import WANTS_A_START, Warm, warm

SMALL = 0.15
"""Share of the rows that the publishers of the small demo write: every kind of defect is among them."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Modules marked `long` first, so that no worker begins one when the others have nothing left to do."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session")
def started_afresh() -> Vlmix:
    """Run the command line in an interpreter of its own."""

    def run(*arguments: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> Done:
        command = [sys.executable, "-m", "flows.cli", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment(env), check=False)
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def warmed() -> Iterator[Callable[[], Warm]]:
    """The process that commands are copies of, once it is asked for."""
    with tempfile.TemporaryDirectory() as folder:
        going: list[Warm] = []
        opened = warm(Path(folder), environment())

        def get() -> Warm:
            if not going:
                going.append(opened.__enter__())
            return going[0]

        yield get
        if going:
            opened.__exit__(None, None, None)


@pytest.fixture(scope="session")
def vlmix(started_afresh: Vlmix, warmed: Callable[[], Warm], tmp_path_factory: pytest.TempPathFactory) -> Vlmix:
    """Run the command line in a process of its own, which is a copy of one with all imports where that is the same."""
    folder, number = tmp_path_factory.mktemp("said"), count()

    def run(*arguments: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> Done:
        if any(name.startswith(WANTS_A_START) for name in env or {}):
            return started_afresh(*arguments, cwd=cwd, env=env)
        place = next(number)
        out, err = folder / f"{place}.out", folder / f"{place}.err"
        code = warmed().run([*map(str, arguments)], cwd=cwd, env=environment(env), out=out, err=err)
        return Done(code, out.read_text(), err.read_text())

    return run


def shared(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], DemoBuild]) -> DemoBuild:
    """What `make` builds in a folder, made by the first worker that asks and read by all."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    folder.mkdir(exist_ok=True)
    written = folder / "document.json"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not written.is_file():
            written.write_text(json.dumps(make(folder).document))
    return DemoBuild(folder / "store", json.loads(written.read_text()))


@pytest.fixture(scope="session")
def demo(started_afresh: Vlmix, tmp_path_factory: pytest.TempPathFactory) -> DemoBuild:
    """Build the demo once for all workers; tests read it, and those that run or lock it take a copy."""

    def make(folder: Path) -> DemoBuild:
        done = started_afresh("run", "build-sft-mix", "--store", folder / "store", "--json")
        assert done.code == 0, done.err
        return DemoBuild(folder / "store", done.document)

    return shared(tmp_path_factory, "demo", make)


@pytest.fixture(scope="session")
def small_demo(vlmix: Vlmix, tmp_path_factory: pytest.TempPathFactory) -> DemoBuild:
    """The demo of a share of the rows, for tests that build it again and again; tests read it only."""

    from flows.demo.publish import publish

    def make(folder: Path) -> DemoBuild:
        publish(folder / "store" / "demo", scale=SMALL)
        done = vlmix("run", "build-sft-mix", "--store", folder / "store", "--json")
        assert done.code == 0, done.err
        return DemoBuild(folder / "store", done.document)

    return shared(tmp_path_factory, "small-demo", make)
