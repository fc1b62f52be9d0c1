"""Native exports: whole files of surviving rows under the trainer's own operators, and what the trainer then sees."""

import json
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from commands import DemoBuild, Vlmix

from flows.exporting import NativeExport, export_all
from flows.mixes import Mix, find
from shards.errors import RecipeError, UsageError
from shards.store import Store

pytestmark = [pytest.mark.integration, pytest.mark.long]

RECIPE = """
name: {name}
seed: 3
judge: {judge}
rules:
  extends: [default]
  list: [{{name: low_quality, when: quality < 7, then: drop, where: {{domains: [chat]}}}}]
entries:
"""

LISTS = [
    "{id: charts, source: demo.charts, domain: chart, published: Charts+QA, take: {kind: first, percent: 30}}",
    "{id: tables, source: demo.tables, domain: document}",
    "{id: chat, source: demo.chat, domain: chat, take: {kind: random, rows: 40}}",
    "{id: ask, source: demo.ask, domain: chat, published: asked, take: {kind: random, rows: 20}}",
    "{id: ask_again, source: demo.ask, domain: chat, published: asked}",
    "{id: points, source: demo.points, domain: grounding, published: grounding}",
    "{id: locate, source: demo.locate, domain: grounding, published: grounding}",
    "{id: docs, source: demo.docs, domain: document, slice: {end: 50}, take: {kind: end, percent: 20}}",
]

NEVER = "{quality: answer_chars < 0, repetition: answer_chars < 0}"

INTERNVL = [
    "{id: charts, source: demo.charts, domain: chart, take: {kind: first, fraction: 0.29}}",
    "{id: tables, source: demo.tables, domain: document, repeat: 3}",
    "{id: multi, source: demo.multi, domain: multi_image, max_tiles: 12}",
]

VILA = [
    "{id: charts, source: demo.charts, domain: chart, repeat: 2, take: {kind: exclude, file: filter/charts.json}}",
    "{id: tables, source: demo.tables, domain: document, take: {kind: even, rows: 50}}",
]


@pytest.fixture(scope="module")
def store(demo: DemoBuild, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo store with other recipes beside the demo's; its scores serve them all."""
    copied = tmp_path_factory.mktemp("native") / "store"
    shutil.copytree(demo.store, copied)
    return copied


def built(vlmix: Vlmix, store: Path, name: str, entries: list[str], judge: str = "tiny") -> Mix:
    folder = store.parent / "filter"
    folder.mkdir(exist_ok=True)
    (folder / "charts.json").write_text(json.dumps(list(range(0, 100))))
    recipe = store.parent / f"{name}.yaml"
    recipe.write_text(RECIPE.format(name=name, judge=judge) + "".join(f"  - {entry}\n" for entry in entries))
    done = vlmix("run", "build-sft-mix", "--recipe", recipe, "--store", store, "--json")
    assert done.code == 0, done.err
    (mix,) = find(Store(store), name).values()
    return mix


@pytest.fixture(scope="module")
def lists(vlmix: Vlmix, store: Path) -> Mix:
    return built(vlmix, store, "lists", LISTS)


def exported(mix: Mix, to: str, out: Path) -> dict[str, NativeExport]:
    """Lines by strategy and file; the trainer's own reader sees as many rows as the export says."""
    (report,) = export_all({"sft": mix}, to=to, out=out, native=True)
    seen = import_module(f"checkers.{to.replace('-', '_')}").check(out)
    assert sorted((each.name, each.rows) for each in seen) == sorted((line.file, line.seen) for line in report.native)
    assert report.entries == [] and report.not_representable == 0
    return {f"{line.strategy} {line.file}": line for line in report.native}


def kept(mix: Mix, entry: str) -> int:
    """Kept rows of an entry that are no duplicates."""
    counts = mix.entries[entry].counts
    return counts.keep - counts.duplicates


@pytest.mark.parametrize("trainer", ["llava-next", "instellavl"])
def test_lists_hold_all_surviving_rows_under_the_published_operators(lists: Mix, tmp_path: Path, trainer: str) -> None:
    lines = exported(lists, trainer, tmp_path / "out")
    yaml = (tmp_path / "out" / "mixture.yaml").read_text()
    named = "Charts+QA"
    assert f"json_path: annotations/{named}.json\n  sampling_strategy: first:30%" in yaml
    charts = lines[f"first {named}"]
    assert charts.rows > kept(lists, "charts") and charts.unplanned == charts.rows - kept(lists, "charts")
    assert charts.seen == -(-30 * charts.rows // 100)
    # a rule on repetition by the judge holds for every domain
    assert charts.unjudged == charts.unplanned
    assert lines["all tables"].rows == lines["all tables"].seen == kept(lists, "tables")
    assert lines["all grounding"].entries == ["points", "locate"]
    assert lines["all grounding"].rows == kept(lists, "points") + kept(lists, "locate")


def test_rows_that_were_never_judged_are_told(lists: Mix, tmp_path: Path) -> None:
    lines = exported(lists, "llava-next", tmp_path / "out")
    chat = lines["random chat"]
    assert 0 < chat.unjudged <= chat.unplanned and chat.seen == 40
    # another entry of the source takes all rows, so all of them are judged
    asked = lines["random asked"]
    assert asked.unjudged == 0 and asked.rows == lines["all asked"].rows == kept(lists, "ask_again")
    assert len(list((tmp_path / "out" / "annotations").glob("asked*"))) == 1


def test_rows_that_ask_when_spares_are_told_apart(vlmix: Vlmix, lists: Mix, store: Path, tmp_path: Path) -> None:
    all_of = exported(lists, "llava-next", tmp_path / "lists")["random chat"]
    one = "{id: chat, source: demo.chat, domain: chat, take: {kind: random, rows: 40}}"
    for number, (ask_when, whole) in enumerate([("{repetition: answer_chars < 0}", False), (NEVER, True)]):
        mix = built(vlmix, store, f"spared{number}", [one], f"{{backend: tiny, ask_when: {ask_when}}}")
        line = exported(mix, "llava-next", tmp_path / str(number))["random chat"]
        assert (line.unjudged == 0) == whole and line.spared + line.unjudged == line.unplanned == all_of.unplanned
    spare = built(vlmix, store, "spared2", [one], "{backend: tiny, ask_when: {quality: answer_chars > 200}}")
    line = exported(spare, "llava-next", tmp_path / "2")["random chat"]
    assert line.unjudged + line.spared == line.unplanned and line.unjudged > 0


def test_no_dropped_row_and_no_row_outside_the_slice_is_in_a_file(lists: Mix, tmp_path: Path) -> None:
    exported(lists, "llava-next", tmp_path / "out")
    dropped = lists.decisions.filter(
        pl.col("verdict").is_in(["drop", "review", "unscored"]) & (pl.col("entry") != "ask")
    )
    for name, entry in (("Charts+QA", "charts"), ("tables", "tables"), ("docs", "docs"), ("chat", "chat")):
        rows: list[dict[str, Any]] = json.loads((tmp_path / "out" / "annotations" / f"{name}.json").read_text())
        keys = {row["id"].partition(":")[2] for row in rows}
        assert not keys & set(dropped.filter(pl.col("entry") == entry)["key"])
        positions = lists.decisions.filter((pl.col("entry") == entry) & pl.col("key").is_in(list(keys)))["position"]
        if entry == "docs":
            assert positions.max() < lists.entries["docs"].counts.read // 2
        assert positions.is_sorted() and len(positions) == len(keys)


def test_streams_choose_and_repeat(vlmix: Vlmix, store: Path, tmp_path: Path) -> None:
    entries = [
        "{id: charts, source: demo.charts, domain: chart, published: Charts, take: {kind: random, rows: 40}}",
        "{id: tables, source: demo.tables, domain: document, repeat: 2}",
        "{id: ask, source: demo.ask, domain: chat}",
    ]
    mix = built(vlmix, store, "streams", entries)
    (report,) = export_all({"sft": mix}, to="instellavl-online", out=tmp_path / "out", native=True)
    listed = yaml.safe_load((tmp_path / "out" / "mixture.yaml").read_text())["datasets"]
    assert listed == [
        {"shard_path": "shards/Charts/", "choose": 40},
        {"shard_path": "shards/tables/", "repeat": 2},
        {"shard_path": "shards/ask/"},
    ]
    charts, tables, ask = report.native
    assert charts.seen == 40 and charts.rows > 40
    assert tables.seen == 2 * tables.rows == 2 * kept(mix, "tables")
    assert ask.seen == ask.rows == kept(mix, "ask")
    for line in report.native:
        index = json.loads((tmp_path / "out" / "shards" / line.file / "index.json").read_bytes())
        assert sum(shard["samples"] for shard in index["shards"]) == line.rows


def test_internvl_takes_fractions_and_repeats(vlmix: Vlmix, store: Path, tmp_path: Path) -> None:
    mix = built(vlmix, store, "meta", INTERNVL)
    lines = exported(mix, "internvl", tmp_path / "out")
    assert lines["repeat_time charts"].seen == int(lines["repeat_time charts"].rows * 0.29)
    assert lines["repeat_time tables"].seen == 3 * kept(mix, "tables") == mix.entries["tables"].counts.emitted
    assert json.loads((tmp_path / "out" / "meta.json").read_bytes())["multi"]["max_dynamic_patch"] == 12


def test_vila_leaves_rows_out_by_list(vlmix: Vlmix, store: Path, tmp_path: Path) -> None:
    mix = built(vlmix, store, "vila_lists", VILA)
    lines = exported(mix, "vila", tmp_path / "out")
    assert (tmp_path / "out" / "mixture.txt").read_text() == "charts*2@filter+tables\n"
    assert lines["* charts"].seen == 2 * kept(mix, "charts") == mix.entries["charts"].counts.emitted
    assert lines["* charts"].unplanned == len(json.loads((tmp_path / "out/slices/filter/charts.json").read_text())) > 0
    # VILA takes evenly spaced rows before training: the file holds just these
    assert lines["all tables"].rows == kept(mix, "tables") and lines["all tables"].unplanned == 0


def test_what_a_trainer_cannot_say_is_refused_before_anything_is_written(
    demo: DemoBuild, lists: Mix, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(RecipeError, match="export without `--native`"):
        export_all(find(Store(demo.store), "demo"), to="llava-next", out=out, native=True)
    with pytest.raises(UsageError, match="no operators of its own"):
        export_all({"sft": lists}, to="llamafactory", out=out, native=True)
    assert not out.exists()
