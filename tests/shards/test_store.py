import errno
import fcntl
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import BaseModel

from shards.errors import StoreError
from shards.files import fingerprint, write_bytes
from shards.store import Store

REPOSITORY = Path(__file__).parents[2]

HOLD = """
import pathlib, sys
from shards.store import Store
with Store(pathlib.Path(sys.argv[1])).lock():
    print("held", flush=True)
    sys.stdin.read()
"""

TRY = """
import pathlib, sys
from shards.errors import StoreError
from shards.store import Store
try:
    with Store(pathlib.Path(sys.argv[1])).lock():
        print("free")
except StoreError as error:
    print(error)
"""


class Index(BaseModel):
    rows: int


@contextmanager
def holder(root: Path) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", HOLD, str(root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def attempt(root: Path) -> str:
    command = [sys.executable, "-c", TRY, str(root)]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY).stdout.strip()


def test_a_second_process_is_told_that_the_store_is_in_use(tmp_path: Path) -> None:
    with Store(tmp_path).lock():
        assert attempt(tmp_path) == (
            f"store `{tmp_path}` is in use by another run; wait until it ends, or use another store with --store"
        )
    assert attempt(tmp_path) == "free"


def test_a_killed_process_leaves_no_lock(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        with pytest.raises(StoreError, match="in use"), Store(tmp_path).lock():
            raise AssertionError("two runs hold the store")
        process.kill()
        process.wait()
        with Store(tmp_path).lock():
            pass


def test_the_lock_clears_leftovers_of_killed_runs(tmp_path: Path) -> None:
    write_bytes(tmp_path / "shards" / ".x.1.tmp", b"")
    with Store(tmp_path).lock():
        assert not (tmp_path / "shards" / ".x.1.tmp").exists()


def test_a_store_that_cannot_be_a_folder_is_named(tmp_path: Path) -> None:
    write_bytes(tmp_path / "file", b"")
    with pytest.raises(StoreError, match="choose a folder that can be written"), Store(tmp_path / "file").lock():
        raise AssertionError("a file holds no store")


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_storage_without_locks_is_told(number, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: object, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StoreError, match="choose a folder on storage that has locks") as told, Store(tmp_path).lock():
        raise AssertionError("nobody knows whether another run holds the store")
    assert f"store `{tmp_path}`: cannot be locked: {os.strerror(number)};" in str(told.value)


def test_a_box_is_done_only_when_it_is_finished(tmp_path: Path) -> None:
    box = Store(tmp_path).box("shards", "source", fingerprint("x"))
    assert not box.done
    write_bytes(box.path / "samples-00000.arrow", b"")
    assert not box.done
    box.finish(Index(rows=3))
    assert box.done
    assert box.index(Index) == Index(rows=3)
    assert box.path == tmp_path / "shards" / "source" / fingerprint("x")[:20]


def test_the_same_names_give_the_same_box_in_another_process(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert pickle.loads(pickle.dumps(store)) == store
    assert store.box("scores", "s", fingerprint(1)) != store.box("scores", "s", fingerprint(2))


@pytest.mark.parametrize("moved", [-(10**18), -1, 0, 10**9], ids=["years back", "a moment back", "same", "later"])
def test_the_latest_box_is_the_one_finished_last_whatever_the_clock_says(tmp_path: Path, moved: int) -> None:
    store = Store(tmp_path)
    first, second = store.box("runs", "r", "2" * 64), store.box("runs", "r", "1" * 64)
    first.finish(Index(rows=1))
    now = (first.path / "index.json").stat().st_mtime_ns
    os.utime(first.path / "index.json", ns=(now - moved, now - moved))
    for box in (second, first, second):
        box.finish(Index(rows=2))
        assert store.latest("runs", "r") == box
