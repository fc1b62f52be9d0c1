"""The stream of a mixture without torch; tests/interop/torch reads the same through its loaders."""

from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from commands import DemoBuild

from manifests.stream import MixtureStream

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def mixture(demo: DemoBuild) -> str:
    path = next(stage["mix"] for stage in demo.document["stages"] if stage["stage"] == "sft")
    return Path(path).relative_to(demo.store).as_posix()


@pytest.mark.parametrize("window", [1, 100, 10**6])
def test_an_epoch_holds_every_emitted_row_as_often_as_planned(demo: DemoBuild, mixture: str, window: int) -> None:
    stream = MixtureStream(demo.store, mixture, seed=3, window=window)
    rows = list(stream.rows(0, np.arange(len(stream))))
    ids = pl.read_parquet(demo.store / mixture / "ids.parquet")
    assert Counter((row.entry, row.key) for row in rows) == {
        (entry, key): times for entry, key, times in ids.select("entry", "key", "times").iter_rows()
    }
    assert len({(row.entry, row.key, row.copy) for row in rows}) == len(rows)


def test_rows_are_those_of_the_shards(demo: DemoBuild, mixture: str) -> None:
    stream = MixtureStream(demo.store, mixture)
    stored = pl.concat([pl.read_ipc(path) for path in (demo.store / "shards").glob("*/*/samples-*.arrow")])
    texts = {
        key: [(message["role"], message["text"]) for message in messages]
        for key, messages in stored.select("key", "messages").iter_rows()
    }
    pictures = {
        key: [image["sha256"] for image in images] for key, images in stored.select("key", "images").iter_rows()
    }
    for row in stream.rows(1, np.arange(0, len(stream), 7)):
        assert list(row.messages) == texts[row.key]
        assert [image.sha256 for image in row.images] == pictures[row.key]


def test_the_order_depends_on_seed_and_epoch_only(demo: DemoBuild, mixture: str) -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return MixtureStream(demo.store, mixture, seed=seed, window=200).order(epoch).tolist()

    assert order(0, 0) == order(0, 0)
    assert sorted(order(0, 0)) == sorted(order(0, 1)) == list(range(len(order(0, 0))))
    assert len({tuple(order(seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}) == 4


def test_any_positions_give_the_rows_of_the_whole_epoch(demo: DemoBuild, mixture: str) -> None:
    stream = MixtureStream(demo.store, mixture, window=150)
    whole = [(row.entry, row.key, row.copy) for row in stream.rows(2, np.arange(len(stream)))]
    some = np.arange(11, len(stream), 13)
    assert [(row.entry, row.key, row.copy) for row in stream.rows(2, some)] == [whole[place] for place in some]


def test_neighbours_come_from_many_entries(demo: DemoBuild, mixture: str) -> None:
    stream = MixtureStream(demo.store, mixture)
    entries = [row.entry for row in stream.rows(0, np.arange(64))]
    assert len(set(entries)) > 5
