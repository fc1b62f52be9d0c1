"""What holds for every layout, whatever it reads."""

import base64
import json
import pickle
from pathlib import Path

import pytest

from shards.errors import CatalogError
from sources.layouts import LAYOUTS, WHOLE_FILE
from sources.record import NOT_OF_SOURCE, Defect, Layout, Record
from sources.scan import check_layouts
from sources.spec import Only, Source

QA = {"question": "how many kites?", "answer": "two"}
TURNS = [{"from": "human", "value": "<image>\nwhat is it?"}, {"from": "gpt", "value": "a kite"}]
CHAT = [{"role": "user", "content": "<image> what is it?"}, {"role": "assistant", "content": "a kite"}]
MPLUG = [{"role": "user", "content": "<|image|>what is it?"}, {"role": "assistant", "content": "a kite"}]
URL = {"image_url": "https://example.org/a.jpg"}
TATQA = {
    "table": {"table": [["", "2019"], ["kites", "4"]]},
    "paragraphs": [{"text": "All sold."}],
    "questions": [QA, QA],
}
PROBLEM = {**QA, "choices": ["one", "two"], "unit": None, "solution": "Count them."}

PAIR = {"user": "how many kites?", "assistant": "two", "source": "made up"}
PNG = base64.b64encode(b"png").decode()
CAPTIONS = {"file_name": "1.jpg", "image": {"bytes": None, "path": "1.jpg"}, "captions": ["a kite", "a toy"]}
ITEM = {"transcription": "OPEN", "points": [[1, 2], [9, 2], [9, 6], [1, 6]]}
WORD = {"vertices": [[1, 2], [9, 2], [9, 6], [1, 6]], "text": "OPEN", "legible": True}
NEWS = {"imgPath": "KVQAimgs/1.jpg", "Questions": ["who?", "how many?"], "Answers": ["A", 2]}

LINES: dict[str, dict[str, object]] = {
    "arxivqa": {"id": "1", "image": "a.jpg", "options": ["A) one", "B) two"], **QA, "label": "B", "rationale": "r"},
    "cauldron": {"images": [{"bytes": None, "path": "a.jpg"}], "texts": [PAIR, PAIR]},
    "chat": {"images": ["a.jpg"], "conversation": CHAT},
    "coyo": {"url": "https://example.org/a.jpg", "text": "a kite"},
    "flat_chat": {"data": ["how many kites?", "two"]},
    "interleaved": {"texts": ["before", None], "images": [None, "a.jpg"]},
    "llava": {"id": "1", "image": "a.jpg", "conversations": TURNS},
    "m3it": {"instruction": "Answer.", "inputs": "how many?", "image_base64_str": [PNG], "outputs": "two "},
    "mathvision": {**QA, "options": [], "image": "images/1.jpg", "decoded_image": None, "solution": None},
    "messages": {"images": ["a.jpg"], "messages": CHAT},
    "mmc": {"image_id": "a.png", **QA},
    "mmc4": {"text_list": ["One.", "Two."], "image_info": [{"raw_url": "https://x.org/a", "matched_text_index": 1}]},
    "mplug": {"image": ["./a.jpg"], "messages": MPLUG},
    "mtvqa": {"image": "a.jpg", "qa_pairs": str([QA, QA]), "lang": "FR"},
    "omnicorpus": {"texts": ["before", None], "images": [None, "a.jpg"], "valid_image": [True]},
    "onevision": {"id": "1", "image": {"bytes": None, "path": "a.jpg"}, "conversations": TURNS},
    "paper2fig": {"figure_id": "1-Figure2-1", "captions": ["Figure 2: a kite."], "captions_norm": []},
    "paperowl": {"image": ["a.png"], "text": "Human: <image>what?\nAI: a kite", "conversations": TURNS},
    "pixmo_ask": {**URL, **QA},
    "pixmo_cap": {**URL, "caption": "a kite", "transcripts": ["um a kite"]},
    "pixmo_cap_qa": {**URL, **QA, "messages": ["dry?", "yes"]},
    "pixmo_docs": {
        "image": {"bytes": None, "path": "a"},
        "questions": {"question": ["a?", "b?"], "answer": ["1", "2"]},
    },
    "pixmo_point_explanations": {
        **URL,
        **QA,
        "parsed_response": "It is <|POINT|>.",
        "inline_text": ["here"],
        "alt_text": ["a kite"],
        "points": [[{"x": 1.0, "y": 2.0}]],
    },
    "pixmo_points": {**URL, "points": [{"x": 1.0, "y": 2.0}], "count": 1, "label": "kite"},
    "scigraphqa": {"image_file": "a.png", "conversations": TURNS, "response": "Question: a? Answer: b"},
    "screen2words": CAPTIONS,
    "screenqa_rico": {**CAPTIONS, **QA, "ground_truth": [{"full_answer": "two", "ui_elements": []}]},
    "table": QA,
    "tatqa": TATQA,
    "unichart": {"imgname": "a.png", "query": "<chartqa> how many?", "label": "2"},
    "vflan": {**QA, "image:": [PNG]},
    "widget_captioning": {**CAPTIONS, "bbox": [0.1, 0.2, 0.3, 0.4]},
}
"""One row per layout that reads lines."""

WHOLE: dict[str, tuple[str, object]] = {
    "art": ("rows.json", {"gt_1": [ITEM], "gt_2": [ITEM, {}], "gt_3": []}),
    "chart_to_text": ("dataset/split/index.csv", "two_col-1.txt\n"),
    "coco_text": (
        "one.json",
        {
            "imgs": {"7": {"file_name": "7.jpg", "set": "train"}},
            "anns": {"1": {"image_id": 7, "bbox": [1, 2, 8, 4], "utf8_string": "OPEN", "legibility": "legible"}},
        },
    ),
    "hiertext": (
        "one.json",
        {"info": {}, "annotations": [{"image_id": "a", "paragraphs": [{"lines": [{"words": [WORD]}]}]}]},
    ),
    "kvqa": ("rows.json", {"7": NEWS, "8": {**NEWS, "Answers": ["A"]}, "9": NEWS}),
    "mlt": ("gt_img_1.txt", "1,2,9,2,9,6,1,6,Latin,OPEN\n"),
    "openvino": (
        "one.json",
        {
            "images": [{"id": 0, "file_name": "train_1/a.jpg"}],
            "annotations": [
                {
                    "image_id": 0,
                    "segmentation": [[1, 2, 9, 2, 9, 6, 1, 6]],
                    "attributes": {"legible": True, "transcription": "OPEN"},
                }
            ],
        },
    ),
    "opencqa": ("rows.json", {"a": ["a.png", "title", "summary", "q", "answer", "extract"], "b": ["too short"]}),
    "picture_folder": ("a.jpg", {}),
    "sroie": ("007.json", {"company": "Kites", "date": "1/2/2019", "address": "Hill 1", "total": "4.00"}),
    "tabmwp": ("rows.json", {"17": PROBLEM, "18": PROBLEM, "19": {}}),
    "uber_text": ("truth_7.txt", "1 2 9 2 9 6 1 6\tOPEN\tshop\n"),
}
"""A file per layout that reads something else."""

REASONS = {"broken_record", "wrong_type", "missing_field", "mixed_media", "nothing_legible"}

REAL = {
    "chat": "mantis_chat",
    "llava": "llava_conv_demo",
    "messages": "llamafactory",
    "opencqa": "opencqa",
    "picture_folder": "im2latex",
    "sroie": "sroie",
    "table": "gsm8k",
    "tabmwp": "tabmwp",
    "tatqa": "tatqa",
}
"""The extract of published rows that each of these layouts was run on."""


def source(layout: str) -> Source:
    columns = {"user": ["question"], "assistant": ["answer"]} if layout == "table" else None
    # Chart-to-Text asks that its captions stand in `files`
    return Source(name="s", layout=layout, columns=columns, files=("index.csv", "captions/*.txt"))


def sample_file(folder: Path, layout: str) -> tuple[Path, int]:
    """A file of the layout and how many raw rows it has."""
    if layout in WHOLE:
        name, value = WHOLE[layout]
        path, num_rows = folder / name, len(value) if isinstance(value, dict) and name == "rows.json" else 1
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        if layout == "chart_to_text":
            (folder / "dataset" / "captions").mkdir(exist_ok=True)
            (folder / "dataset" / "captions" / "1.txt").write_text("Sales rose .\n")
    else:
        path, num_rows = folder / "rows.jsonl", 5
        lines = [json.dumps(LINES[layout]), json.dumps(LINES[layout]), "{}", "7", json.dumps(LINES[layout])]
        path.write_text("\n".join(lines))
    return path, num_rows


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def items_of(layout: str, path: Path) -> list[Record | Defect]:
    return list(LAYOUTS[layout](path, source(layout)))


def test_every_layout_is_sampled_here_and_lives_in_its_own_module() -> None:
    assert LINES.keys() | WHOLE.keys() == LAYOUTS.keys()
    assert list(LAYOUTS) == sorted(LAYOUTS)
    assert {name: type(layout).__module__ for name, layout in LAYOUTS.items()} == {
        name: f"sources.layouts.{name}" for name in LAYOUTS
    }


def test_layouts_of_rows_leave_rows_to_other_sources_and_the_rest_say_that_they_cannot(
    layout: str, tmp_path: Path
) -> None:
    if layout in WHOLE_FILE:
        with pytest.raises(CatalogError, match="does not read `only`"):
            check_layouts([source(layout).model_copy(update={"only": Only(like=("a/*",))})])
        return
    path, num_rows = sample_file(tmp_path, layout)
    mine = source(layout).model_copy(update={"only": Only(column="nobody.has.it", like=("a/*",))})
    check_layouts([mine])
    items = list(LAYOUTS[layout](path, mine))
    assert [item.row for item in items] == list(range(num_rows))
    assert {item.reason for item in items if isinstance(item, Defect)} == {NOT_OF_SOURCE}


def test_every_layout_says_what_it_was_written_from() -> None:
    found = {name: getattr(layout, "evidence", None) for name, layout in LAYOUTS.items()}
    assert set(found.values()) <= {"real rows", "upstream code", "card", "remembered"}
    assert {name for name, evidence in found.items() if evidence == "real rows"} == REAL.keys()


def test_rows_come_in_order_without_gaps(layout: str, tmp_path: Path) -> None:
    path, num_rows = sample_file(tmp_path, layout)
    rows = [item.row for item in items_of(layout, path)]
    assert rows == sorted(rows)
    assert sorted(set(rows)) == list(range(num_rows))


def test_row_and_part_are_unique(layout: str, tmp_path: Path) -> None:
    items = items_of(layout, sample_file(tmp_path, layout)[0])
    assert len({(item.row, item.part) for item in items}) == len(items)


def test_good_rows_are_records_and_others_defects_with_a_known_reason(layout: str, tmp_path: Path) -> None:
    items = items_of(layout, sample_file(tmp_path, layout)[0])
    assert isinstance(items[0], Record)
    defects = [item for item in items if isinstance(item, Defect)]
    assert {defect.reason for defect in defects} <= REASONS
    assert all(defect.message.startswith("expected ") and "found " in defect.message for defect in defects)


def test_two_reads_are_equal(layout: str, tmp_path: Path) -> None:
    path, _ = sample_file(tmp_path, layout)
    assert items_of(layout, path) == items_of(layout, path)


def test_layout_and_items_pickle(layout: str, tmp_path: Path) -> None:
    path, _ = sample_file(tmp_path, layout)
    again: Layout = pickle.loads(pickle.dumps(LAYOUTS[layout]))
    assert again == LAYOUTS[layout]
    items = list(again(path, source(layout)))
    assert pickle.loads(pickle.dumps(items)) == items


def test_as_many_markers_as_pictures_in_plain_rows(layout: str, tmp_path: Path) -> None:
    record = items_of(layout, sample_file(tmp_path, layout)[0])[0]
    assert isinstance(record, Record)
    assert sum(message.text.count("<image>") for message in record.messages) == len(record.pictures)


@pytest.mark.parametrize("layout", LINES)
@pytest.mark.parametrize("line", ["{", "", "\udcff", '{"a": "\\ud800"}', "{} {}", "[" * 100_000])
def test_a_broken_line_is_one_defect_and_moves_the_others_by_one(layout: str, line: str, tmp_path: Path) -> None:
    good = json.dumps(LINES[layout])
    path = tmp_path / "rows.jsonl"
    path.write_text(f"{good}\n{good}\n")
    expected = items_of(layout, path)
    path.write_text(f"{good}\n{line}\n{good}\n\n \n", errors="surrogateescape")
    items = items_of(layout, path)
    broken = [item for item in items if isinstance(item, Defect)]
    assert [(defect.row, defect.reason) for defect in broken] == [(1, "broken_record")]
    assert [item for item in items if item.row == 0] == [item for item in expected if item.row == 0]
    assert len(items) == len(expected) + 1
    assert items[-1].row == 2
