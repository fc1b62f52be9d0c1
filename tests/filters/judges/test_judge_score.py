import doctest

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.judges import score
from filters.judges.base import Reply
from filters.judges.score import parse, render, requests, score_types, scores
from shards.schema import ROLES

LINES = st.lists(st.sampled_from(["=== user ===", "\\=== assistant ===", "text", "", "=== x ==="]), max_size=4).map(
    "\n".join
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(ROLES), st.one_of(LINES, st.text(max_size=10))), max_size=4))
def test_parse_undoes_render(turns):
    messages = [{"role": role, "text": text} for role, text in turns]
    assert parse(render(messages)) == messages


def test_render_examples():
    assert doctest.testmod(score).failed == 0


def test_requests_follow_the_rows(batch_of):
    batch = batch_of([("user", "q"), ("assistant", "a")], [("user", "<image>")])
    first, second = requests(batch, "quality")
    assert (first.prompt_id, first.sample_text, first.images) == (
        "quality",
        "=== user ===\nq\n=== assistant ===\na",
        (),
    )
    assert second.sample_text == ""


def test_scores_and_states():
    half = (0.0,) * 6 + (0.5, 0.5) + (0.0,) * 3
    skew = (0.75,) + (0.0,) * 9 + (0.25,)
    replies = [
        Reply("scored", half, 0.9, False),
        Reply("scored", skew, 1.0, True),
        Reply("empty", None, 0.0, False),
        Reply("no_answer", None, 0.2, True),
        Reply("engine_error", None, 0.0, False),
    ]
    found = scores(replies, "quality")
    types = {"quality": pl.Float64, "quality_mode": pl.Int32, "quality_spread": pl.Float64, "quality_mass": pl.Float64}
    assert score_types("quality") == types | {"quality_cut": pl.Boolean}
    assert found.schema == score_types("quality") | {"quality_probs": pl.List(pl.Float64), "quality_state": pl.String}
    assert found.rows() == [
        (6.5, 6, 0.5, 0.9, False, list(half), None),
        (2.5, 0, pytest.approx(18.75**0.5), 1.0, True, list(skew), None),
        (None, None, None, None, None, None, "not_applicable"),
        (None, None, None, 0.2, True, None, "no_answer"),
        (None, None, None, None, None, None, "error"),
    ]


def test_no_replies_keep_the_schema():
    assert scores([], "quality").schema == scores([Reply("empty", None, 0.0, False)], "quality").schema
