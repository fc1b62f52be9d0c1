"""The list of take-downs and the rule that follows it."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest

from flows.takedowns import TAKEDOWN_FOLDER, Kind, Target, acts, standing, take_down, takedowns, target
from manifests.manifest import Digests, Manifest
from manifests.recipe import Entry, Rule
from manifests.rules import HUMAN_SCORES, TAKEN_DOWN, load_rule_set, parse, with_takedown
from manifests.verdicts import decide, words
from shards.errors import RecipeError, StoreError, UsageError
from shards.store import Store

SHA = "ab" * 32
SCORES = {TAKEN_DOWN: pl.String, "quality": pl.Float64, **HUMAN_SCORES}


def add(store: Store, kind: Kind, value: str, *, reason: str = "asked", lift: bool = False) -> int:
    return take_down(store, [(target(kind, value), "")], reason=reason, by="me", lift=lift)


@pytest.mark.parametrize(
    ("kind", "value"),
    [("sha256", "ab"), ("sha256", "zz" * 32), ("url", "example.com/a.jpg"), ("source", "a/b"), ("key", "nokey")],
)
def test_a_target_of_the_wrong_form_is_refused_with_the_right_one(kind: Kind, value: str) -> None:
    with pytest.raises(UsageError, match="expected"):
        target(kind, value)


def test_upper_case_digits_are_the_same_picture() -> None:
    assert target("sha256", SHA.upper()) == target("sha256", SHA)


def test_what_is_lifted_holds_no_more_and_stays_in_the_list(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert takedowns(store) is None
    assert add(store, "sha256", SHA) == 1
    assert add(store, "sha256", SHA) == 0
    assert add(store, "source", "mine") == 1
    held = takedowns(store)
    assert held is not None and [each.words for each in held.targets] == ["source mine", f"sha256 {SHA}"]
    assert add(store, "sha256", SHA, lift=True) == 1
    assert [place for place in standing(store)] == [("source", "mine")]
    assert [act.act for act in acts(store)] == ["take_down", "take_down", "lift"]
    with pytest.raises(UsageError, match="is not taken down"):
        add(store, "sha256", SHA, lift=True)


def test_the_digest_is_of_what_is_taken_down_and_of_nothing_else(tmp_path: Path) -> None:
    one, two = Store(tmp_path / "one"), Store(tmp_path / "two")
    for store, order in ((one, ("a/b/1", "a/b/2")), (two, ("a/b/2", "a/b/1"))):
        for key in order:
            add(store, "key", key, reason=f"asked for in {store.root.name}")
    first, second = takedowns(one), takedowns(two)
    assert first and second and first.digest == second.digest
    add(two, "key", "a/b/3")
    third = takedowns(two)
    assert third and third.digest != first.digest


@pytest.mark.parametrize("words", ["two\nlines", "of a page\u2028or\u2029of a\x85terminal\x1e"])
def test_a_reason_may_hold_any_text(tmp_path: Path, words: str) -> None:
    store = Store(tmp_path)
    assert add(store, "key", "a/1", reason=words) == 1
    assert [act.reason for act in acts(store)] == [words]


def test_a_file_without_lines_takes_nothing_down(tmp_path: Path) -> None:
    (tmp_path / "takedown").mkdir()
    (tmp_path / "takedown" / "1.jsonl").touch()
    assert not acts(Store(tmp_path))


def test_a_line_that_is_not_understood_stops_a_run(tmp_path: Path) -> None:
    store = Store(tmp_path)
    add(store, "sha256", SHA)
    (path,) = (tmp_path / TAKEDOWN_FOLDER).iterdir()
    path.write_text(path.read_text() + json.dumps({"target": {"kind": "picture", "value": "x"}}) + "\n")
    with pytest.raises(StoreError, match="line 2: no take-down"):
        takedowns(store)


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda number: add(store, "key", f"a/b/{number}"), range(40))) == 40
    assert len(standing(store)) == 40


def test_what_is_lifted_is_lifted_on_a_machine_whose_clock_is_behind(tmp_path: Path) -> None:
    store = Store(tmp_path)
    add(store, "key", "a/b/1")
    (path,) = (tmp_path / TAKEDOWN_FOLDER).iterdir()
    ahead = path.rename(path.with_name(f"2999{path.name[4:]}"))
    for _ in range(2):
        assert add(store, "key", "a/b/1", lift=True) == 1
        assert not standing(store)
        assert add(store, "key", "a/b/1") == 1
        assert standing(store)
    assert min((tmp_path / TAKEDOWN_FOLDER).iterdir()) == ahead


def test_the_rule_stands_before_what_people_say() -> None:
    rules = with_takedown((*load_rule_set("human"), Rule(name="poor", when="quality < 7", then="drop")), SCORES)
    predicates = parse(rules, SCORES)
    assert [each.rule.name for each in predicates][:2] == [TAKEN_DOWN, "human_conflict"]
    frame = pl.DataFrame(
        {
            TAKEN_DOWN: ["key a/b/1", None],
            "taken_down_state": [None, "not_applicable"],
            "quality": [9.0, 9.0],
            "quality_state": pl.Series([None, None], dtype=pl.String),
            "human": ["keep", "keep"],
            "human_state": pl.Series([None, None], dtype=pl.String),
            "human_reviewers": pl.Series([1, 1], dtype=pl.Int32),
            "human_reviewers_state": pl.Series([None, None], dtype=pl.String),
            "human_conflict": [False, False],
            "human_conflict_state": pl.Series([None, None], dtype=pl.String),
        }
    )
    said = words(decide(frame, predicates, Entry(id="mine", source="mine")), predicates)
    assert said["verdict"].to_list() == ["drop", "keep"]
    assert said["rule"].to_list() == [TAKEN_DOWN, "human_keep"]


def test_a_run_without_take_downs_has_no_such_rule() -> None:
    rules = load_rule_set("human")
    assert with_takedown(rules, HUMAN_SCORES) == rules


def test_no_recipe_has_a_rule_of_that_name() -> None:
    with pytest.raises(RecipeError, match="give yours another name"):
        with_takedown((Rule(name=TAKEN_DOWN, when="quality < 7", then="keep"),), SCORES)


def test_a_mixture_keeps_its_digest_where_nothing_is_taken_down() -> None:
    given = {"recipe": "r", "mixture": "m", "faithful": True, "scale": 1, "seed": 0, "epochs": 1, "judge": "off"}
    given |= {"tokens": "estimate", "rules": [], "dedup": {}, "targets": None, "unmet": [], "assumptions": []}
    given |= {"unresolved": [], "entries": [], "domains": {}, "licences": {}, "totals": {}, "sizes": {}}
    given["digests"] = Digests(ids="", decisions="", clusters="").model_dump()
    plain, held = Manifest.model_validate(given), Manifest.model_validate({**given, "takedown": "ab"})
    assert plain.digest() == Manifest.model_validate({**given, "takedown": None}).digest() != held.digest()
    assert "takedown" not in plain.model_dump(mode="json", exclude={"takedown"})


def test_a_target_of_pixels_is_kept_with_what_finds_candidates(tmp_path: Path) -> None:
    store = Store(tmp_path)
    meant = Target(kind="pixels", value=SHA, phash="00000000000000ff", width=4, height=3)
    take_down(store, [(meant, "")], reason="asked", by="me")
    held = takedowns(store)
    assert held and held.targets == (meant,)
