"""Real rows through the whole line. Needs the folder of real rows beside the project; says so when it is not there."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from commands import SHARED, Vlmix

from manifests.manifest import Counts, Manifest

REAL = SHARED / "data" / "real"

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        not REAL.is_dir(), reason=f"NO REAL ROWS: {REAL} is not there, the real-data build is not tested"
    ),
]

SOURCES = 17


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("real") / "store"


@pytest.fixture(scope="module")
def built(vlmix: Vlmix, store: Path) -> dict[str, Any]:
    recipe = store.parent / "real.yaml"
    recipe.write_text((Path(__file__).parent / "real_data.yaml").read_text().replace("SHARED", str(REAL)))
    done = vlmix("run", "build-sft-mix", "--recipe", recipe, "--store", store, "--json")
    assert done.code == 0, done.err
    assert done.err == ""
    return done.document


@pytest.fixture(scope="module")
def table(built: dict[str, Any], vlmix: Vlmix, store: Path) -> pl.DataFrame:
    out = store.parent / "real.parquet"
    assert vlmix("table", "real", "--out", out, "--store", store).code == 0
    return pl.read_parquet(out)


def test_every_row_is_accounted_for(built: dict[str, Any]) -> None:
    manifest = Manifest.model_validate_json(Path(built["manifest"]).read_bytes())
    assert len({entry.source for entry in manifest.entries}) == SOURCES
    for entry in manifest.entries:
        entry.counts.check(entry.id)
        assert entry.counts.read > 0
        assert sum(entry.quarantine.values()) == entry.counts.quarantined
    Counts.model_validate(built["totals"]).check("totals")


def test_the_table_opens_in_polars_and_counts_like_the_manifest(built: dict[str, Any], table: pl.DataFrame) -> None:
    verdicts = dict(table.group_by("verdict").len().iter_rows())
    for verdict in ("not_taken", "keep", "drop", "review", "unscored"):
        assert verdicts.get(verdict, 0) == built["totals"][verdict]
    assert table["emitted"].sum() == built["totals"]["emitted"]


def test_raw_rows_are_neither_lost_nor_doubled(built: dict[str, Any]) -> None:
    # counts of the folder's own README
    read = {
        entry.id: entry.counts.read
        for entry in Manifest.model_validate_json(Path(built["manifest"]).read_bytes()).entries
    }
    expected = {"tabmwp": 450, "opencqa": 260, "sroie": 34, "mantis_chat": 35, "llava_conv_demo": 3, "docllm": 129}
    expected |= {"gsm8k": 1500, "alpaca": 36354, "vsr": 1097, "hitab": 700, "tatqa": 660, "repetition": 919}
    assert {name: read[name] for name in expected} == expected


def test_damaged_pictures_are_quarantined_with_their_reasons(table: pl.DataFrame, store: Path) -> None:
    quarantine = pl.read_parquet(f"{store.parent / 'real.parquet'}.quarantine").filter(pl.col("entry") == "corrupt")
    reasons = dict(quarantine.select("locator", "reason").iter_rows())
    expected = pl.read_csv(REAL / "corrupt" / "expected_pillow.csv")
    broken = expected.filter((pl.col("pil_open") != "ok") | (pl.col("pil_load") != "ok"))["file"].to_list()
    assert set(broken) <= {locator.removesuffix("#0") for locator in reasons}
    kept = {key.removeprefix("corrupt/train/") for key in table.filter(pl.col("entry") == "corrupt")["key"]}
    assert not kept & set(broken)
    assert reasons["made/empty.jpg#0"] == "picture_empty"
    assert reasons["made/bomb_16000x16000.png#0"] == "picture_too_large"


def test_missing_pictures_are_named(store: Path, table: pl.DataFrame) -> None:
    quarantine = pl.read_parquet(f"{store.parent / 'real.parquet'}.quarantine")
    vsr = quarantine.filter(pl.col("entry") == "vsr")
    assert vsr["reason"].unique().to_list() == ["picture_missing"]
    assert str(REAL) not in "".join(vsr["message"])


def test_loops_are_taken_out_and_clean_answers_stay(table: pl.DataFrame, store: Path) -> None:
    labels = pl.read_ndjson(REAL / "repetition" / "repetition_labels.jsonl").select("label").with_row_index("row")
    rows = table.filter(pl.col("entry") == "repetition").with_columns(
        pl.col("key").str.extract(r"/(\d+)$").cast(pl.UInt32).alias("row")
    )
    joined = rows.join(labels, on="row")
    out = joined.group_by("label").agg((pl.col("verdict") != "keep").mean().alias("share"))
    share = dict(out.iter_rows())
    assert share["degenerate"] > 0.95
    assert share["clean"] < 0.1


def test_a_second_run_does_nothing(built: dict[str, Any], vlmix: Vlmix, store: Path) -> None:
    again = vlmix("run", "build-sft-mix", "--recipe", store.parent / "real.yaml", "--store", store, "--json").document
    assert again["steps"]["executed"] == 0 and again["digest"] == built["digest"]
