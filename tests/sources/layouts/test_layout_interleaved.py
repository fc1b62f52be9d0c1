import pytest

from sources.record import Defect, Embedded, Member, Message, Url


@pytest.mark.parametrize(
    ("texts", "images", "text", "pictures"),
    [
        (["a", None, "b"], [None, "x.jpg", None], "a\n\n<image>\n\nb", (Member("x.jpg"),)),
        ([None, None], ["http://x.org/1", "./2"], "<image>\n\n<image>", (Url("http://x.org/1"), Member("2"))),
        (["the tag <image>"], [None], "the tag <\\image>", ()),
        (["", "a"], ["x", ""], "<image>\n\na", (Member("x"),)),
        ([], [], "", ()),
    ],
)
def test_documents(read, texts, images, text, pictures) -> None:
    (record,) = read("interleaved", [{"texts": texts, "images": images, "id": 1}])
    assert record.messages == (Message("document", text),)
    assert (record.pictures, record.meta) == (pictures, {"id": 1})


def test_bytes_in_parquet(read) -> None:
    rows = [{"texts": ["a", None], "images": [None, {"bytes": b"x", "path": None}]}]
    (record,) = read("interleaved", rows, ".parquet")
    assert record.pictures == (Embedded(b"x"),)


@pytest.mark.parametrize(
    ("row", "reason", "words"),
    [
        ({"texts": ["a"], "images": ["x"]}, "wrong_type", "index 0, found both"),
        ({"texts": ["a", None], "images": [None, None]}, "wrong_type", "index 1, found neither"),
        ({"texts": ["a"], "images": []}, "wrong_type", "found 1 `texts` and 0 `images`"),
        ({"texts": "a", "images": []}, "wrong_type", "`texts`, found text"),
        ({"texts": ["a"]}, "missing_field", "`images`, found `texts`"),
    ],
)
def test_defects(read, row, reason, words) -> None:
    (defect,) = read("interleaved", [row])
    assert isinstance(defect, Defect)
    assert defect.reason == reason
    assert words in defect.message
