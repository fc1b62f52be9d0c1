"""Folders of exports: only new ones, started again after a kill, one clear message when the disk says no."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import ROOT, DemoBuild, Vlmix, environment

from flows.exporting import UNFINISHED, export_all
from flows.mixes import Mix, find
from shards.errors import StoreError, UsageError
from shards.store import Store

pytestmark = pytest.mark.integration


def mixes(demo: DemoBuild) -> dict[str, Mix]:
    return find(Store(demo.store), "demo")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_mixture_gives_the_same_bytes(demo: DemoBuild, tmp_path: Path) -> None:
    warm_up = {"warm-up": mixes(demo)["warm-up"]}
    for out in ("one", "two"):
        export_all(warm_up, to="vila", out=tmp_path / out)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert UNFINISHED not in contents(tmp_path / "one")


def test_a_killed_export_is_started_again(demo: DemoBuild, vlmix: Vlmix, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["export", "demo", "--to", "llava-next", "--out", str(out), "--store", str(demo.store)]
    run = subprocess.Popen(
        [sys.executable, "-m", "flows.cli", *command],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    # the second stage has begun: the first one is complete by then
    while run.poll() is None and not (out / "sft" / "images").is_dir():
        time.sleep(0.002)
    assert run.poll() is None, "the export ended before it could be killed"
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    assert (out / UNFINISHED).is_file()
    (out / "left").symlink_to(demo.store, target_is_directory=True)
    assert vlmix(*command, "--skip-unrepresentable").code == 0
    export_all(mixes(demo), to="llava-next", out=tmp_path / "undisturbed")
    assert contents(out) == contents(tmp_path / "undisturbed")
    assert demo.store.is_dir()


def test_other_peoples_folders_are_left_alone(demo: DemoBuild, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    for out in ("file", "full"):
        with pytest.raises(UsageError, match="give a new folder"):
            export_all(mixes(demo), to="llava-next", out=tmp_path / out)
    assert (tmp_path / "file").read_text() == (tmp_path / "full" / "file").read_text() == "mine"


def test_a_disk_that_says_no_gives_one_message(demo: DemoBuild, tmp_path: Path, vlmix: Vlmix) -> None:
    # a folder below a file cannot be made, whoever asks
    (tmp_path / "file").write_text("")
    done = vlmix("export", "demo", "--to", "internvl", "--out", tmp_path / "file" / "out", "--store", demo.store)
    assert done.code in {1, 2} and done.err.count("\n") == 1


def test_a_full_disk_gives_one_message(demo: DemoBuild, tmp_path: Path) -> None:
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000)); "
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "from flows.cli import main; sys.argv[1:] = sys.argv[1:]; main()"
    )
    command = ["export", "demo.sft", "--to", "vila", "--out", str(tmp_path / "out"), "--store", str(demo.store)]
    done = subprocess.run(
        [sys.executable, "-c", code, *command], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "cannot write" in done.stderr
    assert (tmp_path / "out" / UNFINISHED).is_file()


def test_changed_pictures_stop_the_export(demo: DemoBuild, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(demo.store, store)
    (pack,) = (store / "shards" / "demo.charts").glob("*/pictures-00000*.arrow")
    data = bytearray(pack.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4096] = bytes(4096)
    pack.write_bytes(data)
    with pytest.raises(StoreError, match="other bytes than stored"):
        export_all({"sft": find(Store(store), "demo")["sft"]}, to="llava-next", out=tmp_path / "out")


def test_the_report_lies_beside_the_rows(demo: DemoBuild, tmp_path: Path) -> None:
    reports = export_all(mixes(demo), to="internvl", out=tmp_path)
    for report in reports:
        assert json.loads((tmp_path / report.mixture / "export.json").read_bytes()) == report.model_dump()
        pictures = [path for path in (tmp_path / report.mixture / "images").rglob("*") if path.is_file()]
        assert report.pictures == len(pictures)
        assert report.picture_bytes == sum(path.stat().st_size for path in pictures)
