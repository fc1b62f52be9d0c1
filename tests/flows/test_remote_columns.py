"""Columns of a large table at s3://, on a real server of that protocol that counts what it is asked for and sends."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest
from commands import ROOT, environment
from s3_server import S3, running

from shards.columns import WHOLE_BYTES, spans_of

pytestmark = pytest.mark.integration

WRITE = """
import random, sys
from pathlib import Path
import numpy as np, polars as pl
from pydantic import BaseModel
from shards.files import table_writer
from shards.remote import SCORES_FILE, attach
from shards.store import Store

class Index(BaseModel):
    rows: int

draw = np.random.default_rng(5)
rows, names = 40_000, ["key", *[f"score{number:02d}" for number in range(60)]]
attach(Path(sys.argv[1]), sys.argv[2])
box = Store(Path(sys.argv[1])).box("mixtures", "made.up", "1" * 64)
frames = [pl.DataFrame(draw.random((rows // 4, len(names))), names) for _ in range(4)]
with table_writer(box.path / SCORES_FILE, frames[0].schema) as write:
    for frame in frames:
        write(frame)
box.finish(Index(rows=rows))
"""
READ = """
import json, sys
from pathlib import Path
from shards.columns import scan_table
from shards.errors import StoreError
from shards.remote import SCORES_FILE, attach
from shards.store import Store

folder, url, *columns = sys.argv[1:]
attach(Path(folder), url)
box = Store(Path(folder)).box("mixtures", "made.up", "1" * 64)
try:
    frame = scan_table(box.path / SCORES_FILE, columns).collect()
    print(json.dumps([sorted(path.name for path in box.path.iterdir()), frame.hash_rows().sum(), frame.height]))
except StoreError as error:
    print(json.dumps(str(error)))
"""
CUT_DOWN = """
import json, sys
from pathlib import Path
from shards.remote import attach
from shards.removed import cut_down

folder, url, *_ = sys.argv[1:]
attach(Path(folder), url)
print(json.dumps(cut_down(Path(folder), 0)))
"""
COLUMNS = ["key", "score17", "score18", "score51"]
PARTS = [".scores.parquet.columns", ".scores.parquet.ranges", "index.json"]


class Machine(NamedTuple):
    """One that shares nothing with others but the server."""

    folder: Path
    s3: S3

    def begins(self, script: str, *words: str) -> subprocess.Popen[str]:
        variables = {**self.s3.environment(self.folder), "AWS_MAX_ATTEMPTS": "1"}
        return subprocess.Popen(
            [sys.executable, "-c", script, str(self.folder), self.s3.store("columns"), *words],
            cwd=ROOT,
            env=environment(variables),
            stdout=subprocess.PIPE,
            text=True,
        )

    def does(self, script: str, *words: str) -> Any:
        return told(self.begins(script, *words))


def told(run: subprocess.Popen[str]) -> Any:
    """What a process says when it has ended."""
    out, _ = run.communicate(timeout=600)
    assert run.returncode == 0
    return json.loads(out)


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with running(tmp_path_factory.mktemp("s3") / "port") as server:
        yield server


class Made(NamedTuple):
    """A table at the URL: where its columns lie, and what is read of `COLUMNS`."""

    footer: pq.FileMetaData
    read: list[Any]


@pytest.fixture(scope="module")
def made(s3: S3, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """61 columns of noise in four groups of rows, 20 MB."""
    maker = Machine(tmp_path_factory.mktemp("maker"), s3)
    names, *read = maker.does(WRITE + READ, *COLUMNS)
    assert names == ["index.json", "scores.parquet"]
    (path,) = maker.folder.rglob("scores.parquet")
    assert path.stat().st_size > 2 * WHOLE_BYTES
    return Made(pq.read_metadata(path), read)


def test_only_the_columns_travel_and_they_do_so_once(made: Made, s3: S3, tmp_path: Path) -> None:
    sent, asked = s3.sent(), s3.asked("get")
    reader = Machine(tmp_path / "reader", s3)
    assert reader.does(READ, *COLUMNS) == [PARTS, *made.read]
    columns = sum(span.end - span.begin for span in spans_of(made.footer, COLUMNS, None))
    assert columns < s3.sent() - sent < columns + (1 << 18) + 1_000
    # the index, the footer, and in each of four groups the first column, two neighbours, and one more
    assert s3.asked("get") - asked == 2 + 4 * 3
    sent, asked = s3.sent(), s3.asked("get")
    assert reader.does(READ, *COLUMNS) == [PARTS, *made.read]
    assert (s3.sent(), s3.asked("get")) == (sent, asked)
    every = [each for each in made.footer.schema.names if each != "score00"]
    assert reader.does(READ, *every)[0] == ["index.json", "scores.parquet"]


@pytest.mark.parametrize("fault", ["slow_down", "cut"])
def test_requests_that_fail_in_the_middle_are_made_again(made: Made, s3: S3, tmp_path: Path, fault: str) -> None:
    with s3.failing(fault, 4, "get"):
        assert Machine(tmp_path, s3).does(READ, *COLUMNS) == [PARTS, *made.read]


def test_a_server_that_does_not_answer_gets_one_message_and_nothing_is_half_there(
    made: Made, s3: S3, tmp_path: Path
) -> None:
    reader = Machine(tmp_path, s3)
    assert reader.does(READ, "score02")[0] == PARTS
    with s3.failing("internal", 1, "get"):
        said = reader.does(READ, *COLUMNS)
    assert said.startswith("cannot read store `s3://mixes/columns`: ")
    assert said.endswith("run again when the store answers")
    assert reader.does(READ, *COLUMNS) == [PARTS, *made.read]


def test_a_folder_that_is_cut_down_while_columns_come(made: Made, s3: S3, tmp_path: Path) -> None:
    """Another process removes the file that is being filled, and fills one of its name with another column."""
    expected = Machine(tmp_path / "quiet", s3).does(READ, "score17")
    reader = Machine(tmp_path / "reader", s3)
    with s3.holding("get", "scores.parquet", 2) as come:  # the first one is for the footer
        slow = reader.begins(READ, "score17")
        come()
        assert reader.does(CUT_DOWN) > 0
        assert reader.does(READ, "score40")[0] == PARTS
    assert told(slow) == expected
    assert reader.does(READ, "score17") == expected
    assert reader.does(READ, *COLUMNS) == [PARTS, *made.read]


def test_a_table_that_comes_whole_while_its_columns_come(made: Made, s3: S3, tmp_path: Path) -> None:
    reader, every = Machine(tmp_path / "reader", s3), [each for each in made.footer.schema.names if each != "score00"]
    with s3.holding("get", "scores.parquet", 2) as come:
        slow = reader.begins(READ, *COLUMNS)
        come()
        assert reader.does(READ, *every)[0] == ["index.json", "scores.parquet"]
    assert told(slow) == [["index.json", "scores.parquet"], *made.read]
