"""How workers begin: with the environment of now, modules already there, and never with threads missing."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import ROOT

from flows.executor import make_ready
from flows.preload import MODULES, TABLES
from flows.workers import WorkerPool, cores

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux", reason="workers of other systems begin afresh"),
]

PLENTY = 2_000_000_000


def variable(name: str) -> str | None:
    return os.environ.get(name)


def loaded(_: int) -> list[str]:
    return sorted(sys.modules)


def is_made(table: tuple[str, str]) -> bool:
    module, name = table
    return bool(getattr(sys.modules[module], name).cache_info().currsize)


def test_a_worker_has_the_environment_of_now(monkeypatch) -> None:
    make_ready("local", 2)
    monkeypatch.setenv("VLMIX_OF_NOW", "written later")
    monkeypatch.delenv("HOME")
    with WorkerPool(1, PLENTY) as pool:
        names = ["VLMIX_OF_NOW", "HOME", "PYTHONPATH", "PYTHONSAFEPATH"]
        assert pool.map("read", variable, names) == ["written later", None, *map(os.environ.get, names[2:])]


def test_polars_has_a_share_of_the_cores(monkeypatch) -> None:
    monkeypatch.delenv("POLARS_MAX_THREADS", raising=False)
    with WorkerPool(1, PLENTY) as pool:
        assert pool.map("read", variable, ["POLARS_MAX_THREADS"]) == [str(cores())]
    with WorkerPool(10_000, PLENTY) as pool:
        assert pool.map("read", variable, ["POLARS_MAX_THREADS"]) == ["1"]
    monkeypatch.setenv("POLARS_MAX_THREADS", "7")
    with WorkerPool(1, PLENTY) as pool:
        assert pool.map("read", variable, ["POLARS_MAX_THREADS"]) == ["7"]


def test_a_worker_finds_its_modules_loaded() -> None:
    with WorkerPool(1, PLENTY) as pool:
        assert {*MODULES, "polars", "numba"} <= set(pool.map("list", loaded, [0])[0])
        assert all(pool.map("ask", is_made, TABLES))


def test_nothing_that_is_loaded_before_a_copy_starts_threads_of_polars() -> None:
    code = (
        "import flows.preload, pathlib; print(*(p.read_text() for p in pathlib.Path('/proc/self/task').glob('*/comm')))"
    )
    names = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert not re.search(r"polars-\d|tokio|rayon", names), names


def test_a_server_that_is_killed_is_replaced_and_its_copies_end() -> None:
    with WorkerPool(1, PLENTY) as pool:
        ((first, worker),) = pool.map("ask", both, [0])
        os.kill(first, signal.SIGKILL)
        # a worker answers until this process has seen that its server is gone
        wait_until(lambda: pool.map("ask", both, [0])[0][1] != worker)
        ((second, other),) = pool.map("ask", both, [0])
        assert len({first, worker, second, other}) == 4
        wait_until(lambda: parent_of(worker) is None)


def both(_: int) -> tuple[int, int]:
    return os.getppid(), os.getpid()


def wait_until(so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def parent_of(process: int) -> int | None:
    """None for one that has ended; one that was killed keeps its files until all its threads are gone."""
    try:
        state, parent, *_ = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state == "Z" else int(parent)


ELSEWHERE = """
from flows.workers import WorkerPool, cores
from test_forking import found

if __name__ == "__main__":
    with WorkerPool(1, 2_000_000_000) as pool:
        print(*pool.map("find", found, [0])[0])
"""


def found(_: int) -> tuple[str, bool]:
    import flows

    return str(flows.__file__), "flows.preload" in sys.modules


def test_a_package_of_the_folder_one_stands_in_is_not_taken_for_ours(tmp_path) -> None:
    (tmp_path / "here" / "flows").mkdir(parents=True)
    (tmp_path / "here" / "flows" / "__init__.py").touch()
    (tmp_path / "script.py").write_text(ELSEWHERE)
    path = os.pathsep.join([str(Path(__file__).parent), str(ROOT / "tests"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")],
        env={**os.environ, "PYTHONPATH": path},
        cwd=tmp_path / "here",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [str(ROOT / "flows" / "__init__.py"), "True"]
