import pytest

from sources.record import Defect, Message, Url

URL = "https://example.org/a.jpg"
SHA = "0123456789abcdef" * 4


def points(value: object, **more: object) -> dict[str, object]:
    return {"image_url": URL, "image_sha256": SHA, "label": "kite", "points": value, **more}


@pytest.mark.parametrize(
    ("row", "answer"),
    [
        (points([{"x": 12.5, "y": 40.1}], count=1), "1: (12.5, 40.1)"),
        (
            points([{"x": 9, "y": 60.26}, {"x": 50.0, "y": 1}, {"x": 1, "y": 60.3}]),
            "3: (50.0, 1.0), (1.0, 60.3), (9.0, 60.3)",
        ),
        (points([], count=0), 'There is no "kite" in this image.'),
        (points(None, count=0), 'There is no "kite" in this image.'),
        (points({"x": [512.0, 3.0], "y": [40.1, 2.0]}, count=2), "2"),
        (points({"x": [], "y": []}, count=4), "4"),
        (points({"x": [], "y": []}), "0"),
    ],
)
def test_points(read, row, answer) -> None:
    (record,) = read("pixmo_points", [row])
    assert record.messages[1] == Message("assistant", answer)
    assert record.pictures == (Url(URL, SHA),)
    assert record.meta["label"] == "kite"


def test_question_asks_for_what_the_answer_gives(read) -> None:
    rows = [points([]), points({"x": [], "y": []}, count=0)]
    assert [record.messages[0].text for record in read("pixmo_points", rows)] == [
        '<image>\nPoint at every "kite" in this image. Give x and y in percent of width and height.',
        '<image>\nHow many "kite" are in this image?',
    ]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (points([{"x": 512.0, "y": 40.1}]), "percent in `points.x`, found 512.0"),
        (points([{"x": 1.0}]), "`points.y`, found null"),
        (points([{"x": 1.0, "y": 2.0}], count=2), "`count` says (2), found 1"),
        (points([], count="none"), "`count`, found `none`"),
        (points({"x": [1.0], "y": []}), "one length"),
        (points({"x": [1.0]}), "one length"),
        (points("12"), "`points`, found text"),
        (points([], image_url="a.jpg"), "`image_url`, found `a.jpg`"),
        (points([], image_sha256="12"), "64 hex digits"),
    ],
)
def test_points_defects(read, row, words) -> None:
    (defect,) = read("pixmo_points", [row])
    assert isinstance(defect, Defect)
    assert defect.reason == "wrong_type"
    assert words in defect.message


def test_both_encodings_in_parquet(read) -> None:
    assert read("pixmo_points", [points([{"x": 1.0, "y": 2.0}])], ".parquet")[0].messages[1].text == "1: (1.0, 2.0)"
    assert read("pixmo_points", [points({"x": [1.0], "y": [2.0]})], ".parquet")[0].messages[1].text == "1"


@pytest.mark.parametrize(
    ("prompt", "question"), [(None, "<image>\nDescribe this image in detail."), ("What is it?", "<image>\nWhat is it?")]
)
def test_caption(read, prompt, question) -> None:
    row = {"image_url": URL, "caption": "a tag <image>", "transcripts": ["um", "a"]}
    (record,) = read("pixmo_cap", [row], ".parquet", prompt=prompt)
    assert record.messages == (Message("user", question), Message("assistant", "a tag <\\image>"))
    assert (record.pictures, record.meta) == ((Url(URL),), {"transcripts": 2})


def test_ask(read) -> None:
    row = {"image_url": URL, "image_sha256": SHA.upper(), "question": "dry?", "answer": "yes"}
    (record,) = read("pixmo_ask", [row])
    assert record.messages == (Message("user", "<image>\ndry?"), Message("assistant", "yes"))
    assert (record.pictures, record.meta) == ((Url(URL, SHA),), {})


@pytest.mark.parametrize(
    ("layout", "row", "field"),
    [
        ("pixmo_ask", {"image_url": URL, "question": "q"}, "answer"),
        ("pixmo_cap", {"image_url": URL}, "caption"),
        ("pixmo_cap", {"caption": "a"}, "image_url"),
        ("pixmo_points", {"image_url": URL, "label": "kite"}, "points"),
    ],
)
def test_missing_field(read, layout, row, field) -> None:
    (defect,) = read(layout, [row])
    assert defect.reason == "missing_field"
    assert f"expected field `{field}`, found `" in defect.message
