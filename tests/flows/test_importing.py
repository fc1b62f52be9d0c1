"""Ratings of others, joined to samples by key or by native id, and what rules see of them."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flows.executor import LocalRunner
from flows.importing import Imported, import_scores
from flows.mixes import find_one
from flows.run import checked, run_with
from shards.errors import UsageError
from shards.store import Store

ROWS = [("a", "One."), ("b", "Two."), ("b", "Three."), ("c", "Four."), (None, "Five.")]


def build(folder: Path, **more: Any) -> Store:
    """A built recipe of five samples with the native ids of `ROWS`, in `folder`/store."""
    lines = [{"uid": uid, "question": f"{text}?", "answer": text} for uid, text in ROWS]
    (folder / "data.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    columns = {"user": ["question"], "assistant": ["answer"], "meta": ["uid"]}
    source = {"layout": "table", "files": "data.jsonl", "columns": columns}
    recipe = {"name": "rated", "judge": "off", "dedup": {"level": "off"}, "entries": [{"id": "mine", "source": source}]}
    (folder / "recipe.yaml").write_text(json.dumps({**recipe, **more}))
    store = Store(folder / "store")
    run_with(checked(str(folder / "recipe.yaml"), store), store, LocalRunner(None), None, lambda step, done: None)
    return store


def rate(folder: Path, store: Store, lines: list[dict[str, Any]], **words: Any) -> Imported:
    (folder / "ratings.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    given = {"source": "mine", "name": "fit", "rating": "rating", "identifier": "id", "native": "uid", **words}
    return import_scores(folder / "ratings.jsonl", store, **given)


def test_native_ids_that_repeat_rate_nobody(tmp_path: Path) -> None:
    ratings = [{"id": name, "rating": grade} for name, grade in (("a", 4), ("b", 1), ("z", 5), ("c", None))]
    found = rate(tmp_path, build(tmp_path), ratings)
    assert found.model_dump(exclude={"sha256"}) == {
        **{"score": "imported_fit", "source": "mine", "file": "ratings.jsonl", "by": "meta.uid", "ratings": 3},
        **{"unused": 1, "samples": 5, "covered": 1, "ambiguous": 2, "coverage": 0.2},
    }


def test_rules_read_imported_scores(tmp_path: Path) -> None:
    store = build(tmp_path)
    rate(tmp_path, store, [{"id": "a", "rating": [5, 2, 3]}, {"id": "c", "rating": [4]}])
    rule = {"name": "misfit", "when": "imported_fit < 3", "then": "drop"}
    build(tmp_path, rules={"list": [rule]})
    mix = find_one(store, "rated")
    assert mix.scores["imported_fit"].to_list() == [2.0, None, None, 4.0, None]
    assert mix.scores["imported_fit_state"].to_list() == [None, "not_asked", "not_asked", None, "not_asked"]
    assert mix.decisions["verdict"].to_list() == ["drop", "keep", "keep", "keep", "keep"]


def test_another_import_makes_another_mixture(tmp_path: Path) -> None:
    store = build(tmp_path)
    before = find_one(store, "rated").box.name
    rate(tmp_path, store, [{"id": "a", "rating": 5}])
    build(tmp_path)
    first = find_one(store, "rated").box.name
    rate(tmp_path, store, [{"id": "a", "rating": 4}])
    build(tmp_path)
    assert len({before, first, find_one(store, "rated").box.name}) == 3


def test_ratings_by_key(tmp_path: Path) -> None:
    store = build(tmp_path)
    keys = find_one(store, "rated").scores["key"].to_list()
    found = rate(tmp_path, store, [{"id": keys[2], "rating": 1.5}], native=None)
    assert (found.by, found.covered) == ("key", 1)
    table = pl.read_parquet(tmp_path / "store" / "imported" / "mine" / "fit.parquet")
    assert table.rows() == [(keys[2], 1.5)]


@pytest.mark.parametrize(
    ("line", "words", "message"),
    [
        ({"id": "a", "rating": 1}, {"name": "Fit!"}, "lower-case letters"),
        ({"id": "a", "rating": 1}, {"source": "other"}, "was never read"),
        ({"id": "a", "rating": 1}, {"rating": "grade"}, "no column `grade`; found id, rating"),
        ({"id": "a", "rating": "good"}, {}, "does not hold numbers"),
    ],
)
def test_what_cannot_be_joined_is_named(tmp_path: Path, line: Any, words: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        rate(tmp_path, build(tmp_path), [line], **words)


def test_an_id_rated_twice_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="rates `a` more than once"):
        rate(tmp_path, build(tmp_path), [{"id": "a", "rating": 1}, {"id": "a", "rating": 2}])
