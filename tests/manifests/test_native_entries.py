"""Entries in the words of trainers, and what each trainer has no words for."""

import pytest

from manifests.exports.native import Flavour, NativeEntry, native_entries
from manifests.load import parse_recipe
from manifests.recipe import Stage
from shards.errors import RecipeError


def stage_of(entries: str) -> Stage:
    return parse_recipe(f"name: mine\nentries: [{entries}]", "mine.yaml").resolved_stages()[0]


@pytest.mark.parametrize(
    ("flavour", "entry", "strategy", "value"),
    [
        ("llava-next", "", "all", ""),
        ("llava-next", "take: {kind: first, percent: 5}", "first", "5%"),
        ("llava-next", "take: {kind: end, rows: 7}", "end", "7"),
        ("instellavl-offline", "take: {kind: random, rows: 960}", "random", "960"),
        ("instellavl-offline", "repeat: 2", "repeat", "2"),
        ("instellavl-online", "take: {kind: random, rows: 960}", "choose", "960"),
        ("instellavl-online", "repeat: 1.5", "repeat", "1.5"),
        ("internvl", "", "repeat_time", "1"),
        ("internvl", "repeat: 3", "repeat_time", "3"),
        ("internvl", "take: {kind: first, fraction: 0.03}", "repeat_time", "0.03"),
        ("vila", "repeat: 2", "*", "2"),
        ("vila", "take: {kind: exclude, file: 0.5/a.json}", "@", "0.5"),
        ("vila", "take: {kind: exclude, file: 30/a.json}, repeat: 2", "*", "2@30"),
        ("vila", "take: {kind: even, rows: 10}", "all", ""),
    ],
)
def test_words(flavour: Flavour, entry: str, strategy: str, value: str) -> None:
    stage = stage_of(f"{{id: a, source: s, {entry}}}")
    assert native_entries(stage, flavour) == [NativeEntry("a", strategy, value, ("a",))]


@pytest.mark.parametrize(
    ("flavour", "entry"),
    [
        ("llava-next", "repeat: 2"),
        ("llava-next", "take: {kind: first, percent: 12.5}"),
        ("llava-next", "take: {kind: first, percent: 5, rounding: floor}"),
        ("llava-next", "take: {kind: end, rows: 0}"),
        ("llava-next", "cap: 50"),
        ("instellavl-offline", "take: {kind: random, rows: 9}, repeat: 2"),
        ("instellavl-offline", "repeat: 1.5"),
        ("instellavl-online", "take: {kind: random, rows: 0}"),
        ("instellavl-online", "take: {kind: first, rows: 9}"),
        ("internvl", "repeat: 1.5"),
        ("internvl", "take: {kind: first, rows: 9}"),
        ("internvl", "take: {kind: first, fraction: 0.3, rounding: ceil}"),
        ("vila", "take: {kind: first, rows: 9}"),
        ("vila", "repeat: 0.5"),
    ],
)
def test_what_a_trainer_cannot_say_is_refused(flavour: Flavour, entry: str) -> None:
    with pytest.raises(RecipeError, match=f"entry `a`: .*{flavour}"):
        native_entries(stage_of(f"{{id: a, source: s, {entry}}}"), flavour)


def test_sources_of_one_published_file_are_one_line() -> None:
    stage = stage_of(
        "{id: a, source: s, published: x}, {id: b, source: t, published: x, take: {kind: even, rows: 9}}, "
        "{id: c, source: s, published: x}, {id: d, source: u}"
    )
    lines = native_entries(stage, "vila")
    assert [(line.name, line.entries) for line in lines] == [("x", ("a", "b")), ("x", ("c",)), ("d", ("d",))]


def test_parts_of_one_file_that_take_differently_are_taken_whole() -> None:
    stage = stage_of("{id: a, source: s, published: x}, {id: b, source: t, published: x, take: {kind: first, rows: 9}}")
    assert native_entries(stage, "llava-next") == [NativeEntry("x", "all", "", ("a", "b"))]


def test_parts_of_one_file_cannot_be_repeated_apart() -> None:
    stage = stage_of("{id: a, source: s, published: x}, {id: b, source: t, published: x, repeat: 2}")
    with pytest.raises(RecipeError, match="`x` have different repeat factors"):
        native_entries(stage, "instellavl-online")
