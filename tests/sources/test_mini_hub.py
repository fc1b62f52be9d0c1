"""Every published source, in miniature: downloaded, scanned, gathered, converted and compared with the truth.

The miniature (`tests/mini_hub`) is written from the descriptions of the publishers' shapes and shares no code with what
reads it, so an error of ours cannot cancel out.
"""

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from mini_hub.build import build
from mini_hub.case import HOST
from mini_hub.catalogue import entries
from mini_hub.families import FAMILIES
from mini_servers import Miniature, serving

import sources.layouts
from flows.sourcing import SourceJob, make_shards
from shards.sample import ShardsIndex, read_all
from shards.store import Store
from sources.catalogue import CATALOG, load_catalogue
from sources.convert import read_quarantine
from sources.hub import download
from sources.policy import FetchPolicy
from sources.spec import Source

pytestmark = pytest.mark.integration

TESTS = Path(__file__).parents[1]
PROJECT = {"shards", "sources", "filters", "manifests", "review", "flows"}
LAYOUTS = sorted({str(entry["layout"]) for entry in entries(CATALOG) if entry.get("layout") in FAMILIES})


@dataclass(frozen=True)
class Mini(Miniature):
    """The miniature with its catalogue and its truth."""

    sources: dict[str, Source]
    truth: dict[str, dict[str, Any]]
    """Source -> place (`file#row` or `file#row/part`) -> what is expected there."""


@pytest.fixture(scope="module")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mini]:
    with serving(tmp_path_factory.mktemp("mini")) as made, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", made.hub.url)
        known, truth = load_catalogue(made.folder / "catalog"), _truth(made.folder / "truth.parquet")
        yield Mini(made.folder, made.summary, made.hub, made.pictures, known, truth)


def _truth(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for row in pl.read_parquet(path).iter_rows(named=True):
        place = f"{row['file']}#{row['row']}" + (f"/{row['part']}" if row["part"] else "")
        assert row["pictures"] == len(row["sha256"])
        places = found.setdefault(row["source"], {})
        assert place not in places
        places[place] = {**row, "messages": json.loads(row["messages"])}
    return found


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_row_becomes_what_the_truth_says(mini: Mini, layout: str, tmp_path: Path) -> None:
    wrong = [line for name in mini.summary.sources[layout] for line in _compared(mini, name, tmp_path)]
    assert not wrong, f"{len(wrong)} rows differ\n" + "\n".join(wrong[:40])


def _compared(mini: Mini, name: str, tmp_path: Path) -> Iterator[str]:
    """A line for each row that is not what the truth says."""
    source = mini.sources[name]
    if source.pictures_from:
        source = source.model_copy(update={"root": str(mini.folder / "pictures" / source.root)})
    base = _downloaded(mini, source, tmp_path)
    policy = FetchPolicy(retries=1, backoff=0.0, resolve={HOST: mini.pictures})
    shards = make_shards(SourceJob(Store(tmp_path / "store"), source, base, policy)).shards
    index = shards.index(ShardsIndex)
    frames = read_all(shards.path, ["key", "messages", "images", "videos", "meta"])
    made = {json.loads(row["meta"])["locator"]: row for frame in frames for row in frame.iter_rows(named=True)}
    reasons = {row["locator"]: row for row in read_quarantine(shards, len(index.shards)).iter_rows(named=True)}
    truth = mini.truth[name]
    assert index.items == len(made) + len(reasons), f"{name}: two rows at one place"
    keys = {row["key"] for row in (*made.values(), *reasons.values())}
    assert len(keys) == index.items, f"{name}: two rows of one key"
    assert all(key.startswith(f"{name}/{source.split}/") for key in keys), name
    for place in sorted(truth.keys() | made.keys() | reasons.keys()):
        expected = _told(truth[place]) if place in truth else "nothing"
        found = _seen(made[place]) if place in made else reasons.get(place, {}).get("reason", "nothing")
        if expected != found:
            trap = truth[place]["trap"] if place in truth else "no such row"
            yield f"{name} {place} ({trap}):\n  expected {expected}\n  found    {found} {reasons.get(place, '')}"


def _told(row: dict[str, Any]) -> Any:
    return row["expected"] if row["expected"] != "sample" else (row["messages"], row["sha256"], row["videos"])


def _seen(row: dict[str, Any]) -> Any:
    return (list(row["messages"]), [image["sha256"] for image in row["images"]], list(row["videos"]))


def _downloaded(mini: Mini, source: Source, tmp_path: Path) -> Path:
    """The files of a source, fetched by the client of the hub."""
    assert source.repo is not None
    assert source.revision == mini.hub.head(source.repo)
    beside: list[str] = json.loads((mini.folder / "beside.json").read_bytes())[source.name]
    patterns = (*source.files, *([source.archive] if source.archive else []), *beside)
    found = download(
        source.name,
        repo=source.repo,
        patterns=patterns,
        folder=tmp_path / "raw" / source.name,
        lock=tmp_path / "sources.lock",
        revision=source.revision,
    )
    return found.root


def test_every_source_that_can_be_read_has_a_miniature(mini: Mini) -> None:
    readable = {entry["name"] for entry in entries(CATALOG)}
    assert readable == mini.sources.keys() == mini.truth.keys()
    assert mini.summary.left_out == {}
    tried = {name for name, source in load_catalogue(CATALOG).items() if source.status in ("ready", "unverified")}
    assert tried - readable == {name for name in tried if name.startswith("demo.")}


def test_every_layout_is_read_from_files_that_others_wrote() -> None:
    assert set(LAYOUTS) == set(sources.layouts.LAYOUTS)


def test_a_trap_of_each_kind_is_refused_and_no_source_is_refused_as_a_whole(mini: Mini) -> None:
    reasons = {row["expected"] for rows in mini.truth.values() for row in rows.values()}
    assert len(reasons) >= 15
    for name, rows in mini.truth.items():
        bad = sum(row["expected"] != "sample" for row in rows.values())
        assert bad <= mini.sources[name].quarantine_limit * len(rows), name


def test_two_builds_write_equal_bytes(mini: Mini, tmp_path: Path) -> None:
    build(CATALOG, tmp_path)
    ours, theirs = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (mini.folder, tmp_path)
    )
    assert ours == theirs


@pytest.mark.parametrize("path", sorted((TESTS / "mini_hub").glob("*.py")), ids=lambda path: path.stem)
def test_the_miniature_shares_no_code_with_what_reads_it(path: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(str(node.module).split(".")[0])
    assert not imported & PROJECT
    assert "importlib" not in imported
    assert len(path.read_text().splitlines()) < 300
