"""A queue for Label Studio held against its own SDK; what its converter exports comes back as the same verdicts."""

import json
import shutil
from pathlib import Path

import pytest
from commands import DemoBuild, Vlmix

from interop.test_interop import run

pytestmark = [pytest.mark.integration, pytest.mark.long]


@pytest.mark.parametrize("name", ["export.json", "min/result.json"])
def test_label_studio_takes_the_tasks_and_gives_the_verdicts_back(
    demo: DemoBuild, name: str, vlmix: Vlmix, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    shutil.copytree(demo.store, store)
    out = tmp_path / "out"
    exported = vlmix("review", "export", "demo", "--to", "label-studio", "--out", out, "--audit", "5", "--store", store)
    assert exported.code == 0, exported.err
    told = [json.loads(line) for line in run("label-studio", "read.py", out, tmp_path / "done").splitlines()]
    said = {each["item"]: each["choice"] for each in told}
    assert len(said) == len(told) >= 50 and set(said.values()) == {"keep", "drop", "skip"}
    done = vlmix("review", "import", tmp_path / "done" / name, "--store", store, "--json")
    assert done.code == 0, done.out
    # the shorter form leaves out what was skipped
    expected = {item: choice for item, choice in said.items() if choice != "skip" or name == "export.json"}
    journal = [json.loads(line) for line in (store / "review" / "answers.jsonl").read_text().splitlines()]
    assert {answer["item"]: answer["choice"] for answer in journal} == expected
    assert {answer["reviewer"] for answer in journal} == {"ann@example.org"}
    assert done.document["new"] == len(journal) == len(expected)
    assert {answer["at"] for answer in journal} == {"2026-01-02T03:04:06.678901Z"}
