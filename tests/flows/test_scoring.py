"""Scores of pictures, of those that do not decode too."""

import hashlib
import io
from pathlib import Path

import polars as pl
import pytest
from PIL import Image as PillowImage

from filters import ON_DEMAND, TEXT_FILTERS
from filters.pictures import PictureBasics
from flows.build import prepare
from flows.executor import LocalRunner
from flows.score_table import ScoreTable
from flows.scoring import PICTURE_STATE, FilterSet, PictureJob, filter_set, picture_table, score_sources
from manifests.load import load_recipe
from manifests.recipe import Entry, Rule
from manifests.rules import parse
from manifests.verdicts import decide, words
from shards.files import write_table
from shards.pack import Image, PackWriter
from shards.picture import Facts
from shards.sample import SampleRow, ShardCounts, ShardsIndex, sample_path, write_samples
from shards.store import Box, Store
from sources.spec import Source

FILTERS = FilterSet((), (PictureBasics(),), ())
SOURCE = Source(name="s", layout="llava", files=("x.json",))


def png(width: int) -> bytes:
    buffer = io.BytesIO()
    PillowImage.linear_gradient("L").resize((width, 30)).save(buffer, "PNG")
    return buffer.getvalue()


GOOD, WIDE, BROKEN = png(30), png(90), png(50)[:-40]


def shards_of(store: Path, *groups: tuple[bytes, ...]) -> Box:
    """A finished box of one shard; its pictures are stored without a look at them."""
    box = Store(store).box("shards", SOURCE.name, "0" * 20)
    stored: dict[bytes, Image] = {}
    with PackWriter(store, box.name, "pictures-00000") as packs:
        for data in dict.fromkeys(data for group in groups for data in group):
            stored[data] = packs.add(data, hashlib.sha256(data).hexdigest(), Facts(30, 30, "PNG"))
    rows = [
        SampleRow(f"s/{row}", row, (), tuple(stored[data] for data in group), (), "{}")
        for row, group in enumerate(groups)
    ]
    write_samples(sample_path(box.path, 0), rows)
    write_table(box.path / "pictures.parquet", pl.DataFrame(list(stored.values()), list(Image._fields), orient="row"))
    counts = ShardCounts(samples=len(rows), quarantined=0, items=len(rows))
    box.finish(
        ShardsIndex(
            source=SOURCE.name,
            fingerprint="0",
            items=len(rows),
            samples=len(rows),
            quarantined={},
            repairs={},
            pictures=len(stored),
            picture_bytes=0,
            shards=[counts],
        )
    )
    return box


@pytest.fixture
def scored(tmp_path: Path) -> tuple[Store, Box]:
    """Samples with good pictures, without any, with a broken one alone and beside a good one."""
    box = shards_of(tmp_path, (GOOD, WIDE), (), (BROKEN,), (GOOD, BROKEN))
    score_sources(LocalRunner(None), Store(tmp_path), FILTERS, {SOURCE.name: (SOURCE, box)})
    return Store(tmp_path), box


def test_a_picture_that_does_not_decode_has_no_measures_and_a_state(scored: tuple[Store, Box]) -> None:
    store, box = scored
    table = picture_table(store, PictureBasics(), box)
    assert table.columns == ["sha256", PICTURE_STATE, *PictureBasics.writes]
    assert table[PICTURE_STATE].to_list() == [None, None, "error"]
    assert table.row(2)[2:] == (None,) * len(PictureBasics.writes)
    assert table["side_px"].to_list() == [30, 30, None]


def test_a_sample_with_such_a_picture_has_no_scores_and_a_state(scored: tuple[Store, Box]) -> None:
    frame = ScoreTable(scored[0], FILTERS, SOURCE, scored[1]).whole()
    for score in PictureBasics.reduces:
        assert frame[score].is_null().to_list() == [False, True, True, True]
        assert frame[f"{score}_state"].to_list() == [None, "not_applicable", "error", "error"]
    assert frame["aspect"].to_list() == [3.0, None, None, None]
    assert frame.dtypes[:2] == [pl.String, pl.Int64]


def test_blocks_of_rows_are_the_whole_and_named_scores_the_same(tmp_path: Path) -> None:
    store, box = Store(tmp_path), shards_of(tmp_path, (GOOD, WIDE), (), (BROKEN,))
    added = [SampleRow(f"s/{row}", row, (), (), (), "{}") for row in (3, 4)]
    write_samples(sample_path(box.path, 1), added)
    counts = [ShardCounts(samples=rows, quarantined=0, items=rows) for rows in (3, 2)]
    box.finish(box.index(ShardsIndex).model_copy(update={"samples": 5, "items": 5, "shards": counts}))
    filters = filter_set((), ())
    score_sources(LocalRunner(None), store, filters, {SOURCE.name: (SOURCE, box)})
    whole, cut = (ScoreTable(store, filters, SOURCE, box, rows) for rows in (5, 3))
    assert (whole.is_small, cut.is_small) == (True, False)
    assert [block["key"].to_list() for block in cut.blocks()] == [["s/0", "s/1", "s/2"], ["s/3", "s/4"]]
    assert cut.whole().equals(whole.whole())
    for names in ((), ("aspect",), ("quality", "loop_state", "human", "min_side_px")):
        columns = [name for name in whole.whole().columns if name in cut.whole(names).columns]
        assert {*names} <= {*columns}
        assert cut.whole(names).equals(whole.whole().select(columns))


def test_such_a_sample_is_unscored_and_not_kept(scored: tuple[Store, Box]) -> None:
    frame = ScoreTable(scored[0], FILTERS, SOURCE, scored[1]).whole()
    rules = parse((Rule(name="thin", when="aspect > 2", then="drop"),), FILTERS.scores())
    verdicts = decide(frame, rules, Entry(id="a", source="s", domain="chat"))
    assert words(verdicts, rules)["verdict"].to_list() == ["drop", "keep", "unscored", "unscored"]


def test_a_source_without_pictures_has_an_empty_table(tmp_path: Path) -> None:
    box = shards_of(tmp_path, ())
    write_table(box.path / "pictures.parquet", pl.DataFrame(schema=dict.fromkeys(Image._fields, pl.String)))
    score_sources(LocalRunner(None), Store(tmp_path), FILTERS, {SOURCE.name: (SOURCE, box)})
    assert picture_table(Store(tmp_path), PictureBasics(), box).height == 0
    assert ScoreTable(Store(tmp_path), FILTERS, SOURCE, box).whole()["aspect_state"].to_list() == ["not_applicable"]


@pytest.mark.parametrize(("count", "parts", "of"), [(1, 1, 128), (300, 3, 128), (2400, 16, 150), (40_000, 20, 2048)])
def test_pictures_are_measured_in_parts_of_a_size_that_their_names_tell(count, parts, of, tmp_path: Path) -> None:
    box = shards_of(tmp_path, (GOOD,))
    box.finish(box.index(ShardsIndex).model_copy(update={"pictures": count}))
    told = Told()
    with pytest.raises(KeyboardInterrupt):
        score_sources(told, Store(tmp_path), FILTERS, {SOURCE.name: (SOURCE, box)})
    assert [(job.number, job.pictures) for job in told.jobs] == [(number, of) for number in range(parts)]


class Told:
    """Hears of the jobs that pictures are measured in, and does nothing."""

    def map(self, step: str, function: object, jobs: list[PictureJob]) -> list[None]:
        if step == "score pictures":
            self.jobs = jobs
            raise KeyboardInterrupt
        return []

    def ask(self, judge: object, function: object, jobs: object) -> None:
        raise AssertionError


def test_pictures_measured_together_are_as_many_as_are_small(tmp_path: Path, monkeypatch) -> None:
    groups = [(png(width),) for width in range(24, 60)]
    tables = []
    for number, pixels in enumerate((10**9, 2_000, 1)):
        monkeypatch.setattr("flows.scoring._TOGETHER_PX", pixels)
        box = shards_of(tmp_path / str(number), *groups)
        score_sources(LocalRunner(None), Store(tmp_path / str(number)), FILTERS, {SOURCE.name: (SOURCE, box)})
        tables.append(picture_table(Store(tmp_path / str(number)), PictureBasics(), box))
    assert tables[0].height == len(groups) and tables[0].equals(tables[1]) and tables[0].equals(tables[2])


def test_filters_on_demand_run_where_one_of_their_scores_is_named():
    usual = filter_set((), ())
    kinds = {TEXT_FILTERS[name] for name in ON_DEMAND}
    assert kinds <= set(map(type, usual.samples))
    assert not kinds & set(map(type, usual.needed({"loop"}).samples))
    needed = usual.needed({"loop", "gopher_words", "relevance"})
    assert kinds & set(map(type, needed.samples)) == {TEXT_FILTERS["gopher"]}
    assert needed.criteria == ("relevance",)
    assert len(needed.samples) == len(usual.samples) - len(ON_DEMAND) + 1


def test_a_recipe_names_scores_in_rules_takes_and_predicates(tmp_path):
    recipe, folder = load_recipe("demo")
    rules = recipe.rules.model_copy(update={"extends": ("default", "c4")})
    extended = prepare(recipe.model_copy(update={"rules": rules}), folder, Store(tmp_path))
    assert "c4_sentences" in extended.filters.scores()
    assert "c4_sentences" not in prepare(recipe, folder, Store(tmp_path)).filters.scores()
