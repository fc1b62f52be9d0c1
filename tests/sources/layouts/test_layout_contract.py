"""What holds for every layout, whatever it reads."""

import json
import pickle
from pathlib import Path

import pytest

from sources.layouts import LAYOUTS
from sources.record import Defect, Layout, Record
from sources.spec import Source

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

LINES: dict[str, dict[str, object]] = {
    "chat": {"images": ["a.jpg"], "conversation": CHAT},
    "interleaved": {"texts": ["before", None], "images": [None, "a.jpg"]},
    "llava": {"id": "1", "image": "a.jpg", "conversations": TURNS},
    "messages": {"images": ["a.jpg"], "messages": CHAT},
    "mplug": {"image": ["./a.jpg"], "messages": MPLUG},
    "onevision": {"id": "1", "image": {"bytes": None, "path": "a.jpg"}, "conversations": TURNS},
    "pixmo_ask": {**URL, **QA},
    "pixmo_cap": {**URL, "caption": "a kite", "transcripts": ["um a kite"]},
    "pixmo_points": {**URL, "points": [{"x": 1.0, "y": 2.0}], "count": 1, "label": "kite"},
    "table": QA,
    "tatqa": TATQA,
}
"""One row per layout that reads lines."""

WHOLE: dict[str, tuple[str, object]] = {
    "opencqa": ("rows.json", {"a": ["a.png", "title", "summary", "q", "answer", "extract"], "b": ["too short"]}),
    "picture_folder": ("a.jpg", {}),
    "sroie": ("007.json", {"company": "Kites", "date": "1/2/2019", "address": "Hill 1", "total": "4.00"}),
    "tabmwp": ("rows.json", {"17": PROBLEM, "18": PROBLEM, "19": {}}),
}
"""A file per layout that reads something else."""

REASONS = {"broken_record", "wrong_type", "missing_field", "mixed_media"}


def source(layout: str) -> Source:
    columns = {"user": ["question"], "assistant": ["answer"]} if layout == "table" else None
    return Source(name="s", layout=layout, columns=columns)


def sample_file(folder: Path, layout: str) -> tuple[Path, int]:
    """A file of the layout and how many raw rows it has."""
    if layout in WHOLE:
        name, value = WHOLE[layout]
        path, num_rows = folder / name, len(value) if name == "rows.json" else 1
        path.write_text(json.dumps(value))
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
