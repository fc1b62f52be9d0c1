import pytest

from shards.errors import CatalogError
from sources.record import Defect, Embedded, Member, Message, Url

QA = {"user": ["q", "input"], "assistant": ["a"]}


@pytest.mark.parametrize(
    ("columns", "row", "messages"),
    [
        (QA, {"q": "do", "input": "it", "a": "done"}, (Message("user", "do\nit"), Message("assistant", "done"))),
        (QA, {"q": "do", "input": "", "a": "x"}, (Message("user", "do"), Message("assistant", "x"))),
        (QA, {"q": "do", "input": None, "a": "x"}, (Message("user", "do"), Message("assistant", "x"))),
        (QA, {"q": "do", "a": "x"}, (Message("user", "do"), Message("assistant", "x"))),
        (QA, {"q": "do", "a": None}, (Message("user", "do"), Message("assistant", ""))),
        (QA, {"q": None, "a": "x"}, (Message("user", ""), Message("assistant", "x"))),
        (QA, {"q": "n?", "a": 18}, (Message("user", "n?"), Message("assistant", "18"))),
        (QA, {"q": "n?", "a": [1.5, "b", False]}, (Message("user", "n?"), Message("assistant", "1.5, b, false"))),
        (QA, {"q": "<image>", "a": "<\\image>"}, (Message("user", "<\\image>"), Message("assistant", "<\\\\image>"))),
        ({"document": ["t"]}, {"t": "long"}, (Message("document", "long"),)),
        ({"document": ["t"], "images": ["i"]}, {"t": "long", "i": "a"}, (Message("document", "<image>\nlong"),)),
        ({"assistant": ["a"]}, {"a": "x"}, (Message("assistant", "x"),)),
        (
            {"assistant": ["a"], "images": ["i"]},
            {"a": "x", "i": "p"},
            (Message("user", "<image>"), Message("assistant", "x")),
        ),
        (
            {**QA, "images": ["i"]},
            {"q": "", "a": "x", "i": "p"},
            (Message("user", "<image>"), Message("assistant", "x")),
        ),
        (
            {"system": ["s"], "user": ["q"]},
            {"s": "be kind", "q": "x"},
            (Message("system", "be kind"), Message("user", "x")),
        ),
        ({"system": ["s"], "user": ["q"]}, {"q": "x"}, (Message("user", "x"),)),
        ({"user": ["a.0.text"]}, {"a": [{"text": "first"}]}, (Message("user", "first"),)),
        ({"user": ["a.0.text"]}, {"a": []}, (Message("user", ""),)),
        ({"user": ["a.b"]}, {"a": None}, (Message("user", ""),)),
        ({"user": ["a.b"]}, {"a.b": "flat", "a": {"b": "deep"}}, (Message("user", "flat"),)),
    ],
)
def test_messages(read, columns, row, messages) -> None:
    (record,) = read("table", [row], columns=columns)
    assert record.messages == messages


@pytest.mark.parametrize(
    ("images", "row", "pictures"),
    [
        (["i"], {"i": "./a.jpg"}, (Member("a.jpg"),)),
        (["i"], {"i": ["a", "b"]}, (Member("a"), Member("b"))),
        (["i", "j"], {"i": "a", "j": "https://x.org/b"}, (Member("a"), Url("https://x.org/b"))),
        (["t/{id}.png"], {"id": 7}, (Member("t/7.png"),)),
        (["{a.b}/{id}.png"], {"id": 7, "a": {"b": "x"}}, (Member("x/7.png"),)),
        (["https://x.org/{id}"], {"id": "7"}, (Url("https://x.org/7"),)),
        (["t/{id}.png"], {"id": None}, ()),
        (["i"], {"i": None}, ()),
        (["i"], {}, ()),
    ],
)
def test_images(read, images, row, pictures) -> None:
    (record,) = read("table", [{"q": "x", **row}], columns={"user": ["q"], "images": images})
    assert record.pictures == pictures
    assert record.messages == (Message("user", "<image>\n" * len(pictures) + "x"),)


def test_prompt_asks_where_there_is_no_question(read) -> None:
    columns = {"assistant": ["a"], "images": ["i"]}
    (record,) = read("table", [{"a": "a kite", "i": "p"}], columns=columns, prompt="Describe.")
    assert record.messages == (Message("user", "<image>\nDescribe."), Message("assistant", "a kite"))


@pytest.mark.parametrize(
    ("suffix", "rows"),
    [
        (".json", [{"id": "7", "q": "x", "a": "y"}, {"id": None, "q": "x", "a": "y"}]),
        (".jsonl", [{"id": 7, "q": "x", "a": "y"}, {"q": "x", "a": "y"}]),
        (".csv", [["id", "q", "a"], ["7", "x", "y"], ["", "x", "y"]]),
        (".tsv", [["id", "q", "a"], ["7", "x", "y"], ["", "x", "y"]]),
        (".parquet", [{"id": 7, "q": "x", "a": "y"}, {"id": None, "q": "x", "a": "y"}]),
    ],
)
def test_every_format_gives_the_same(read, suffix, rows) -> None:
    records = read("table", rows, suffix, columns={"key": "id", "user": ["q"], "assistant": ["a"]})
    assert [(record.row, record.name) for record in records] == [(0, "7"), (1, "")]
    assert {record.messages for record in records} == {(Message("user", "x"), Message("assistant", "y"))}


def test_object_of_objects_has_its_names_in_a_column(read) -> None:
    columns = {"key": "_key", "user": ["q"], "images": ["{_key}.png"]}
    records = read("table", {"b": {"q": "x"}, "a": {"q": "y"}, "c": 1}, ".json", columns=columns)
    assert [(record.name, record.pictures) for record in records[:2]] == [
        ("b", (Member("b.png"),)),
        ("a", (Member("a.png"),)),
    ]
    assert records[2] == Defect(2, "wrong_type", "expected an object, found a number")


def test_meta_and_native(read) -> None:
    row = {"q": "x", "m": {"deep": [1, None]}, "clip": 0.5, "n": None}
    (record,) = read("table", [row], columns={"user": ["q"], "meta": ["m.deep", "n", "no"]}, native=["clip"])
    assert record.meta == {"m.deep": [1, None], "n": None}
    assert record.native == {"clip": 0.5}


def test_embedded_pictures(read) -> None:
    rows = [{"q": "x", "i": {"bytes": b"png", "path": None}}, {"q": "x", "i": None}]
    records = read("table", rows, ".parquet", columns={"user": ["q"], "images": ["i"]})
    assert [record.pictures for record in records] == [(Embedded(b"png"),), ()]


@pytest.mark.parametrize(
    ("suffix", "rows", "columns", "words"),
    [
        (".jsonl", [{"x": 1, "y": 2}], QA, "expected column `q`, `input`, found `x`, `y`; correct `columns`"),
        (".jsonl", [{"q": "x"}], QA, "expected column `a`, found `q`"),
        (".csv", [["q", "a"], ["x", "y"]], QA, "expected column `input`, found `q`, `a`"),
        (".csv", [["q"], ["x"]], {"user": ["q"], "images": ["{id}.png"]}, "expected column `id`, found `q`"),
        (".csv", [["q"], ["x"]], {"user": ["q"], "key": "id", "meta": ["m"]}, "expected column `id`, `m`, found `q`"),
    ],
)
def test_missing_columns(read, suffix, rows, columns, words) -> None:
    (defect,) = read("table", rows, suffix, columns=columns)
    assert (defect.row, defect.reason) == (0, "missing_field")
    assert words in defect.message


@pytest.mark.parametrize(
    "row",
    [{"q": {"a": 1}}, {"q": [["a"]]}, {"q": "x", "i": 7}, {"q": "x", "i": ["a", {}]}, {"q": "x", "key": {"a": 1}}],
)
def test_wrong_types(read, row) -> None:
    (defect,) = read("table", [row], columns={"user": ["q"], "images": ["i"], "key": "key"})
    assert defect.reason == "wrong_type"


@pytest.mark.parametrize("columns", [None, {}, {"key": "id", "meta": ["x"]}])
def test_columns_are_needed(read, columns) -> None:
    with pytest.raises(CatalogError, match=r"source `s`: expected `columns` .* add `columns: "):
        read("table", [{"q": "x"}], columns=columns)
