"""`mmc4`, `omnicorpus`, `coyo`, `vflan`: what trainers pull from the web at large."""

import base64

import pytest

from sources.record import Embedded, Member, Record, Url

PNG = base64.b64encode(b"png").decode()


def info(index: object, name: str = "a.png", **more: object) -> dict[str, object]:
    return {
        "image_name": name,
        "raw_url": f"https://x.org/{name}",
        "matched_text_index": index,
        "matched_sim": 0.3,
        **more,
    }


@pytest.mark.parametrize(
    ("texts", "infos", "document", "urls"),
    [
        (["One.", "Two."], [info(1)], "One.\n<image>\nTwo.", ["a.png"]),
        (["One.", "Two."], [info(0)], "<image>\nOne. Two.", ["a.png"]),
        (["One.", "Two."], [info(1, "b"), info(0, "a")], "<image>\nOne.\n<image>\nTwo.", ["a", "b"]),
        (["One."], [info(0, "b"), info(0, "a")], "<image>\n<image>\nOne.", ["b", "a"]),
        (["The tag <image>."], [info(0)], "<image>\nThe tag <\\image>.", ["a.png"]),
        (["One."], [info(0, str(i)) for i in range(9)], "<image>\n" * 9 + "One.", [str(i) for i in range(9)]),
        (["One.", "Two."], [], "One. Two.", []),
        ([], [], "", []),
    ],
)
def test_mmc4_keeps_the_order_of_the_document(read, texts, infos, document, urls) -> None:
    row = {"url": "https://x.org", "text_list": texts, "image_info": infos, "similarity_matrix": [[0.1]]}
    (record,) = read("mmc4", [{**row, "could_have_url_duplicate": 0}])
    assert [message.text for message in record.messages] == [document]
    assert record.pictures == tuple(Url(f"https://x.org/{name}") for name in urls)
    assert record.meta == {"url": "https://x.org", "could_have_url_duplicate": 0}


@pytest.mark.parametrize(
    ("item", "picture"),
    [
        (info(0, raw_url=None), Member("a.png")),
        (info(0, image_base64=PNG), Embedded(b"png")),
    ],
)
def test_mmc4_pictures(read, item, picture) -> None:
    assert read("mmc4", [{"text_list": ["One."], "image_info": [item]}])[0].pictures == (picture,)


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (info(1), "wrong_type"),
        (info(-1), "wrong_type"),
        (info(None), "wrong_type"),
        ({"matched_text_index": 0}, "missing_field"),
        ({"raw_url": "https://x.org"}, "missing_field"),
        (7, "wrong_type"),
    ],
)
def test_mmc4_defects(read, item, reason) -> None:
    assert read("mmc4", [{"text_list": ["One."], "image_info": [item]}])[0].reason == reason


@pytest.mark.parametrize(
    ("texts", "images", "valid", "document", "pictures", "repairs"),
    [
        (["a", None], [None, "x"], None, "a\n\n<image>", ("x",), ()),
        (["a", "<image>"], [None, "x"], [True], "a\n\n<image>", ("x",), ()),
        (["the tag <image>", None], [None, "x"], [True], "the tag <\\image>\n\n<image>", ("x",), ()),
        ([None, "a", None], ["x", None, "y"], [False, True], "a\n\n<image>", ("y",), ("invalid_picture_left_out",)),
        ([None, "a"], ["x", None], [False], "a", (), ("invalid_picture_left_out",)),
        (["<image>"], [None], [], "<\\image>", (), ()),
    ],
)
def test_omnicorpus(read, texts, images, valid, document, pictures, repairs) -> None:
    row = {"texts": texts, "images": images, "valid_image": valid, "metadata": "[]", "general_metadata": {"score": 0.5}}
    (record,) = read("omnicorpus", [row], native=["general_metadata.score"])
    assert [message.text for message in record.messages] == [document]
    assert (record.pictures, record.repairs) == (tuple(Member(name) for name in pictures), repairs)
    assert (record.meta, record.native) == ({}, {"general_metadata.score": 0.5})


@pytest.mark.parametrize(
    "change",
    [{"valid_image": [True]}, {"valid_image": [True, "x"]}, {"texts": ["a"]}, {"texts": ["a", None]}, {"images": "x"}],
)
def test_omnicorpus_defects(read, change) -> None:
    row = {"texts": [None, None], "images": ["x", "y"], **change}
    assert [item.reason for item in read("omnicorpus", [row])] == ["wrong_type"]


@pytest.mark.parametrize(
    ("row", "picture"),
    [
        ({"url": "https://x.org/a", "text": " a kite "}, Url("https://x.org/a")),
        ({"url": "https://x.org/a", "caption": "a kite", "image": PNG}, Embedded(b"png")),
        ({"caption": "a kite", "text": "raw", "image": PNG}, Embedded(b"png")),
    ],
)
def test_coyo(read, row, picture) -> None:
    (record,) = read("coyo", [{**row, "clip_similarity_vitb32": 0.3}], native=["clip_similarity_vitb32"])
    assert [message.text for message in record.messages] == [
        "<image>\nWrite a short caption for this picture.",
        "a kite",
    ]
    assert (record.pictures, record.native) == ((picture,), {"clip_similarity_vitb32": 0.3})


def test_coyo_raw_bytes_and_defects(read) -> None:
    (record,) = read("coyo", [{"rawbytes": b"jpg", "caption": "a kite"}], ".parquet", prompt="What?")
    assert (record.pictures, record.messages[0].text) == ((Embedded(b"jpg"),), "<image>\nWhat?")
    rows = [{"text": "a"}, {"url": "https://x.org"}, {"text": "a", "image": "no base64!"}]
    assert [item.reason for item in read("coyo", rows)] == ["missing_field", "missing_field", "wrong_type"]


def test_table_reads_the_list_of_coyo(read) -> None:
    columns = {"assistant": ["text"], "images": ["url"]}
    rows = [{"id": 1, "url": "https://x.org/a", "text": "a kite", "clip_similarity_vitb32": 0.3}]
    (record,) = read("table", rows, ".parquet", columns=columns, native=["clip_similarity_vitb32"], prompt="What?")
    assert (record.pictures, record.native) == ((Url("https://x.org/a"),), {"clip_similarity_vitb32": 0.3})


@pytest.mark.parametrize(
    ("row", "texts", "num_pictures", "repairs"),
    [
        ({"question": "q? ", "answer": "a\n", "image": PNG}, ["<image>\nq?", "a"], 1, ()),
        ({"question": "q?", "answer:": "a", "image:": [PNG, PNG]}, ["<image>\n<image>\nq?", "a"], 2, ()),
        ({"question": "q?", "answer": "a", "image": []}, ["q?", "a"], 0, ()),
        ({"question": "q?", "answer": "a"}, ["q?", "a"], 0, ()),
        ({"question": "q?\n<image>", "answer": "a", "image": PNG}, ["<image>\nq?", "a"], 1, ("markers_moved",)),
        (
            {
                "question": "Chat. Image Descriptions: a dog.\nQuestion: old?\nAnswer: no\nQuestion: big?\n",
                "answer": "yes",
                "image": PNG,
            },
            ["<image>\nChat. Image Descriptions: a dog.\nold?", "no", "big?", "yes"],
            1,
            ("turns_split",),
        ),
        (
            {"question": "Question: a? Answer: b Question: c?", "answer": "d", "image": []},
            ["Question: a? Answer: b Question: c?", "d"],
            0,
            (),
        ),
    ],
)
def test_vflan(read, row, texts, num_pictures, repairs) -> None:
    (record,) = read("vflan", [row])
    assert isinstance(record, Record)
    assert [message.text for message in record.messages] == texts
    assert (record.pictures, record.repairs) == ((Embedded(b"png"),) * num_pictures, repairs)


def test_vflan_paths_and_defects(read) -> None:
    assert read("vflan", [{"question": "q", "answer": "a", "image": "x/1.jpg"}])[0].pictures == (Member("x/1.jpg"),)
    rows = [{"question": "q", "image": PNG}, {"question": "q", "answer": "a", "image": ["?"]}]
    assert [item.reason for item in read("vflan", rows)] == ["missing_field", "wrong_type"]
