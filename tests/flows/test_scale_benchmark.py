"""The job of `benchmarks.scale`, small: its planted rows are found at two sizes, and its bookkeeping adds up."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from commands import ROOT

from benchmarks.scale import LINEAR, Measured, built, growth, make, table
from benchmarks.scale_data import SOURCES, rows_of
from benchmarks.scale_model import Prices, Sample, Unit, stages
from flows.run import run
from manifests.manifest import Counts

SMALL, LARGE = 400, 1000
WORKERS = 2


def check_planted(found: Counts, read: int, quarantined: int, dropped: int, duplicates: int) -> None:
    assert (found.read, found.quarantined, found.duplicates) == (read, quarantined, duplicates)
    # the embedded judge may dislike a made-up answer
    assert dropped <= found.drop <= dropped + 5 and not found.review and not found.unscored
    # a half of one of eight sources is capped, another is repeated one and a half times
    assert found.capped > 0 and found.emitted > found.written


@pytest.mark.integration
def test_planted_rows_are_found_and_each_process_is_watched(tmp_path: Path) -> None:
    raw_bytes = make(tmp_path, SMALL)
    taken, found = built(tmp_path, WORKERS)
    # per source of 50 rows: one cut picture where there are pictures, one marker too many, one copy of a copy
    check_planted(Counts(**found["totals"]), SMALL, 7 + 8, 0, 8)

    workers = [process for process in taken.processes.values() if process.name == "worker"]
    (main,) = (process for process in taken.processes.values() if process.name == "main")
    assert len(workers) == WORKERS
    for process in (main, *workers):
        assert process.rss >= process.held > 50 and process.cpu > 0
        assert process.held == max(process.by_step.values())
    assert main.rss < taken.together < main.rss + sum(worker.rss for worker in workers)
    steps = found["steps"]
    assert {"plan", "sources", "score text", "score pictures", "judge quality", "mix", "report"} <= steps.keys()
    # what is charged to steps was taken by processes; each of these was looked at a moment before its end
    assert sum(spent["cpu"] for spent in steps.values()) <= 1.1 * taken.cpu + 1

    one = Measured(SMALL, raw_bytes, steps, taken, taken, taken, found["totals"], {"shards": (raw_bytes, 9)})
    kept = json.dumps(one.said())
    assert json.dumps(Measured.read(json.loads(kept)).said()) == kept
    assert next(line for line in table([one]) if line.startswith("| shards")).endswith(" in 9 |")


@pytest.mark.integration
def test_planted_rows_are_found_at_another_size_in_one_process(tmp_path: Path) -> None:
    make(tmp_path, LARGE)
    done = run(str(tmp_path / "scale.yaml"), tmp_path / "store", stage=None, workers=1, tell=lambda *_: None)
    # per source of 125 rows: two of its bad rows lack a picture, and text has no small one; six copies
    check_planted(done.summary.totals, LARGE, 7 + 8, 8 + 7, 8 * 6)


def test_the_first_rows_of_a_large_set_are_those_of_a_small_one() -> None:
    for source in (SOURCES[0], SOURCES[-1]):
        assert list(rows_of(source, 260))[:70] == list(rows_of(source, 70))


@pytest.mark.parametrize(
    ("spent", "rows", "found"),
    [
        ([11, 20, 110], [1, 10, 100], 1.0),
        ([11, 20, 200], [1, 10, 100], 2.0),
        ([5, 5, 5], [1, 10, 100], None),  # nothing depends on the rows
        ([11, 20], [1, 10], None),
    ],
)
def test_growth_leaves_out_what_starting_costs(spent: list[float], rows: list[int], found: float | None) -> None:
    assert growth(spent, rows) == (None if found is None else pytest.approx(found))
    assert found is None or (found <= LINEAR) == (found == 1.0)


def test_the_page_shows_what_the_model_says() -> None:
    command = [sys.executable, "-m", "benchmarks.scale_model"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    page = (ROOT / "docs" / "scale.md").read_text()
    shown = [line for line in said.splitlines() if line]
    assert len(shown) > 14 and all(line in page for line in shown)


def test_the_model_follows_its_parameters() -> None:
    usual = {stage.name: stage for stage in stages(10**7, Sample(), Prices(), Unit())}
    other = Sample(pictures=2, asked=0.5, exported=0)
    dearer = {stage.name: stage for stage in stages(10**7, other, Prices(accelerator_hour=5), Unit())}
    assert dearer["score pictures"].cpu_hours == pytest.approx(2 * usual["score pictures"].cpu_hours)
    assert dearer["judge"].accelerator_hours == pytest.approx(usual["judge"].accelerator_hours / 2)
    assert dearer["judge"].dollars == pytest.approx(usual["judge"].dollars)
    assert dearer["export"].gigabytes == 0 and usual["export"].gigabytes > 0
    # 310 tokens at 50,000 a second, at 2.5 an hour
    assert usual["judge"].dollars == pytest.approx(10**7 * 310 / 50_000 / 3600 * 2.5)
