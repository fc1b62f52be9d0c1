"""Who looks at references only gets the rows as they are, and empty bytes for bytes that are there."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sources.layouts.parquet import parquet_rows, skimming

PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
A, B = {"bytes": b"1234", "path": "a.jpg"}, {"bytes": b"56", "path": None}
LOST = {"bytes": None, "path": "lost.jpg"}


def written(path: Path, *groups: list[Any], kind: pa.DataType = PICTURE, **options: Any) -> Path:
    """A file of columns `id` and `image`, and a row group for each list of pictures."""
    schema = pa.schema([("id", pa.int64()), ("image", kind)])
    with pq.ParquetWriter(path, schema, **options) as writer:
        for pictures in groups:
            writer.write_table(pa.table({"id": range(len(pictures)), "image": pa.array(pictures, kind)}, schema))
    return path


def skimmed(path: Path, columns: tuple[str, ...] | None = None, whole: tuple[str, ...] = ()) -> list[Any]:
    with skimming():
        return [row.get("image") for row in parquet_rows(path, columns, whole)]


def empty(picture: Any) -> Any:
    return {**picture, "bytes": b""}


def test_rows_are_read_whole_outside(tmp_path: Path) -> None:
    path = written(tmp_path / "x.parquet", [A, B] * 30, [B])
    assert skimmed(path) == [empty(A), empty(B)] * 30 + [empty(B)]
    assert [row["image"] for row in parquet_rows(path, None)] == [A, B] * 30 + [B]
    assert [row["id"] for row in parquet_rows(path, ("id",))] == [*range(60), 0]


@pytest.mark.parametrize(
    ("kind", "pictures", "expected"),
    [
        (pa.binary(), [b"12", b""], [b"", b""]),
        (pa.binary(), [b"12", None], [b"12", None]),
        (PICTURE, [A, B], [empty(A), empty(B)]),
        (PICTURE, [A, LOST], [A, LOST]),  # a null is a path that has to be looked up
        (PICTURE, [A, None], [A, None]),
        (pa.list_(PICTURE), [[A, B], [B]], [[empty(A), empty(B)], [empty(B)]]),
        (pa.list_(PICTURE), [[A], []], [[A], []]),
        (pa.list_(PICTURE), [[A], None], [[A], None]),
        (pa.list_(pa.binary()), [[b"12"], [b"3", b"4"]], [[b"12"], [b"3", b"4"]]),  # its length lies with the bytes
        (pa.struct([("bytes", pa.binary())]), [{"bytes": b"12"}], [{"bytes": b"12"}]),
        (pa.struct([("a", PICTURE)]), [{"a": A}], [{"a": A}]),
        (pa.string(), ["a.jpg", "b.jpg"], ["a.jpg", "b.jpg"]),
    ],
)
def test_only_bytes_that_are_all_there_are_left_out(tmp_path: Path, kind: Any, pictures: Any, expected: Any) -> None:
    assert skimmed(written(tmp_path / "x.parquet", pictures, kind=kind)) == expected


def test_every_row_group_has_to_say_so(tmp_path: Path) -> None:
    assert skimmed(written(tmp_path / "x.parquet", [A], [LOST])) == [A, LOST]
    assert skimmed(written(tmp_path / "y.parquet", [A, B], write_statistics=False)) == [A, B]


def test_columns_that_decide_are_read(tmp_path: Path) -> None:
    path = written(tmp_path / "x.parquet", [A, B])
    assert skimmed(path, whole=("image.path",)) == [A, B]
    assert skimmed(path, columns=("image.path", "id")) == [empty(A), empty(B)]
    assert skimmed(path, columns=("id",)) == [None, None]


def test_a_file_of_bytes_alone_keeps_its_rows(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": [b"12", b"3"]}), tmp_path / "x.parquet")
    assert skimmed(tmp_path / "x.parquet") == [b"12", b"3"]


def test_names_with_dots_are_no_paths(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": pa.array([A, B], PICTURE), "image.path": ["x", "y"]}), tmp_path / "x.parquet")
    assert skimmed(tmp_path / "x.parquet") == [A, B]
