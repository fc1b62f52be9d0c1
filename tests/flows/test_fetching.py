"""Which sources are asked for, what is said of the others, and files by address up to a finished mixture."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Vlmix
from file_server import ALWAYS, Fault, FileServer
from file_server import serve as serve_files
from hub_server import GATED, serve
from PIL import Image

from flows.fetching import is_remote, refusal
from flows.resolve import locate_named
from shards.errors import CatalogError
from shards.store import Store
from sources.spec import Source

GATED_REPO = "owner/closed"
BODY = {"name": "s", "layout": "llava", "files": ("a.json",), "status": "unverified", "status_reason": "ask"}
READY = {"status": "ready", "status_reason": None, "layout_evidence": "card"}
DOWNLOADS = ({"url": "https://a.test/a.json", "path": "a.json"},)


@pytest.mark.parametrize(
    ("body", "remote"),
    [
        ({"host": "hf", "repo": "o/n", **READY}, True),
        ({"host": "hf", "repo": "o/n"}, True),
        ({"host": "hf", "repo": "o/n", "status": "gated"}, True),
        ({"host": "hf", "repo": "o/n", "status": "gone"}, False),
        ({"host": "hf", "repo": "o/n", "status": "unresolved"}, False),
        ({"host": "hf", "repo": "o/n", "files": (), "status": "gated"}, False),
        ({"host": "http", "url": "https://a.test"}, False),
        ({"host": "http", "url": "https://a.test", "downloads": DOWNLOADS}, True),
        ({"host": "github", "status": "gated", "downloads": DOWNLOADS}, True),
        ({"host": "http", "status": "unpublished", "downloads": DOWNLOADS}, False),
    ],
)
def test_what_is_asked_for(body: dict[str, object], remote: bool) -> None:
    source = Source.model_validate({**BODY, **body})
    assert is_remote(source) == remote


def test_what_cannot_be_asked_for_is_explained(tmp_path: Path) -> None:
    with pytest.raises(CatalogError) as found:
        locate_named("art", Store(tmp_path))
    assert "source `art` is gated" in str(found.value)
    assert "register at https://rrc.cvc.uab.es/?ch=14" in str(found.value)
    assert str(found.value).endswith(
        "register the folder: `vlmix sources register DIR --name art-local --layout art --files 'train_labels.json'`"
    )
    source = Source.model_validate({**BODY, "host": "http", "url": "https://a.test", "root": "x", "archive": "*.tar"})
    assert refusal(source) == (
        "has no addresses of files; get them from https://a.test and register the folder: "
        "`vlmix sources register DIR --name s-local --layout llava --root x --files 'a.json' --archive '*.tar'`"
    )
    gone = Source.model_validate({**BODY, "status": "gone"})
    assert refusal(gone) == "cannot be fetched: gone, ask"


@pytest.mark.integration
def test_a_gated_repository_is_attempted(vlmix: Vlmix, tmp_path: Path) -> None:
    store = tmp_path / "store"
    (store / "catalog").mkdir(parents=True)
    declared = {**BODY, "name": "closed", "host": "hf", "repo": GATED_REPO, "status": "gated"}
    (store / "catalog" / "closed.yaml").write_text(json.dumps(declared))
    folder = tmp_path / "hub" / GATED_REPO
    folder.mkdir(parents=True)
    (folder / "a.json").write_text(json.dumps(ROWS[:1]))
    fetch = ("sources", "fetch", "closed", "--store", store)
    with serve(tmp_path / "hub", {GATED_REPO: GATED}) as hub:
        refused = vlmix(*fetch, env={"HF_ENDPOINT": hub.url, "HF_TOKEN": ""})
        assert refused.code == 1
        assert f"gated, and HF_TOKEN is not set; request access at {hub.url}/datasets/{GATED_REPO}" in refused.err
        hub.fail({GATED_REPO: ()})
        allowed = vlmix(*fetch, env={"HF_ENDPOINT": hub.url, "HF_TOKEN": "secret"})
    assert allowed.code == 0, allowed.err


def turns(question: str, answer: str) -> list[dict[str, str]]:
    return [{"from": "human", "value": f"<image>\n{question}"}, {"from": "gpt", "value": answer}]


ROWS = [
    {"id": str(number), "image": f"{number}.png", "conversations": turns(f"How wide is {number}?", f"{30 + number} px")}
    for number in range(5)
]


def picture(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.linear_gradient("L").rotate(number * 11).resize((30 + number, 40)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def publisher() -> Iterator[FileServer]:
    pictures = {f"{row['id']}.png": picture(int(str(row["id"]))) for row in ROWS}
    with serve_files({"rows.json": json.dumps(ROWS).encode(), **pictures}) as server:
        yield server


@pytest.fixture
def recipe(publisher: FileServer, tmp_path: Path) -> Path:
    names = {"rows.json": "rows.json", **{f"{number}.png": f"pictures/{number}.png" for number in range(len(ROWS))}}
    body = {
        "layout": "llava",
        "files": "rows.json",
        "root": "pictures",
        "downloads": [{"url": publisher.url(name), "path": path} for name, path in names.items()],
    }
    path = tmp_path / "direct.yaml"
    path.write_text(json.dumps({"name": "direct", "judge": "off", "entries": [{"id": "mine", "source": body}]}))
    return path


PRIVATE = {"VLMIX_PRIVATE_HOSTS": "elsewhere.test, 127.0.0.1"}


@pytest.mark.integration
def test_from_addresses_to_a_mixture_and_again_without_the_server(
    vlmix: Vlmix, publisher: FileServer, recipe: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    run = ("run", "build-sft-mix", "--recipe", recipe, "--store", store, "--json")
    refused = vlmix(*run)
    assert refused.code == 1 and "an address that is not public" in refused.err and refused.err.count("\n") == 1
    publisher.fail("rows.json", Fault(cut=100), Fault(status=404))
    assert "look at" in vlmix(*run, env=PRIVATE).err
    first = vlmix(*run, env=PRIVATE)
    assert first.code == 0, first.err
    assert first.document["totals"]["emitted"] == len(ROWS)
    assert "bytes=100-" in publisher.ranges("rows.json")
    publisher.log.clear()
    publisher.fail("rows.json", Fault(status=404, times=ALWAYS))
    again = vlmix(*run, env={"HF_HUB_OFFLINE": "1"})
    assert again.code == 0, again.err
    assert again.document["digest"] == first.document["digest"] and again.document["steps"]["executed"] == 0
    assert not publisher.log


@pytest.mark.integration
def test_fetch_and_check(vlmix: Vlmix, publisher: FileServer, recipe: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    (store / "catalog").mkdir(parents=True)
    body = json.loads(recipe.read_text())["entries"][0]["source"]
    declared = {**BODY, **body, "name": "mine", "host": "http", "url": "https://pages.test"}
    (store / "catalog" / "mine.yaml").write_text(json.dumps(declared))
    fetched = vlmix("sources", "fetch", "mine", "--store", store, "--json", env=PRIVATE)
    assert fetched.code == 0, fetched.err
    folder = Path(fetched.document["folder"])
    assert json.loads((folder / "rows.json").read_bytes()) == ROWS
    checked = vlmix("sources", "check", "mine", "--store", store, "--json", env=PRIVATE)
    assert checked.code == 0, checked.err
    assert (checked.document["samples"], checked.document["pictures"]) == (len(ROWS), len(ROWS))
    publisher.files["rows.json"] = json.dumps(ROWS[:2]).encode()
    (folder / "rows.json").unlink()
    changed = vlmix("sources", "fetch", "mine", "--store", store, env=PRIVATE)
    assert changed.code == 1 and "take it as it is with --update" in changed.err
    updated = vlmix("sources", "fetch", "mine", "--update", "--store", store, env=PRIVATE)
    assert updated.code == 0, updated.err
    assert json.loads((folder / "rows.json").read_bytes()) == ROWS[:2]
