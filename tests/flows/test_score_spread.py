"""`vlmix filters show --mix`: counts that add up, and the rows that lie nearest to a threshold."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from mixture_store import ROWS, build_small
from rich.console import Console

from flows.cli import app
from flows.filter_text import print_shown
from flows.mixes import Mix
from flows.score_spread import show, spread
from shards.errors import UsageError

RULES: list[dict[str, object]] = [{"name": "long", "when": "answer_words >= 38", "then": "review"}]


@pytest.fixture(scope="module")
def mix(tmp_path_factory: pytest.TempPathFactory) -> Mix:
    return build_small(tmp_path_factory.mktemp("spread"), rules=RULES)


@pytest.fixture(scope="module")
def values(mix: Mix) -> pl.DataFrame:
    return mix.scores.select("key", "answer_chars", "answer_words", "gray_range")


def test_counts_add_up(mix: Mix, values: pl.DataFrame) -> None:
    found = spread(mix, "answer_chars", span=None)
    assert (found.rows, found.scored, found.nulls) == (ROWS, ROWS, {})
    assert sum(each.rows for each in found.bins) == ROWS
    short = values.filter(pl.col("answer_chars") < 40).height
    mark = next(mark for mark in found.marks if mark.where == "this mixture, rule `short`")
    assert (mark.comparison, mark.rows, mark.share) == ("< 40", short, short / ROWS)
    assert found.quantiles["0 %"] == values["answer_chars"].min()
    assert found.quantiles["50 %"] == values["answer_chars"].quantile(0.5, "nearest")
    assert found.quantiles["100 %"] == values["answer_chars"].max()
    (domain,) = found.domains
    assert (domain.name, domain.rows, domain.taken) == ("chat", ROWS, short / ROWS)
    assert [group.name for group in found.sources] == ["mine"]


def test_bins_hold_what_lies_between_their_edges(mix: Mix, values: pl.DataFrame) -> None:
    found = spread(mix, "answer_chars", span=None)
    for each in found.bins[1:-1]:
        assert each.low is not None and each.high is not None
        inside = values.filter(pl.col("answer_chars").is_between(each.low, each.high, closed="left")).height
        assert abs(inside - each.rows) <= 1  # edges are floating-point numbers


def test_nulls_are_counted_by_their_state(mix: Mix) -> None:
    found = spread(mix, "gray_range", span=None)
    assert (found.rows, found.scored, found.nulls) == (ROWS, 40, {"not_applicable": 360})
    mark = next(mark for mark in found.marks if mark.where == "default, rule `blank_picture`")
    assert (mark.rows, mark.share) == (40, 0.1)
    found = spread(mix, "quality", span=None)
    assert (found.scored, found.nulls, found.at, found.examples) == (0, {"not_asked": ROWS}, 7, [])


def test_examples_are_the_nearest_rows(mix: Mix, values: pl.DataFrame) -> None:
    found = spread(mix, "answer_chars", at=100, examples=20, span=None)
    below = [example.value for example in found.examples if example.side == "below"]
    above = [example.value for example in found.examples if example.side == "from"]
    chars = values["answer_chars"]
    assert below == chars.filter(chars < 100).sort(descending=True).head(10).to_list()
    assert above == chars.filter(chars >= 100).sort().head(10).to_list()
    known = dict(values.select("key", "answer_chars").iter_rows())
    for example in found.examples:
        row = example.key.rsplit("/", maxsplit=1)[1]
        assert example.value == known[example.key]
        assert example.before.startswith(f"word{row}x0 ")
    assert {mark.comparison for mark in found.marks if mark.where == "--at"} == {"< 100", ">= 100"}
    assert (found.at, found.at_from, found.comparison) == (100, "--at", "< 100")


def test_equal_values_are_taken_from_all_over(mix: Mix) -> None:
    found = spread(mix, "answer_words", at=20, span=None)
    rows = [int(example.key.rsplit("/", maxsplit=1)[1]) for example in found.examples if example.side == "from"]
    assert {row % 40 for row in rows} == {19}  # twenty words each
    assert len(set(rows)) == 10
    assert rows != sorted(rows)


def test_the_threshold_is_that_of_the_first_rule_else_a_quantile(mix: Mix) -> None:
    assert spread(mix, "answer_chars", span=None).at_from == "this mixture, rule `short`"
    assert (spread(mix, "answer_words", span=None).at, spread(mix, "answer_words", span=None).comparison) == (
        38,
        ">= 38",
    )
    found = spread(mix, "question_chars", span=None)
    assert (found.at_from, found.at) == ("95 % quantile", found.quantiles["95 %"])


def test_examples_of_pictures_name_them(mix: Mix) -> None:
    found = spread(mix, "gray_range", examples=4, span=None)
    assert [example.pictures for example in found.examples] == [["40x40 PNG"]] * 2  # none lies above


def test_booleans_and_words_show_each_value(mix: Mix) -> None:
    found = spread(mix, "exif_rotated", examples=4, span=None)
    assert [(mark.comparison, mark.rows) for mark in found.marks] == [("true", 0)]
    assert {example.side for example in found.examples} == {"false"}
    assert (found.at, found.comparison, found.quantiles) == (None, "true", {})
    found = spread(mix, "judge_domain", examples=4, span=None)
    assert sum(each.rows for each in found.bins) == ROWS
    assert found.sources[0].taken is None


def test_a_finding_is_marked_where_the_scores_say_it_lies(mix: Mix) -> None:
    # turn 1 is the answer; the scores of a small mixture stand in for those of a filter that points
    span = ("num_turns", "num_images", "answer_chars_min")
    found = spread(mix, "answer_chars", at=60, examples=2, span=span)
    assert all(example.marked == "" for example in found.examples)  # message 2 does not exist
    span = ("num_videos", "num_images", "question_chars")
    for example in spread(mix, "answer_chars", at=60, examples=2, span=span).examples:
        row = example.key.rsplit("/", maxsplit=1)[1]
        assert (example.before, example.marked + example.after) == ("", f"question {row}")


@pytest.mark.parametrize(
    ("asked", "options", "message"),
    [
        ("answer_chars", {"source": "other"}, "no source `other` in this mixture; one of: mine"),
        ("lengths", {"at": 3}, "`lengths` has 4 scores; name one: answer_chars,"),
        ("judge_domain", {"at": 3}, "is no number but String"),
        ("native_clip", {}, "has no score `native_clip`"),
    ],
)
def test_wrong_questions(mix: Mix, asked: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as error:
        show(asked, mix, **options)  # type: ignore[arg-type]  # rows of a table
    assert message in str(error.value)


def test_thresholds_need_a_mixture() -> None:
    with pytest.raises(UsageError, match="say which with --mix"):
        show("answer_chars", at=3)


@pytest.fixture
def console() -> Iterator[Console]:
    yield Console(file=io.StringIO(), width=120, highlight=False)


def printed(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_the_page_for_people(mix: Mix, console: Console) -> None:
    print_shown(show("answer_chars", mix, at=60, examples=2), console)
    lines = printed(console)
    assert lines[0].startswith("lengths")
    assert "400 rows, 400 with a value" in lines
    assert any(line.startswith("< 40") and "(this mixture, rule `short`)" in line for line in lines)
    assert sum(line.startswith(("below", "from ")) for line in lines) == 2
    bars = [line for line in lines if set(line.split()[1:2] or ["-"]) and "##" in line]
    assert 1 < len(bars) <= 20


def test_the_command_prints_one_json_document(mix: Mix, capsys: pytest.CaptureFixture[str]) -> None:
    store = str(Path(mix.store.root))
    words = ["filters", "show", "picture_canvas", "--mix", "small", "--store", store, "--json"]
    app(words, exit_on_error=False, result_action="return_value")
    document = json.loads(capsys.readouterr().out)
    assert document["page"]["kind"] == "picture"
    assert [found["score"] for found in document["spreads"]] == [score["name"] for score in document["page"]["scores"]]
    assert all(found["examples"] == [] for found in document["spreads"])
