"""Bands and words of stored samples, whatever their shards and order."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from filters.text_bands import TextBands
from flows.comparing_texts import StoredTexts
from flows.executor import LocalRunner
from flows.score_table import ScoreTable
from flows.scoring import FilterSet, score_sources
from manifests.near_text import near_texts
from shards.errors import StoreError
from shards.files import write_table
from shards.pack import Image
from shards.sample import SampleRow, ShardCounts, ShardsIndex, sample_path, write_samples
from shards.store import Box, Store
from sources.spec import Source

FILTERS = FilterSet((), (), (), apart=(TextBands(),))
LONG = "the quick brown fox jumps over the lazy dog near the old stone bridge at dawn while nobody looks"


def shards_of(store: Store, name: str, *shards: list[str]) -> tuple[Source, Box]:
    """A finished box with the answers of each shard."""
    box = store.box("shards", name, "0" * 20)
    counts, position = [], 0
    for number, answers in enumerate(shards):
        rows = [
            SampleRow(f"{name}/{row}", row, (("user", "Say it."), ("assistant", answer)), (), (), "{}")
            for row, answer in enumerate(answers, position)
        ]
        position += len(rows)
        write_samples(sample_path(box.path, number), rows)
        counts.append(ShardCounts(samples=len(rows), quarantined=0, items=len(rows)))
    write_table(box.path / "pictures.parquet", pl.DataFrame(schema=dict.fromkeys(Image._fields, pl.String)))
    box.finish(
        ShardsIndex(
            source=name,
            fingerprint="0",
            items=position,
            samples=position,
            quarantined={},
            repairs={},
            pictures=0,
            picture_bytes=0,
            shards=counts,
        )
    )
    return Source(name=name, layout="llava", files=("x.json",)), box


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Store, dict[str, tuple[Source, Box]]]:
    store = Store(tmp_path)
    sourced = {
        "a": shards_of(store, "a", ["zero", LONG], [], [LONG + " today", "", "Four words are here."]),
        "b": shards_of(store, "b", [LONG.upper(), LONG.replace("fox", "cat")]),
    }
    score_sources(LocalRunner(None), store, FILTERS, sourced)
    return store, sourced


def texts_of(stored: tuple[Store, dict[str, tuple[Source, Box]]], *rows: tuple[int, int]) -> StoredTexts:
    source, row = np.array(rows).reshape(-1, 2).T
    shards = {name: box for name, (_, box) in stored[1].items()}
    return StoredTexts(stored[0], shards, ["a", "b"], source.astype(np.int32), row.astype(np.int64))


ORDER = [(1, 1), (0, 2), (0, 4), (1, 0), (0, 0), (0, 1), (0, 3)]


def test_bands_are_those_of_the_rows(stored):
    texts = texts_of(stored, *ORDER)
    bands = np.array(list(texts.bands()))
    assert bands.shape == (len(TextBands.writes), len(ORDER)) and bands.all()
    assert (bands[:, 3] == bands[:, 5]).all()
    assert not (bands[:, 4] == bands[:, 6]).any()


@pytest.mark.parametrize("rows", [list(range(len(ORDER))), [0, 3, 5], [6], []])
def test_sets_are_those_of_the_rows(stored, rows):
    sets = texts_of(stored, *ORDER).sets(np.array(rows, dtype=np.int64))
    sizes = {(1, 1): 15, (0, 2): 16, (0, 4): 1, (1, 0): 15, (0, 0): 1, (0, 1): 15, (0, 3): 0}
    assert np.diff(sets.places[:, 1:]).ravel().tolist() == [sizes[ORDER[row]] for row in rows]
    assert len(sets.values) == sets.places[:, 2].max(initial=0) and len(sets.numbers) == len(rows)


@pytest.mark.parametrize("rotated", range(len(ORDER)))
def test_near_texts_of_a_store_in_any_order(stored, rotated):
    order = ORDER[rotated:] + ORDER[:rotated]
    found = near_texts(texts_of(stored, *order), 0.8)
    same = [(0, 1), (0, 2), (1, 0)]  # the long text, with a word more, in capitals; another animal is 10 of 20
    first = min(order.index(each) for each in same)
    assert found.kept.tolist() == [first if each in same else row for row, each in enumerate(order)]
    likeness = {order[row]: value for row, value in enumerate(found.similarity) if not np.isnan(value)}
    assert likeness == {
        each: 15 / 16 if (0, 2) in (each, order[first]) else 1.0 for each in same if each != order[first]
    }


def test_bands_are_no_scores(stored):
    store, sourced = stored
    frame = ScoreTable(store, FILTERS, *sourced["a"]).whole()
    assert not [name for name in frame.columns if name.startswith("band")]
    assert not [name for name in FILTERS.scores() if name.startswith("band")]


def test_bands_that_are_gone_are_missed(tmp_path):
    store = Store(tmp_path)
    texts = texts_of((store, {"a": shards_of(store, "a", ["one"]), "b": shards_of(store, "b", ["two"])}), (0, 0))
    with pytest.raises(StoreError, match=r"no TextBands of the texts in `shards/a/0+`; run `vlmix run"):
        next(texts.bands())
