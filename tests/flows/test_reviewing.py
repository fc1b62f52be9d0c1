"""The queue of a real mixture: who is asked about what, and what a stratum is."""

from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from mixture_store import build_small
from test_review_scores import again, say

from flows.mixes import Mix
from flows.review_rows import chance, first_of_strata, strata
from flows.reviewing import queue_items
from review.item import shown
from review.ordering import QueueOptions
from review.stored import StoredQueue

RULES: list[dict[str, object]] = [
    {"name": "doubt", "when": "answer_chars < 100", "then": "review"},
    {"name": "long", "when": "answer_chars > 360", "then": "drop"},
]


@pytest.fixture(scope="module")
def mix(tmp_path_factory: pytest.TempPathFactory) -> Mix:
    return build_small(tmp_path_factory.mktemp("reviewing"), least=20, rules=RULES)


def queue(mix: Mix, **options: int) -> StoredQueue:
    return queue_items(mix.store, str(mix.box.path), QueueOptions(**options))


def test_one_item_for_each_row_in_review(mix: Mix) -> None:
    made = queue(mix)
    waiting = mix.decisions.filter(pl.col("verdict") == "review")["key"]
    items = list(made)
    assert sorted(item.key for item in items) == sorted(waiting)
    assert [item.id for item in items] == made.table["item"].to_list()
    assert [shown(item) for item in items] == made.table["seen"].to_list()
    assert all(made.place(item.id) == place for place, item in enumerate(items))
    margins = [int(item.margin * 20) for item in items if item.margin is not None]
    assert len(margins) == len(items) and margins == sorted(margins)
    assert {item.rule for item in items} == {"doubt"}


def test_pictures_are_those_of_the_items(mix: Mix) -> None:
    made = queue(mix)
    shas = {picture.sha256 for item in made for picture in item.pictures}
    assert shas and all(made.picture(sha256).startswith(b"\x89PNG") for sha256 in shas)
    with pytest.raises(KeyError):
        made.picture("0" * 64)


def test_a_queue_is_made_once(mix: Mix) -> None:
    first, second = queue(mix), queue(mix)
    assert first.table.equals(second.table)
    boxes = list((mix.store.root / "queues" / "small.sft").iterdir())
    queue(mix, audit=3)
    assert len(list((mix.store.root / "queues" / "small.sft").iterdir())) == len(boxes) + 1


def test_the_audit_draws_from_every_rule_and_says_how_probable_that_was(mix: Mix) -> None:
    made = queue(mix, audit=10).table
    rules = mix.decisions.with_columns(pl.col("reasons").list.first().fill_null("no_rule").alias("first"))
    sizes = dict(rules["first"].value_counts().iter_rows())
    drawn = made.filter(pl.col("asked") != "review")
    assert Counter(drawn["stratum"]) == {"no_rule:keep": 10, "short:drop": 10, "long:drop": 10}
    for stratum, probability in drawn.select("stratum", "probability").unique().iter_rows():
        assert probability == pytest.approx(10 / sizes[stratum.split(":")[0]])
    assert made.filter(pl.col("asked") == "review").height == mix.manifest.totals.review
    assert set(made.filter(pl.col("asked") == "review")["probability"]) == {1.0}


def test_the_audit_is_the_first_of_the_order_of_chance(mix: Mix) -> None:
    first, counts = first_of_strata(mix, 5)
    everything = pl.concat([frame.with_columns(chance(mix, frame)) for frame in strata(mix, ("entry", "key"))])
    assert sum(counts.values()) == everything.height == mix.manifest.totals.made
    for (stratum,), rows in everything.group_by("stratum"):
        expected = set(rows.sort("draw")["key"][:5])
        assert set(first.filter(pl.col("stratum") == stratum)["key"]) == expected


def test_quotas_are_counted(mix: Mix) -> None:
    made = queue(mix, per_rule=7)
    assert len(made) == 7
    assert [item.key for item in made] == [item.key for item in queue(mix)][:7]


def test_answers_change_no_stratum_and_answered_rows_are_not_asked_again(tmp_path: Path) -> None:
    mix = build_small(tmp_path, least=20, rules=RULES)
    before = queue(mix, audit=10).table
    kept = before.filter(pl.col("asked") == "keep")["key"][0]
    waiting = before.filter(pl.col("asked") == "review")["key"][0]
    say(mix, kept, "drop")
    say(mix, waiting, "keep")
    say(mix, before["key"][5], "keep", "ann")
    say(mix, before["key"][5], "drop", "bob")
    made = again(mix)
    after = queue(made, audit=10).table
    assert set(before["key"]) - set(after["key"]) == {kept, waiting}
    assert set(after["key"]) <= set(before["key"])
    assert first_of_strata(made, 10)[1] == first_of_strata(mix, 10)[1]
    assert after.filter(pl.col("key") == before["key"][5])["asked"].to_list() == ["review"]
