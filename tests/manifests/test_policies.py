"""Which member of a cluster is kept, and what the recipe may say about it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from manifests.clusters import dropped
from manifests.manifest import Counts
from manifests.near import Samples
from manifests.near_text import TextSets
from manifests.plan import SourceFacts, plan
from manifests.recipe import Dedup, Recipe
from shards.errors import RecipeError
from tests.kept import Item, clusters


def item(key: str, *, pixels: int = 100, value: float | None = None) -> Item:
    """One of the rows that all show the same and say the same."""
    return Item(key, 0, ("x",), (0,), 1, 11, pixels, value=value)


ROWS = [item("a", pixels=4, value=None), item("b", pixels=9, value=3.5), item("c", pixels=9, value=8)]


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        ({}, ["a"]),
        ({"keep": "largest"}, ["b"]),
        ({"keep": "best"}, ["c"]),
        ({"keep": "best", "by": "clip"}, ["c"]),
        ({"keep": "none"}, []),
        ({"prefer": ("c",)}, ["c"]),
        ({"prefer": ("c", "b")}, ["c"]),
        ({"keep": "largest", "prefer": ("a",)}, ["a"]),
        ({"keep": "largest", "prefer": ("elsewhere",)}, ["b"]),
    ],
)
def test_the_policy_says_which_member_is_kept(policy: Mapping[str, Any], kept: list[str]) -> None:
    frame = clusters(ROWS, Dedup(verify=False, **policy), no_comparison)
    assert frame.filter(pl.col("reason") == "kept")["key"].to_list() == kept
    assert sorted(dropped(frame)) == sorted({"a", "b", "c"} - set(kept))
    assert set(frame["cluster"]) == {"a"}


def no_comparison(pairs: object) -> dict[Any, Any]:
    """Nothing is near here."""
    raise AssertionError(f"{pairs}")


def test_rows_without_the_score_are_kept_last() -> None:
    rows = [item("a"), item("b", value=-1e9), item("c")]
    frame = clusters(rows, Dedup(keep="best"), no_comparison)
    assert frame.select("key", "reason", "value").rows() == [
        ("b", "kept", -1e9),
        ("a", "same_bytes", None),
        ("c", "same_bytes", None),
    ]


def test_where_no_row_has_the_score_the_first_is_kept() -> None:
    frame = clusters([item("b"), item("a")], Dedup(keep="best"), no_comparison)
    assert frame.select("key", "reason").rows() == [("a", "kept"), ("b", "same_bytes")]


def test_none_drops_every_member_and_says_what_they_were_held_against() -> None:
    alone = item("z")._replace(instruction=2, text=12)
    frame = clusters([*ROWS, alone], Dedup(keep="none"), no_comparison)
    assert frame.select("key", "duplicate_of", "reason").rows() == [
        ("a", None, "none_kept"),
        ("b", "a", "same_bytes"),
        ("c", "a", "same_bytes"),
    ]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("stu"), st.integers(0, 3), st.none() | st.integers(0, 5)), max_size=20),
    st.sampled_from(["first", "largest", "best"]),
    st.permutations(["s", "t", "u"]).map(lambda names: tuple(names[:2])),
)
def test_of_each_cluster_the_one_that_the_policy_puts_first_is_kept(
    drawn: list[tuple[str, int, int | None]], keep: Any, prefer: tuple[str, ...]
) -> None:
    items = [
        Item(f"{source}/train/{row}", row, (f"p{picture}",), (None,), 1, 11, picture + (value or 0), value=value)
        for row, (source, picture, value) in enumerate(drawn)
    ]
    frame = clusters(items, Dedup(keep=keep, prefer=prefer), no_comparison)

    def place(one: Item) -> tuple[int, float, str, int]:
        source = one.key.split("/")[0]
        going = {"first": 0.0, "largest": float(-one.pixels), "best": np.inf if one.value is None else -one.value}
        return prefer.index(source) if source in prefer else 2, going[keep], source, one.position

    for picture in range(4):
        group = sorted((each for each in items if each.pictures == (f"p{picture}",)), key=place)
        kept = frame.filter(pl.col("key").is_in([each.key for each in group]), pl.col("reason") == "kept")
        assert kept["key"].to_list() == [each.key for each in group[:1] if len(group) > 1]


# texts that are nearly the same


class Texts:
    """Texts by their words: bands are single words, so that whatever shares one is a candidate."""

    def __init__(self, said: Mapping[str, str]) -> None:
        self.said = said
        self.names: tuple[str, ...] = ()

    def __call__(self, names: tuple[str, ...], source: Any, row: Any) -> "Texts":
        """The texts of these samples: each source has one."""
        assert (row == 0).all()
        self.names = tuple(names[place] for place in source.tolist())
        return self

    def bands(self) -> Any:
        """The first three words of each."""
        for place in range(3):
            yield np.array([self._words(name)[place] for name in self.names], np.uint64)

    def sets(self, rows: Any) -> TextSets:
        """All words as answers, to no question."""
        words = [sorted(set(self._words(self.names[row]))) for row in rows.tolist()]
        ends = np.cumsum([0, *map(len, words)])
        places = np.stack([ends[:-1], ends[:-1], ends[1:]], axis=1)
        return TextSets(np.concatenate(words).astype(np.uint32), places, np.zeros(len(words), np.uint64))

    def _words(self, name: str) -> list[int]:
        return [ord(letter) for letter in self.said[name]]


def text_only(key: str, text: int) -> Item:
    """A row without pictures."""
    return Item(key, 0, (), (), text, text, 0)


SAID = {"a": "abcdefghij", "b": "abcdefghix", "c": "abcdefghyx", "d": "abcdefghix", "e": "stuvwxyz"}


def test_near_texts_join_the_kept_one_and_do_not_chain() -> None:
    # b is near to a and c to b, but c not to a; d says what b says
    items = [text_only(key, ord("b") if key == "d" else ord(key)) for key in SAID]
    dedup = Dedup.model_validate({"text": {"similarity": 0.8}})
    frame = clusters(items, dedup, no_comparison, Texts(SAID))
    assert frame.select("key", "duplicate_of", "reason", "similarity", "distance").rows() == [
        ("a", None, "kept", None, None),
        ("b", "a", "near_text", 9 / 11, None),
        ("d", "a", "near_text", 9 / 11, None),
    ]


def test_near_texts_are_only_looked_for_where_the_recipe_says_so() -> None:
    items = [text_only(key, ord("b") if key == "d" else ord(key)) for key in SAID]
    assert clusters(items, Dedup(), no_comparison)["key"].to_list() == ["b", "d"]


def test_of_near_texts_the_policy_keeps_one_too() -> None:
    items = [text_only(key, ord(key))._replace(value=value) for key, value in (("a", 1), ("b", 2))]
    dedup = Dedup.model_validate({"text": {}, "keep": "best"})
    frame = clusters(items, dedup, no_comparison, Texts(SAID))
    assert frame.select("key", "reason").rows() == [("b", "kept"), ("a", "near_text")]


# what a recipe may say


@pytest.mark.parametrize(
    ("dedup", "complaint"),
    [
        ({"by": "clip"}, "`by` names the score of `keep: best`"),
        ({"keep": "largest", "by": "clip"}, "`by` names the score of `keep: best`"),
        ({"keep": "none", "prefer": ["a"]}, "nothing to `prefer`"),
        ({"prefer": ["a", "a"]}, "stands twice"),
        ({"keep": "worst"}, "'best' or 'none'"),
        ({"text": {"similarity": 0.5}}, "greater than or equal to 0.7"),
        ({"text": True}, "NearText"),
    ],
)
def test_what_makes_no_sense_is_refused(dedup: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Dedup.model_validate(dedup)


def planned(dedup: dict[str, Any], when: str = "clip < 1") -> Dedup:
    rules = {"list": [{"name": "low", "when": when, "then": "drop"}]}
    entries = [{"id": "a", "source": "s"}, {"id": "b", "source": "t"}]
    recipe = Recipe.model_validate({"name": "mine", "rules": rules, "entries": entries, "dedup": dedup})
    facts = {
        ("sft", entry.id): SourceFacts(name=str(entry.source), licence="cc0", rows=1, status="resolved")
        for entry in recipe.entries
    }
    scores = {"quality": pl.Float64, "clip": pl.Float32, "tongue": pl.String}
    return plan(recipe, facts, scores, judged=frozenset({"quality"})).stages[0].dedup


@pytest.mark.parametrize(
    ("dedup", "when", "complaint"),
    [
        ({"keep": "best", "by": "beauty"}, "clip < 1", "no filter writes a number `beauty`"),
        ({"keep": "best", "by": "tongue"}, "clip < 1", "no filter writes a number `tongue`"),
        ({"keep": "best"}, "clip < 1", "by `quality`, which the judge gives only where a rule reads it"),
        ({"prefer": ["u"]}, "clip < 1", "prefers source `u`, which no entry reads: s, t"),
    ],
)
def test_a_plan_refuses_what_the_stage_has_not(dedup: dict[str, Any], when: str, complaint: str) -> None:
    with pytest.raises(RecipeError, match=complaint):
        planned(dedup, when)


def test_a_plan_takes_what_the_stage_has() -> None:
    assert planned({"keep": "best"}, "quality < 1").score == "quality"
    assert planned({"keep": "best", "by": "clip"}).score == "clip"
    assert planned({"prefer": ["t"]}).prefer == ("t",)
    assert planned({"level": "off", "keep": "best"}).score == "quality"


def test_counts_hold_where_none_is_kept() -> None:
    frame = clusters(ROWS, Dedup(keep="none"), no_comparison)
    Counts(read=3, made=3, keep=3, duplicates=dropped(frame).len()).check("here")


def test_samples_of_nothing() -> None:
    assert len(Samples.join((), [])) == 0
