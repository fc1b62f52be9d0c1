"""Names of files that are being written, and whose writer is dead."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shards.files import replacing, write_bytes
from shards.temporary import FOREIGN_SECONDS, remove_dead, temporaries, temporary_name

REPOSITORY = Path(__file__).parents[2]

WRITE = """
import pathlib, sys
from shards.files import replacing
with replacing(pathlib.Path(sys.argv[1])) as temporary:
    temporary.write_bytes(b"half")
    print("writing", flush=True)
    sys.stdin.read()
"""


def test_a_name_tells_machine_process_and_its_start(tmp_path: Path) -> None:
    with replacing(tmp_path / "file") as temporary:
        temporary.write_bytes(b"half")
        host, process, start = temporary.name.removeprefix(".file.").removesuffix(".tmp").split("-")
    assert len(host) == 8 and int(process) == os.getpid() and int(start) >= 0
    assert temporary == temporary_name(tmp_path / "file")


def test_a_file_of_a_living_process_stays_and_goes_when_that_is_dead(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITE, str(tmp_path / "file")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
        assert process.stdout and process.stdout.readline() == "writing\n"
        found = temporaries(tmp_path)
        assert len(found) == 1
        assert remove_dead(found) == found and found[0].is_file()
        process.kill()
        # nobody has asked for its exit code yet, so the system still lists it
        while Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            time.sleep(0.01)
        assert remove_dead(found) == [] and not found[0].exists()


def test_a_process_with_the_number_of_a_dead_one_is_not_taken_for_it(tmp_path: Path) -> None:
    mine = temporary_name(tmp_path / "file")
    head, _, _ = mine.name.removesuffix(".tmp").rpartition("-")
    other = tmp_path / f"{head}-1.tmp"
    for path in (mine, other):
        write_bytes(path, b"")
    assert remove_dead([mine, other]) == [mine]
    assert not other.exists()


@pytest.mark.parametrize(("age", "stays"), [(0, True), (FOREIGN_SECONDS / 2, True), (FOREIGN_SECONDS + 3600, False)])
def test_a_file_of_another_machine_stays_for_a_day(tmp_path: Path, age: float, stays: bool) -> None:
    path = tmp_path / ".file.00000000-7-7.tmp"
    write_bytes(path, b"")
    os.utime(path, (time.time() - age,) * 2)
    assert remove_dead([path]) == ([path] if stays else [])
    assert path.exists() == stays


def test_only_temporary_files_are_found(tmp_path: Path) -> None:
    for name in ("x/.file.123.tmp", ".other.9.tmp", "kept.tmp", ".kept", "x/kept"):
        write_bytes(tmp_path / name, b"")
    found = temporaries(tmp_path)
    assert [path.name for path in found] == [".other.9.tmp", ".file.123.tmp"]
    # names without a writer are of steps that run under the lock alone
    assert remove_dead(found) == []
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"kept.tmp", ".kept", "kept"}
