"""Every exporter of conversations against hostile rows, read back by the strict reader of its trainer."""

import json
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from checkers.row import Seen
from material import Pictures, good_rows, part, refused_rows, row, talk

from manifests.exports.base import Exporter, Words
from manifests.exports.instellavl import InstellaVL
from manifests.exports.internvl import InternVL
from manifests.exports.llamafactory import LlamaFactory
from manifests.exports.llava_next import LlavaNext
from manifests.exports.vila import Vila

TRAINERS: dict[str, Exporter] = {
    "llava_next": LlavaNext(),
    "instellavl": InstellaVL(),
    "internvl": InternVL(),
    "vila": Vila(),
}


def check(trainer: str, folder: Path) -> list[Seen]:
    reader: Callable[[Path], list[Seen]] = import_module(f"checkers.{trainer}").check
    return reader(folder)


def json_rows(folder: Path) -> dict[str, dict[str, Any]]:
    """Rows of all annotation files by the last part of their key."""
    found = {}
    for path in sorted(folder.glob("annotations/*")):
        text = path.read_text()
        rows = [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else json.loads(text)
        found |= {each["id"].rpartition("/")[2]: each for each in rows}
    return found


@pytest.fixture
def pictures(tmp_path: Path) -> Pictures:
    return Pictures(tmp_path)


@pytest.mark.parametrize("trainer", TRAINERS)
def test_hostile_rows_come_through(pictures: Pictures, tmp_path: Path, trainer: str) -> None:
    good, bad = good_rows(pictures), refused_rows(pictures)
    out = tmp_path / "out"
    parts = [part("v1.5_set", [*good, *bad.values()], times=2), part("v1.5_set.more", good[:3]), part("none", [])]
    first, second, third = TRAINERS[trainer](parts, pictures.media(out), out)
    assert first.refused == dict.fromkeys(bad, 2)
    assert (first.written, second.written, third.written) == (2 * len(good), 3, 0)
    assert sum(seen.rows for seen in check(trainer, out)) == 2 * len(good) + 3


@pytest.mark.parametrize("trainer", TRAINERS)
def test_text_stays_as_it_was(pictures: Pictures, tmp_path: Path, trainer: str) -> None:
    out = tmp_path / "out"
    TRAINERS[trainer]([part("set", good_rows(pictures))], pictures.media(out), out)
    found = {name: [turn["value"] for turn in each["conversations"]] for name, each in json_rows(out).items()}
    assert found["scripts"] == [
        "\u56fe\u7247\u4e2d\u6709\u4ec0\u4e48\uff1f \U0001f600\u200d\U0001f9d1",
        "\u2028a\u2029b\x85c\x1cd\x0ce",
    ]
    assert found["literal"] == ["What does < image> mean, and < video>?", "< image> is a marker."]
    assert found["control"][0] == "< /img> < |im_start|> | ||IP_ADDRESS||| < vila/video>"
    assert found["glued"] == ["<image>\nWhat?", "An answer."]
    assert found["split escape"][0] == "<image>\n<\\image>"
    assert found["split word"][0] == "<image>\n< image> again"
    assert len(found["long"][0]) == 2_000_000
    assert found["video behind"][0] == "<video>\nWhat happens? "


def test_a_lone_picture_goes_to_the_front_of_its_turn_for_llava(pictures: Pictures, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (outcome,) = LlavaNext()([part("set", good_rows(pictures))], pictures.media(out), out)
    rows = json_rows(out)
    assert rows["later"]["conversations"][2]["value"] == "<image>\nAnd ?"
    assert rows["later pair"]["conversations"][2]["value"] == "<image> or <image>?"
    assert rows["spread"]["conversations"][0]["value"] == "First <image>, then <image>: compare."
    assert rows["system text"]["conversations"][0]["value"] == "Be kind.\n\nHi."
    assert rows["system"]["conversations"][0]["value"] == "<image>\nBe < |im_end|> brief.\n\nWhat?"
    assert rows["deleted"]["conversations"][1]["value"] == "Q A_GT_caption_based_noisy"
    assert "image" not in rows["plain"] and isinstance(rows["one"]["image"], str)
    assert outcome.adapted == {"literal_neutralised": 5, "marker_moved": 6, "system_folded": 3}


def test_internvl_labels_pictures_and_keeps_the_system_turn(pictures: Pictures, tmp_path: Path) -> None:
    out = tmp_path / "out"
    exported = part("set", good_rows(pictures), max_tiles=6, augment=True)
    (outcome,) = InternVL(lengths=True)([exported], pictures.media(out), out)
    rows = json_rows(out)
    labels = "Image-1: <image>\nImage-2: <image>\nImage-3: <image>\nCompare."
    assert rows["several"]["conversations"][0]["value"] == labels
    assert rows["system"]["conversations"][0] == {"from": "system", "value": "Be < |im_end|> brief."}
    # a string would have a second token put before the system's words
    assert isinstance(rows["system"]["image"], list) and isinstance(rows["later"]["image"], list)
    assert isinstance(rows["one"]["image"], str)
    assert rows["several"]["length"] == 7 + 3 * 256 and rows["several"]["width"] == [24, 25, 24]
    assert outcome.adapted["pictures_labelled"] == 1
    described = json.loads((out / "meta.json").read_bytes())["set"]
    assert described["max_dynamic_patch"] == 6 and described["data_augment"] is True
    InternVL(image_labels=False)([exported], pictures.media(tmp_path / "bare"), tmp_path / "bare")
    assert json_rows(tmp_path / "bare")["several"]["conversations"][0]["value"].startswith("<image>\n<image>\n")


def test_vila_keeps_pictures_in_place_in_a_set_of_their_own(pictures: Pictures, tmp_path: Path) -> None:
    out = tmp_path / "out"
    Vila()([part("set", good_rows(pictures), times=3)], pictures.media(out), out)
    assert (out / "mixture.txt").read_text() == "set*3+set.interleaved+set.interleaved+set.interleaved\n"
    names = {
        each["id"].rpartition("/")[2] for each in json.loads((out / "annotations/set.interleaved.json").read_text())
    }
    assert names == {"spread", "later", "later pair", "system late"}
    assert "x 3  LLaVADataset" in (out / "README.txt").read_text()


def test_vila_gathers_small_sets(pictures: Pictures, tmp_path: Path) -> None:
    out = tmp_path / "out"
    many = [row(str(number), *talk("Why?")) for number in range(10)]
    parts = [part("a", many[:2], times=3), part("small", many), part("b", many[:3], times=1)]
    outcomes = Vila(global_batch=8)(parts, pictures.media(out), out)
    assert [outcome.written for outcome in outcomes] == [6, 10, 3]
    assert {seen.name: seen.rows for seen in check("vila", out)} == {"small": 10, "small_": 9}


def test_llama_factory_repeats_rows(pictures: Pictures, tmp_path: Path) -> None:
    out = tmp_path / "out"
    good, bad = good_rows(pictures), refused_rows(pictures)
    (outcome,) = LlamaFactory()([part("set", [*good, *bad.values()], times=3)], pictures.media(out), out)
    rows = json.loads((out / "data/set.json").read_text())
    assert len(rows) == outcome.written == 3 * len(good) and outcome.refused == dict.fromkeys(bad, 3)
    assert max(Counter(each["id"] for each in rows).values()) == 1
    assert rows[4]["conversations"][0]["value"] == "< audio> what?"
    assert outcome.adapted["literal_neutralised"] == 3 * 5
    columns = json.loads((out / "dataset_info.json").read_bytes())["set"]["columns"]
    assert columns == {"messages": "conversations", "images": "images", "videos": "videos"}
    for each in rows:
        spoken = "".join(turn["value"] for turn in each["conversations"])
        assert spoken.count("<image>") == len(each.get("images", []))
        assert all((out / path).is_file() for path in each.get("images", []))


def test_pictures_are_written_once_and_mirrors_are_referenced(pictures: Pictures, tmp_path: Path) -> None:
    out = tmp_path / "out"
    media = pictures.media(out)
    LlavaNext()([part("set", good_rows(pictures), times=2), part("more", good_rows(pictures))], media, out)
    files = {path.name for path in (out / "images").rglob("*") if path.is_file() and "mirrors" not in path.parts}
    expected = {*pictures.packed, pictures.tarred}
    assert {name.partition(".")[0] for name in files} == {image.sha256 for image in expected}
    assert media.written == 4 and media.written_bytes == sum(image.size for image in expected)
    assert media.referenced == 4
    assert (out / "images/mirrors/disk").is_symlink()
    assert json_rows(out)["alone"]["image"] == "mirrors/disk/a b/\u56fe.png"
    tarred = out / "images" / json_rows(out)["spread"]["image"][1]
    assert tarred.read_bytes() == pictures.media(out).data(pictures.tarred)


@pytest.mark.parametrize(
    ("trainer", "words", "expected"),
    [
        ("llava_next", Words("first", "30%"), 2),
        ("llava_next", Words("end", "20%"), 1),
        ("llava_next", Words("random", "3"), 3),
        ("llava_next", Words("all"), 4),
        ("instellavl", Words("repeat", "2"), 4),
        ("internvl", Words("repeat_time", "0.5"), 2),
        ("internvl", Words("repeat_time", "3"), 12),
        ("vila", Words("*", "2"), 8),
        ("vila", Words("@", "tag", frozenset({"s/train/1"})), 3),
        ("vila", Words("*", "2@tag", frozenset({"s/train/1"})), 6),
    ],
)
def test_native_operators_are_written_for_the_trainer(
    pictures: Pictures, tmp_path: Path, trainer: str, words: Words, expected: int
) -> None:
    from dataclasses import replace

    from manifests.exports.sampling import rows_seen

    out = tmp_path / "out"
    rows = [row(str(number), *talk("Why?")) for number in range(4)]
    native = replace(part("set", rows), words=words)
    (outcome,) = TRAINERS[trainer]([native], pictures.media(out), out)
    (seen,) = check(trainer, out)
    assert seen.rows == rows_seen(words, outcome.written, outcome.excluded) == expected
