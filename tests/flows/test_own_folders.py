"""Folders that a user names: a catalogue of one's own, and picture sets that lie apart from their annotations."""

from pathlib import Path

import pytest
from commands import Vlmix

from flows.resolve import UnavailableError, catalogue, locate_named
from shards.errors import CatalogError
from shards.store import Store
from sources.catalogue import CATALOG, load_catalogue

REPLACED = "llava_onevision.iconqa"
APART = "sharegpt4v"
DECLARED = f"""
- {{name: {REPLACED}, layout: llava, layout_evidence: real rows, host: hf, repo: my/copy, files: a.json, rows: 3}}
- {{name: mine.new, layout: llava, files: b.json}}
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "mine.yaml").write_text(DECLARED)
    monkeypatch.setenv("VLMIX_CATALOG", str(folder))
    return folder


def test_sources_of_ones_own_replace_by_name_and_as_a_whole(own: Path, tmp_path: Path) -> None:
    before, known = load_catalogue(CATALOG), catalogue(Store(tmp_path))
    assert list(known) == [*before, "mine.new"]
    assert {name for name in before if known[name] != before[name]} == {REPLACED}
    assert (known[REPLACED].repo, known[REPLACED].rows) == ("my/copy", 3)
    assert known[REPLACED].licence == "unknown" != before[REPLACED].licence
    assert known[REPLACED].used_by == ()


def test_a_plan_counts_with_them(own: Path, vlmix: Vlmix, tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text(f"name: r\nentries:\n  - {{id: a, source: {REPLACED}, take: {{kind: first, percent: 50}}}}\n")
    options = ("plan", recipe, "--store", tmp_path / "store", "--json")
    assert vlmix(*options, env={"VLMIX_CATALOG": str(own)}).document["entries"][0]["taken"] == 2
    assert vlmix(*options).document["entries"][0]["taken"] != 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "expected a folder with .yaml files; check VLMIX_CATALOG"),
        ("- {name: a, layout: llava}\n- {name: a, layout: llava}", "source `a` stands twice"),
        ("- {name: a, layout: llava, aliases: [LCS-558K]}", "source `a`: alias `LCS-558K` already means"),
    ],
)
def test_a_catalogue_that_cannot_be_used_is_one_message(own: Path, tmp_path: Path, text: str, message: str) -> None:
    (own / "mine.yaml").unlink()
    if text:
        (own / "other.yaml").write_text(text)
    with pytest.raises(CatalogError) as error:
        catalogue(Store(tmp_path))
    assert message in str(error.value)


@pytest.mark.parametrize("named", ["", "nowhere"])
def test_pictures_that_lie_apart_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    monkeypatch.setenv("VLMIX_PICTURES", named and str(tmp_path / named))
    with pytest.raises(UnavailableError) as error:
        locate_named("internvl_sa_1b_caption", Store(tmp_path))
    assert "names pictures that lie apart, SA-1B; get them and put them in `$VLMIX_PICTURES/sam`" in str(error.value)
    assert str(tmp_path) not in str(error.value)
    # its annotations can be fetched all the same
    assert locate_named("internvl_sa_1b_caption", Store(tmp_path), pictures=False).remote


def test_pictures_that_lie_apart_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sets" / "sam").mkdir(parents=True)
    monkeypatch.setenv("VLMIX_PICTURES", str(tmp_path / "sets"))
    assert locate_named("internvl_sa_1b_caption", Store(tmp_path)).source.root == str(tmp_path / "sets" / "sam")
    assert Path(locate_named(APART, Store(tmp_path)).source.root) == tmp_path / "sets"


def test_every_source_of_the_hub_says_where_its_pictures_are() -> None:
    """Records of these layouts name files; without an archive or a set they would all go to quarantine."""
    for name, source in load_catalogue(CATALOG).items():
        by_path = source.layout in ("llava", "scigraphqa", "unichart", "mmc") and "image" in source.media
        if by_path and source.host == "hf" and source.files and source.files[0].endswith((".json", ".jsonl")):
            assert source.archive or source.pictures_from or source.status in ("unresolved", "gone"), name
