import polars as pl
import pytest

from filters.lengths import Lengths

COLUMNS = [
    "answer_chars",
    "answer_chars_min",
    "answer_words",
    "question_chars",
    "num_turns",
    "num_images",
    "num_videos",
]


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ([("user", "Why?"), ("assistant", "Just so.")], (8, 8, 2, 4, 2, 0, 0)),
        ([("user", "<image>\nWhy?"), ("assistant", " so \n")], (2, 2, 1, 4, 2, 1, 0)),
        ([("user", "a"), ("assistant", "bb"), ("user", "cc"), ("assistant", "")], (2, 0, 1, 3, 4, 0, 0)),
        ([("document", "one <image> two")], (8, 8, 2, None, 1, 1, 0)),
        ([("user", "q"), ("assistant", "\u6c34\u5728\u6cb3\u91cc\uff0cok\u3002")], (8, 8, 5, 1, 2, 0, 0)),
        ([("user", "q"), ("assistant", "\uc548\ub155 \uc138\uc0c1")], (5, 5, 2, 1, 2, 0, 0)),
        ([("user", "q"), ("assistant", "\U0001f600")], (1, 1, 1, 1, 2, 0, 0)),
        ([("user", "<image>")], (None, None, None, None, 1, 1, 0)),
        ([], (None, None, None, None, 0, 0, 0)),
    ],
)
def test_lengths(batch_of, turns, expected):
    found = Lengths()(batch_of(turns))
    assert found.columns == COLUMNS
    assert found.row(0) == expected


def test_pictures_are_counted_not_markers(batch_of):
    batch = batch_of([("user", "<image>"), ("assistant", "a")])
    without = batch.with_columns(pl.col("images").list.head(0))
    assert Lengths()(without)["num_images"].to_list() == [0]


def test_videos_are_counted(batch_of):
    batch = batch_of([("user", "<video>"), ("assistant", "a")]).with_columns(videos=pl.Series([["a.mp4", "b.mp4"]]))
    assert Lengths()(batch)["num_videos"].to_list() == [2]
