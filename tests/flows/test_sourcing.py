"""A source from raw files to shards: resumed, moved, changed, with pictures from everywhere."""

import hashlib
import io
import json
import os
import shutil
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image as PillowImage

from flows.executor import Steps
from flows.sourcing import Sourced, SourceJob, make_shards
from shards.pack import Image, PictureReader
from shards.sample import ShardsIndex, read_all
from shards.store import Store
from sources.convert import SHARD_ITEMS
from sources.policy import FetchPolicy
from sources.spec import Source

COLUMNS = {"user": ("q",), "images": ("i",)}
TABLE = Source(name="s", layout="table", files=("*.jsonl",), columns=COLUMNS, quarantine_limit=1)


def png(seed: int) -> bytes:
    buffer = io.BytesIO()
    PillowImage.new("RGB", (8, 8), (seed, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def write(base: Path, rows: list[dict[str, object]], pictures: dict[str, bytes]) -> Path:
    base.mkdir(parents=True, exist_ok=True)
    (base / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    for name, data in pictures.items():
        (base / name).write_bytes(data)
    return base


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Three shards of rows. The last two refer to pictures of the first, some of which only a bad row had."""
    rows: list[dict[str, object]] = [{"q": f"{row}?"} for row in range(2 * SHARD_ITEMS + 9)]
    rows[0]["i"] = "good.png"
    rows[1]["i"] = ["orphan.png", "lost.png"]
    rows[2]["i"] = ["again.png", "lost.png"]
    rows[3]["i"] = "again.png"
    for shard in (1, 2):
        for row, name in enumerate(("good.png", "orphan.png", "again.png", f"own{shard}.png", "../out.png")):
            rows[shard * SHARD_ITEMS + row]["i"] = name
    names = ("good.png", "orphan.png", "again.png", "own1.png", "own2.png")
    return write(tmp_path / "raw", rows, {name: png(seed) for seed, name in enumerate(names)})


def made(store: Path, base: Path, source: Source = TABLE, **policy: object) -> Sourced:
    return make_shards(SourceJob(Store(store), source, base, FetchPolicy(**policy)))


def digests(folder: Path) -> dict[str, str]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def boxes(store: Path) -> dict[str, str]:
    """Every file of every box; the cache of digests and the like are for this machine only."""
    return {name: sha for kind in ("scans", "pictures", "shards") for name, sha in digests(store / kind).items()}


def pictures_of(store: Path, sourced: Sourced) -> list[bytes]:
    read = PictureReader(str(store))
    images = (row for frame in read_all(sourced.shards.path, ["images"]) for row in frame["images"])
    return [read(Image(**image)) for row in images for image in row]


def test_a_finished_source_is_not_made_again(base: Path, tmp_path: Path) -> None:
    first = made(tmp_path / "store", base)
    assert first[2:] == (Steps(1, 0), Steps(0, 0), Steps(3, 0))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("*")}
    second = made(tmp_path / "store", base)
    assert (second.shards, second[2:]) == (first.shards, (Steps(0, 1), Steps(0, 0), Steps(0, 3)))
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("*")} == before


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_a_killed_conversion_goes_on_where_it_was(base: Path, tmp_path: Path, lost: int) -> None:
    whole = made(tmp_path / "whole", base)
    shutil.copytree(tmp_path / "whole", tmp_path / "store")
    box = tmp_path / "store" / whole.shards.name
    gone = [f"-{number:05d}" for number in range(3 - lost, 3)]
    for path in list(box.iterdir()):
        if path.stem in {"index", "quarantine", "pictures"} or any(mark in path.name for mark in gone):
            path.unlink()
    kept = {path: path.stat().st_mtime_ns for path in box.iterdir()}
    assert len([path for path in kept if path.name.startswith("shard-")]) == 3 - lost

    assert made(tmp_path / "store", base).converted == Steps(lost, 3 - lost)
    assert digests(tmp_path / "store") == digests(tmp_path / "whole")
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_a_shard_whose_mark_is_missing_is_made_again(base: Path, tmp_path: Path) -> None:
    # the mark is written last, so every other file of the shard may lie there, whole
    whole = made(tmp_path / "whole", base)
    shutil.copytree(tmp_path / "whole", tmp_path / "store")
    box = tmp_path / "store" / whole.shards.name
    for name in ("index.json", "shard-00002.json"):
        (box / name).unlink()
    (box / "samples-00002.arrow").write_bytes(b"of an earlier version")
    assert made(tmp_path / "store", base).converted == Steps(1, 2)
    assert digests(tmp_path / "store") == digests(tmp_path / "whole")


def test_no_path_of_this_machine_gets_into_a_box(base: Path, tmp_path: Path) -> None:
    made(tmp_path / "one", base)
    moved = tmp_path / "elsewhere" / "and deeper"
    shutil.copytree(base, moved)
    made(tmp_path / "two", moved)
    assert boxes(tmp_path / "one") == boxes(tmp_path / "two")
    outside = TABLE.model_copy(update={"files": (f"{moved}/*.jsonl",), "root": str(moved)})
    made(tmp_path / "three", tmp_path, outside)
    assert boxes(tmp_path / "one") == boxes(tmp_path / "three")
    assert not [path for path in (tmp_path / "one" / "shards").rglob("*.json") if str(tmp_path) in path.read_text()]


def test_a_picture_by_absolute_path_is_refused_wherever_the_folder_lies(tmp_path: Path) -> None:
    base = tmp_path / "raw"
    write(base, [{"q": "?", "i": str(base / "a.png")}], {"a.png": png(1)})
    one = made(tmp_path / "store", base)
    assert one.shards.index(ShardsIndex).quarantined == {"unsafe_path": 1}
    shutil.copytree(base, tmp_path / "moved")
    assert made(tmp_path / "store", tmp_path / "moved").shards == one.shards


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write(tmp_path / "small", [{"q": "?", "i": "a.png"}], {"a.png": png(1), "unused.png": png(2)})


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"licence": "MIT"}, True),
        ({"rows": 1, "rows_basis": "card"}, True),
        ({"quarantine_limit": 0.5}, True),
        ({"files": ("rows.jsonl", "*.jsonl")}, True),
        ({"root": "./"}, True),
        ({"split": "val"}, False),
        ({"prompt": "What?"}, False),
        ({"pictures": "reference"}, False),
        ({"columns": {"user": ("q", "i")}}, False),
    ],
)
def test_shards_are_named_by_what_they_are_made_from(
    small: Path, tmp_path: Path, change: dict[str, object], same: bool
) -> None:
    changed = Source.model_validate({**TABLE.model_dump(exclude_unset=True), **change})
    assert (made(tmp_path / "store", small).shards == made(tmp_path / "store", small, changed).shards) is same


def test_the_order_of_fields_says_nothing(small: Path, tmp_path: Path) -> None:
    fields = TABLE.model_dump(exclude_unset=True)
    turned = dict(reversed(fields.items())) | {"columns": dict(reversed(COLUMNS.items()))}
    assert list(turned) != list(fields)
    source = Source.model_validate(turned)
    assert made(tmp_path / "store", small).shards == made(tmp_path / "store", small, source).shards


def test_other_picture_bytes_are_other_shards(small: Path, tmp_path: Path) -> None:
    first = made(tmp_path / "store", small)
    (small / "unused.png").write_bytes(png(3))
    assert made(tmp_path / "store", small).shards == first.shards
    (small / "a.png").write_bytes(png(9))
    os.utime(small / "a.png", ns=(0, 0))
    second = made(tmp_path / "store", small)
    assert second.shards != first.shards
    assert second.scanned == Steps(0, 1)
    assert pictures_of(tmp_path / "store", first) == [png(1)]
    assert pictures_of(tmp_path / "store", second) == [png(9)]
    (small / "a.png").unlink()
    assert made(tmp_path / "store", small).shards not in {first.shards, second.shards}


def test_pictures_of_an_archive(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"q": "?", "i": name} for name in ("p/a.png", "./p/b.png", "p/lost.png")]
    base = write(tmp_path / "raw", rows, {})
    with tarfile.open(base / "all.tar.gz", "w:gz") as archive:
        for seed, name in enumerate(("./p/a.png", "p/b.png", "p/c.png")):
            info = tarfile.TarInfo(name)
            info.size = len(png(seed))
            archive.addfile(info, io.BytesIO(png(seed)))
    data = (base / "all.tar.gz").read_bytes()
    for number in range(3):
        (base / f"pieces.tar.gz.{number}").write_bytes(data[number * 100 : (number + 1) * 100 if number < 2 else None])
    whole, pieces = (TABLE.model_copy(update={"archive": glob}) for glob in ("all.tar.gz", "pieces.tar.gz.*"))
    for source in (whole, pieces):
        sourced = made(tmp_path / "store", base, source)
        assert sourced.gathered == Steps(1, 0)
        assert pictures_of(tmp_path / "store", sourced) == [png(0), png(1)]
        assert sourced.shards.index(ShardsIndex).quarantined == {"picture_missing": 1}
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "store" / "pictures").rglob("*")}
    assert made(tmp_path / "store", base, whole).gathered == Steps(0, 1)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "store" / "pictures").rglob("*")} == before


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Address of a server of the folder `www`."""
    (tmp_path / "www").mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "www")) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_pictures_of_a_server(tmp_path: Path, address: str) -> None:
    (tmp_path / "www" / "a.png").write_bytes(png(1))
    rows: list[dict[str, object]] = [{"q": "?", "i": f"http://www.test/{name}.png"} for name in ("a", "lost", "a")]
    base = write(tmp_path / "raw", rows, {})
    sourced = made(tmp_path / "store", base, resolve={"www.test": address})
    assert sourced.gathered == Steps(1, 0)
    assert pictures_of(tmp_path / "store", sourced) == [png(1), png(1)]
    assert sourced.shards.index(ShardsIndex).quarantined == {"download_404": 1}
    # what is there needs no server
    assert made(tmp_path / "store", base).shards == sourced.shards
