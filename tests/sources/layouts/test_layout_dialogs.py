"""Layouts whose rows hide conversations in lists and long texts."""

import base64

import pytest

from sources.layouts.dialog import unpack
from sources.record import Defect, Embedded, Member, Message, Record, Url

PNG = base64.b64encode(b"png").decode()
URL = "https://example.org/a.jpg"


def said(record: Record | Defect) -> list[str]:
    assert isinstance(record, Record), record
    roles = [message.role for message in record.messages if message.role != "system"]
    assert roles == ["user", "assistant"] * (len(roles) // 2)
    return [message.text for message in record.messages]


@pytest.mark.parametrize(
    ("text", "heading", "texts"),
    [
        ("Question: a? Answer: b", "", ("a?", "b")),
        ("Question: a?Answer: b\n\nQuestion: c", "", ("a?", "b", "c")),
        ("Look. Question: a?", "Look.", ("a?",)),
        ("Question: a? Answer: b Answer: c", "", ()),
        ("Answer: b Question: a?", "", ()),
        ("MyQuestion: a?", "MyQuestion: a?", ()),
        ("", "", ()),
    ],
)
def test_unpack(text, heading, texts) -> None:
    assert unpack(text, "Question:", "Answer:") == (heading, texts)


def m3it(**change: object) -> dict[str, object]:
    return {"instruction": "Decide.", "inputs": "a dog", "image_base64_str": [PNG], "outputs": "yes", **change}


@pytest.mark.parametrize(
    ("row", "texts", "repairs"),
    [
        (m3it(), ["<image>\nDecide.\na dog", "yes"], ()),
        (m3it(outputs="yes \n"), ["<image>\nDecide.\na dog", "yes"], ("blanks_stripped",)),
        (m3it(inputs=""), ["<image>\nDecide.", "yes"], ()),
        (m3it(inputs=None), ["<image>\nDecide.", "yes"], ()),
        (m3it(image_base64_str=[PNG, PNG]), ["<image>\n<image>\nDecide.\na dog", "yes"], ()),
        (m3it(image_base64_str=f"{PNG[:2]}\n{PNG[2:]}\n"), ["<image>\nDecide.\na dog", "yes"], ()),
        (m3it(image_base64_str=PNG), ["<image>\nDecide.\na dog", "yes"], ()),
        (m3it(image_base64_str=[]), ["Decide.\na dog", "yes"], ()),
        (m3it(image_base64_str=None), ["Decide.\na dog", "yes"], ()),
        (m3it(inputs="Question: one?"), ["<image>\nDecide.\nQuestion: one?", "yes"], ()),
        (
            m3it(inputs="Question: a?Answer: b\nQuestion: c? Answer: "),
            ["<image>\nDecide.\na?", "b", "c?", "yes"],
            ("turns_split",),
        ),
        (m3it(inputs="Question: a? Answer: b"), ["<image>\nDecide.\nQuestion: a? Answer: b", "yes"], ()),
    ],
)
def test_m3it(read, row, texts, repairs) -> None:
    (record,) = read("m3it", [row])
    assert (said(record), record.repairs) == (texts, repairs)
    assert set(record.pictures) <= {Embedded(b"png")}


@pytest.mark.parametrize("image", [["not base64!"], [None], 7, ["\u00e9"], [[PNG]]])
def test_m3it_broken_pictures(read, image) -> None:
    (defect,) = read("m3it", [m3it(image_base64_str=image)])
    assert (defect.reason, "expected base64" in defect.message) == ("wrong_type", True)


@pytest.mark.parametrize(
    ("change", "texts", "repairs"),
    [
        ({"messages": ["a?", "b", "c?", "d"]}, ["<image>\na?", "b", "c?", "d"], ()),
        ({"messages": ["the tag <image>", "b"]}, ["<image>\nthe tag <\\image>", "b"], ()),
        ({"messages": []}, ["<image>\nraining?", "no"], ("turns_split",)),
        ({}, ["<image>\nraining?", "no"], ("turns_split",)),
        ({"question": "raining?"}, ["<image>\nraining?", "no"], ()),
        ({"question": "[USER] a? [ASSISTANT] b [USER] c?"}, ["<image>\na?", "b", "c?", "no"], ("turns_split",)),
        ({"question": "what is [USER] for?"}, ["<image>\nwhat is [USER] for?", "no"], ()),
    ],
)
def test_pixmo_cap_qa(read, change, texts, repairs) -> None:
    (record,) = read("pixmo_cap_qa", [{"image_url": URL, "question": "[USER] raining?", "answer": "no", **change}])
    assert (said(record), record.repairs, record.pictures) == (texts, repairs, (Url(URL),))


@pytest.mark.parametrize("messages", [["a?", "b", "c?"], ["a?"], [None, "b"], "a?"])
def test_pixmo_cap_qa_defects(read, messages) -> None:
    (defect,) = read("pixmo_cap_qa", [{"image_url": URL, "messages": messages}])
    assert defect.reason == "wrong_type"


def explained(**change: object) -> dict[str, object]:
    places = {"inline_text": ["here", "there"], "alt_text": ["door", "doors"]}
    points = [[{"x": 1.0, "y": 2.0}], [{"x": 50, "y": 60.26}, {"x": 3, "y": 4}]]
    parsed = "Red, <|POINT|> and <|POINT|>."
    return {"image_url": URL, "question": "door?", "parsed_response": parsed, **places, "points": points, **change}


def test_point_explanations_are_written_out(read) -> None:
    (record,) = read("pixmo_point_explanations", [explained()])
    assert said(record) == ["<image>\ndoor?", "Red, here (1.0, 2.0) and there (50.0, 60.3), (3.0, 4.0)."]
    plain = explained(parsed_response="no place", points=[], inline_text=[], alt_text=[])
    assert said(read("pixmo_point_explanations", [plain])[0])[1] == "no place"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"parsed_response": None}, "not_parsed"),
        ({"alt_text": ["door"]}, "wrong_type"),
        ({"parsed_response": "one <|POINT|>"}, "wrong_type"),
        ({"points": [[{"x": 512.0, "y": 2.0}], []]}, "wrong_type"),
    ],
)
def test_point_explanations_defects(read, change, reason) -> None:
    assert read("pixmo_point_explanations", [explained(**change)])[0].reason == reason


SCI = {
    "image_file": "1002.2525v2-Figure1-1.png",
    "id": "1002.2525v2-Figure1-1.png",
    "conversations": [{"from": "human", "value": "What is plotted? <image>"}, {"from": "gpt", "value": "Loss."}],
}


@pytest.mark.parametrize(
    ("change", "texts", "repairs"),
    [
        (
            {"response": "Question: Q1? <image> Answer: A1\n\nQuestion: Q2? Answer: A2"},
            ["<image>\nQ1?", "A1", "Q2?", "A2"],
            ("turns_split",),
        ),
        (
            {"q_a_pairs": [["Q1? <image>", "A1"], ["Q2?", "A2"]], "response": "x"},
            ["<image>\nQ1?", "A1", "Q2?", "A2"],
            (),
        ),
        ({"response": "Question: Q1?"}, ["What is plotted? <image>", "Loss."], ("first_pair_only",)),
        ({"response": "Question: Q1? Answer: "}, ["What is plotted? <image>", "Loss."], ("first_pair_only",)),
        ({"response": "Sure! Question: Q1? Answer: A1"}, ["What is plotted? <image>", "Loss."], ("first_pair_only",)),
        ({"response": None}, ["What is plotted? <image>", "Loss."], ("first_pair_only",)),
    ],
)
def test_scigraphqa(read, change, texts, repairs) -> None:
    (record,) = read("scigraphqa", [{**SCI, **change}])
    assert (said(record), record.repairs) == (texts, repairs)
    assert record.pictures == (Member("1002.2525v2-Figure1-1.png"),)


def test_scigraphqa_defects(read) -> None:
    rows = [{**SCI, "q_a_pairs": ["Q1"]}, {"image_file": "a.png"}, {"conversations": SCI["conversations"]}]
    assert [item.reason for item in read("scigraphqa", rows)] == ["wrong_type", "missing_field", "missing_field"]


TALK = [
    {"from": "system", "value": "A chat."},
    {"from": "human", "value": "Explain."},
    {"from": "gpt", "value": "It rises."},
]


@pytest.mark.parametrize(
    ("change", "texts", "repairs"),
    [
        ({}, ["A chat.", "<image>\n<image>\nExplain.", "It rises."], ()),
        ({"conversations": None}, ["<image><image>Explain.", "OpenAI: it rises."], ("turns_split",)),
        (
            {"conversations": [], "text": "A chat.\nHuman: a?\nAI: b\nHuman: c?\nAI: "},
            ["A chat.", "<image>\n<image>\na?", "b", "c?", ""],
            ("turns_split",),
        ),
    ],
)
def test_paperowl(read, change, texts, repairs) -> None:
    row = {
        "image": ["./imgs/fig_2.png", PNG.replace(PNG, "iVBORw0KGgo=")],
        "text": "Human: <image><image>Explain.\nAI: OpenAI: it rises.",
        "prompt": "",
        "task_type": "analysis",
        "conversations": TALK,
        **change,
    }
    (record,) = read("paperowl", [row])
    assert (said(record), record.repairs) == (texts, repairs)
    assert record.pictures == (Member("imgs/fig_2.png"), Embedded(base64.b64decode("iVBORw0KGgo=")))
    assert record.meta == {"task_type": "analysis"}


def test_paperowl_without_a_user_turn_keeps_its_turns(read) -> None:
    (record,) = read("paperowl", [{"image": ["a.png"], "conversations": TALK[:1]}])
    assert record.messages == (Message("system", "A chat."),)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"text": "AI: a"}, "wrong_type"),
        ({"text": "Human: a"}, "wrong_type"),
        ({"caption": "meta part"}, "missing_field"),
    ],
)
def test_paperowl_defects(read, row, reason) -> None:
    assert read("paperowl", [row])[0].reason == reason


@pytest.mark.parametrize("layout", ["llava", "onevision", "chat", "mplug", "messages"])
def test_a_role_written_by_mistake_is_a_repair(read, layout) -> None:
    name = {"llava": "conversations", "onevision": "conversations", "chat": "conversation"}.get(layout, "messages")
    turns = [{"role": "user", "content": "q"}, {"role": "Answer", "content": "a"}]
    (record,) = read(layout, [{name: turns}])
    assert (record.messages[1], record.repairs) == (Message("assistant", "a"), ("role_renamed",))


@pytest.mark.parametrize(
    ("image", "question", "pictures"),
    [
        (["a/0.png", "a/1.png"], "<image>\n<image>\nWhat changed?", 2),
        ("a/0.png", "<image>\nWhat?", 1),
    ],
)
def test_llava_reads_m4(read, image, question, pictures) -> None:
    row = {"sample_id": 81, "image": image, "metadata": {"dataset": "spot-the-diff"}}
    turns = [{"from": "human", "value": question}, {"from": "gpt", "value": "One car left."}]
    (record,) = read("llava", [{**row, "conversations": turns}], ".json")
    assert (said(record), len(record.pictures)) == ([question, "One car left."], pictures)
    assert record.meta == {"sample_id": 81}


@pytest.mark.parametrize("video", ["academic/charades/0001.mp4", "frames/0001", ["frames/0001"]])
def test_llava_reads_llava_video(read, video) -> None:
    turns = [{"from": "human", "value": "<image>\nDescribe."}, {"from": "gpt", "value": "A man."}]
    (record,) = read("llava", [{"id": "v_1", "video": video, "conversations": turns, "data_source": "d"}], ".json")
    assert (said(record), record.pictures) == (["<video>\nDescribe.", "A man."], ())
    assert record.videos == ((video if isinstance(video, str) else video[0]),)
