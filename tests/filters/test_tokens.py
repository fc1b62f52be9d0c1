import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.answer import ANSWER_ROLES, bare
from filters.texts import read_texts
from filters.tokens import CHARS_PER_TOKEN, WIDE, TokenEstimate
from shards.schema import ROLES


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        # 4 and 8 characters; 5 characters are two tokens
        ([("user", "Why?"), ("assistant", "Just so.")], (1 + 2, 2)),
        ([("user", "12345"), ("assistant", "1")], (2 + 1, 1)),
        # each message is rounded up for itself
        ([("system", "ab"), ("user", "ab"), ("assistant", "ab"), ("user", "ab"), ("assistant", "ab")], (5, 2)),
        # one token for each Han, kana and Hangul character, ASCII between them in fours
        ([("user", "\u6c34\u5728\u6cb3\u91cc"), ("assistant", "\u3042\u30a2")], (4 + 2, 2)),
        ([("user", "\uc548\ub155 \uc138\uc0c1"), ("assistant", "ok\u6c34")], (4 + 1 + 1 + 1, 2)),
        # CJK marks and other scripts are letters like any other
        ([("user", "\u3002\u3002\u3002\u3002"), ("assistant", "\u043f\u0440\u0438\u0432\u0435\u0442")], (1 + 2, 2)),
        ([("user", "q"), ("assistant", "\U0001f600\U0001f600")], (1 + 1, 1)),
        # markers and white space around a message count nothing
        ([("user", "<image>\n<video>Why?"), ("assistant", "  Just so. \n")], (1 + 2, 2)),
        ([("user", "<image>"), ("assistant", "")], (0, 0)),
        ([("document", "<image>\nFour <image> more.")], (3, 3)),
        ([("user", "<image>")], (0, 0)),
        ([], (0, 0)),
    ],
)
def test_estimate_by_hand(batch_of, turns, expected):
    assert TokenEstimate()(read_texts(batch_of(turns))).row(0) == expected


def test_nothing_is_null(batch_of):
    found = TokenEstimate()(read_texts(batch_of([], [("user", "")], [("assistant", "a" * 4001)])))
    assert found.null_count().row(0) == (0, 0)
    assert found.rows() == [(0, 0), (0, 0), (1001, 1001)]


def slow(names):
    """The estimate for messages of some roles by expressions over lists of strings."""
    turn = pl.element()
    shown = bare(turn.filter(turn.struct.field("role").is_in(list(names))).struct.field("text"))
    wide = shown.str.count_matches("[" + "".join(f"\\x{{{low:x}}}-\\x{{{high:x}}}" for low, high in WIDE) + "]")
    narrow = shown.str.len_chars() - wide
    tokens = wide + (narrow + CHARS_PER_TOKEN - 1) // CHARS_PER_TOKEN
    return pl.col("messages").list.eval(tokens).list.sum().cast(pl.Int32)


PARTS = ["a", "bcd", " ", "\n", "<image>", "\u00e9", "\u6c34", "\u3042", "\ud7a3", "\u1100", "\u3130", "\U00020000"]
CHATS = st.lists(
    st.lists(st.tuples(st.sampled_from(ROLES), st.lists(st.sampled_from(PARTS)).map("".join)), max_size=4), max_size=5
)


@settings(deadline=None)
@given(CHATS)
def test_the_estimate_is_that_of_slow_expressions(batch_of, chats):
    batch = batch_of(*chats)
    expected = batch.select(num_tokens=slow(ROLES), answer_tokens=slow(ANSWER_ROLES))
    assert TokenEstimate()(read_texts(batch)).equals(expected)
