"""`llava`, `onevision`, `chat`, `mplug`: conversations with pictures beside them."""

import pytest

from sources.record import Defect, Embedded, Member, Message, Record, Url


def talk(question: object = "<image>\nwhat?", answer: object = "a kite", **more: object) -> dict[str, object]:
    return {"conversations": [{"from": "human", "value": question}, {"from": "gpt", "value": answer}], **more}


@pytest.mark.parametrize(
    ("row", "pictures", "texts", "repairs"),
    [
        (talk(image="a/b.jpg"), (Member("a/b.jpg"),), ("<image>\nwhat?", "a kite"), ()),
        (talk("what?\n<image>", image="a.jpg"), (Member("a.jpg"),), ("what?\n<image>", "a kite"), ()),
        (talk("what?", image=["./a.jpg"]), (Member("a.jpg"),), ("<image>\nwhat?", "a kite"), ("marker_added",)),
        (talk("what?", "<image>", image="a.jpg"), (Member("a.jpg"),), ("what?", "<image>"), ()),
        (talk("what?", image=["a", "b"]), (Member("a"), Member("b")), ("what?", "a kite"), ()),
        (talk("what?", image=None), (), ("what?", "a kite"), ()),
        (talk("what?", image=[]), (), ("what?", "a kite"), ()),
        (talk("what?", image=""), (), ("what?", "a kite"), ()),
        (talk("what?"), (), ("what?", "a kite"), ()),
        (talk("<image>lost"), (), ("<image>lost", "a kite"), ()),
        (talk("literal <\\image>"), (), ("literal <\\\\image>", "a kite"), ()),
        (talk(image="http://x.org/a.jpg"), (Url("http://x.org/a.jpg"),), ("<image>\nwhat?", "a kite"), ()),
        (talk("n?", 18), (), ("n?", "18"), ()),
        (talk("n?", [1.50, "b", True]), (), ("n?", "1.5, b, true"), ()),
        (talk("n?", ""), (), ("n?", ""), ()),
    ],
)
def test_llava(read, row, pictures, texts, repairs) -> None:
    (record,) = read("llava", [row])
    assert (record.pictures, record.repairs) == (pictures, repairs)
    assert record.messages == (Message("user", texts[0]), Message("assistant", texts[1]))


@pytest.mark.parametrize(
    ("question", "video", "expected", "repairs"),
    [
        ("<image>\nwhat?", "v/1.mp4", "<video>\nwhat?", ()),
        ("<video>\nwhat?", ["./v/1.mp4"], "<video>\nwhat?", ()),
        ("what?", "v/1.mp4", "<video>\nwhat?", ("marker_added",)),
    ],
)
def test_llava_video(read, question, video, expected, repairs) -> None:
    (record,) = read("llava", [talk(question, video=video)])
    assert (record.videos, record.pictures) == (("v/1.mp4",), ())
    assert (record.messages[0].text, record.repairs) == (expected, repairs)


def test_llava_keeps_ids_extras_and_native_numbers(read) -> None:
    row = talk("q", id=7, data_source="x", clip=0.25, long="y" * 201, image_size=[1, 2], image=None)
    (record,) = read("llava", [row], native=["clip", "absent"])
    assert record.meta == {"id": 7, "data_source": "x"}
    assert record.native == {"clip": 0.25}


def test_prompt_fills_a_turn_of_markers_only(read) -> None:
    rows = [talk("<image>", image="a"), talk("<image>\nown", image="a"), talk("", image="a")]
    records = read("llava", rows, prompt="Describe.")
    assert [record.messages[0].text for record in records] == [
        "<image>\nDescribe.",
        "<image>\nown",
        "<image>\nDescribe.",
    ]
    assert [record.repairs for record in records] == [("prompt_added",), (), ("prompt_added", "marker_added")]


@pytest.mark.parametrize(
    ("row", "reason", "words"),
    [
        (talk(image="a", video="b"), "mixed_media", "pictures or videos"),
        (talk(image=7), "wrong_type", "`image`, found a number"),
        (talk(image=["a", None]), "wrong_type", "`image`, found an empty item"),
        (talk(video={"a": 1}), "wrong_type", "`video`, found an object"),
        (talk({"a": 1}), "wrong_type", "`conversations.value`, found an object"),
        (talk(None), "wrong_type", "`conversations.value`, found null"),
        (talk([["a"]]), "wrong_type", "`conversations.value`, found a list"),
        ({"id": 1, "image": "a"}, "missing_field", "`conversations`, found `id`, `image`"),
        ({"conversations": "hello"}, "wrong_type", "`conversations`, found text"),
        ({"conversations": []}, "wrong_type", "`conversations`, found an empty list"),
        ({"conversations": ["hello"]}, "wrong_type", "`conversations`, found text"),
        ({"conversations": [{"from": "human"}]}, "missing_field", "found `from`"),
        ({"conversations": [{"from": "tool", "value": "x"}]}, "wrong_type", "found `tool`"),
        ({"conversations": [{"from": None, "value": "x"}]}, "wrong_type", "found `None`"),
        ([1], "wrong_type", "an object, found a list"),
    ],
)
def test_llava_defects(read, row, reason, words) -> None:
    (defect,) = read("llava", [row])
    assert isinstance(defect, Defect)
    assert defect.reason == reason
    assert words in defect.message


def test_roles_and_both_spellings(read) -> None:
    turns = [{"from": "system", "value": "s"}, {"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}]
    (record,) = read("llava", [{"conversations": turns}], ".json")
    assert record.messages == (Message("system", "s"), Message("user", "u"), Message("assistant", "a"))


def test_onevision(read) -> None:
    turns = talk()["conversations"]
    rows = [
        {"id": "1", "image": {"bytes": b"png", "path": "a.png"}, "conversations": turns, "data_source": "d"},
        {"id": "1", "image": {"bytes": b"png", "path": None}, "conversations": talk("q")["conversations"]},
        {"id": "2", "image": None, "conversations": talk("q")["conversations"], "data_source": "d"},
        {"id": "3", "image": {"bytes": None, "path": "./b.png"}, "conversations": turns, "data_source": "d"},
        {"id": "4", "image": {"bytes": b"", "path": None}, "conversations": turns, "data_source": "d"},
    ]
    records = read("onevision", rows, ".parquet")
    assert [record.pictures for record in records] == [
        (Embedded(b"png"),),
        (Embedded(b"png"),),
        (),
        (Member("b.png"),),
        (Embedded(b""),),
    ]
    assert records[0].meta == {"id": "1", "data_source": "d"}
    assert (records[1].messages[0].text, records[1].repairs) == ("<image>\nq", ("marker_added",))
    assert (records[2].messages[0].text, records[2].repairs) == ("q", ())


def test_onevision_without_picture_column(read) -> None:
    (record,) = read("onevision", [{"conversations": talk("q")["conversations"]}], ".parquet")
    assert isinstance(record, Record)
    assert record.pictures == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<|image|>Turn it", "<image>Turn it"),
        ("a<|image|>b<|image|>", "a<image>b<image>"),
        ("<|image|>the tag <image> and <\\video>", "<image>the tag <\\image> and <\\\\video>"),
    ],
)
def test_mplug(read, text, expected) -> None:
    turns = [{"role": "user", "content": text}, {"role": "assistant", "content": "<md> | x | </md>"}]
    row = {"image": ["./imgs/a.png"], "messages": turns, "task_name": "md", "dataset_name": "T"}
    (record,) = read("mplug", [row])
    assert record.messages == (Message("user", expected), Message("assistant", "<md> | x | </md>"))
    assert record.pictures == (Member("imgs/a.png"),)
    assert record.meta == {"task_name": "md", "dataset_name": "T"}


@pytest.mark.parametrize("name", ["conversation", "conversations"])
def test_chat(read, name) -> None:
    turns = [{"role": "user", "content": "<image><image>a?"}, {"role": "assistant", "content": "b"}]
    (record,) = read("chat", [{"id": "x", "images": ["a", "b"], name: turns, "source": "s"}], ".json")
    assert record.pictures == (Member("a"), Member("b"))
    assert record.messages[0].text == "<image><image>a?"
    assert record.meta == {"id": "x", "source": "s"}


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ({"data": ["a", "b", "c", "d"]}, [("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")]),
        ({"conversations": ["<image>", "b"]}, [("user", r"<\image>"), ("assistant", "b")]),
        ({"data": ["a", 1]}, [("user", "a"), ("assistant", "1")]),
        ({"data": ["a", "b", "c"]}, "wrong_type"),
        ({"data": []}, "wrong_type"),
        ({"data": None}, "wrong_type"),
        ({"data": ["a", None]}, "wrong_type"),
        ({"messages": ["a", "b"]}, "missing_field"),
    ],
)
def test_flat_chats(read, row, found) -> None:
    (item,) = read("flat_chat", [{"id": "1", **row}])
    if isinstance(found, str):
        assert item.reason == found
    else:
        assert ([*item.messages], item.pictures, item.meta) == (found, (), {"id": "1"})
