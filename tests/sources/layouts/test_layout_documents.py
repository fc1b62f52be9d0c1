"""Layouts of single publishers, and the folder of pictures."""

import json
from pathlib import Path

import pytest

from sources.layouts import LAYOUTS
from sources.record import Defect, Member, Message, Record
from sources.spec import Source

PROBLEM = {
    "question": "How many kites?",
    "choices": None,
    "answer": "2",
    "unit": None,
    "solution": "Count them.\n",
    "grade": 3,
}


@pytest.mark.parametrize(
    ("change", "question", "answer"),
    [
        ({}, "How many kites?", "Count them.\n\nAnswer: 2"),
        ({"unit": "$"}, "How many kites? (unit: $)", "Count them.\n\nAnswer: 2"),
        (
            {"choices": ["one", "two"], "answer": "two"},
            "How many kites?\n(A) one\n(B) two",
            "Count them.\n\nAnswer: two",
        ),
    ],
)
def test_tabmwp(read, change, question, answer) -> None:
    (record,) = read("tabmwp", {"17": {**PROBLEM, **change}}, ".json")
    assert record.messages == (Message("user", f"<image>\n{question}"), Message("assistant", answer))
    assert (record.name, record.pictures, record.meta) == ("17", (Member("17.png"),), {"grade": 3})


def test_tabmwp_needs_names(read) -> None:
    assert read("tabmwp", [PROBLEM], ".json")[0].reason == "wrong_type"


def test_opencqa(read) -> None:
    items = ["7.png", "Kites", "Long summary", "What do kites do?", "They fly .", "fly ."]
    good, short, text = read("opencqa", {"7": items, "8": items[:5], "9": "x"}, ".json")
    assert good.messages == (Message("user", "<image>\nWhat do kites do?"), Message("assistant", "They fly ."))
    assert (good.name, good.pictures, good.meta) == ("7", (Member("7.png"),), {"title": "Kites"})
    assert "found 5 items" in short.message
    assert "found text" in text.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '{\n "total": "4.00", "company": "K\u00e9", "date": "1/2/19", "address": "Hill 1"}\n',
            '{"company": "K\u00e9", "date": "1/2/19", "address": "Hill 1", "total": "4.00"}',
        ),
        ('{"company": "K", "total": 4}', '{"company": "K", "date": null, "address": null, "total": "4"}'),
        ("{", "broken_record"),
        ("[]", "wrong_type"),
        ('{"name": "K"}', "missing_field"),
        ('{"company": {}}', "wrong_type"),
    ],
)
def test_sroie(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "007.json"
    path.write_text(text, encoding="utf-8")
    (item,) = LAYOUTS["sroie"](path, Source(name="s", layout="sroie"))
    if isinstance(item, Defect):
        assert item.reason == expected
    else:
        assert item.messages[1].text == expected
        assert (item.name, item.pictures, item.row) == ("007", (Member("007.jpg"),), 0)


def context(*questions: object, **change: object) -> dict[str, object]:
    table = [["", "2019"], ["kites|toys", "4"]]
    return {
        "table": {"table": table},
        "paragraphs": [{"text": "One."}, {"text": "Two."}],
        "questions": list(questions),
        **change,
    }


@pytest.mark.parametrize(
    ("answer", "scale", "expected"),
    [
        (["a", "b", ""], "", "a, b"),
        (-12.5, "percent", "-12.5 percent"),
        (172, "million", "172 million"),
        ("4", None, "4"),
    ],
)
def test_tatqa_answers(read, answer, scale, expected) -> None:
    (record,) = read("tatqa", [context({"question": "q?", "answer": answer, "scale": scale, "uid": "u"})], ".json")
    assert record.messages == (
        Message("user", "|  | 2019 |\n| --- | --- |\n| kites\\|toys | 4 |\n\nOne.\nTwo.\n\nq?"),
        Message("assistant", expected),
    )
    assert (record.part, record.meta["uid"]) == ("0", "u")


def test_tatqa_parts_and_defects(read) -> None:
    good = {"question": "q?", "answer": 1}
    rows = [context(good, {"question": "q?"}, 7, good), context(), {"table": {}}, context(good, paragraphs="x")]
    items = read("tatqa", rows, ".json")
    assert [(item.row, item.part, getattr(item, "reason", "record")) for item in items] == [
        (0, "0", "record"),
        (0, "1", "missing_field"),
        (0, "2", "wrong_type"),
        (0, "3", "record"),
        (1, "", "missing_field"),
        (2, "", "missing_field"),
        (3, "", "wrong_type"),
    ]


def test_picture_folder_names_the_picture_and_opens_nothing() -> None:
    source = Source(name="s", layout="picture_folder")
    assert list(LAYOUTS["picture_folder"](Path("a") / "b.jpg", source)) == [
        Record(row=0, messages=(Message("user", "<image>"),), pictures=(Member("a/b.jpg"),), name="a/b.jpg")
    ]


def test_json_of_real_size_streams(tmp_path: Path, read) -> None:
    rows = {str(i): {**PROBLEM, "solution": "x" * 5000} for i in range(600)}
    assert len(json.dumps(rows)) > 3_000_000
    assert [record.name for record in read("tabmwp", rows, ".json")] == [str(i) for i in range(600)]
