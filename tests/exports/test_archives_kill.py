"""An export that is killed and started again gives the bytes of one that was left alone."""

import subprocess
import sys
from pathlib import Path

import pytest
from commands import ROOT, DemoBuild, Vlmix, environment

pytestmark = pytest.mark.integration

STARTED = {
    "webdataset": "shards/*/*.tar",
    "energon": "sets/*/*.tar",
    "mds": "shards/*/index.json",
    "hf": "data/*.parquet",
}
"""Format, and what is there when some of it is written."""


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("to", STARTED)
def test_a_killed_export_is_started_again(demo: DemoBuild, vlmix: Vlmix, tmp_path: Path, to: str) -> None:
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    arguments = ["export", "demo.warm-up", "--to", to, "--store", demo.store, "--skip-unrepresentable", "--out"]
    command = [sys.executable, "-m", "flows.cli", *map(str, arguments), str(cut)]
    with subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and not any(cut.glob(STARTED[to])):
            pass
        process.kill()
    assert not (cut / "export.json").exists()
    for out in (cut, whole):
        done = vlmix(*arguments, out)
        assert done.code == 0, done.err
    assert files(cut) == files(whole)
