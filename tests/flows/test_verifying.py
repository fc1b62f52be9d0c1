"""Proofs of finished mixtures, and that each thing that can be tampered with is told."""

import json
import math
import shutil
from pathlib import Path

import polars as pl
import pytest
from commands import DemoBuild, Vlmix
from mixture_store import ROWS, build_small, write_rows

from flows.mixes import Mix
from flows.mixing import EXCLUDED_FILE, MixtureIndex
from flows.rebuilding import rebuilt
from flows.verifying import LEAST, drawn, prove
from shards.errors import StoreError
from shards.files import file_sha256, write_table, write_text
from shards.store import Box, Store


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Mix:
    """A small mixture; tests that tamper with it do so in a copy of the store."""
    return build_small(tmp_path_factory.mktemp("small"))


@pytest.fixture
def copy(tmp_path: Path, made: Mix) -> Mix:
    shutil.copytree(made.store.root, tmp_path / "store")
    return Mix(Store(tmp_path / "store"), Box(tmp_path / "store", made.box.name))


@pytest.fixture
def own(tmp_path: Path) -> Mix:
    """A mixture whose raw files a test may change."""
    return build_small(tmp_path)


def only_problem(built: Mix) -> str:
    (problem,) = prove(built).problems
    return problem


def test_an_untouched_mixture_is_proven(made: Mix) -> None:
    found = prove(made)
    assert found.problems == []
    assert found.rebuilt is True
    assert found.rows is not None
    assert found.rows.model_dump() == {"checked": LEAST, "same": LEAST, "different": 0, "unavailable": 0}


def test_rows_are_drawn_by_the_mixture_and_are_emitted(made: Mix) -> None:
    rows = drawn(made)
    assert rows.rows() == drawn(made).rows()
    ids = pl.read_parquet(made.box.path / "ids.parquet")
    assert set(rows["key"]) <= set(ids["key"])
    assert rows.height == max(LEAST, math.ceil(ids.height / 1000))
    assert rows["key"].to_list() != ids["key"].to_list()[:LEAST]
    positions = made.decisions.select("key", "position")
    assert rows.join(positions, on=["key", "position"], how="semi").height == rows.height


def test_the_rebuilt_mixture_is_the_same(made: Mix) -> None:
    again = rebuilt(made)
    assert again.ids.equals(pl.read_parquet(made.box.path / "ids.parquet"))
    assert again.decisions.equals(made.decisions)


def test_tampered_ids_are_told(copy: Mix) -> None:
    path = copy.box.path / "ids.parquet"
    write_table(path, pl.read_parquet(path).with_columns(pl.lit(7, pl.Int64).alias("times")))
    assert "ids.parquet` was changed: expected SHA-256" in only_problem(copy)
    assert prove(copy).rebuilt is None


def test_changed_scores_are_told(copy: Mix) -> None:
    path = copy.box.path / "scores.parquet"
    write_table(path, pl.read_parquet(path).with_columns(answer_chars=pl.lit(1, pl.Int32)))
    assert "scores.parquet` was changed" in only_problem(copy)


def test_a_lost_table_is_told(copy: Mix) -> None:
    (copy.box.path / "decisions.parquet").unlink()
    assert "found no file" in only_problem(copy)


def test_a_changed_manifest_is_told(copy: Mix) -> None:
    path = copy.box.path / "manifest.json"
    document = json.loads(path.read_text())
    document["seed"] = 99
    path.write_text(json.dumps(document))
    assert "manifest.json` was changed" in only_problem(copy)


def test_a_manifest_of_another_version_is_one_message(copy: Mix) -> None:
    (copy.box.path / "manifest.json").write_text('{"manifest_version": 1}')
    with pytest.raises(StoreError, match=r"is no manifest of version 3: it is of version 1; run the recipe again"):
        prove(copy)


def test_lost_samples_are_told(copy: Mix) -> None:
    for shards in (copy.store.root / "shards" / "mine").iterdir():
        (shards / "index.json").unlink()
    assert "are gone from the store" in only_problem(copy)


def test_scores_that_decide_otherwise_do_not_rebuild(copy: Mix) -> None:
    """Scores, with a digest that fits them, which the decisions were not made from."""
    path = copy.box.path / "scores.parquet"
    write_table(path, pl.read_parquet(path).with_columns(answer_chars=pl.lit(1, pl.Int32)))
    manifest = copy.manifest.model_copy(
        update={"digests": copy.manifest.digests.model_copy(update={"scores": file_sha256(path)})}
    )
    write_text(copy.box.path / "manifest.json", manifest.model_dump_json())
    copy.box.finish(MixtureIndex(digest=manifest.digest()))
    found = prove(Mix(copy.store, copy.box))
    assert found.rebuilt is False
    assert any("`ids.parquet` comes out otherwise" in problem for problem in found.problems)


def test_a_changed_raw_file_is_told_once(own: Mix) -> None:
    write_rows(own.store.root.parent / "raw", changed=7)
    found = prove(own)
    assert found.rebuilt is True
    assert found.problems == [
        "source `mine`: raw file `rows.jsonl` has changed since it was read; build again to take the change in"
    ]
    assert found.rows is not None
    assert found.rows.different == found.rows.checked == LEAST


def test_a_changed_picture_is_told(own: Mix) -> None:
    raw = own.store.root.parent / "raw"
    for row in range(0, ROWS, 10):
        (raw / f"{row}.png").write_bytes((raw / "10.png").read_bytes())
    found = prove(own)
    with_pictures = own.samples(drawn(own)).filter((pl.col("images").list.len() > 0) & (pl.col("position") != 10))
    assert found.rows is not None
    assert found.rows.different == with_pictures.height > 0
    assert all("pictures differ from `rows.jsonl#" in problem for problem in found.problems)


def test_raw_files_that_are_gone_are_counted_and_may_be_left_out(own: Mix) -> None:
    shutil.rmtree(own.store.root.parent / "raw")
    found = prove(own)
    assert found.rows is not None
    assert found.rows.unavailable == found.rows.checked == LEAST
    assert found.problems == [
        "source `mine`: raw file `rows.jsonl` is not on this machine any more; get it again, or say --no-raw"
    ]
    assert prove(own, raw=False).problems == []


def test_excluded_rows_are_kept_beside_the_manifest(tmp_path: Path) -> None:
    write_rows(tmp_path / "raw")
    (tmp_path / "raw" / "out.json").write_text(json.dumps([0, 13, 399]))
    built = build_small(tmp_path, take={"kind": "exclude", "file": "out.json"})
    assert built.manifest.totals.not_taken == 3
    (tmp_path / "raw" / "out.json").unlink()
    assert prove(built).problems == []
    (built.box.path / EXCLUDED_FILE).write_text('{"mine":[0,13]}')
    assert "excluded.json` was changed" in only_problem(built)


@pytest.mark.integration
def test_the_demo_is_proven_by_the_command(demo: DemoBuild, vlmix: Vlmix) -> None:
    done = vlmix("verify", "demo", "--store", demo.store, "--json")
    assert done.code == 0, done.err
    assert done.document["ok"] is True
    assert [each["rows"]["same"] for each in done.document["mixtures"]] == [LEAST, LEAST]


@pytest.mark.integration
def test_a_tampered_demo_ends_with_one_message(demo: DemoBuild, vlmix: Vlmix, tmp_path: Path) -> None:
    shutil.copytree(demo.store, tmp_path / "store")
    path = next((tmp_path / "store" / "mixtures" / "demo.sft").glob("*/ids.parquet"))
    write_table(path, pl.read_parquet(path).head(-1))
    done = vlmix("verify", "demo.sft", "--store", tmp_path / "store", "--json")
    assert done.code == 1
    assert done.err.count("\n") == 1 and "ids.parquet` was changed" in done.err
    assert done.document["ok"] is False
    assert vlmix("verify", "nothing", "--store", tmp_path / "store").code == 2
