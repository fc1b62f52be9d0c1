"""What is removed from a store on purpose, and what a kill in the middle leaves."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from shards.errors import StoreError
from shards.files import write_text
from shards.remote import INDEX
from shards.removed import REMOVED_FILE, Removed, note_removed, read_removed, remove_box
from shards.store import Store

REPOSITORY = Path(__file__).parents[2]
FILES = 8000

REMOVE = """
import pathlib, sys
from shards.removed import remove_box
print("begins", flush=True)
remove_box(pathlib.Path(sys.argv[1]), None, sys.argv[2], ())
"""


class Index(BaseModel):
    rows: int


def test_a_box_that_is_half_removed_is_not_complete(tmp_path: Path) -> None:
    box = Store(tmp_path).box("shards", "source", "f" * 20)
    box.path.mkdir(parents=True)
    for number in range(FILES):
        (box.path / f"{number}").touch()
    box.finish(Index(rows=1))
    command = [sys.executable, "-c", REMOVE, str(tmp_path), box.name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
        assert process.stdout and process.stdout.readline() == "begins\n"
        while process.poll() is None and sum(1 for _ in box.path.iterdir()) > FILES:
            pass
        process.kill()
    assert not box.done
    remove_box(tmp_path, None, box.name, ())
    assert not box.path.exists()


def test_what_was_removed_is_told_once_with_what_was_known_last(tmp_path: Path) -> None:
    note_removed(tmp_path, [Removed(box="shards/a/1"), Removed(box="mixtures/r.m/2", recipe="r", mixture="m")])
    note_removed(tmp_path, [])
    note_removed(tmp_path, [Removed(box="mixtures/r.m/2", recipe="r", mixture="m", digest="ab", shards={"a": "1"})])
    found = read_removed(tmp_path)
    assert list(found) == ["shards/a/1", "mixtures/r.m/2"]
    assert found["mixtures/r.m/2"].digest == "ab" and found["mixtures/r.m/2"].shards == {"a": "1"}


def test_a_line_that_is_not_understood_is_named(tmp_path: Path) -> None:
    write_text(tmp_path / REMOVED_FILE, '{"box":"shards/a/1"}\n{"folder":"x"}\n')
    with pytest.raises(StoreError, match="line 2"):
        read_removed(tmp_path)


def test_an_index_names_what_a_box_was_made_from(tmp_path: Path) -> None:
    store = Store(tmp_path)
    box, other = store.box("scores", "s", "a" * 20), store.box("shards", "s", "b" * 20)
    box.finish(Index(rows=1), of=[other, other])
    assert (
        box.path / INDEX
    ).read_text() == '{\n "rows": 1,\n "made_from": [\n  "shards/s/bbbbbbbbbbbbbbbbbbbb"\n ]\n}\n'
    assert box.index(Index) == Index(rows=1)
