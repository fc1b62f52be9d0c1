"""What the first look at a source finds: rows, names and picture references."""

import random
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shards.errors import CatalogError
from shards.store import Box
from sources.raw import Digests, natural, raw_files
from sources.scan import ScanIndex, check_layouts, layout_of, read_items, reading_fingerprint, scan
from sources.spec import Source

KEYED = {"layout": "table", "columns": {"key": "k", "user": ["q"], "images": ["i"]}}


def test_references_are_distinct_and_in_natural_order(raw, make) -> None:
    url = "https://example.org/a.png"
    pictures = ["10.png", "2.png", url, "2.png", "./2.png", "01.png", "1.png", "001.png", None]
    raw({"a.jsonl": [{"k": str(row), "q": "?", "i": name} for row, name in enumerate(pictures)]})
    refs = pl.read_parquet(make(**KEYED).scanned.path / "refs.parquet")
    assert refs.filter(pl.col("kind") == "url").rows() == [("url", url, None)]
    members = refs.filter(pl.col("kind") == "member")["ref"].to_list()
    assert sorted(members[:3]) == ["001.png", "01.png", "1.png"]
    assert members[3:] == ["2.png", "10.png"]


def test_any_names_are_in_natural_order(raw, make) -> None:
    rng = random.Random(4)
    pieces = ("a", "b", "-", "0", "00", "7", "12", "9" * 30, "\u0663", "\u4e00", "\U0001f600", ".", " ")
    names = list({"".join(rng.choices(pieces, k=rng.randint(1, 6))).strip() + ".png" for _ in range(800)})
    raw({"a.jsonl": [{"k": str(row), "q": "?", "i": name} for row, name in enumerate(names)]})
    refs = pl.read_parquet(make(**KEYED).scanned.path / "refs.parquet")
    assert refs["ref"].to_list() == sorted(refs["ref"], key=natural) and refs.height > 400


def test_more_references_than_are_held_at_once_are_distinct(raw) -> None:
    shown = [[f"{(row * 997 + place) % 20_000}.png" for place in range(1000)] for row in range(40)]
    talk = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]
    base = raw({"a.jsonl": [{"image": names, "messages": talk} for names in shown]})
    source = Source(name="s", layout="mplug", files=("*.jsonl",))
    box, files = Box(base, "scans/s/0123"), raw_files(source, base)
    scan(box, source, files, [])
    refs = pl.read_parquet(box.path / "refs.parquet")["ref"].to_list()
    assert refs == sorted({name for names in shown for name in names}, key=natural) and len(refs) > 1 << 13


def test_the_sha256_of_a_url_is_kept(raw, make) -> None:
    row = {"image_url": "https://example.org/a.png", "image_sha256": "A" * 64, "question": "?", "answer": "!"}
    raw({"a.jsonl": [row]})
    refs = pl.read_parquet(make(layout="pixmo_ask").scanned.path / "refs.parquet")
    assert refs.rows() == [("url", "https://example.org/a.png", "a" * 64)]


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        (["a", "b"], True),
        (["a", "a"], False),
        (["a", ""], False),
        ([1, 2], True),
        ([1, "1"], False),
        ([], False),
    ],
)
def test_names_count_when_every_row_has_one_of_its_own(raw, make, keys: list[str], named: bool) -> None:
    raw({"a.jsonl": [{"k": key, "q": "?"} for key in keys]})
    assert make(**KEYED).scanned.index(ScanIndex).named == named


def test_rows_are_counted_over_all_files_in_their_order(raw) -> None:
    base = raw({"p-10.jsonl": [{"q": "e"}], "p-2.jsonl": [{"q": "a"}, "{", {"q": "c"}], "p-3.jsonl": ""})
    source = Source(name="s", layout="table", files=("*.jsonl",), columns={"user": ["q"]})
    items = [(file, row, item.row) for file, row, item in read_items(source, raw_files(source, base))]
    assert items == [("p-2.jsonl", 0, 0), ("p-2.jsonl", 1, 1), ("p-2.jsonl", 2, 2), ("p-10.jsonl", 3, 0)]


def test_a_row_in_parts_is_one_row(raw, make) -> None:
    table = {"table": {"table": [["", "2019"], ["kites", "4"]]}, "paragraphs": [{"text": "All sold."}]}
    two = {**table, "questions": [{"question": "a", "answer": "b"}, {"question": "c", "answer": "d"}]}
    raw({"a.jsonl": [two, "{", two]})
    index = make(layout="tatqa").scanned.index(ScanIndex)
    assert (index.raw_rows, index.items) == (3, 5)


SHARED = [
    {"image": "tqa/1.png", "conversations": [{"from": "human", "value": "<image>a"}]},
    {"image": "./tqa/2.png", "conversations": 7},
    {"image": "vqa/1.png", "conversations": 7},
    {"image": ["tqa/3.png", "tqa/4.png"], "conversations": [{"from": "human", "value": "<image><image>b"}]},
    {"image": ["vqa/3.png", "tqa/4.png"], "conversations": 7},
    {"image": {"path": "tqa/5.png"}, "conversations": [{"from": "human", "value": "<image>c"}]},
    "{",
    {"image": "tqax/1.png"},
    {"image": None},
    {"conversations": []},
    ["tqa/1.png"],
    {"image": "vqa/9.png", "conversations": [{"from": "human", "value": "<image>d"}]},
]


def test_rows_of_other_sources_keep_their_numbers_and_are_no_items(raw, make, png) -> None:
    files = {f"tqa/{number}.png": png(number) for number in (1, 3, 4, 5)}
    raw({"a.jsonl": SHARED, "b.jsonl": SHARED[:1], "vqa/9.png": png(9), **files})
    made = make(layout="llava", only={"like": ["tqa/*"]})
    index = made.scanned.index(ScanIndex)
    # the broken line may be anybody's, so that every source of the file sets it aside
    assert (index.raw_rows, index.items, index.others) == (6, 6, 7)
    assert index.raw_rows + index.others == len(SHARED) + 1
    assert made.keys == ["s/train/0", "s/train/3", "s/train/5", "s/train/12"]
    assert made.reasons == {"a.jsonl#1": "wrong_type", "a.jsonl#6": "broken_record"}
    rest = make(layout="llava", only={"like": ["vqa/*"]}, store="other")
    assert (rest.keys, rest.scanned.index(ScanIndex).raw_rows) == (["s/train/11"], 4)


@pytest.mark.parametrize(
    ("only", "found"),
    [
        ({"column": "from.file", "like": ["gpt*.json"]}, ["b"]),
        ({"column": "from.file", "like": ["orca.json", "gpt77k.json"]}, ["a", "b"]),
        ({"column": "from.file", "like": ["GPT77k.json"]}, []),
        ({"column": "nobody", "like": ["*"]}, []),
    ],
)
def test_rows_are_told_apart_by_any_column(raw, make, only, found) -> None:
    rows = [{"q": "a", "from": {"file": "orca.json"}}, {"q": "b", "from": {"file": "gpt77k.json"}}, {"q": "c"}]
    raw({"a.jsonl": rows})
    table = pa.Table.from_pylist([{"from": None, **row} for row in rows])
    pq.write_table(table, raw({}) / "a.parquet")
    for files in ("*.jsonl", "*.parquet"):
        made = make(layout="table", columns={"user": ["q"]}, only=only, files=files, store=files[2:])
        assert [sample["messages"][0]["text"] for sample in made.samples] == found


def test_a_picture_folder_is_not_opened(raw) -> None:
    base = raw({"p/a.jpg": b"no picture at all", "p/b/c.jpg": b""})
    source = Source(name="s", layout="picture_folder", root="p")
    items = [(row, item.name) for _, row, item in read_items(source, raw_files(source, base))]
    assert items == [(0, "a.jpg"), (1, "b/c.jpg")]


def test_raw_digests_are_kept_in_the_index(raw, make, tmp_path: Path) -> None:
    base = raw({"a.jsonl": [{"k": "1", "q": "?"}]})
    source = Source(name="s", layout="table", files=("*.jsonl",), columns=KEYED["columns"])
    (file,) = raw_files(source, base)
    index = make(**KEYED).scanned.index(ScanIndex)
    assert index.raw == [Digests(tmp_path / "other.json")(file)]


BASE = {"name": "s", "layout": "llava", "files": ["*.json"]}
READING = reading_fingerprint(Source(**BASE))


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"licence": "MIT"}, True),
        ({"rows": 5, "rows_basis": "card"}, True),
        ({"quarantine_limit": 0.5}, True),
        ({"root": "elsewhere"}, True),
        ({"files": ["other/*.json"]}, True),
        ({"layout": "chat"}, False),
        ({"prompt": "What?"}, False),
        ({"native": ["clip"]}, False),
        ({"columns": {"user": ["q"]}}, False),
        ({"pairs": "apart"}, True),
        ({"pairs": "join"}, False),
        ({"only": {"like": ["a/*"]}}, False),
    ],
)
def test_the_reading_is_named_by_what_decides_the_samples(change: dict[str, object], same: bool) -> None:
    assert (reading_fingerprint(Source(**{**BASE, **change})) == READING) is same


def test_an_unknown_layout_names_the_known_ones() -> None:
    with pytest.raises(CatalogError, match=r"source `s`: unknown layout `lava`; known: .*chat, .*llava"):
        layout_of(Source(name="s", layout="lava"))


def test_a_table_needs_columns_before_any_work() -> None:
    check_layouts([Source(**BASE)])
    with pytest.raises(CatalogError, match="layout `table` needs `columns`"):
        check_layouts([Source(**BASE), Source(name="t", layout="table", files=("*.csv",))])


def test_an_option_that_the_layout_does_not_read_is_refused_before_any_work() -> None:
    check_layouts([Source(name="s", layout="cauldron", pairs="join")])
    with pytest.raises(CatalogError, match="source `s`: layout `llava` does not read `pairs`"):
        check_layouts([Source(**BASE, pairs="join")])
    with pytest.raises(CatalogError, match="layout `hiertext` does not read `only`"):
        check_layouts([Source(name="s", layout="hiertext", only={"like": ["a/*"]})])
