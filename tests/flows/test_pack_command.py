import json
from pathlib import Path

import polars as pl
import pytest
from commands import DemoBuild, Vlmix

from manifests.packing import pack

pytestmark = pytest.mark.integration


def test_every_emitted_row_is_in_one_sequence(vlmix: Vlmix, demo: DemoBuild, tmp_path: Path) -> None:
    options = ("--tokens", "512", "--picture-tokens", "144", "--turn-tokens", "4", "--out", tmp_path)
    done = vlmix("pack", "demo.sft", *options, "--store", demo.store, "--json")
    assert done.code == 0, done.err
    index = pl.read_parquet(tmp_path / "packing.parquet")
    mix = Path(next(stage["mix"] for stage in demo.document["stages"] if stage["stage"] == "sft"))
    ids = pl.read_parquet(mix / "ids.parquet")
    emitted = ids.select("entry", "key", pl.int_ranges("times").alias("copy")).explode("copy")
    assert done.document["rows"] == index.height == emitted.height - done.document["too_long"]
    assert index.join(emitted, on=["entry", "key", "copy"], how="anti").height == 0
    assert index.select("entry", "key", "copy").is_unique().all()
    sums = index.group_by("sequence").agg(pl.col("tokens").sum())
    assert sums["tokens"].max() <= 512
    assert sums.height == done.document["sequences"] == index["sequence"].max() + 1
    assert done.document["fill"] == round(sums["tokens"].sum() / (sums.height * 512), 6)
    assert json.loads((tmp_path / "packing.json").read_text()) == done.document


def test_tokens_are_those_of_the_formula(vlmix: Vlmix, demo: DemoBuild, tmp_path: Path) -> None:
    vlmix("pack", "demo.sft", "--tokens", "9000", "--picture-tokens", "7", "--out", tmp_path, "--store", demo.store)
    index = pl.read_parquet(tmp_path / "packing.parquet")
    mix = Path(next(stage["mix"] for stage in demo.document["stages"] if stage["stage"] == "sft"))
    ids = pl.read_parquet(mix / "ids.parquet")
    joined = index.join(ids, on=["entry", "key"])
    assert (joined["tokens"] == joined["num_tokens"] + 7 * joined["num_images"]).all()
    in_order = ids.with_columns(pl.int_ranges("times").alias("copy")).explode("copy")
    tokens = (in_order["num_tokens"] + 7 * in_order["num_images"]).cast(pl.Int64).to_numpy()
    assert index.height == in_order.height
    assert index["sequence"].max() + 1 == pack(tokens, 9000).num_sequences


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("demo", "--tokens", "512"), "say which: demo.warm-up, demo.sft"),
        (("demo.sft", "--tokens", "0"), "at least 1"),
        (("demo.sft", "--tokens", "512", "--tile-tokens", "256"), "has no `max_tiles`"),
    ],
)
def test_what_cannot_be_packed_is_said(
    vlmix: Vlmix, demo: DemoBuild, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = vlmix("pack", *arguments, "--out", tmp_path, "--store", demo.store)
    assert done.code in {1, 2}
    assert said in done.err
    assert not list(tmp_path.iterdir())
