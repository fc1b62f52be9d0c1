import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.answer import answers, has_text, roles
from filters.holdings import Holdings
from filters.lengths import Lengths
from filters.letters import WORD
from filters.texts import read_texts
from shards.schema import ROLES

COLUMNS = ["answer_chars", "answer_chars_min", "answer_words", "question_chars"]
HELD = ["num_turns", "num_images", "num_videos"]


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
    batch = batch_of(turns)
    found, held = Lengths()(read_texts(batch)), Holdings()(batch)
    assert (found.columns, held.columns) == (COLUMNS, HELD)
    assert found.row(0) + held.row(0) == expected


def test_pictures_are_counted_not_markers(batch_of):
    batch = batch_of([("user", "<image>"), ("assistant", "a")])
    without = batch.with_columns(pl.col("images").list.head(0))
    assert Holdings()(without)["num_images"].to_list() == [0]


def test_videos_are_counted(batch_of):
    batch = batch_of([("user", "<video>"), ("assistant", "a")]).with_columns(videos=pl.Series([["a.mp4", "b.mp4"]]))
    assert Holdings()(batch)["num_videos"].to_list() == [2]


def slow(batch):
    """The same scores by expressions over lists of strings."""
    each = pl.element()
    chars = each.str.strip_chars().str.len_chars()
    said, asked = pl.col("answers").list, pl.col("questions").list
    texts = batch.select(answers=answers(), questions=pl.when(has_text()).then(roles(("user",))))
    return texts.select(
        said.eval(chars).list.sum().alias("answer_chars"),
        said.eval(chars).list.min().alias("answer_chars_min"),
        said.eval(each.str.count_matches(WORD)).list.sum().alias("answer_words"),
        pl.when(asked.len() > 0).then(asked.eval(chars).list.sum()).alias("question_chars"),
    ).cast(pl.Schema(Lengths.writes))


PARTS = ["a", "bc", " ", "\n", "<image>", "<", "\u00e9", "\u6c34", "\u3002", "\U0001f600", "\u3000", "\x1c", "\x85"]
CHATS = st.lists(
    st.lists(st.tuples(st.sampled_from(ROLES), st.lists(st.sampled_from(PARTS)).map("".join)), max_size=4), max_size=5
)


@settings(deadline=None)
@given(CHATS)
def test_lengths_are_those_of_slow_expressions(batch_of, chats):
    batch = batch_of(*chats)
    assert Lengths()(read_texts(batch)).equals(slow(batch))
