"""What does not fit into memory lies on the disk and leaves nothing behind."""

from pathlib import Path

import polars as pl
import pytest

from shards.errors import StoreError
from shards.files import write_table
from sources.scratch import read_frames, scratch, write_frames

SCHEMA = pl.Schema({"ref": pl.String, "size": pl.Int64})
NAMES = ["b", "a/\u00e9", "a/z", "a\0b", "A", "a", "\U0001f600", "\uffff", ""]


def frames(rows: int, each: int) -> list[pl.DataFrame]:
    whole = pl.DataFrame(
        {"ref": [f"{number * 7919 % 10007}/{number}.jpg" for number in range(rows)], "size": range(rows)}, SCHEMA
    ).with_columns(pl.when(pl.col("size") % 5 > 0).then("size").alias("size"))
    return list(whole.iter_slices(each)) if rows else []


@pytest.mark.parametrize(("rows", "each"), [(0, 1), (1, 1), (10, 3), (5000, 1024)])
def test_frames_are_written_as_one_table(tmp_path: Path, rows: int, each: int) -> None:
    parts = frames(rows, each)
    write_frames(tmp_path / "new" / "t.parquet", SCHEMA, iter(parts))
    write_table(tmp_path / "whole.parquet", pl.concat([SCHEMA.to_frame(), *parts]))
    assert (tmp_path / "new" / "t.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["t.parquet"]


def test_what_was_written_is_read_some_rows_at_a_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sources.scratch.ROWS", 400)
    whole = pl.concat(frames(1000, 1000))
    write_frames(tmp_path / "t.parquet", SCHEMA, [whole])
    read = list(read_frames(tmp_path / "t.parquet"))
    assert [frame.height for frame in read] == [400, 400, 200]
    assert pl.concat(read).equals(whole)
    assert pl.concat(read_frames(tmp_path / "t.parquet", ["size"])).equals(whole.select("size"))


def test_text_has_the_order_of_python(tmp_path: Path) -> None:
    with scratch(tmp_path / "t.parquet", "names (name text primary key)") as database:
        database.executemany("insert into names values (?)", [(name,) for name in NAMES])
        assert [name for (name,) in database.execute("select name from names order by name")] == sorted(NAMES)


def test_nothing_stays_even_while_much_is_held(tmp_path: Path) -> None:
    with scratch(tmp_path / "box" / "t.parquet", "rows (number int primary key, text text)") as database:
        database.executemany("insert into rows values (?, ?)", ((number, "x" * 1000) for number in range(20_000)))
        assert list((tmp_path / "box").iterdir()) == []
        assert database.execute("select sum(length(text)) from rows").fetchone() == (20_000_000,)


def test_a_full_disk_is_said_in_one_message(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreError, match=r"cannot write `.*t\.parquet`: No space left on device; free space"),
        scratch(tmp_path / "t.parquet", "rows (number int primary key)") as database,
    ):
        database.execute("pragma max_page_count = 8")
        database.executemany("insert into rows values (?)", ((number,) for number in range(100_000)))
