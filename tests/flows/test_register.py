"""Mirrors on this machine: read once, referred to in place, moved, and never taken for each other."""

import io
import json
import random
import shutil
import tarfile
from pathlib import Path

import pytest
from PIL import Image as PillowImage

from flows.register import Registered, register
from flows.resolve import catalogue, locate_named
from shards.errors import CatalogError, GateError, SourceError, StoreError, UsageError
from shards.pack import Image, PictureReader
from shards.sample import ShardsIndex, read_all
from shards.store import Box, Store
from sources.catalogue import CATALOG, load_catalogue

NUM_PICTURES = 100
LIMIT = 0.02
"""Share of the mirror's bytes that the store may add, DESIGN.md section 3."""

FOLDER: dict[str, object] = {"layout": "picture_folder"}


def jpeg(seed: int) -> bytes:
    """Noise, as large as photographs are: 60 to 100 kB."""
    side = 260 + seed % 4 * 15
    noise = random.Random(seed).randbytes(side * side * 3)
    buffer = io.BytesIO()
    PillowImage.frombytes("RGB", (side, side), noise).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def photographs() -> dict[str, bytes]:
    made = {f"{seed % 7}/photograph {seed}.jpg": jpeg(seed) for seed in range(NUM_PICTURES)}
    assert all(60_000 < len(data) < 100_000 for data in made.values())
    return made


def folder(mirror: Path, pictures: dict[str, bytes]) -> Path:
    for name, data in pictures.items():
        (mirror / name).parent.mkdir(parents=True, exist_ok=True)
        (mirror / name).write_bytes(data)
    return mirror


def tarred(mirror: Path, pictures: dict[str, bytes]) -> Path:
    """DocStruct4M in small: rows in JSON lines, pictures in a plain tar."""
    mirror.mkdir(parents=True)
    turns = [{"role": "user", "content": "<|image|>Read it."}, {"role": "assistant", "content": "noise"}]
    rows = [json.dumps({"image": [f"./imgs/{name}"], "messages": turns, "task_name": "ocr"}) for name in pictures]
    (mirror / "rows.jsonl").write_text("".join(f"{row}\n" for row in rows))
    with tarfile.open(mirror / "imgs.tar", "w") as archive:
        for name, data in pictures.items():
            info = tarfile.TarInfo(f"./imgs/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return mirror


TARRED: dict[str, object] = {"layout": "mplug", "files": ["*.jsonl"], "archive": "*.tar"}


def shards(store: Path, name: str) -> Box:
    boxes = [
        Box(store, path.parent.relative_to(store).as_posix()) for path in (store / "shards" / name).glob("*/index.json")
    ]
    # a folder that did not pass the gate has a box too, with nothing in it
    (box,) = boxes if len(boxes) == 1 else [box for box in boxes if box.index(ShardsIndex).samples]
    return box


def images(store: Path, name: str) -> list[Image]:
    rows = (row for frame in read_all(shards(store, name).path, ["images"]) for row in frame["images"])
    return [Image(**image) for row in rows for image in row]


def added(store: Path) -> int:
    return sum(path.stat().st_size for path in store.rglob("*") if path.is_file())


@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_a_mirror_is_referred_to_without_a_second_copy(
    photographs: dict[str, bytes], tmp_path: Path, kind: str
) -> None:
    store = tmp_path / "store"
    mirror = (tarred if kind == "tar" else folder)(tmp_path / "mirror", photographs)
    mirror_bytes = sum(path.stat().st_size for path in mirror.rglob("*") if path.is_file())
    done = register(Store(store), mirror, "mine", TARRED if kind == "tar" else FOLDER)
    assert done == Registered(
        name="mine",
        samples=NUM_PICTURES,
        quarantined=0,
        pictures=NUM_PICTURES,
        mirror_bytes=mirror_bytes,
        added_bytes=done.added_bytes,
    )
    assert 0 < done.added_bytes <= LIMIT * mirror_bytes
    assert added(store) <= LIMIT * mirror_bytes
    assert not list(store.rglob("pictures-*.arrow"))
    read = PictureReader(str(store))
    assert sorted(map(read, images(store, "mine"))) == sorted(photographs.values())


@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_a_mirror_may_move(photographs: dict[str, bytes], tmp_path: Path, kind: str) -> None:
    some = dict(list(photographs.items())[:5])
    store, body = tmp_path / "store", TARRED if kind == "tar" else FOLDER
    first = (tarred if kind == "tar" else folder)(tmp_path / "mirror", some)
    assert "mine" not in catalogue(Store(store))
    before = register(Store(store), first, "mine", body)
    box, read, found = shards(store, "mine"), PictureReader(str(store)), images(store, "mine")
    assert sorted(map(read, found)) == sorted(some.values())

    moved = tmp_path / "other disk" / "mirror"
    shutil.copytree(first, moved)
    shutil.rmtree(first)
    with pytest.raises(StoreError, match=f"picture `{found[0].sha256[:12]}` in `mirror/mine/"):
        read(found[0])
    after = register(Store(store), moved, "mine", body)
    assert (after.samples, after.mirror_bytes) == (before.samples, before.mirror_bytes)
    assert shards(store, "mine") == box, "the same bytes at another place are the same shards"
    assert sorted(map(read, found)) == sorted(some.values())
    assert locate_named("mine", Store(store)).base == moved


def test_pictures_below_a_root_are_found_again(photographs: dict[str, bytes], tmp_path: Path) -> None:
    some = dict(list(photographs.items())[:3])
    mirror = folder(tmp_path / "mirror" / "deep" / "p", some).parents[1]
    turns = [{"from": "human", "value": "<image>"}, {"from": "gpt", "value": "noise"}]
    (mirror / "rows.json").write_text(json.dumps([{"image": name, "conversations": turns} for name in some]))
    bodies: dict[str, dict[str, object]] = {
        "records": {"layout": "llava", "files": ["*.json"], "root": "deep/p"},
        "pictures": {"layout": "picture_folder", "root": "deep/p"},
    }
    for name, body in bodies.items():
        register(Store(tmp_path / "store"), mirror, name, body)
        read = PictureReader(str(tmp_path / "store"))
        assert sorted(map(read, images(tmp_path / "store", name))) == sorted(some.values())


def test_registering_twice_does_nothing_twice(photographs: dict[str, bytes], tmp_path: Path) -> None:
    mirror = folder(tmp_path / "mirror", dict(list(photographs.items())[:2]))
    first = register(Store(tmp_path / "store"), mirror, "mine", FOLDER)
    box = shards(tmp_path / "store", "mine")
    before = {path: path.stat().st_mtime_ns for path in box.path.iterdir()}
    assert register(Store(tmp_path / "store"), mirror, "mine", FOLDER) == first
    assert {path: path.stat().st_mtime_ns for path in box.path.iterdir()} == before


def test_a_changed_picture_is_an_error_until_the_mirror_is_read_again(
    photographs: dict[str, bytes], tmp_path: Path
) -> None:
    mirror = folder(tmp_path / "mirror", {"a.jpg": jpeg(1), "b.jpg": jpeg(2)})
    register(Store(tmp_path / "store"), mirror, "mine", FOLDER)
    (a, b), read = images(tmp_path / "store", "mine"), PictureReader(str(tmp_path / "store"))
    (mirror / "a.jpg").write_bytes(jpeg(2))
    with pytest.raises(StoreError, match=r"has other bytes than stored; .*`vlmix sources register`"):
        read(a)
    assert read(b) == jpeg(2)
    register(Store(tmp_path / "store"), mirror, "mine", FOLDER)
    assert len(list((tmp_path / "store" / "shards" / "mine").iterdir())) == 2


def test_bad_pictures_of_a_mirror_are_counted(tmp_path: Path) -> None:
    pictures = {"a.jpg": jpeg(1), "b.jpg": jpeg(2), "c.jpg": jpeg(3)[:5000], "d.jpg": jpeg(1), "e.jpg": jpeg(5)}
    done = register(Store(tmp_path / "store"), folder(tmp_path / "mirror", pictures), "mine", FOLDER)
    assert (done.samples, done.quarantined, done.pictures) == (4, 1, 3)
    index = shards(tmp_path / "store", "mine").index(ShardsIndex)
    assert index.quarantined == {"picture_undecodable": 1}


def test_a_name_stands_for_one_declaration(tmp_path: Path) -> None:
    store, mirror = Store(tmp_path / "store"), folder(tmp_path / "mirror", {"a.jpg": jpeg(1)})
    register(store, mirror, "mine", FOLDER)
    kept = (store.root / "catalog" / "mine.yaml").read_text()
    with pytest.raises(
        CatalogError, match=r"source `mine` is registered with another declaration; remove `.*mine.yaml`"
    ):
        register(store, mirror, "mine", {**FOLDER, "licence": "MIT"})
    assert (store.root / "catalog" / "mine.yaml").read_text() == kept
    assert locate_named("mine", store).source.licence == "unknown"


def test_a_name_of_the_project_is_taken(tmp_path: Path) -> None:
    store, mirror = Store(tmp_path / "store"), folder(tmp_path / "mirror", {"a.jpg": jpeg(1)})
    with pytest.raises(CatalogError, match=r"`demo.charts` stands in the catalogue"):
        register(store, mirror, "demo.charts", FOLDER)
    # a second declaration of the name would stop every later command
    assert "demo.charts" in load_catalogue(CATALOG, store.root / "catalog")


@pytest.mark.parametrize(
    "body",
    [
        {"root": "../other"},
        {"root": "/tmp"},
        {"layout": "llava", "files": ["../*.json"]},
        {"layout": "mplug", "files": ["*.jsonl"], "archive": "/tmp/a.tar"},
    ],
)
def test_nothing_of_a_mirror_lies_outside(tmp_path: Path, body: dict[str, object]) -> None:
    mirror = folder(tmp_path / "mirror", {"a.jpg": jpeg(1)})
    with pytest.raises(CatalogError, match="leaves the mirror; register a folder further up"):
        register(Store(tmp_path / "store"), mirror, "mine", {**FOLDER, **body})
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("name", "body", "error", "message"),
    [
        ("mine", {"layout": "lava"}, CatalogError, "unknown layout `lava`"),
        ("Mine!", FOLDER, CatalogError, "source `Mine!`: `name`"),
        ("mine", {**FOLDER, "colour": "red"}, CatalogError, "`colour`: unknown key"),
        ("mine", {**FOLDER, "files": ["*.png"]}, SourceError, r"no file matches `\*.png`"),
        ("mine", {**FOLDER, "rows": 2}, GateError, "expected 2 rows, found 1"),
    ],
)
def test_what_cannot_be_registered_is_not(
    tmp_path: Path, name: str, body: dict[str, object], error: type[Exception], message: str
) -> None:
    store, good = Store(tmp_path / "store"), folder(tmp_path / "mirror", {"a.jpg": jpeg(1)})
    with pytest.raises(error, match=message):
        register(store, good, name, body)
    assert not (store.root / "catalog").exists()
    assert not (store.root / "mirrors").exists()


def test_a_failed_move_keeps_the_mirror_that_works(tmp_path: Path) -> None:
    store, good = Store(tmp_path / "store"), folder(tmp_path / "good", {"a.jpg": jpeg(1)})
    register(store, good, "mine", FOLDER)
    with pytest.raises(GateError):
        register(store, folder(tmp_path / "bad", {"a.jpg": b"<html>"}), "mine", FOLDER)
    with pytest.raises(UsageError, match="no folder"):
        register(store, tmp_path / "nowhere", "mine", FOLDER)
    assert [PictureReader(str(store.root))(image) for image in images(store.root, "mine")] == [jpeg(1)]
