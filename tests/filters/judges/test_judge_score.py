import doctest
from pathlib import Path

import polars as pl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.judges import score
from filters.judges.base import Reply
from filters.judges.score import parse, render, requests, scores
from shards.schema import ROLES

PROMPTS = sorted((Path(score.__file__).parent / "prompts").glob("*.md"))
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
    replies = [
        Reply("scored", half, 0.9, False),
        Reply("empty", None, 0.0, False),
        Reply("no_answer", None, 0.2, False),
        Reply("engine_error", None, 0.0, False),
    ]
    found = scores(replies, "quality")
    assert found.schema == {"quality": pl.Float64, "quality_mass": pl.Float64, "quality_state": pl.String}
    assert found.rows() == [
        (6.5, 0.9, None),
        (None, None, "not_applicable"),
        (None, 0.2, "no_answer"),
        (None, None, "error"),
    ]


def test_no_replies_keep_the_schema():
    assert scores([], "quality").schema == scores([Reply("empty", None, 0.0, False)], "quality").schema


@pytest.mark.parametrize("path", PROMPTS, ids=lambda path: path.stem)
def test_prompts_have_an_id_and_a_version(path):
    _, head, body = path.read_text().split("---\n", 2)
    matter = yaml.safe_load(head)
    assert matter["id"] == path.stem
    assert isinstance(matter["version"], int)
    assert "0 to 10" in body


def test_both_prompts_are_there():
    assert [path.stem for path in PROMPTS] == ["quality", "repetition"]
