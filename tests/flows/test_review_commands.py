"""`vlmix review import` and `stats` as a user types them."""

import json
from pathlib import Path

import polars as pl
import pytest
from commands import Vlmix
from mixture_store import build_small

from flows.mixes import Mix

pytestmark = pytest.mark.integration

RULES: list[dict[str, object]] = [{"name": "doubt", "when": "answer_chars < 100", "then": "review"}]


@pytest.fixture
def mix(tmp_path: Path) -> Mix:
    return build_small(tmp_path, least=20, rules=RULES)


def test_answers_come_in_and_figures_go_out(mix: Mix, vlmix: Vlmix, tmp_path: Path) -> None:
    store, recipe = mix.store.root, tmp_path / "raw" / "small.yaml"
    out = tmp_path / "out"
    exported = vlmix(
        "review", "export", "small", "--to", "csv", "--out", out, "--audit", "4", "--store", store, "--json"
    )
    waiting = mix.manifest.totals.review
    assert exported.document == {
        "out": str(out),
        "items": waiting + 8,
        "review": waiting,
        "keep": 4,
        "drop": 4,
        "pictures": exported.document["pictures"],
        "left_out": 0,
    }
    keys = pl.read_csv(out / "queue.csv", infer_schema=False)["key"].to_list()
    said = tmp_path / "said.csv"
    said.write_text("\n".join(["key,verdict", *(f"{key},drop" for key in keys)]))
    done = vlmix("review", "import", said, "--reviewer", "ann", "--store", store, "--json")
    assert (done.code, done.document["new"]) == (0, len(keys)), done.err
    again = vlmix("review", "import", said, "--reviewer", "ann", "--store", store)
    assert again.code == 0 and again.out.startswith(f"0 new answers from {len(keys)} rows of said.csv (csv)\n")
    counted = vlmix("decide", recipe, "--store", store, "--json").document["stages"][0]
    # the four that were drawn from dropped rows are dropped as before
    assert counted["after"]["review"] == 0
    assert counted["after"]["drop"] == counted["before"]["drop"] + waiting + 4
    figures = vlmix("review", "stats", "small", "--store", store, "--json")
    rules = {rule["rule"]: rule for rule in figures.document["calibration"]["rules"]}
    # all rows in review are seen, and four of the short ones, for which it is true, too
    assert rules["doubt"]["precision"]["value"] == 1.0 and 0.85 < rules["doubt"]["precision"]["low"] < 1
    told = vlmix("review", "stats", "small", "--store", store)
    assert told.code == 0 and f"ann: 0 keep, {len(keys)} drop, 0 skip" in told.out


def test_a_refused_row_refuses_the_file(mix: Mix, vlmix: Vlmix, tmp_path: Path) -> None:
    said = tmp_path / "said.csv"
    key = mix.decisions["key"][0]
    said.write_text(f"key,verdict\n{key},keep\nnobody/train/0,drop\n")
    done = vlmix("review", "import", said, "--store", mix.store.root, "--json")
    assert done.code == 1
    assert [each["row"] for each in json.loads(done.out)["refused"]] == ["row 3"]
    assert done.err.count("\n") == 1 and "1 rows refused, nothing was imported" in done.err
    assert not (mix.store.root / "review").exists()
    missing = vlmix("review", "import", tmp_path / "none.csv", "--store", mix.store.root)
    assert missing.code == 2 and "no file" in missing.err


@pytest.mark.parametrize(("option", "words"), [("--audit=-1", "audit"), ("--per-rule=0", "per_rule")])
def test_a_queue_that_cannot_be(mix: Mix, vlmix: Vlmix, tmp_path: Path, option: str, words: str) -> None:
    done = vlmix("review", "export", "small", "--to", "csv", "--out", tmp_path, option, "--store", mix.store.root)
    assert done.code == 2 and words in done.err and done.err.count("\n") == 1
