import re

import polars as pl
import pyarrow as pa
import pytest
from pydantic import ValidationError

from review.item import Mark, ReviewItem, item_id, picture_file, shown, shown_sample
from review.queue import build, thresholds
from shards.schema import SAMPLE

SHA = "ab" * 32

PREDICATES = {
    "low_quality": "quality < 7",
    "loop": "loop and char_run > 50",
    "small": "(min_side_px < 28 or aspect > 10.5)",
    "language": "lang != 'en'",
    "native": '"native.clip" <= -0.5',
}

MARKS = (Mark(turn=0, start=0, end=4, what="loop"),)

SAMPLES: dict[str, list[object]] = {
    "messages": [
        [{"role": "user", "text": "<image>\nWhat?"}, {"role": "assistant", "text": "A cat."}],
        [{"role": "document", "text": "text"}],
        [{"role": "user", "text": ""}, {"role": "assistant", "text": ""}],
    ],
    "images": [
        [{"sha256": SHA, "pack": "p", "row": 0, "offset": 1, "size": 2, "width": 3, "height": 4, "format": "JPEG"}],
        [],
        [],
    ],
    "videos": [[], [], ["clip.mp4"]],
}


def rows() -> pl.DataFrame:
    samples = pa.table({name: pa.array(values, SAMPLE.field(name).type) for name, values in SAMPLES.items()})
    frame = pl.from_arrow(samples)
    assert isinstance(frame, pl.DataFrame)
    decisions = pl.DataFrame(
        {
            "entry": ["a", "a", "b"],
            "key": ["s/train/0", "s/train/1", "t/train/0"],
            "source": ["s", "s", "t"],
            "domain": ["general", "general", "code"],
            "cluster": [None, "s/train/0", None],
            "reasons": [["low_quality", "small"], ["loop", "language"], []],
            "unknown": [[], [], ["low_quality"]],
            "quality": [6.3, 9.0, None],
            "quality_state": [None, None, "error"],
            "repetition": [8.0, float("nan"), 2.0],
            "loop": [False, True, False],
            "char_run": [3, 60, 4],
            "min_side_px": [27, None, None],
            "min_side_px_state": [None, "not_applicable", "not_applicable"],
            "aspect": [1.0, None, None],
            "lang": ["en", "de", "en"],
            "zlib_share": [0.1, 0.2, 0.3],
        },
        schema_overrides={"reasons": pl.List(pl.String), "unknown": pl.List(pl.String)},
    )
    return decisions.hstack(frame)


def items() -> list[ReviewItem]:
    return build(rows(), stage="sft", predicates=PREDICATES)


def test_an_item_tells_what_concerns_it_and_no_more() -> None:
    first, second, third = items()
    assert list(first.scores) == ["aspect", "min_side_px", "quality", "repetition"]
    assert list(second.scores) == ["char_run", "lang", "loop", "quality", "repetition"]
    assert (second.scores["loop"], second.scores["lang"], second.scores["repetition"]) == (True, "de", None)
    assert third.scores == {"quality": None, "repetition": 2.0}
    assert third.states == {"quality": "error"}
    assert [reason.predicate for reason in first.reasons] == ["quality < 7", PREDICATES["small"]]
    assert [reason.rule for reason in third.unknown] == ["low_quality"]
    assert (first.cluster, second.cluster) == (None, "s/train/0")
    assert first.messages[0].text == "<image>\nWhat?"
    assert first.pictures[0].file == f"pictures/{SHA}.jpg"
    assert third.videos == ("clip.mp4",)
    assert {item.verdict for item in items()} == {""}


def test_distances_are_signed_and_the_margin_is_the_smallest_share_of_a_threshold() -> None:
    first, second, third = items()
    (low,) = first.reasons[0].comparisons
    assert (low.score, low.operator, low.threshold) == ("quality", "<", 7.0)
    assert low.distance == pytest.approx(-0.7)
    assert [each.distance for each in first.reasons[1].comparisons] == [-1.0, -9.5]
    assert first.margin == pytest.approx(1 / 28)  # one pixel of 28 is nearer than 0.7 of 7
    assert second.margin == pytest.approx(10 / 50)
    assert second.reasons[1].comparisons == ()
    assert third.unknown[0].comparisons[0].distance is None
    assert third.margin is None


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        ("quality < 7", [("quality", "<", 7.0)]),
        ("quality<=7.5", [("quality", "<=", 7.5)]),
        ('"native.clip" > -0.25', [("native.clip", ">", -0.25)]),
        ("a < 3 AND (b >= 1e3 or c > 0)", [("a", "<", 3.0), ("b", ">=", 1000.0), ("c", ">", 0.0)]),
        ("not (a < 3)", []),
        ("a + b < 3", []),
        ("abs(a) < 3", []),
        ("a between 1 and 3", []),
        ("lang != 'en'", []),
        ("android < 3", [("android", "<", 3.0)]),
        ("a < b", []),
    ],
)
def test_thresholds_are_found_only_in_simple_comparisons(
    predicate: str, expected: list[tuple[str, str, float]]
) -> None:
    assert list(thresholds(predicate)) == expected


def test_what_the_mixture_says_of_a_row_is_taken_over() -> None:
    told = rows().with_columns(
        pl.Series("template", ["t1", "t2", None], pl.String),
        pl.Series("asked", ["review", "keep", "drop"]),
        pl.Series("rule", ["low_quality", None, "loop"]),
        pl.Series("probability", [1.0, 0.25, 0.5]),
    )
    marked = build(told, stage="sft", predicates=PREDICATES, marker=lambda row: MARKS if row["loop"] else ())
    assert [(item.template, item.asked, item.rule, item.probability) for item in marked] == [
        ("t1", "review", "low_quality", 1.0),
        ("t2", "keep", None, 0.25),
        (None, "drop", "loop", 0.5),
    ]
    assert [item.marks for item in marked] == [(), MARKS, ()]


def test_an_id_depends_on_entry_and_key_alone() -> None:
    other = build(rows().with_columns(quality=pl.lit(1.0)), stage="other", predicates=PREDICATES)
    assert [item.id for item in other] == [item.id for item in items()]
    assert len({item_id("a", "bc"), item_id("ab", "c"), item_id("a", "b")}) == 3
    assert item_id("a", "s/train/0") == items()[0].id
    assert re.fullmatch("r[0-9a-f]{20}", items()[0].id)  # the letter: no spreadsheet takes it for a number


def test_building_in_parts_changes_nothing() -> None:
    frame = rows()
    parts = [build(frame[row : row + 1], stage="sft", predicates=PREDICATES) for row in range(frame.height)]
    assert [item for part in parts for item in part] == items()
    assert build(frame.clear(), stage="sft", predicates=PREDICATES) == []


def test_items_survive_json_and_refuse_what_they_do_not_know() -> None:
    for item in items():
        assert ReviewItem.model_validate_json(item.model_dump_json()) == item
    document = items()[0].model_dump(mode="json")
    for wrong in ({"verdict": "maybe"}, {"extra": 1}):
        with pytest.raises(ValidationError):
            ReviewItem.model_validate({**document, **wrong})


@pytest.mark.parametrize(
    ("name", "extension"),
    [("JPEG", "jpg"), ("MPO", "jpg"), ("PNG", "png"), ("TIFF", "tif"), ("JPEG2000", "jp2"), ("WEBP", "webp")],
)
def test_picture_files_have_the_usual_extension(name: str, extension: str) -> None:
    assert picture_file(SHA, name) == f"pictures/{SHA}.{extension}"


def test_what_a_person_judges_is_named_by_content_alone() -> None:
    first = items()[0]
    images = rows()["images"].to_list()
    raw = [
        shown_sample(*parts)
        for parts in zip(rows()["messages"].to_list(), images, rows()["videos"].to_list(), strict=True)
    ]
    assert [shown(item) for item in items()] == raw
    assert len(set(raw)) == 3
    same = first.model_copy(update={"scores": {}, "margin": None, "settles": 7, "verdict": "keep"})
    other = first.model_copy(update={"messages": first.messages[:1]})
    assert (shown(same) == raw[0], shown(other) == raw[0]) == (True, False)
