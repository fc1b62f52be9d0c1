"""Worker processes: order, errors, deaths, memory, and what is left when a run stops."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from commands import ROOT

from flows.workers import WorkerPool, held_bytes, memory_share
from shards.errors import PictureError, StoreError, WorkerError
from shards.files import replacing

pytestmark = pytest.mark.integration

PLENTY = 2_000_000_000


class Named(NamedTuple):
    """What a job's source is called."""

    name: str


class Chunk(NamedTuple):
    """A job of the tests: a number to be squared, after it did something first."""

    folder: Path
    number: int
    how: str = ""
    deaths: int = 99
    source: Named = Named("pets")


class StubbornError(Exception):
    """Takes two arguments, so that it does not survive pickling."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} {two}")


def square(chunk: Chunk) -> object:
    """Do the job."""
    (chunk.folder / f"begun-{chunk.number}-{time.monotonic_ns()}").touch()
    begun = len(list(chunk.folder.glob(f"begun-{chunk.number}-*")))
    if chunk.how and begun <= chunk.deaths:
        return HOW[chunk.how](chunk)
    return chunk.number**2


def die(chunk: Chunk) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leave(chunk: Chunk) -> None:
    os._exit(3)


def hold(chunk: Chunk) -> None:
    held = b"x" * 400_000_000
    while held:
        time.sleep(0.01)


def refuse(chunk: Chunk) -> None:
    raise StoreError("the disk is full")


def blur(chunk: Chunk) -> None:
    raise PictureError("picture_too_large", "a picture is too large")


def fail(chunk: Chunk) -> None:
    raise StubbornError("one", "two")


def write(chunk: Chunk) -> None:
    with replacing(chunk.folder / "file") as temporary:
        temporary.write_bytes(b"half")
        while True:
            time.sleep(0.01)


HOW = {
    "die": die,
    "leave": leave,
    "hold": hold,
    "refuse": refuse,
    "blur": blur,
    "fail": fail,
    "write": write,
    "give": lambda chunk: threading.Lock(),
}


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(2, PLENTY) as made:
        yield made


def begun(folder: Path) -> int:
    return len({path.name.split("-")[1] for path in folder.glob("begun-*")})


def test_results_stand_in_the_order_of_the_jobs(pool, tmp_path) -> None:
    assert pool.map("square", square, [Chunk(tmp_path, number) for number in range(30)]) == [n**2 for n in range(30)]
    assert pool.map("square", square, []) == []


def test_several_threads_share_the_processes(pool, tmp_path) -> None:
    found: dict[int, list[object]] = {}

    def ask(first: int) -> None:
        found[first] = pool.map("square", square, [Chunk(tmp_path, number) for number in range(first, first + 9)])

    threads = [threading.Thread(target=ask, args=(first,)) for first in (0, 100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {first: [number**2 for number in range(first, first + 9)] for first in (0, 100, 200)}


@pytest.mark.parametrize(
    ("how", "why"),
    [("die", "was killed, as the system does when memory is short"), ("leave", "ended with exit code 3")],
)
def test_the_job_of_a_dead_process_is_done_once_more(pool, tmp_path, caplog, how, why) -> None:
    jobs = [Chunk(tmp_path, number, how if number == 3 else "", deaths=1) for number in range(8)]
    with caplog.at_level(logging.WARNING):
        assert pool.map("square", square, jobs) == [number**2 for number in range(8)]
    (told,) = (record.getMessage() for record in caplog.records)
    where = "step `square`, source `pets`, shard 3"
    assert told == f"{where}: the worker process {why}; its job is done once more in a fresh process"


def test_a_job_that_kills_every_process_stops_the_run(pool, tmp_path) -> None:
    with pytest.raises(
        WorkerError, match=r"step `square`, source `pets`, shard 1: .* was killed, .* 2 times; use fewer"
    ):
        pool.map("square", square, [Chunk(tmp_path, number, "die" if number == 1 else "") for number in range(3)])
    assert len(list(tmp_path.glob("begun-1-*"))) == 2
    assert pool.map("square", square, [Chunk(tmp_path, 7)]) == [49]


def test_a_process_that_holds_too_much_memory_is_stopped(tmp_path) -> None:
    with (
        WorkerPool(1, 250_000_000) as small,
        pytest.raises(WorkerError, match=r"held 0\.[3-9] GB of memory, its limit is 0\.2"),
    ):
        small.map("square", square, [Chunk(tmp_path, 0, "hold")])


@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        ("refuse", StoreError, "the disk is full"),
        ("blur", Exception, "a picture is too large"),
        ("fail", Exception, "StubbornError.*one two"),
        ("give", Exception, "cannot pickle"),
    ],
)
def test_an_error_of_a_job_is_raised_here(pool, tmp_path, how, error, words) -> None:
    with pytest.raises(error, match=words):
        pool.map("square", square, [Chunk(tmp_path, 0, how)])
    assert pool.map("square", square, [Chunk(tmp_path, 7)]) == [49]


def test_a_defect_of_ours_comes_with_its_traceback(pool, tmp_path) -> None:
    with pytest.raises(Exception, match="StubbornError") as told:
        pool.map("square", square, [Chunk(tmp_path, 0, "fail")])
    assert "in fail" in "".join(told.value.__notes__)


def test_after_an_error_no_job_is_begun(pool, tmp_path) -> None:
    with pytest.raises(StoreError):
        pool.map("square", square, [Chunk(tmp_path, number, "refuse") for number in range(200)])
    assert begun(tmp_path) < 20


def test_processes_that_are_stopped_take_their_temporary_files_along(tmp_path) -> None:
    errors: list[BaseException] = []

    def work(pool: WorkerPool) -> None:
        try:
            pool.map("square", square, [Chunk(tmp_path, 0, "write")])
        except BaseException as error:
            errors.append(error)

    with WorkerPool(1, PLENTY) as pool:
        thread = threading.Thread(target=work, args=(pool,))
        thread.start()
        while not list(tmp_path.glob(".file.*.tmp")):
            time.sleep(0.01)
    thread.join()
    assert len(errors) == 1 and not list(tmp_path.glob(".file.*.tmp"))


def test_memory_is_what_a_process_alone_holds() -> None:
    before = held_bytes(os.getpid())
    more = b"x" * 100_000_000
    assert 90_000_000 < held_bytes(os.getpid()) - before < 110_000_000
    assert more and held_bytes(2**22 + 1) == 0


def test_workers_share_the_memory_of_the_machine() -> None:
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert memory_share(1) <= 0.8 * machine
    assert memory_share(10**6) == 1_000_000_000


INTERRUPTED = """
import sys
from pathlib import Path
from flows.workers import WorkerPool
from test_workers import Chunk, square

if __name__ == "__main__":
    with WorkerPool(2, 2_000_000_000) as pool:
        pool.map("square", square, [Chunk(Path(sys.argv[1]), number, "write") for number in range(2)])
"""


@pytest.mark.parametrize(("how", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 1)])
def test_no_process_outlives_the_main_one(tmp_path, how, code) -> None:
    script = tmp_path / "script.py"
    script.write_text(INTERRUPTED)
    path = os.pathsep.join([str(Path(__file__).parent), str(ROOT / "tests"), *sys.path])
    main = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while begun(tmp_path) < 2:
        assert main.poll() is None
        time.sleep(0.01)
    # as a terminal does, to every process of the group; but a kill only hits the main one
    os.kill(main.pid, how) if how == signal.SIGKILL else os.killpg(main.pid, how)
    assert main.wait() in {code, -how}
    deadline = time.monotonic() + 30
    while group_lives(main.pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    if how == signal.SIGINT:
        assert not list(tmp_path.glob(".file.*.tmp"))


def group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
