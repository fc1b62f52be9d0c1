"""Raw rows to shards: keys, positions, quarantine, repairs, gates and pictures stored once."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from shards.errors import GateError, SourceError
from shards.pack import PictureReader
from shards.sample import sample_path
from sources.convert import SHARD_ITEMS, finished_shards
from sources.member import MAX_PICTURE_BYTES
from sources.scan import ScanIndex

ASKED = [{"from": "human", "value": "<image>\nwhat is it?"}, {"from": "gpt", "value": "a kite"}]
TEXT = [{"from": "human", "value": "what is a kite?"}, {"from": "gpt", "value": "a toy"}]
KEYED = {"layout": "table", "columns": {"key": "k", "user": ["q"], "images": ["i"]}}
PLAIN = {"layout": "table", "columns": {"user": ["q"], "images": ["i"]}}


def shown(image: object, turns: object = ASKED, **more: object) -> dict[str, object]:
    return {"id": "x", "image": image, "conversations": turns, **more}


def test_keys_are_source_split_row(raw, make) -> None:
    raw({"a.jsonl": [{"q": "a"}, {"q": "b"}]})
    assert make(**PLAIN).keys == ["s/train/0", "s/train/1"]
    assert make(**PLAIN, name="llava.iconqa", split="val").keys == ["llava.iconqa/val/0", "llava.iconqa/val/1"]


def test_keys_are_names_where_they_are_unique(raw, make) -> None:
    raw({"a.jsonl": [{"k": "left", "q": "a"}, {"k": 7, "q": "b"}]})
    assert make(**KEYED).keys == ["s/train/left", "s/train/7"]


def test_keys_are_rows_where_a_name_repeats_even_in_another_file(raw, make) -> None:
    raw({"a.jsonl": [{"k": "left", "q": "a"}, {"k": "right", "q": "b"}], "b.jsonl": [{"k": "left", "q": "c"}]})
    assert make(**KEYED).keys == ["s/train/0", "s/train/1", "s/train/2"]


def test_a_broken_row_among_named_ones_keeps_a_key_of_its_own(raw, make) -> None:
    raw({"a.jsonl": [{"k": "1", "q": "a"}, "{", {"k": "2", "q": "b", "i": "lost.png"}]})
    made = make(**KEYED)
    assert made.keys == ["s/train/1"]
    assert [row["key"] for row in made.quarantine] == ["s/train/#1", "s/train/2"]


def test_parts_of_a_row_share_its_number(raw, make) -> None:
    table = {"table": {"table": [["", "2019"], ["kites", "4"]]}, "paragraphs": [{"text": "All sold."}]}
    questions = [{"question": "a", "answer": "b"}, {"question": "c", "answer": ["d"]}]
    raw({"a.jsonl": [{**table, "questions": questions}, {**table, "questions": [*questions, {"question": 5}]}]})
    made = make(layout="tatqa")
    assert made.keys == ["s/train/0/0", "s/train/0/1", "s/train/1/0", "s/train/1/1"]
    assert [(row["key"], row["locator"]) for row in made.quarantine] == [("s/train/1/2", "a.jsonl#1/2")]
    assert made.index.items == 5


def test_positions_count_quarantined_rows(raw, make) -> None:
    raw({"a.jsonl": ["{", {"q": "a"}, "[]", {"q": "b"}], "b.jsonl": [{"q": "c"}]})
    made = make(**PLAIN)
    assert [sample["position"] for sample in made.samples] == [1, 3, 4]
    assert [sample["meta"]["locator"] for sample in made.samples] == ["a.jsonl#1", "a.jsonl#3", "b.jsonl#0"]
    assert (made.index.items, made.index.samples, made.index.quarantined) == (
        5,
        3,
        {"broken_record": 1, "wrong_type": 1},
    )


def test_bad_rows_go_to_quarantine_with_reason_place_and_message(raw, make, png, tmp_path: Path) -> None:
    two = [{"from": "human", "value": "<image><image>"}, *ASKED[1:]]
    rows = [
        (shown("a.png"), None),
        (shown("a.png", two), ("marker_mismatch", "2 `<image>` markers for 1 pictures")),
        (shown(["a.png", "a.png"]), ("marker_mismatch", "1 `<image>` markers for 2 pictures")),
        (shown("lost.png"), ("picture_missing", "no file `lost.png`")),
        (shown("../secret.png"), ("unsafe_path", "`../secret.png` leaves")),
        (shown("p/../../secret.png"), ("unsafe_path", "leaves the picture folder")),
        (shown(str(tmp_path / "secret.png")), ("unsafe_path", "leaves the picture folder")),
        (shown("link.png"), ("unsafe_path", "`link.png` leaves")),
        (shown("folder/secret.png"), ("unsafe_path", "leaves the picture folder")),
        (shown("nul\0.png"), ("picture_missing", "cannot be the name of a file")),
        (shown("x" * 300), ("picture_missing", "cannot be the name of a file")),
        (shown("cut.png"), ("picture_undecodable", "PNG")),
        (shown("huge.png"), ("picture_too_large", f"{MAX_PICTURE_BYTES + 1} bytes, limit {MAX_PICTURE_BYTES}")),
        (shown("page.html"), ("picture_unknown_format", "no known picture format")),
        (shown("empty.png"), ("picture_empty", "no bytes")),
        (shown("a.png", [{"from": "human", "value": "<image> \ud83d"}, *ASKED[1:]]), ("broken_record", "surrogate")),
        (shown("a.png", video="a.mp4"), ("mixed_media", "pictures")),
        (shown(None), ("marker_mismatch", "1 `<image>` markers for 0 pictures")),
        (shown(7), ("wrong_type", "expected a picture")),
        ({"id": "x", "image": "a.png"}, ("missing_field", "`conversations`")),
        ("{", ("broken_record", "expected a JSON value")),
        (shown("a.png"), None),
    ]
    files = {"a.png": png(), "cut.png": png(4, 200)[:300], "page.html": b"<html>", "empty.png": b"", "huge.png": b""}
    base = raw({"a.jsonl": [row for row, _ in rows], **{f"p/{name}": data for name, data in files.items()}})
    os.truncate(base / "p" / "huge.png", MAX_PICTURE_BYTES + 1)  # a hole: no such space on disk
    (tmp_path / "secret.png").write_bytes(png())
    (base / "p" / "link.png").symlink_to(tmp_path / "secret.png")
    (base / "p" / "folder").symlink_to(tmp_path)

    made = make(layout="llava", root="p")
    expected = [(f"a.jsonl#{row}", *defect) for row, (_, defect) in enumerate(rows) if defect]
    for found, (locator, reason, message) in zip(made.quarantine, expected, strict=True):
        assert (found["locator"], found["reason"]) == (locator, reason)
        assert message in found["message"]
        assert str(tmp_path) not in found["message"].replace(str(tmp_path / "secret.png"), "")
    assert made.keys == ["s/train/0", f"s/train/{len(rows) - 1}"]
    assert made.index.quarantined == Counter(reason for _, reason, _ in expected)
    assert made.index.samples + sum(made.index.quarantined.values()) == made.index.items == len(rows)


def test_pictures_and_videos_in_one_row_are_not_representable(raw, make) -> None:
    turns = [{"role": "user", "content": [{"type": "image"}, {"type": "video"}]}]
    raw({"a.jsonl": [{"messages": turns, "images": ["a.png"], "videos": ["a.mp4"]}]})
    assert make(layout="messages").reasons == {"a.jsonl#0": "mixed_media"}


def test_every_row_is_a_sample_or_in_quarantine(raw, make, png) -> None:
    rows = [["{", {"q": "a"}, {"q": "b", "i": "lost.png"}, {"q": "c", "i": "a.png"}][row % 4] for row in range(41)]
    raw({"a.jsonl": rows[:17], "b.jsonl": rows[17:], "a.png": png()})
    made = make(**PLAIN)
    assert [made.index.items, made.index.samples] == [41, 20]
    assert made.index.quarantined == {"broken_record": 11, "picture_missing": 10}
    where = [sample["meta"]["locator"] for sample in made.samples] + [row["locator"] for row in made.quarantine]
    assert sorted(where) == sorted([f"a.jsonl#{row}" for row in range(17)] + [f"b.jsonl#{row}" for row in range(24)])


def test_equal_picture_bytes_are_stored_once(raw, make, png, tmp_path: Path) -> None:
    files = {"a.png": png(1), "same.png": png(1), "b.png": png(2)}
    raw({"a.jsonl": [{"q": "?", "i": list(files)}, {"q": "?", "i": "same.png"}], **files})
    made = make(**PLAIN)
    a, same, b = made.images[0]
    assert a == same == made.images[1][0] != b
    assert (made.index.pictures, made.index.picture_bytes) == (2, len(png(1)) + len(png(2)))
    read = PictureReader(str(tmp_path / "store"))
    assert [read(image) for image in made.images[0]] == [png(1), png(1), png(2)]
    with pa.memory_map(str(tmp_path / "store" / a.pack)) as pack:
        assert pa.ipc.open_file(pack).read_all()["sha256"].to_pylist() == [a.sha256, b.sha256]
    assert pl.read_parquet(made.box.path / "pictures.parquet")["sha256"].to_list() == [a.sha256, b.sha256]


def test_equal_picture_bytes_are_stored_once_over_shard_borders(raw, make, png) -> None:
    rows: list[dict[str, Any]] = [{"q": "?"} for _ in range(2 * SHARD_ITEMS + 5)]
    for row in (3, SHARD_ITEMS + 3, 2 * SHARD_ITEMS + 3):
        rows[row]["i"] = "a.png"
    rows[SHARD_ITEMS + 4]["i"] = "b.png"
    raw({"a.jsonl": rows, "a.png": png(1), "b.png": png(2)})
    made = make(**PLAIN)
    assert [shard.items for shard in made.index.shards] == [SHARD_ITEMS, SHARD_ITEMS, 5]
    first, second, other, third = [images[0] for images in made.images if images]
    assert first == second == third
    assert first.pack.endswith("pictures-00000-00000.arrow") and other.pack.endswith("pictures-00001-00000.arrow")
    assert sorted(path.name for path in made.box.path.glob("pictures-*")) == [
        "pictures-00000-00000.arrow",
        "pictures-00001-00000.arrow",
    ]
    assert [sample["position"] for sample in made.samples] == list(range(len(rows)))


@pytest.mark.parametrize(
    ("num_rows", "shards"),
    [(1, [1]), (SHARD_ITEMS - 1, [SHARD_ITEMS - 1]), (SHARD_ITEMS, [SHARD_ITEMS]), (SHARD_ITEMS + 1, [SHARD_ITEMS, 1])],
)
def test_shards_are_full_but_the_last(raw, make, num_rows: int, shards: list[int]) -> None:
    raw({"a.jsonl": [{"q": "?"}] * num_rows})
    made = make(**PLAIN)
    assert [shard.items for shard in made.index.shards] == shards
    assert not sample_path(made.box.path, len(shards)).exists()
    assert finished_shards(made.box) == len(shards)


def test_repairs_are_named_and_counted(raw, make, png) -> None:
    bare = [{"from": "human", "value": "<image>"}, *ASKED[1:]]
    rows = [shown("a.png"), shown("a.png", TEXT), shown("a.png", TEXT), shown("a.png", bare), shown("lost.png", TEXT)]
    raw({"a.jsonl": rows, "a.png": png()})
    made = make(layout="llava", prompt="Describe it.")
    assert made.index.repairs == {"marker_added": 2, "prompt_added": 1}
    assert [sample["meta"].get("repairs") for sample in made.samples] == [
        None,
        ["marker_added"],
        ["marker_added"],
        ["prompt_added"],
    ]


def test_upstream_columns_are_not_taken_for_ours(raw, make) -> None:
    rows = [{"q": "?", "repairs": [], "locator": 5, "native": {"clip": 1}, "x": {"repairs": 1}, "clip": "0.5"}] * 2
    raw({"a.jsonl": rows})
    mapped = {"user": ["q"], "meta": ["repairs", "locator", "native", "x"]}
    made = make(layout="table", columns=mapped, native=["clip"])
    assert made.index.repairs == {}
    assert made.samples[1]["meta"] == {
        "locator": "a.jsonl#1",
        "locator_": 5,
        "native": {"clip": "0.5"},
        "native_": {"clip": 1},
        "repairs_": [],
        "x": {"repairs": 1},
    }


def test_numbers_that_json_lacks_are_null(raw, make) -> None:
    raw({"a.jsonl": ['{"q": "?", "clip": NaN, "n": Infinity}']})
    (sample,) = make(layout="table", columns={"user": ["q"], "meta": ["n"]}, native=["clip"]).samples
    assert sample["meta"] == {"locator": "a.jsonl#0", "n": None, "native": {"clip": None}}


def test_an_empty_file_is_a_source_without_samples(raw, make) -> None:
    raw({"a.jsonl": ""})
    made = make(**PLAIN, rows=0)
    assert (made.index.items, made.index.samples, made.index.quarantined, made.index.pictures) == (0, 0, {}, 0)
    assert made.samples == []
    assert made.quarantine == []


def test_a_file_without_a_table_is_an_error(raw, make) -> None:
    raw({"a.csv": ""})
    with pytest.raises(SourceError, match=r"a\.csv"):
        make(**{**PLAIN, "files": ["a.csv"]})


def test_another_number_of_rows_than_declared_stops(raw, make) -> None:
    raw({"a.jsonl": [{"q": "a"}, "{"], "b.jsonl": [{"q": "b"}]})
    with pytest.raises(
        GateError, match=r"^source `s`: expected 4 rows, found 3; pin another revision or change `rows`$"
    ):
        make(**PLAIN, rows=4)
    assert make(**PLAIN, rows=3).index.items == 3


def test_rows_are_counted_before_they_are_split(raw, make) -> None:
    table = {"table": {"table": [["", "2019"], ["kites", "4"]]}, "paragraphs": [{"text": "All sold."}]}
    raw({"a.jsonl": [{**table, "questions": [{"question": "a", "answer": "b"}] * 3}]})
    assert make(layout="tatqa", rows=1).index.items == 3


@pytest.mark.parametrize(("limit", "stops"), [(0.0, True), (0.49, True), (0.5, False), (1.0, False)])
def test_too_large_a_share_in_quarantine_stops(raw, make, limit: float, stops: bool) -> None:
    raw({"a.jsonl": [{"q": "a"}, "{", {"q": "a", "i": "lost.png"}, {"q": "a"}]})
    if not stops:
        assert make(**PLAIN, quarantine_limit=limit).index.samples == 2
        return
    message = (
        r"^source `s`: 2 of 4 rows in quarantine \(broken_record 1, picture_missing 1\), "
        rf"limit {limit:.0%}; mend the source or raise `quarantine_limit`$"
    )
    with pytest.raises(GateError, match=message):
        make(**PLAIN, quarantine_limit=limit)


def test_a_gate_that_is_opened_needs_no_second_conversion(raw, make) -> None:
    raw({"a.jsonl": [{"q": "a"}, "{"]})
    with pytest.raises(GateError):
        make(**PLAIN, quarantine_limit=0)
    (shard,) = (path for path in raw({}).parent.glob("store/shards/s/*/samples-00000.arrow"))
    before = shard.stat().st_mtime_ns
    made = make(**PLAIN, quarantine_limit=1)
    assert made.index.items == 2
    assert sample_path(made.box.path, 0) == shard
    assert shard.stat().st_mtime_ns == before


def test_a_picture_folder_is_one_sample_for_each_file(raw, make, png, tmp_path: Path) -> None:
    raw({"p/10.png": png(1), "p/2.png": png(2), "p/sub/a.png": png(1), "p/readme.txt": "pictures"})
    made = make(layout="picture_folder", root="p", files=[])
    assert made.keys == ["s/train/2.png", "s/train/10.png", "s/train/sub/a.png"]
    assert made.reasons == {"readme.txt#0": "picture_unknown_format"}
    assert made.scanned.index(ScanIndex).raw_rows == 4
    read = PictureReader(str(tmp_path / "store"))
    assert [read(image) for (image,) in made.images] == [png(2), png(1), png(1)]


def test_a_url_that_nobody_downloaded_is_a_missing_picture(raw, make) -> None:
    raw({"a.jsonl": [{"q": "?", "i": "https://example.org/a.png"}]})
    made = make(**PLAIN)
    assert [(row["reason"], row["message"]) for row in made.quarantine] == [("picture_missing", "never downloaded")]


def test_one_missing_picture_puts_the_whole_row_into_quarantine(raw, make, png) -> None:
    raw({"a.jsonl": [{"q": "?", "i": ["a.png", "lost.png"]}, {"q": "?", "i": "a.png"}], "a.png": png()})
    made = make(**PLAIN)
    assert made.keys == ["s/train/1"]
    assert made.index.pictures == 1


def test_a_source_without_a_picture_has_no_pack(raw, make) -> None:
    raw({"a.jsonl": [{"q": "?"}]})
    assert not list(make(**PLAIN).box.path.glob("pictures-*.arrow"))


def test_names_may_hold_slashes(raw, make) -> None:
    raw({"a.jsonl": [{"k": "a/b", "q": "?"}, {"k": "a", "q": "?"}]})
    made = make(**KEYED)
    assert made.keys == ["s/train/a/b", "s/train/a"]
