"""Columns of tables at a URL, on fsspec's file system in memory; requests and bytes are counted in tests/flows."""

import json
import os
import random
import uuid
from itertools import chain, pairwise
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from pydantic import BaseModel

from shards import columns
from shards.columns import PARTS, Span, lacking, scan_table, spans_of, table_schema
from shards.errors import StoreError
from shards.files import replacing
from shards.remote import SCORES_FILE, Remote, attach, have, remote_of
from shards.removed import cut_down
from shards.store import Box, Store

ROWS = 3_000


class Index(BaseModel):
    rows: int


def table() -> pl.DataFrame:
    """Columns of several kinds, none of which is small when it is compressed."""
    draw = random.Random(3)
    words = [f"{draw.getrandbits(200):x}" for _ in range(ROWS)]
    return pl.DataFrame(
        {
            "key": words,
            "even": [row % 2 == 0 for row in range(ROWS)],
            "score": [draw.random() for _ in range(ROWS)],
            "reasons": [[word[:9], word[9:20]] for word in words],
            "rest": [word * 9 for word in reversed(words)],
            "score_state": [None if row % 7 else "error" for row in range(ROWS)],
        }
    )


@pytest.fixture
def whole() -> pl.DataFrame:
    return table()


@pytest.fixture
def away(tmp_path: Path, whole: pl.DataFrame, monkeypatch: pytest.MonkeyPatch) -> Box:
    """A box with the table in it, in the working folder of a machine that has nothing yet."""
    for name, value in {"WHOLE_BYTES": 10_000, "_TAIL": 1_000, "_GAP": 500, "_MOST": 20_000}.items():
        monkeypatch.setattr(columns, name, value)
    url = f"memory://{uuid.uuid4().hex}/store"
    attach(tmp_path / "maker", url)
    box = Store(tmp_path / "maker").box("mixtures", "m", "1" * 64)
    with replacing(box.path / SCORES_FILE) as temporary:
        whole.write_parquet(temporary, row_group_size=500, use_pyarrow=True)
    box.finish(Index(rows=ROWS))
    attach(tmp_path / "reader", url)
    return Store(tmp_path / "reader").box("mixtures", "m", "1" * 64)


def remote(box: Box) -> Remote:
    found = remote_of(box.store)
    assert found
    return found


def here(box: Box) -> set[str]:
    return {path.name for path in box.path.iterdir()}


@pytest.mark.parametrize(
    ("asked", "rows"),
    [
        (["score"], None),
        (["score_state", "key", "key"], None),
        (["reasons", "even"], None),
        (None, range(700, 701)),
        (["key"], range(1_490, 1_510)),
    ],
)
def test_columns_and_rows_are_those_of_the_table(
    away: Box, whole: pl.DataFrame, asked: list[str] | None, rows: range | None
) -> None:
    expected = whole if asked is None else whole.select(list(dict.fromkeys(asked)))
    expected = expected if rows is None else expected[rows.start : rows.stop]
    assert scan_table(away.path / SCORES_FILE, asked, rows).collect().equals(expected)
    assert here(away) == {"index.json", *(f".{SCORES_FILE}{end}" for end in PARTS)}


def test_types_are_known_from_the_end_of_the_file(away: Box, whole: pl.DataFrame) -> None:
    path = away.path / SCORES_FILE
    assert table_schema(path) == whole.schema
    assert scan_table(path, []).collect().width == 0
    data, listed = path.with_name(f".{SCORES_FILE}{PARTS[0]}").stat(), remote(away).entry(f"{away.name}/{SCORES_FILE}")
    assert listed and data.st_size == listed.size
    assert data.st_blocks * 512 < listed.size / 10


def test_who_reads_most_of_a_table_gets_all_of_it(away: Box, whole: pl.DataFrame) -> None:
    path = away.path / SCORES_FILE
    assert scan_table(path, ["even"]).collect().height == ROWS
    assert scan_table(path, ["rest", "key"]).collect().equals(whole.select("rest", "key"))
    assert here(away) == {"index.json", SCORES_FILE}
    assert scan_table(path).collect().equals(whole)


def test_a_small_table_is_brought_whole(away: Box, whole: pl.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "WHOLE_BYTES", 10_000_000)
    assert scan_table(away.path / SCORES_FILE, ["even"]).collect().equals(whole.select("even"))
    assert here(away) == {"index.json", SCORES_FILE}


def test_what_was_read_is_not_asked_for_again(away: Box, whole: pl.DataFrame) -> None:
    path = away.path / SCORES_FILE
    assert scan_table(path, ["score"]).collect().height == ROWS
    remote(away).url += "-gone"
    assert scan_table(path, ["score"]).collect().equals(whole.select("score"))
    with pytest.raises(FileNotFoundError):
        scan_table(path, ["even"])


def test_a_line_that_a_kill_cut_does_not_count(away: Box, whole: pl.DataFrame) -> None:
    path = away.path / SCORES_FILE
    table_schema(path)
    ranges = path.with_name(f".{SCORES_FILE}{PARTS[1]}")
    ranges.write_text(ranges.read_text() + "0 9999999")
    for name in ("score", "rest"):  # the second reads what the first wrote behind that line
        assert scan_table(path, [name]).collect().equals(whole.select(name))


def test_what_is_left_of_another_table_is_not_read(away: Box, whole: pl.DataFrame) -> None:
    path = away.path / SCORES_FILE
    path.with_name(f".{SCORES_FILE}{PARTS[0]}").write_bytes(b"PAR1")
    path.with_name(f".{SCORES_FILE}{PARTS[1]}").write_text("0 9999999 .\n")
    assert scan_table(path, ["score"]).collect().equals(whole.select("score"))


def test_what_is_left_of_a_table_of_the_same_size_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "WHOLE_BYTES", 0)
    monkeypatch.setattr(columns, "_TAIL", 1_000)
    url = f"file://{tmp_path}/url"  # unlike memory it tells when a file changed
    attach(tmp_path / "reader", url)
    box = Store(tmp_path / "reader").box("mixtures", "m", "1" * 64)
    there = tmp_path / "url" / box.name / SCORES_FILE
    there.parent.mkdir(parents=True)
    sizes = []
    for made in (1, 2):
        draw = random.Random(made)
        table = pl.DataFrame({name: [draw.random() for _ in range(ROWS)] for name in "abc"})
        table.write_parquet(there, compression="uncompressed", use_pyarrow=True)
        os.utime(there, (1_700_000_000 + made, 1_700_000_000 + made))
        sizes.append(there.stat().st_size)
        remote(box).forget()
        assert scan_table(box.path / SCORES_FILE, ["b"]).collect().equals(table.select("b"))
    assert sizes[0] == sizes[1] and not (box.store / box.name / SCORES_FILE).exists()


def test_a_file_that_is_no_table_is_named(away: Box) -> None:
    remote(away).write(f"{away.name}/{SCORES_FILE}", os.urandom(50_000))
    with pytest.raises(StoreError, match=f"{SCORES_FILE}` is no Parquet file"):
        scan_table(away.path / SCORES_FILE, ["score"])


def test_a_folder_without_the_whole_table_takes_less_room(away: Box) -> None:
    scan_table(away.path / SCORES_FILE, ["score"])
    size = (away.path / f".{SCORES_FILE}{PARTS[0]}").stat().st_size
    assert 0 < cut_down(away.store, 0) < size / 2
    assert not (away.store / away.name).exists()
    assert scan_table(away.path / SCORES_FILE, ["score"]).collect().height == ROWS


def test_large_files_come_when_they_are_asked_for(away: Box, tmp_path: Path) -> None:
    path = away.path / SCORES_FILE
    assert away.done and not path.exists()
    have([path, path.with_name("nothing"), tmp_path / "elsewhere"])
    assert here(away) == {"index.json", SCORES_FILE}


def test_a_table_in_a_folder_is_read_where_it_is(tmp_path: Path, whole: pl.DataFrame) -> None:
    path = tmp_path / "table.parquet"
    whole.write_parquet(path)
    assert scan_table(path, ["even", "key"], range(5)).collect().equals(whole.select("even", "key").head(5))
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    with pytest.raises(FileNotFoundError):
        scan_table(tmp_path / "nothing.parquet").collect()


def test_a_footer_says_where_columns_lie(tmp_path: Path, whole: pl.DataFrame) -> None:
    path = tmp_path / "table.parquet"
    whole.write_parquet(path, row_group_size=1_000, use_pyarrow=True)
    footer = pq.read_metadata(path)
    every = sorted(spans_of(footer, None, None))
    assert every[0].begin == 4 and all(one.end == other.begin for one, other in pairwise(every))
    parts = [list(spans_of(footer, [name], None)) for name in whole.columns]
    assert sorted(chain.from_iterable(parts)) == every
    assert len(list(spans_of(footer, ["key"], range(999, 1_001)))) == 2
    assert list(spans_of(footer, ["key"], range(ROWS, ROWS))) == []


@pytest.mark.parametrize("seed", range(20))
def test_what_is_lacking_is_asked_for_and_little_else(seed: int) -> None:
    draw = random.Random(seed)
    gap = columns._GAP

    def some() -> list[Span]:
        begins = [draw.randrange(0, 40 * gap) for _ in range(draw.randrange(6))]
        return [Span(begin, begin + draw.randrange(1, 3 * gap)) for begin in begins]

    wanted, known = some(), some()
    found = lacking(wanted, known)
    assert all(one.end + gap < other.begin for one, other in pairwise(found))
    # every edge of a range is a place where something may change
    places = sorted({edge + by for span in (*wanted, *known, *found) for edge in span for by in (-1, 0)})

    def holds(spans: list[Span], place: int) -> bool:
        return any(span.begin <= place < span.end for span in spans)

    for place in places:
        if holds(wanted, place) and not holds(known, place):
            assert holds(found, place), json.dumps([wanted, known, found])
    edges = {place for span in found for place in (span.begin, span.end - 1)}
    assert all(holds(wanted, place) and not holds(known, place) for place in edges)
