"""Judges in several processes: what each sees, chunks shared out, deaths told and repaired."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from filters.judges.vllm import VllmJudge
from flows import judge_pool
from flows.judge_pool import ask_all, close_pool, variables
from shards.errors import StoreError, UsageError

pytestmark = pytest.mark.integration

ROWS = 7


class Chunk(NamedTuple):
    """A job of the tests: it leaves a file with the process and what that process sees."""

    folder: Path
    name: str
    deaths: int = 0
    how: str = "killed"


def work(chunk: Chunk) -> int:
    """Do the job, unless it is one that still has to take processes down."""
    died = len(list(chunk.folder.glob(f"{chunk.name}.died-*")))
    if died < chunk.deaths:
        (chunk.folder / f"{chunk.name}.died-{died}").touch()
        return fail(chunk.how)
    seen = [f"{name}={os.environ[name]}" for name in (judge_pool.HIP, judge_pool.CUDA) if name in os.environ]
    # each process waits for the other, so that both get something to do
    wait_for(chunk.folder, 2 if chunk.name.startswith("meet") else 0)
    (chunk.folder / chunk.name).write_text(f"{os.getpid()} {' '.join(seen)}")
    return ROWS


def wait_for(folder: Path, processes: int) -> None:
    (folder / f"here-{os.getpid()}").touch()
    while len(list(folder.glob("here-*"))) < processes:
        time.sleep(0.01)


def fail(how: str) -> int:
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "forked":  # a child of an engine keeps the pipes of its dead parent open
        if os.fork() == 0:
            signal.pause()
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "raised":
        raise RuntimeError("out of memory")
    if how == "full":
        raise StoreError("the disk is full")
    if how == "usage":
        raise UsageError("the engine does not start")
    assert how == "empty"
    return 0


@pytest.fixture(autouse=True)
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(judge_pool.HIP, raising=False)
    monkeypatch.setenv(judge_pool.CUDA, "4,5,6,7")
    yield
    close_pool()


def judge(replicas: int = 2, **more: int) -> VllmJudge:
    return VllmJudge("model", replicas=replicas, **more)


@pytest.mark.parametrize(
    ("replicas", "accelerators", "environment", "seen"),
    [
        (2, 1, {}, ["CUDA_VISIBLE_DEVICES=0", "CUDA_VISIBLE_DEVICES=1"]),
        (2, 2, {}, ["CUDA_VISIBLE_DEVICES=0,1", "CUDA_VISIBLE_DEVICES=2,3"]),
        (2, 1, {"CUDA_VISIBLE_DEVICES": "4,GPU-8,6"}, ["CUDA_VISIBLE_DEVICES=4", "CUDA_VISIBLE_DEVICES=GPU-8"]),
        (1, 2, {"HIP_VISIBLE_DEVICES": "3,1"}, ["HIP_VISIBLE_DEVICES=3,1"]),
        (1, 1, {"HIP_VISIBLE_DEVICES": "3", "CUDA_VISIBLE_DEVICES": "3"}, ["HIP_VISIBLE_DEVICES=3"]),
        (1, 1, {"HIP_VISIBLE_DEVICES": "", "CUDA_VISIBLE_DEVICES": "3"}, ["CUDA_VISIBLE_DEVICES=3"]),
    ],
)
def test_one_variable_for_each_process(monkeypatch, replicas, accelerators, environment, seen) -> None:
    monkeypatch.setattr(judge_pool, "_AMD_DRIVER", Path("/nowhere"))
    found = variables(replicas, accelerators, environment)
    assert [f"{name}={value}" for each in found for name, value in each.items()] == seen


def test_with_the_driver_of_amd_it_is_the_variable_of_hip(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(judge_pool, "_AMD_DRIVER", tmp_path)
    assert variables(2, 1, {}) == [{"HIP_VISIBLE_DEVICES": "0"}, {"HIP_VISIBLE_DEVICES": "1"}]


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"HIP_VISIBLE_DEVICES": "0", "CUDA_VISIBLE_DEVICES": "1"}, "differ; unset one"),
        ({"HIP_VISIBLE_DEVICES": "0,1,2"}, "need 4 accelerators, `HIP_VISIBLE_DEVICES=0,1,2` shows 3"),
    ],
)
def test_accelerators_that_are_not_there(environment, message) -> None:
    with pytest.raises(UsageError, match=message):
        variables(2, 2, environment)


def done(folder: Path) -> dict[str, tuple[str, str]]:
    """Job -> (process, what it sees)."""
    files = [path for path in folder.iterdir() if path.suffix == "" and not path.name.startswith("here-")]
    return {path.name: (path.read_text().split()[0], path.read_text().split()[1]) for path in files}


def test_chunks_are_shared_out_and_processes_stay(tmp_path) -> None:
    ask_all(judge(), work, [Chunk(tmp_path, f"meet{number}") for number in range(9)])
    first = done(tmp_path)
    assert len(first) == 9
    assert {seen for _, seen in first.values()} == {"CUDA_VISIBLE_DEVICES=4", "CUDA_VISIBLE_DEVICES=5"}
    assert len({process for process, _ in first.values()}) == 2 and str(os.getpid()) not in dict(first.values())
    ask_all(judge(), work, [Chunk(tmp_path, "another")])
    assert done(tmp_path)["another"] in first.values()
    ask_all(judge(1, tensor_parallel=3), work, [Chunk(tmp_path, "wide")])
    assert done(tmp_path)["wide"][1] == "CUDA_VISIBLE_DEVICES=4,5,6"


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("killed", "exit code -9"),
        ("forked", "exit code -9"),
        ("raised", "exit code 1"),
        ("empty", "no row got an answer"),
    ],
)
def test_the_chunk_of_a_lost_process_is_repeated(tmp_path, caplog, how, why) -> None:
    chunks = [Chunk(tmp_path, f"chunk{number}", deaths=2 if number == 1 else 0, how=how) for number in range(6)]
    ask_all(judge(), work, chunks)
    assert done(tmp_path).keys() == {chunk.name for chunk in chunks}
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(told) == 2 and all(f"is lost: {why}; another is started" in line for line in told)


def test_a_chunk_that_takes_every_process_down_is_given_up(tmp_path, caplog) -> None:
    ask_all(judge(), work, [Chunk(tmp_path, "bad", deaths=99), *[Chunk(tmp_path, f"{number}") for number in range(5)]])
    assert len(list(tmp_path.glob("bad.died-*"))) == 3
    assert done(tmp_path).keys() == {"0", "1", "2", "3", "4"}
    assert caplog.records[-1].getMessage() == "judge: 1 of 6 chunks are given up, their rows have no answer"


def test_without_processes_the_rest_is_given_up(tmp_path, caplog) -> None:
    ask_all(judge(rebuilds=0), work, [Chunk(tmp_path, f"bad{number}", deaths=1) for number in range(5)])
    assert done(tmp_path) == {}
    assert caplog.records[-1].getMessage() == "judge: 5 of 5 chunks are given up, their rows have no answer"
    ask_all(judge(rebuilds=1), work, [Chunk(tmp_path, "good")])
    assert done(tmp_path).keys() == {"good"}


@pytest.mark.parametrize(("how", "error"), [("full", StoreError), ("usage", UsageError)])
def test_an_error_of_a_job_ends_the_call(tmp_path, how, error) -> None:
    chunks = [Chunk(tmp_path, f"{number}", deaths=9, how=how) for number in range(20)]
    with pytest.raises(error):
        ask_all(judge(), work, chunks)
    assert len(list(tmp_path.glob("*.died-0"))) <= 2
    ask_all(judge(), work, [Chunk(tmp_path, "later")])
    assert done(tmp_path).keys() == {"later"}


def test_an_engine_that_does_not_start_again_is_a_death(tmp_path) -> None:
    # the first death is one of the process; after that, an engine that does not start is another
    (tmp_path / "only.died-0").touch()
    ask_all(judge(1), work, [Chunk(tmp_path, "first", deaths=1), Chunk(tmp_path, "only", deaths=2, how="usage")])
    assert done(tmp_path).keys() == {"first", "only"}


ORPHANS = """
import os, signal, sys
from pathlib import Path
from filters.judges.vllm import VllmJudge
from flows.judge_pool import ask_all
from test_judge_pool import Chunk, work

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    ask_all(VllmJudge("model", replicas=2), work, [Chunk(folder, f"meet{number}") for number in range(4)])
    if sys.argv[2] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("how", "code"), [("ended", 0), ("killed", -9)])
def test_processes_end_with_the_one_that_started_them(tmp_path, how, code) -> None:
    script = tmp_path / "script.py"
    script.write_text(ORPHANS)
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    left = subprocess.run(
        [sys.executable, str(script), str(tmp_path), how], check=False, env={**os.environ, "PYTHONPATH": path}
    )
    assert left.returncode == code
    processes = {int(process) for name, (process, _) in done(tmp_path).items() if name.startswith("meet")}
    assert len(processes) == 2
    deadline = time.monotonic() + 30
    while alive := {process for process in processes if lives(process)}:
        assert time.monotonic() < deadline, alive
        time.sleep(0.05)


def lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes() != b""  # of a process that nobody waited for it is empty
    except (FileNotFoundError, ProcessLookupError):
        return False
