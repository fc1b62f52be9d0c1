"""Exports of whole mixtures, read back by strict readers of each trainer: all rows of the manifest are there."""

import json
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from checkers.row import Seen
from commands import SHARED, DemoBuild, Vlmix

pytestmark = [pytest.mark.integration, pytest.mark.long]

REAL = SHARED / "data" / "real"
TRAINERS = ("llava-next", "instellavl", "internvl", "vila")

Check = Callable[[Path], list[Seen]]


def checker(trainer: str) -> Check:
    check: Check = import_module(f"checkers.{trainer.replace('-', '_')}").check
    return check


def rows_by_entry(sets: list[Seen]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for seen in sets:
        times, rest = divmod(seen.rows, len(seen.ids))
        assert not rest, f"{seen.name}: a planned set is seen as a whole"
        found.update({entry: rows * times for entry, rows in Counter(each.split(":")[0] for each in seen.ids).items()})
    return dict(found)


def written(folder: Path) -> dict[str, int]:
    """Rows by entry that the export says to have written: what the manifest emits less what it refuses."""
    report = json.loads((folder / "export.json").read_bytes())
    for entry in report["entries"]:
        assert entry["written"] == entry["emitted"] - sum(entry["not_representable"].values())
    return {entry["entry"]: entry["written"] for entry in report["entries"] if entry["written"]}


def emitted(manifest: str) -> dict[str, int]:
    entries = json.loads(Path(manifest).read_bytes())["entries"]
    return {entry["id"]: entry["counts"]["emitted"] for entry in entries}


def held_against(folder: Path, trainer: str, stage: dict[str, Any]) -> None:
    report = json.loads((folder / "export.json").read_bytes())
    assert {entry["entry"]: entry["emitted"] for entry in report["entries"]} == emitted(stage["manifest"])
    assert report["digest"] == stage["digest"]
    assert rows_by_entry(checker(trainer)(folder)) == written(folder)


@pytest.mark.parametrize("trainer", TRAINERS)
def test_trainers_see_what_the_manifest_of_the_demo_counts(
    demo: DemoBuild, vlmix: Vlmix, tmp_path: Path, trainer: str
) -> None:
    out = tmp_path / "export"
    done = vlmix("export", "demo", "--to", trainer, "--out", out, "--store", demo.store, "--json")
    assert done.code == 1, "a running text and pictures without words are no dialogues"
    for stage in demo.document["stages"]:
        held_against(out / stage["stage"], trainer, stage)
    refused = {row["entry"]: row["not_representable"] for each in done.document["exports"] for row in each["entries"]}
    assert {entry: reasons for entry, reasons in refused.items() if reasons}.keys() == {"pictures", "interleaved"}
    again = vlmix("export", "demo", "--to", trainer, "--out", out, "--store", demo.store)
    assert again.code == 2 and "not empty" in again.err and again.err.count("\n") == 1


def test_left_out_rows_may_be_allowed(demo: DemoBuild, vlmix: Vlmix, tmp_path: Path) -> None:
    done = vlmix(
        *("export", "demo.warm-up", "--to", "internvl", "--out", tmp_path / "out", "--store", demo.store),
        *("--skip-unrepresentable", "--option", "lengths=true", "--option", "image_labels=false", "--json"),
    )
    assert done.code == 0
    (report,) = done.document["exports"]
    assert report["not_representable"] == 30 and report["written"] + 30 == report["emitted"]
    rows = (tmp_path / "out" / "annotations" / "captions.jsonl").read_text().splitlines()
    assert all({"length", "width", "height"} <= set(json.loads(row)) for row in rows)
    checker("internvl")(tmp_path / "out")


def test_unknown_options_are_refused(demo: DemoBuild, vlmix: Vlmix, tmp_path: Path) -> None:
    for option, said in (("labels=true", "`image_labels`"), ("lengths=perhaps", "boolean")):
        done = vlmix("export", "demo", "--to", "internvl", "--out", tmp_path, "--store", demo.store, "--option", option)
        assert done.code == 2 and said in done.err


def test_small_sets_of_vila_are_filled_up_once(demo: DemoBuild, vlmix: Vlmix, tmp_path: Path) -> None:
    for batch in (0, 512):
        vlmix(
            *("export", "demo.sft", "--to", "vila", "--out", tmp_path / str(batch), "--store", demo.store),
            *("--option", f"global_batch={batch}"),
        )
    check = import_module("checkers.vila").check
    apart = sum(seen.rows for seen in check(tmp_path / "0", batch=512))
    gathered = check(tmp_path / "512", batch=512)
    assert rows_by_entry(checker("vila")(tmp_path / "512")) == written(tmp_path / "0")
    assert written(tmp_path / "0") == written(tmp_path / "512")
    assert sum(seen.rows for seen in gathered) < apart


@pytest.fixture(scope="module")
def real(vlmix: Vlmix, tmp_path_factory: pytest.TempPathFactory) -> DemoBuild:
    if not REAL.is_dir():
        pytest.skip(f"NO REAL ROWS: {REAL} is not there, exports of real data are not tested")
    store = tmp_path_factory.mktemp("real-exports") / "store"
    recipe = store.parent / "real.yaml"
    template = Path(__file__).parents[1] / "flows" / "real_data.yaml"
    recipe.write_text(template.read_text().replace("SHARED", str(REAL)))
    done = vlmix("run", "build-sft-mix", "--recipe", recipe, "--store", store, "--json")
    assert done.code == 0, done.err
    return DemoBuild(store, done.document)


@pytest.mark.parametrize("trainer", TRAINERS)
def test_trainers_see_what_the_manifest_of_real_rows_counts(
    real: DemoBuild, vlmix: Vlmix, tmp_path: Path, trainer: str
) -> None:
    done = vlmix("export", "real", "--to", trainer, "--out", tmp_path, "--store", real.store)
    assert done.code == 1, done.err
    (stage,) = real.document["stages"]
    held_against(tmp_path, trainer, stage)


def test_llama_factory_gets_every_row_of_the_demo(demo: DemoBuild, vlmix: Vlmix, tmp_path: Path) -> None:
    vlmix("export", "demo.sft", "--to", "llamafactory", "--out", tmp_path, "--store", demo.store)
    described = json.loads((tmp_path / "dataset_info.json").read_bytes())
    assert (tmp_path / "mixture.txt").read_text().strip().split(",") == list(described)
    counted: Counter[str] = Counter()
    for each in described.values():
        assert each["columns"]["messages"] == "conversations" and len(each["tags"]) == 7
        rows = json.loads((tmp_path / each["file_name"]).read_bytes())
        for row in rows:
            spoken = "".join(turn["value"] for turn in row["conversations"])
            assert spoken.count("<image>") == len(row.get("images", []))
            assert all((tmp_path / path).is_file() for path in row.get("images", []))
            assert set(row) - {"id", "conversations"} <= set(each["columns"])
        counted.update(row["id"].split(":")[0] for row in rows)
    assert dict(counted) == written(tmp_path)
