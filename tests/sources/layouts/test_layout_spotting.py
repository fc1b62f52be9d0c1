"""Text spotting: six ways to write words and boxes, one way to read them out."""

import gzip
import json
from pathlib import Path

import pytest

from shards.errors import SourceError
from sources.layouts import LAYOUTS
from sources.layouts.spotting import Word, corners_of, spotted
from sources.layouts.value import RowError
from sources.record import Defect, Member, Record
from sources.spec import Source

QUESTION = "<image>\nRead all text in this picture from top to bottom and separate the words by commas."


def items_of(layout: str, path: Path, text: str | bytes, **body: object) -> list[Record | Defect]:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return list(LAYOUTS[layout](path, Source(name="s", layout=layout, **body)))


def summary(items: list[Record | Defect]) -> list[tuple[int, str]]:
    return [(item.row, item.reason if isinstance(item, Defect) else item.messages[1].text) for item in items]


def at(text: str, x: float, y: float, *, legible: bool = True) -> Word:
    return Word(text, ((x, y), (x + 2, y), (x + 2, y + 2), (x, y + 2)), legible)


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ([at("c", 0, 9), at("b", 5, 1), at("a", 1, 1)], "a, b, c"),
        ([at("###", 0, 0), at("*", 0, 1), at("", 0, 2), at(" ", 0, 3), at("a", 0, 4)], "a"),
        ([at("a", 0, 0, legible=False), at("b", 0, 1)], "b"),
        ([at("1,000", 0, 0), at("kg", 3, 0)], "1,000, kg"),
        ([at("a*", 0, 0), at("####", 3, 0)], "a*, ####"),
        ([at("<image>", 0, 0)], "<\\image>"),
        ([at("first", 1, 1), at("second", 1, 1)], "first, second"),
    ],
)
def test_words_are_read_by_centre(words, answer) -> None:
    record = spotted(3, words, "a.jpg", Source(name="s", layout="art"), {})
    assert [message.text for message in record.messages] == [QUESTION, answer]
    assert (record.row, record.pictures) == (3, (Member("a.jpg"),))


@pytest.mark.parametrize("words", [[], [at("###", 0, 0)], [at("a", 0, 0, legible=False)]])
def test_nothing_legible(words) -> None:
    with pytest.raises(RowError) as caught:
        spotted(0, words, "a.jpg", Source(name="s", layout="art"), {})
    assert caught.value.reason == "nothing_legible"


@pytest.mark.parametrize(
    "numbers", [None, [], [1], [1, None], ["x", 1], [[1, 2], [3]], [float("nan"), 1], "1,2", [1e999, 0], [10**400, 0]]
)
def test_bad_corners(numbers) -> None:
    with pytest.raises(RowError, match="pairs of numbers"):
        corners_of(numbers, "points")


def test_art(tmp_path: Path) -> None:
    def word(text: object, y: int, **more: object) -> dict[str, object]:
        return {"transcription": text, "points": [[1, y], [9, y], [9, y + 4]], **more}

    file = {
        "gt_12": [word("OPEN", 9), word("THE", 1), word("###", 0), word("x", 0, illegibility=True)],
        "gt_3": [word("###", 0)],
        "gt_4": [],
        "gt_5": [{"transcription": "a"}],
        "gt_6": "a",
    }
    items = items_of("art", tmp_path / "labels.json", json.dumps(file), prompt="Read.")
    reasons = ["nothing_legible", "nothing_legible", "missing_field", "wrong_type"]
    assert summary(items) == list(enumerate(["THE, OPEN", *reasons]))
    assert (items[0].name, items[0].pictures, items[0].messages[0].text) == (
        "gt_12",
        (Member("gt_12.jpg"),),
        "<image>\nRead.",
    )


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("\ufeff1,9,2,9,2,11,1,11,Latin,OPEN\r\n1,2,9,2,9,6,1,6,Latin,THE\r\n", "THE, OPEN"),
        ("1,2,9,2,9,6,1,6,Latin,1,000 kg\n\n", "1,000 kg"),
        ("1,2,9,2,9,6,1,6,Arabic,\u0645\u0631\u062d\u0628\u0627\u2028\n", "\u0645\u0631\u062d\u0628\u0627"),
        ("1,2,9,2,9,6,1,6,None,###\n", "nothing_legible"),
        ("", "nothing_legible"),
        ("1,2,9,2\n", "broken_record"),
        ("1,2,9,2,9,6,1,x,Latin,OPEN\n", "wrong_type"),
        (b"1,2,9,2,9,6,1,6,Latin,\xff\n", "broken_record"),
    ],
)
def test_mlt(tmp_path: Path, text, answer) -> None:
    assert summary(items_of("mlt", tmp_path / "gt_img_7.txt", text)) == [(0, answer)]


@pytest.mark.parametrize(
    ("beside", "name"), [(None, "img_7.jpg"), ("img_7.png", "img_7.png"), ("img_7.gif", "img_7.gif")]
)
def test_mlt_takes_the_ending_that_lies_beside(tmp_path: Path, beside, name) -> None:
    if beside:
        (tmp_path / beside).touch()
    (record,) = items_of("mlt", tmp_path / "gt_img_7.txt", "1,2,9,2,9,6,1,6,Latin,OPEN\n")
    assert record.pictures == (Member(name),)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("1 9 9 9 5 12\tOPEN\tshop\n1 2 9 2 9 6 1 6\tTHE\tshop\n", "THE, OPEN"),
        ("1 2 9 2 9 6 1 6\t12, MAIN ST\n1 2 9 2\t*\tx\n", "12, MAIN ST"),
        ("1 2 9 2 9 6 1 6\t*\tshop\n", "nothing_legible"),
        ("1 2 9 2 9 6 1 6\tOPEN\n1 2 9 2\t\n", "OPEN"),
        ("1 2 9 2 9 6 1 6 OPEN\n", "broken_record"),
        ("1 2 9\tOPEN\n", "wrong_type"),
    ],
)
def test_uber_text(tmp_path: Path, text, answer) -> None:
    items = items_of("uber_text", tmp_path / "truth_0042.txt", text)
    assert summary(items) == [(0, answer)]
    assert isinstance(items[0], Defect) or items[0].pictures == (Member("0042.jpg"),)


def hier(*words: object, **change: object) -> dict[str, object]:
    return {"image_id": "a1", "paragraphs": [{"lines": [{"words": list(words)}]}], **change}


@pytest.mark.parametrize("name", ["train.jsonl.gz", "train.json"])
def test_hiertext_is_one_object_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    def word(text: str, y: int, *, legible: bool = True) -> dict[str, object]:
        return {"vertices": [[1, y], [9, y], [9, y + 4], [1, y + 4]], "text": text, "legible": legible}

    annotations = [
        hier(word("OPEN", 9), word("", 5, legible=False), word("THE", 1)),
        hier(word("", 5, legible=False)),
        hier(paragraphs=[]),
        hier({"text": "x"}),
        7,
    ]
    text = json.dumps({"info": {"date": "x"}, "annotations": annotations}, indent=1).encode()
    items = items_of("hiertext", tmp_path / name, gzip.compress(text) if name.endswith("gz") else text)
    reasons = ["nothing_legible", "nothing_legible", "missing_field", "wrong_type"]
    assert summary(items) == list(enumerate(["THE, OPEN", *reasons]))
    assert (items[0].pictures, items[0].meta) == ((Member("a1.jpg"),), {"image_id": "a1"})


def test_coco_text_joins_ids_of_both_types(tmp_path: Path) -> None:
    def word(image_id: object, text: object, y: int, legibility: str = "legible") -> dict[str, object]:
        return {"image_id": image_id, "bbox": [1, y, 8, 4], "utf8_string": text, "legibility": legibility}

    anns = {
        "1": word(7, "OPEN", 9),
        "2": word("7", "THE", 1),
        "3": word(7, "x", 0, "illegible"),
        "4": {"image_id": 8, "bbox": [1, 2, 8, 4], "legibility": "illegible"},
        "5": word(9, "a", 0) | {"bbox": [1, 2]},
        "6": word(404, "of no picture", 0),
    }
    imgs = {number: {"file_name": f"{number}.jpg", "set": "train"} for number in ("7", "8", "9", "10")} | {"11": {}}
    expected = ["THE, OPEN", "nothing_legible", "wrong_type", "nothing_legible", "missing_field"]
    for order in ({"anns": anns, "imgs": imgs, "imgToAnns": {"7": [1, 2]}}, {"imgs": imgs, "anns": anns}):
        items = items_of("coco_text", tmp_path / "coco.json", json.dumps(order))
        assert summary(items) == list(enumerate(expected))
        assert (items[0].pictures, items[0].meta) == ((Member("7.jpg"),), {"image_id": "7", "set": "train"})


def test_openvino_needs_no_order(tmp_path: Path) -> None:
    def word(image_id: int, text: str, y: int, *, legible: bool = True) -> dict[str, object]:
        attributes = {"legible": legible, "transcription": text}
        return {"image_id": image_id, "segmentation": [[1, y, 9, y, 9, y + 4]], "attributes": attributes}

    file = {
        "images": [{"id": number, "file_name": f"train_1/{number}.jpg"} for number in (5, 0, 2)],
        "annotations": [word(2, "last", 0), word(5, "OPEN", 9), word(0, "x", 0, legible=False), word(5, "THE", 1)],
    }
    items = items_of("openvino", tmp_path / "train_1.json", json.dumps(file))
    assert summary(items) == [(0, "THE, OPEN"), (1, "nothing_legible"), (2, "last")]
    assert items[0].pictures == (Member("train_1/5.jpg"),)


@pytest.mark.parametrize("layout", ["coco_text", "openvino", "hiertext"])
@pytest.mark.parametrize("text", ["[1]", "{}", '{"words": []}', '{"imgs": {', "", '{"a": 1} 2'])
def test_a_file_of_another_shape_is_named(tmp_path: Path, layout: str, text: str) -> None:
    with pytest.raises(SourceError, match=r"source `s`: file `.*one\.json`: .*; fetch it again"):
        items_of(layout, tmp_path / "one.json", text)
