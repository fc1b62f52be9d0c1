import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shards.errors import SourceError
from sources.layouts import json_file
from sources.layouts.rows import Raw, read_rows
from sources.record import Defect
from sources.spec import Source

SOURCE = Source(name="s", layout="table")


def rows_of(path: Path) -> list[tuple[int, object] | tuple[int, str, str]]:
    return [
        (r.row, r.reason, r.message) if isinstance(r, Defect) else (r.row, r.value) for r in read_rows(path, SOURCE)
    ]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("array.json", '[{"a": 1}, 2, "x", [3], null]', [{"a": 1}, 2, "x", [3], None]),
        ("blanks.json", " \n[ ]\n", []),
        ("bom.json", "\ufeff[1]", [1]),
        ("nan.json", "[NaN, -Infinity]", [None, None]),
        ("lines_in.json", '{"a": 1}\n{"a": 2}\n', [{"a": 1}, {"a": 2}]),
        ("object.json", '{"x": {"a": 1}, "y": [2]}', [{"a": 1}, [2]]),
        ("empty.jsonl", "", []),
        ("separator.jsonl", '{"a": "b\u2028c"}\r\n{"a": "\x85"}', [{"a": "b\u2028c"}, {"a": "\x85"}]),
        ("bom.jsonl", '\ufeff{"a": 1}\n\n\n', [{"a": 1}]),
        ("quoted.csv", 'a,b\n"x, ""y""\nz",2\n', [{"a": 'x, "y"\nz', "b": "2"}]),
        ("header_only.csv", "a,b\n", []),
        ("end.csv", "a\n1\n\n\n", [{"a": "1"}]),
        ("literal.tsv", 'a\tb\n"x\t\\n\n', [{"a": '"x', "b": "\\n"}]),
    ],
)
def test_values_in_order(tmp_path: Path, name: str, text: str, expected: list[object]) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode())
    assert rows_of(path) == list(enumerate(expected))


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("short.csv", b"a,b\n1\n2,3\n", "expected 2 cells, found 1"),
        ("long.csv", b"a,b\n1,2,3\n2,3\n", "expected 2 cells, found 3"),
        ("blank.csv", b"a,b\n\n2,3\n", "expected a row of cells, found an empty line"),
        ("latin.csv", b"a,b\n\xe9,1\n2,3\n", "expected UTF-8, found other bytes"),
        ("blank.jsonl", b'\n{"a": "2", "b": "3"}\n', "expected a JSON value, found an empty line"),
    ],
)
def test_a_broken_row_keeps_its_index_and_costs_no_other(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    first, second = (2, 3)
    assert rows_of(path) == [(0, "broken_record", message), (1, {"a": str(first), "b": str(second)})]


def test_an_open_quote_is_one_defect_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "open.csv"
    path.write_text('a,b\n1,2\n"3,4\n5,6\n')
    assert [(r.row, isinstance(r, Defect)) for r in read_rows(path, SOURCE)] == [(0, False), (1, True)]


def test_names_of_an_object_of_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text('{"b": {"x": 1}, "a": {"x": 2}}')
    assert list(read_rows(path, SOURCE)) == [Raw(0, {"x": 1}, "b"), Raw(1, {"x": 2}, "a")]


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64])
@pytest.mark.parametrize(
    "value",
    [
        [{"a": 'x\\"]}'}, -12.5e3, 1234567, True, False, None, "\U0001f600\u00e9\n", [[[]]]],
        {"k,": {"a": [1, 2]}, "": 12, 'q"': "}"},
    ],
)
def test_any_window_reads_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, value: object) -> None:
    monkeypatch.setattr(json_file, "CHUNK", chunk)
    path = tmp_path / "rows.json"
    for indent in (None, 2):
        path.write_text(json.dumps(value, indent=indent))
        expected = list(value.items()) if isinstance(value, dict) else [("", item) for item in value]
        assert list(json_file.iter_elements(path)) == expected


def test_half_a_surrogate_pair_is_a_defect_in_an_array_too(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text('["\\ud83d\\ude00", "\\ud83d"]')
    assert rows_of(path) == [
        (0, "\U0001f600"),
        (1, "broken_record", "expected text, found half of a surrogate pair"),
    ]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("cut.json", b'[{"a": 1}, {"a"'),
        ("unclosed.json", b'[{"a": 1}'),
        ("more.json", b"[1] 2"),
        ("word.json", b"[1, x, 2]"),
        ("comma.json", b"[1, ]"),
        ("wrapped.json", b'{"data": [1], "more": 2}'),
        ("bytes.json", b'["\xff"]'),
        ("empty.json", b""),
        ("number.json", b"12"),
        ("empty.csv", b""),
        ("twice.csv", b"a,a\n1,2\n"),
        ("text.parquet", b"PAR1 no"),
        ("archive.zip", b""),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(
        SourceError, match=rf"source `s`: file `.*{name}`: .*; (fetch it again|rename it or convert it)$"
    ):
        list(read_rows(path, SOURCE))


@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl", "rows.csv"])
def test_packed_files_read_like_plain_ones(tmp_path: Path, name: str) -> None:
    data = {
        "rows.json": b'[{"a": "1"}, {"a": "2"}]',
        "rows.jsonl": b'{"a": "1"}\n{"a": "2"}\n',
        "rows.csv": b"a\n1\n2\n",
    }
    path = tmp_path / f"{name}.gz"
    path.write_bytes(gzip.compress(data[name]))
    assert rows_of(path) == [(0, {"a": "1"}), (1, {"a": "2"})]


def test_packed_files_are_read_as_they_unpack(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a": 1}\n' * 100_000)[:-20])
    rows = read_rows(path, SOURCE)
    assert next(rows) == Raw(0, {"a": 1})
    with pytest.raises(SourceError, match=r"cannot be read as \.jsonl"):
        list(rows)


@pytest.mark.parametrize("data", [b"\x1f\x8b broken", b'{"a": 1}', gzip.compress(b"[1]", mtime=0)[:10] + b"\xff" * 20])
def test_a_broken_package_is_a_source_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(data)
    with pytest.raises(SourceError, match="fetch it again"):
        list(read_rows(path, SOURCE))


@pytest.mark.parametrize("name", ["rows.pkl", "rows.pickle", "rows.pkl.gz"])
def test_pickles_are_never_opened(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match=r"convert it, in a place where its code may run"):
        list(read_rows(tmp_path / name, SOURCE))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"data": [{"a": 1}, {"a": 2}]}', [{"a": 1}, {"a": 2}]),
        ('{"data": []}', []),
        ('{"data": {"a": 1}}', [{"a": 1}]),
        ('{"other": [1]}', [[1]]),
        ("{}", []),
    ],
)
def test_a_list_called_data_is_unwrapped(tmp_path: Path, text: str, expected: list[object]) -> None:
    path = tmp_path / "rows.json"
    path.write_text(text)
    assert rows_of(path) == list(enumerate(expected))


@pytest.mark.parametrize("chunk", [1, 3, 64])
def test_nested_elements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(json_file, "CHUNK", chunk)
    path = tmp_path / "rows.json"
    path.write_text(
        json.dumps({"info": "x", "a": [1, {"b": [2]}], "c": {"7": [3], "8": 4}, "e": [], "f": {}}, indent=1)
    )
    assert list(json_file.iter_nested(path)) == [
        ("info", "", "x"),
        ("a", "", 1),
        ("a", "", {"b": [2]}),
        ("c", "7", [3]),
        ("c", "8", 4),
    ]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (None, {"a": 1, "b": {"c": 2, "d": 3}, "wide": "x", "dot.ted": 4}),
        ({"a"}, {"a": 1}),
        ({"b.c", "a"}, {"a": 1, "b": {"c": 2, "d": 3}}),
        ({"dot.ted"}, {"dot.ted": 4}),
        ({"a", "absent"}, {"a": 1, "b": {"c": 2, "d": 3}, "wide": "x", "dot.ted": 4}),
    ],
)
def test_parquet_decodes_wanted_columns_only(tmp_path: Path, columns: set[str] | None, expected: object) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist([{"a": 1, "b": {"c": 2, "d": 3}, "wide": "x", "dot.ted": 4}]), path)
    assert [raw.value for raw in read_rows(path, SOURCE, columns) if isinstance(raw, Raw)] == [expected]


def test_an_absent_file_is_a_source_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="absent"):
        list(read_rows(tmp_path / "absent.jsonl", SOURCE))


def test_parquet_rows_cross_row_groups(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"a": list(range(200))}), path, row_group_size=70)
    assert rows_of(path) == [(i, {"a": i}) for i in range(200)]


def test_long_cells_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a\n" + "x" * 200_000 + "\n")
    assert [len(raw.value["a"]) for raw in read_rows(path, SOURCE)] == [200_000]
