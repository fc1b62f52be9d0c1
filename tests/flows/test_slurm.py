"""Array jobs: the script that is submitted, what its elements do, and what becomes of those that end early."""

import logging
import os
import pickle
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from filters.judges.vllm import VllmJudge
from flows import slurm
from flows.execution import SlurmSettings, execution
from flows.slurm import SlurmRunner, clear, script_text
from flows.slurm_worker import Call, call_path, job_path, result_path, run_element
from shards.errors import StoreError, UsageError, WorkerError
from shards.store import Store

integration = pytest.mark.integration


class Chunk(NamedTuple):
    """A job of the tests."""

    folder: Path
    number: int
    how: str = ""


def square(chunk: Chunk) -> int:
    """Do the job, and leave a file that says in which process."""
    (chunk.folder / f"did-{chunk.number}").write_text(str(os.getpid()))
    if chunk.how == "full":
        raise StoreError("the disk is full")
    return chunk.number**2


def element(tmp_path: Path, jobs: list[Chunk], elements: int, installed: str) -> Path:
    """A work folder as the runner writes it."""
    (tmp_path / ".lock").touch()
    folder = tmp_path / "work"
    folder.mkdir()
    call_path(folder).write_text(Call(installed, str(tmp_path), len(jobs), elements).dumps())
    for place, job in enumerate(jobs):
        job_path(folder, place).write_bytes(pickle.dumps((square, job)))
    return folder


def test_an_element_does_its_jobs_once(tmp_path) -> None:
    folder = element(tmp_path, [Chunk(tmp_path, number) for number in range(5)], 2, slurm.installed())
    assert run_element(folder, 1)
    assert sorted(path.name for path in tmp_path.glob("did-*")) == ["did-1", "did-3"]
    (tmp_path / "did-1").unlink()
    assert run_element(folder, 1) and not (tmp_path / "did-1").exists()
    assert pickle.loads(result_path(folder, 3).read_bytes()).value() == 9


def test_an_element_stops_at_an_error_and_stops_the_others(tmp_path) -> None:
    jobs = [Chunk(tmp_path, number, "full" if number == 0 else "") for number in range(4)]
    folder = element(tmp_path, jobs, 2, slurm.installed())
    assert not run_element(folder, 0)
    assert run_element(folder, 1)
    assert [path.name for path in tmp_path.glob("did-*")] == ["did-0"]


def test_another_installation_is_refused(tmp_path) -> None:
    folder = element(tmp_path, [Chunk(tmp_path, 0)], 1, "3.9.1 polars 0.1 vlmix 0000")
    assert not run_element(folder, 0) and not list(tmp_path.glob("did-*"))
    with pytest.raises(
        WorkerError, match=r"worker on .* the run has .*python 3\.9\.1.*; install the same on every node"
    ):
        pickle.loads(result_path(folder, 0).read_bytes()).value()


def test_a_store_that_a_node_does_not_see(tmp_path) -> None:
    folder = element(tmp_path, [Chunk(tmp_path, 0)], 1, slurm.installed())
    (tmp_path / ".lock").unlink()
    assert not run_element(folder, 0)
    with pytest.raises(WorkerError, match="does not see the store"):
        pickle.loads(result_path(folder, 0).read_bytes()).value()


@pytest.mark.parametrize(
    ("elements", "array"), [([0, 1, 2, 3], "0-3%8"), ([5], "5-5%8"), ([3, 1, 7], "1,3,7%8"), (range(1000), "0-999%8")]
)
def test_the_array_names_its_elements(elements, array) -> None:
    text = script_text(Path("/store/work/score-text-x7_q"), elements, SlurmSettings(at_once=8), None)
    assert re.findall(r"^#SBATCH --array=(.*)$", text, re.M) == [array]
    assert "#SBATCH --job-name=vlmix-score-text-x7-q" in text.splitlines()


def test_the_script_is_shell_and_quotes_what_people_write() -> None:
    settings = SlurmSettings(lines=["--partition=cpu"], setup=["module load python"], cores=4)
    folder = Path("/my store/100%/it's")
    text = script_text(folder, [0, 1], settings, 4_000_000_001, ["--gpus-per-task=1"])
    lines = text.splitlines()
    options = [line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH")]
    assert options[2:] == [
        "--cpus-per-task=4",
        "--mem=4001M",
        '--output="/my store/100%%/it\'s/log-%a.txt"',
        "--partition=cpu",
        "--gpus-per-task=1",
    ]
    assert lines.index("module load python") < len(lines) - 1
    checked = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True, check=False)
    assert checked.returncode == 0 and not checked.stderr
    # what bash makes of the last line
    shown = text.replace("exec ", "printf '%s\\n' ").replace("module load python", ":")
    env = {**os.environ, "SLURM_ARRAY_TASK_ID": "1"}
    words = subprocess.run(
        ["bash"], input=shown, env=env, text=True, capture_output=True, check=True
    ).stdout.splitlines()
    assert words[1:] == ["-m", "flows.slurm_worker", str(folder), "1"]


@pytest.mark.parametrize("line", ["--partition=a\n#SBATCH --x", "partition=cpu", "", "; rm -rf /"])
def test_an_option_that_is_none_is_refused(tmp_path, line) -> None:
    path = tmp_path / "slurm.yaml"
    path.write_text(f"kind: slurm\nslurm: {{lines: [{line!r}]}}\n".replace("'", '"'))
    with pytest.raises(UsageError, match=r"executor .*lines"):
        execution(str(path))


def test_without_slurm_the_user_is_told(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="no `sbatch` here; run on a login node"):
        SlurmRunner(Store(tmp_path), SlurmSettings(), None)


Make = Callable[..., SlurmRunner]


@pytest.fixture
def cluster(tmp_path, monkeypatch) -> Make:
    """A runner whose `sbatch` runs elements on this machine."""
    folder = tmp_path / "bin"
    folder.mkdir()
    shutil.copy(Path(__file__).with_name("sbatch.py"), folder / "sbatch")
    (folder / "scancel").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/cancelled\n')
    (folder / "scancel").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    (tmp_path / ".lock").touch()
    return lambda **settings: SlurmRunner(Store(tmp_path), SlurmSettings(**settings), None)


@integration
def test_results_stand_in_the_order_of_the_jobs(cluster, tmp_path) -> None:
    assert cluster().map("square", square, [Chunk(tmp_path, number) for number in range(4)]) == [0, 1, 4, 9]
    assert cluster().map("square", square, []) == []
    assert not list((tmp_path / "work").iterdir())


@integration
def test_an_element_that_is_killed_is_submitted_again(cluster, tmp_path, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        jobs = [Chunk(tmp_path, number) for number in range(3)]
        assert cluster(lines=["--comment=kill-1"]).map("square", square, jobs) == [0, 1, 4]
    (told,) = (record.getMessage() for record in caplog.records)
    assert told == "step `square`: 1 of 3 jobs have no result, sbatch ended with 137"


@integration
def test_elements_without_results_stop_the_run(cluster, tmp_path) -> None:
    with pytest.raises(WorkerError, match=r"step `square`, shard 0: its array element ended without a result, 2 times"):
        cluster(setup=["exit 9"]).map("square", square, [Chunk(tmp_path, 0)])


@integration
def test_an_error_of_a_job_is_raised_here(cluster, tmp_path) -> None:
    with pytest.raises(StoreError, match="the disk is full"):
        cluster().map("square", square, [Chunk(tmp_path, 0), Chunk(tmp_path, 1, "full")])


@integration
def test_what_sbatch_refuses_is_told(cluster, tmp_path) -> None:
    with pytest.raises(UsageError, match=r"sbatch refused .*: sbatch: error: invalid partition"):
        cluster(lines=["--partition=nowhere"]).map("square", square, [Chunk(tmp_path, 0)])


@integration
def test_each_replica_of_a_judge_is_an_element(cluster, tmp_path) -> None:
    runner = cluster(judge_lines=["--gpus-per-task=1"])
    runner.ask(VllmJudge("model", replicas=2), square, [Chunk(tmp_path, number) for number in range(1, 6)])
    processes = [(tmp_path / f"did-{number}").read_text() for number in range(1, 6)]
    assert len(set(processes)) == 2 and processes[0] == processes[2] == processes[4]


@integration
def test_arrays_of_a_killed_run_are_cancelled(cluster, tmp_path) -> None:
    left = tmp_path / "work" / "convert-abc"
    left.mkdir(parents=True)
    (left / "submitted").write_text("41")
    clear(tmp_path / "work")
    assert (tmp_path / "cancelled").read_text() == "41\n--me --name=vlmix-convert-abc\n"
    assert not left.exists()
