"""What reviewers say becomes a score table, and goes before every threshold."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
import yaml
from mixture_store import build_small

from flows.deciding import decide
from flows.executor import LocalRunner
from flows.mixes import Mix, find
from flows.review_scores import answers_by_source, answers_digest, journal, shown_of
from flows.run import checked, run_with
from flows.verifying import prove
from review.answer import Answer, Choice
from review.item import item_id
from shards.store import Store

MOMENT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
DOUBT: list[dict[str, object]] = [{"name": "doubt", "when": "answer_chars < 100", "then": "review"}]


@pytest.fixture
def mix(tmp_path: Path) -> Mix:
    return build_small(tmp_path, least=20, rules=DOUBT)


def keys_of(mix: Mix, verdict: str) -> list[str]:
    return mix.decisions.filter(pl.col("verdict") == verdict)["key"].to_list()


def say(
    mix: Mix, key: str, choice: Choice, reviewer: str = "ann", *, settles: bool = False, seen: str | None = None
) -> None:
    known = journal(mix.store)
    shown = dict(shown_of(mix.shards("mine"), {key}))[key]
    answer = Answer(
        answer_id=f"{len(known.read())}",
        item=item_id("mine", key),
        entry="mine",
        key=key,
        seen=seen or shown,
        choice=choice,
        reviewer=reviewer,
        at=MOMENT,
        via="page",
        settles=settles,
    )
    assert known.append([answer]) == 1


def again(mix: Mix) -> Mix:
    recipe = str(mix.store.root.parent / "raw" / "small.yaml")
    run_with(checked(recipe, mix.store), mix.store, LocalRunner(None), None, lambda *_: None)
    return find(mix.store, "small")["sft"]


def verdicts(mix: Mix) -> dict[str, tuple[str, str | None]]:
    rows = mix.decisions.select("key", "verdict", "rule").iter_rows()
    return {key: (verdict, rule) for key, verdict, rule in rows}


def test_a_row_in_review_takes_its_answer_and_so_does_any_other_row(mix: Mix) -> None:
    waiting, dropped, kept = keys_of(mix, "review"), keys_of(mix, "drop"), keys_of(mix, "keep")
    say(mix, waiting[0], "keep")
    say(mix, waiting[1], "drop")
    say(mix, waiting[2], "skip")
    say(mix, dropped[0], "keep")
    say(mix, kept[0], "drop")
    before = mix.manifest.totals
    counted = decide(str(mix.store.root.parent / "raw" / "small.yaml"), mix.store, ()).stages[0].after
    made = again(mix)
    assert made.box.name != mix.box.name
    found = verdicts(made)
    assert [found[key] for key in (waiting[0], waiting[1], dropped[0], kept[0])] == [
        ("keep", "human_keep"),
        ("drop", "human_drop"),
        ("keep", "human_keep"),
        ("drop", "human_drop"),
    ]
    assert found[waiting[2]] == ("review", "doubt")
    after = made.manifest.totals
    assert (after.review, after.keep, after.drop) == (before.review - 2, before.keep + 1, before.drop + 1)
    assert counted == after  # `vlmix decide` knows of the answers before the mixture is made again
    assert {key: value for key, value in found.items() if key not in {*waiting[:2], dropped[0], kept[0]}} == {
        key: value for key, value in verdicts(mix).items() if key not in {*waiting[:2], dropped[0], kept[0]}
    }
    assert not prove(made, raw=False).problems


def test_a_conflict_stays_in_review_until_somebody_settles_it(mix: Mix) -> None:
    key = keys_of(mix, "keep")[0]
    say(mix, key, "keep", "ann")
    say(mix, key, "drop", "bob")
    made = again(mix)
    assert verdicts(made)[key] == ("review", "human_conflict")
    row = made.scores.filter(pl.col("key") == key).select("human", "human_state", "human_reviewers", "human_conflict")
    assert row.row(0) == (None, "no_answer", 2, True)
    say(mix, key, "drop", "eve", settles=True)
    assert verdicts(again(mix))[key] == ("drop", "human_drop")


def test_an_answer_about_another_text_does_not_count(mix: Mix) -> None:
    key = keys_of(mix, "review")[0]
    say(mix, key, "drop", seen="0" * 20)
    assert verdicts(again(mix))[key] == ("review", "doubt")


def test_same_answers_same_bytes_whatever_their_order_and_time(tmp_path: Path) -> None:
    made = []
    for number, turned in enumerate((False, True)):
        mix = build_small(tmp_path / str(number), least=20, rules=DOUBT)
        said = [(key, choice) for key, choice in zip(keys_of(mix, "review"), ("keep", "drop") * 4, strict=False)]
        for key, choice in reversed(said) if turned else said:
            say(mix, key, choice)  # type: ignore[arg-type]  # two of the choices
        made.append(again(mix))
    assert made[0].box.name == made[1].box.name
    assert made[0].manifest.digest() == made[1].manifest.digest()


def test_the_digest_is_that_of_what_was_said(mix: Mix) -> None:
    key = keys_of(mix, "review")[0]
    digests = []
    for choice in ("keep", "drop"):
        say(mix, key, choice)  # type: ignore[arg-type]  # two of the choices
        digests.append(answers_digest(answers_by_source(mix.store)["mine"]))
    say(mix, key, "keep")
    assert answers_digest(answers_by_source(mix.store)["mine"]) == digests[0] != digests[1]
    say(mix, key, "undo")
    assert answers_by_source(mix.store) == {}
    assert again(mix).box.name == mix.box.name


def test_a_recipe_may_change_what_a_persons_word_does(tmp_path: Path) -> None:
    mix = build_small(tmp_path, least=20, rules=DOUBT)
    path = tmp_path / "raw" / "small.yaml"
    recipe = yaml.safe_load(path.read_text())
    recipe["rules"]["list"] += [
        {"name": "human_keep", "then": "off"},
        {"name": "human_drop", "when": "human = 'drop' AND human_reviewers >= 2", "then": "drop"},
    ]
    path.write_text(yaml.safe_dump(recipe))
    first, second, third = keys_of(mix, "review")[:3]
    say(mix, first, "keep")
    say(mix, second, "drop")
    say(mix, third, "drop")
    say(mix, third, "drop", "bob")
    found = verdicts(again(mix))
    assert [found[key] for key in (first, second, third)] == [
        ("review", "doubt"),
        ("review", "doubt"),
        ("drop", "human_drop"),
    ]


def test_a_store_without_answers_has_no_review_folder(mix: Mix) -> None:
    again(mix)
    assert not (mix.store.root / "review").exists()
    assert answers_by_source(Store(mix.store.root)) == {}
