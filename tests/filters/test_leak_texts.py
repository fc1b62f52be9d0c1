import hashlib

import numpy as np
import polars as pl
import pytest

from filters.leak_index import COMMON, TextIndex, index_part, whole_index
from filters.leak_match import find_texts, same_questions
from filters.leak_texts import Turns, read_turns
from filters.texts import read_texts
from shards.schema import MESSAGE

TEXT = pl.Struct({field.name: pl.String for field in MESSAGE})
SCHEMA = {"key": pl.String, "messages": pl.List(TEXT), "images": pl.List(pl.Struct({"sha256": pl.String}))}

QUESTION = "Which river on the map reaches the sea north of the harbour town?"
ANSWER = "the Wendel river"


def batch(*rows: tuple[str, str | None, str | None], name: str = "b") -> pl.DataFrame:
    """Samples of question, answer and picture."""
    data = [
        {
            "key": f"{name}/test/{number}",
            "messages": [
                {"role": "user", "text": asked},
                *([] if told is None else [{"role": "assistant", "text": told}]),
            ],
            "images": [] if picture is None else [{"sha256": hashlib.sha256(picture.encode()).hexdigest()}],
        }
        for number, (asked, told, picture) in enumerate(rows)
    ]
    return pl.DataFrame(data, SCHEMA)


def turns(frame: pl.DataFrame) -> Turns:
    return read_turns(read_texts(frame))


def index(*rows: tuple[str, str | None, str | None]) -> TextIndex:
    return TextIndex(*whole_index([index_part(batch(*rows))]))


def words(*texts: str) -> list[list[int]]:
    found = turns(batch(*((text, None, None) for text in texts))).words
    return [found.of(text).tolist() for text in range(len(texts))]


@pytest.mark.parametrize(
    "text",
    [
        "which RIVER on the map reaches the sea, north of the harbour town",
        "<image>\n\u201cWhich  river on the map\u201d reaches the sea \u2014 north of the (harbour) town?!",
        "Which river on the map\nreaches the sea\tnorth of the harbour town...",
    ],
)
def test_neither_case_nor_signs_nor_markers_count(text: str) -> None:
    left, right = words(QUESTION, text)
    assert left == right
    assert len(left) == 13


def test_characters_of_scripts_without_spaces_are_words() -> None:
    assert [len(found) for found in words("\u56fe\u4e2d\u6709\u4ec0\u4e48\uff1f", "3.5 kg", "")] == [5, 3, 0]


def test_an_index_keeps_questions_their_first_lines_and_long_answers() -> None:
    told = "The map shows the Wendel river and its mouth in the north."
    kept = index((f"{QUESTION}\nA. Wendel\nB. Mill", "A", "p"), ("Why?", told, "q")).items
    assert kept.select("kind", "row", "words").rows() == [
        ("question", "b/test/0", 17),
        ("question", "b/test/1", 1),
        ("question", "b/test/0", 13),
        ("answer", "b/test/1", 12),
    ]


def test_batches_of_a_benchmark_make_the_same_index() -> None:
    rows = [(f"{QUESTION} {number}", f"{ANSWER} {number}", "abcdef"[number % 6]) for number in range(9)]
    frame = batch(*rows, rows[0])
    whole = whole_index([index_part(frame)])
    parts = whole_index([index_part(frame[:4]), index_part(frame[4:5]), index_part(frame[5:])])
    for left, right in zip(whole, parts, strict=True):
        assert left.sort(left.columns[0], *left.columns[1:2]).equals(right.sort(right.columns[0], *right.columns[1:2]))
    assert whole[0].height == 9  # the last row says what the first does


def test_an_answer_that_many_questions_have_tells_nothing() -> None:
    rows = [(f"{QUESTION} {number}", "yes" if number % 2 else f"{ANSWER} {number}", None) for number in range(40)]
    kept = index(*rows).items
    assert kept["answer"].null_count() == 20
    assert set(kept["answer_words"].to_list()) == {0, 4}


def test_a_pair_that_stands_with_two_pictures_is_nobodys() -> None:
    rows = [
        ("What is the title?", "Annual flow of the river", "p"),
        ("What is the title?", "Sales of boats in spring", "p"),
        ("What is the title?", "Sales of boats in spring", "q"),
        ("What is it?", "a map", "q"),
    ]
    assert index(*rows).pairs["row"].to_list() == ["b/test/0"]


@pytest.mark.parametrize(
    ("asked", "told", "share", "agrees"),
    [
        (QUESTION, ANSWER, 1.0, True),
        (f"Look closely. {QUESTION.upper()} Answer briefly.", "It is the Wendel river.", 1.0, True),
        (QUESTION.replace("sea", "ocean"), "Wendel", 8 / 11, False),
        (QUESTION, None, 1.0, None),
        ("Which road on the map is the longest one of all that are shown?", ANSWER, None, None),
    ],
)
def test_candidates_by_their_share(asked: str, told: str | None, share: float | None, agrees: bool | None) -> None:
    frame = batch((asked, told, "q"), name="a")
    hits = find_texts(frame, turns(frame), index((QUESTION, ANSWER, "p"))).hits
    if share is None:
        assert hits.is_empty()
    else:
        assert hits["hit"].mean() == pytest.approx(share)
        assert hits["agrees"].unique().to_list() == [agrees]
        assert hits["key"].unique().to_list() == ["a/test/0"]


def test_a_question_that_the_benchmark_asks_of_many_pictures_is_no_candidate() -> None:
    rows: list[tuple[str, str | None, str | None]] = [(QUESTION, None, chr(0x100 + number)) for number in range(COMMON)]
    frame = batch((QUESTION, None, "q"), name="a")
    assert find_texts(frame, turns(frame), index(*rows)).hits.is_empty()
    assert find_texts(frame, turns(frame), index(*rows[1:])).hits.height == 11 * (COMMON - 1)


def test_the_same_text_of_the_same_picture_is_seen_once() -> None:
    known = index((QUESTION, ANSWER, "p"))
    frame = batch((QUESTION, "a", "q"), (QUESTION, "b", "q"), (QUESTION, "c", "r"), name="a")
    seen = find_texts(frame, turns(frame), known).seen
    assert seen.group_by("gram").len()["len"].unique().to_list() == [2]


def test_an_index_without_texts_finds_nothing() -> None:
    frame = batch((QUESTION, ANSWER, "q"), name="a")
    nothing = TextIndex(*whole_index([index_part(batch())]))
    assert all(found.is_empty() for found in find_texts(frame, turns(frame), nothing))


def test_with_the_picture_in_common_short_questions_are_told_apart() -> None:
    known = index(
        ("What is the title?", "Flow", "p"), ("How many?", "two", "p"), ("Who is the author of this?", "M", "p")
    )
    frame = batch(("what is the title", "Flow", "p"), ("Who is the author of that?", "N", "p"), name="a")
    pairs = pl.DataFrame({"sample": [0] * 3 + [1] * 3, "item": [0, 1, 2] * 2}, {"sample": pl.UInt32, "item": pl.UInt32})
    found = same_questions(turns(frame), known, pairs)
    assert found.select("sample", "item", "message").rows() == [(0, 0, 0), (1, 2, 0)]
    assert found["share"].to_list() == pytest.approx([1.0, 0.75])


def test_a_document_is_searched_for_questions_and_answers() -> None:
    told = "The map shows the Wendel river and its mouth in the north."
    known = index((QUESTION, told, None))
    document = [{"role": "document", "text": f"Of maps. {QUESTION} {told} And so on."}]
    frame = pl.DataFrame({"key": ["a/train/0"], "messages": [document], "images": [[]]}, SCHEMA)
    hits = find_texts(frame, turns(frame), known).hits
    held = hits.group_by("item").agg(pl.col("hit").all()).sort("item")
    assert known.items["kind"].gather(held["item"]).to_list() == ["question", "answer"]
    assert held["hit"].all()
    assert np.isin(hits["message"], [0]).all()
