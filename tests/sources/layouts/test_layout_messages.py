import pytest

from sources.record import Defect, Embedded, Member, Url

PNG = "data:image/png;base64,cG5n"


def row(content: object, **more: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": content}, {"role": "assistant", "content": "ok"}], **more}


@pytest.mark.parametrize(
    ("raw", "text", "pictures"),
    [
        (row("<image>who?", images=["a.jpg"]), "<image>who?", (Member("a.jpg"),)),
        (row("<image>who?", images="a.jpg"), "<image>who?", (Member("a.jpg"),)),
        (row("who?", images=None), "who?", ()),
        (row([{"type": "text", "text": "who?"}]), "who?", ()),
        (row([{"type": "image"}, {"type": "text", "text": "who?"}], images=["a"]), "<image>who?", (Member("a"),)),
        (
            row([{"type": "image_url", "value": "./d/a.jpg"}, {"type": "text", "value": "who?"}]),
            "<image>who?",
            (Member("d/a.jpg"),),
        ),
        (row([{"type": "image_url", "image_url": {"url": PNG}}]), "<image>", (Embedded(b"png"),)),
        (row([{"type": "image", "image": "https://x.org/a"}]), "<image>", (Url("https://x.org/a"),)),
        (row([{"type": "image", "text": None, "path": "a"}]), "<image>", (Member("a"),)),
        (
            row([{"type": "image"}, {"type": "image", "image": "own"}, {"type": "image"}], images=["1", "2"]),
            "<image><image><image>",
            (Member("1"), Member("own"), Member("2")),
        ),
        (row([{"type": "text", "text": "the tag <image>"}], images=[]), "the tag <\\image>", ()),
        (row("<image>", images=["a", "left over"]), "<image>", (Member("a"), Member("left over"))),
        (row([{"type": "image"}]), "<image>", ()),
    ],
)
def test_content(read, raw, text, pictures) -> None:
    (record,) = read("messages", [raw])
    assert (record.messages[0].text, record.pictures) == (text, pictures)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (row([{"type": "video", "video": "a.mp4"}, {"type": "text", "text": "who?"}]), "<video>who?"),
        (row("<video>who?", videos=["a.mp4"]), "<video>who?"),
    ],
)
def test_videos(read, raw, text) -> None:
    (record,) = read("messages", [raw])
    assert (record.messages[0].text, record.videos) == (text, ("a.mp4",))


def test_typed_parts_in_parquet(read) -> None:
    raw = row(
        [{"type": "image", "text": None}, {"type": "text", "text": "who?"}], images=[{"bytes": b"x", "path": None}]
    )
    raw["messages"][1]["content"] = [{"type": "text", "text": "me"}]
    (record,) = read("messages", [raw], ".parquet")
    assert [message.text for message in record.messages] == ["<image>who?", "me"]
    assert record.pictures == (Embedded(b"x"),)


@pytest.mark.parametrize(
    ("raw", "reason", "words"),
    [
        (row([{"type": "audio", "audio": "a"}]), "wrong_type", "found `audio`"),
        (row(["hello"]), "wrong_type", "`messages.content`, found text"),
        (row([{"type": "text"}]), "wrong_type", "`messages.content.text`, found null"),
        (row([{"type": "image_url", "image_url": {"url": "data:x;base64,?"}}]), "wrong_type", "base64"),
        (row(None), "wrong_type", "`messages.content`, found null"),
        (row("<image><video>", images=["a"], videos=["b"]), "mixed_media", "found 1 and 1"),
        ({"images": []}, "missing_field", "`messages`, found `images`"),
    ],
)
def test_defects(read, raw, reason, words) -> None:
    (defect,) = read("messages", [raw])
    assert isinstance(defect, Defect)
    assert defect.reason == reason
    assert words in defect.message
