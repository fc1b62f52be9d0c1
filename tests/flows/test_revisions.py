"""Whether publishers have something newer: a hub and a file server of this machine, and what a store has locked."""

import json
from pathlib import Path
from typing import Any

import file_server
import hub_server
import pytest
from file_server import Fault

from flows.revisions import Looked, look_all, remote_sources
from flows.settings import PRIVATE_VARIABLE
from shards.store import Store
from sources.direct import download
from sources.download import Download
from sources.spec import Source
from sources.transfer import TransferPolicy

POLICY = TransferPolicy(retries=0, backoff=0.0, timeout=5.0)
OLD = "0" * 40


def source(name: str, **more: Any) -> Source:
    return Source.model_validate({"name": name, "status": "ready", "layout": "llava", **more})


def hub_source(name: str, revision: str | None = None) -> Source:
    return source(name, host="hf", repo="them/pets", revision=revision, files=["*.json"])


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "hub" / "them" / "pets").mkdir(parents=True)
    (tmp_path / "hub" / "them" / "pets" / "a.json").write_text("[]")
    with hub_server.serve(tmp_path / "hub") as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield server


def look(sources: list[Source], root: Path) -> list[Looked]:
    return look_all(sources, Store(root / "store"), POLICY)


def lock(root: Path, commit: str) -> None:
    (root / "store").mkdir(exist_ok=True)
    (root / "store" / "sources.lock").write_text(json.dumps({"them/pets": {"main": commit}}))


def test_a_branch_is_compared_with_the_lock_file(hub, tmp_path) -> None:
    (first,) = look([hub_source("pets")], tmp_path)
    assert (first.state, first.known, first.pinned) == ("not fetched", "", False) and len(first.found) == 40
    lock(tmp_path, first.found)
    assert look([hub_source("pets")], tmp_path)[0].state == "unchanged"
    lock(tmp_path, OLD)
    (changed,) = look([hub_source("pets")], tmp_path)
    assert (changed.state, changed.known, changed.found) == ("changed", OLD, first.found)


def test_a_pin_is_compared_with_the_head(hub, tmp_path) -> None:
    (head,) = look([hub_source("pets")], tmp_path)
    assert [each.state for each in look([hub_source("pets", head.found)], tmp_path)] == ["unchanged"]
    (behind,) = look([hub_source("pets", OLD)], tmp_path)
    assert (behind.state, behind.pinned, behind.known) == ("changed", True, OLD)


def test_a_repository_is_asked_about_once_for_all_its_sources(hub, tmp_path) -> None:
    (one,) = look([hub_source("pets.dogs"), hub_source("pets.cats")], tmp_path)
    assert one.sources == ["pets.cats", "pets.dogs"]


def test_what_cannot_be_reached_stops_nobody(hub, tmp_path) -> None:
    lost = source("lost", host="hf", repo="them/lost", files=["*.json"])
    found = look([lost, hub_source("pets")], tmp_path)
    assert [each.state for each in found] == ["failed", "not fetched"]
    assert "them/lost" in found[0].message


@pytest.mark.parametrize(
    ("tags", "change", "state"),
    [
        ("etag", False, "unchanged"),
        ("etag", True, "changed"),
        ("weak", False, "unchanged"),
        ("nothing", False, "not known"),
    ],
)
def test_a_file_by_address_is_told_by_its_tag(tags, change, state, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv(PRIVATE_VARIABLE, "127.0.0.1")
    with file_server.serve({"a.json": b"[1]"}) as server:
        server.tags = tags
        file = Download(url=server.url("a.json"), path="a.json")
        mine = source("mine", host="http", downloads=[file.model_dump(exclude_none=True)], files=["*.json"])
        assert look([mine], tmp_path)[0].state == "not fetched"
        fetched = {"files": (file,), "folder": tmp_path / "raw", "lock": tmp_path / "store" / "sources.lock"}
        (tmp_path / "store").mkdir()
        download("mine", **fetched, private=("127.0.0.1",))
        if change:
            server.files["a.json"] = b"[2]"
        (found,) = look([mine], tmp_path)
        assert found.state == state and len(found.known) == 64
        server.fail("a.json", Fault(status=404))
        if state != "not known":
            assert look([mine], tmp_path)[0].message.endswith("HTTP 404; look at the address")


def test_all_sources_of_the_catalogue_that_come_by_network(tmp_path) -> None:
    every = remote_sources(Store(tmp_path), None)
    assert len(every) > 100 and all(each.repo or each.downloads for each in every)
    assert remote_sources(Store(tmp_path), "demo") == []
