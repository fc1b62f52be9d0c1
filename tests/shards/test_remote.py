"""A working folder and the place behind it, on fsspec's file system in memory; a real S3 server is in tests/flows."""

import os
import re
import uuid
from pathlib import Path

import fsspec
import pytest
from pydantic import BaseModel

from shards.errors import StoreError, UsageError
from shards.files import write_bytes, write_text
from shards.pack import PackWriter, PictureReader
from shards.picture import Facts
from shards.remote import INDEX, Remote, attach, have, remote_of, withdraw
from shards.removed import Removed, cut_down, drop_removed, note_removed, remove_box
from shards.sample import SampleRow, ShardCounts, ShardsIndex, read_all, read_samples, sample_path, write_samples
from shards.store import Store


class Index(BaseModel):
    rows: int


@pytest.fixture
def url() -> str:
    return f"memory://{uuid.uuid4().hex}/store"


def working(folder: Path, url: str) -> Store:
    attach(folder, url)
    return Store(folder)


def remote(store: Store) -> Remote:
    found = remote_of(store.root)
    assert found
    return found


def names(store: Store) -> list[str]:
    memory = fsspec.filesystem("memory")
    start = len("/" + remote(store).url.partition("://")[2]) + 1
    return [name[start:] for name in memory.find("/" + remote(store).url.partition("://")[2])]


def test_a_finished_box_is_found_from_another_folder(tmp_path: Path, url: str) -> None:
    here = working(tmp_path / "a", url)
    box = here.box("scores", "s", "1" * 64)
    write_bytes(box.path / "table.parquet", b"rows")
    there = working(tmp_path / "b", url)
    assert not there.box("scores", "s", "1" * 64).done
    box.finish(Index(rows=3))
    assert names(here) == [f"{box.name}/index.json", f"{box.name}/table.parquet"]
    remote(there).forget()
    brought = there.box("scores", "s", "1" * 64)
    assert brought.done
    assert brought.index(Index) == Index(rows=3)
    assert (brought.path / "table.parquet").read_bytes() == b"rows"
    assert there.names("scores") == ["s"]
    assert [found.name for found in there.boxes("scores", "s")] == [box.name]


@pytest.mark.parametrize(
    ("kind", "finished", "brought"),
    [
        ("scores", ["about.json", "asked-00000-a.parquet"], ["about.json", "asked-00000-a.parquet"]),
        ("likeness", ["pairs-a.parquet"], ["pairs-a.parquet"]),
        ("scores", ["part-00000.parquet", "part-00002.parquet"], ["part-00000.parquet", "part-00002.parquet"]),
        ("shards", ["pictures-00000-00000.arrow", "samples-00000.arrow", "shard-00000.json"], ["samples-*", "shard-*"]),
        ("pictures", ["log-00000.parquet", "pictures-00000-00000.arrow"], ["log-00000.parquet"]),
        ("mixtures", ["manifest.json", "scores.parquet"], []),
    ],
)
def test_what_is_finished_of_a_box_is_brought(
    tmp_path: Path, url: str, kind: str, finished: list[str], brought: list[str]
) -> None:
    here, there = working(tmp_path / "a", url), working(tmp_path / "b", url)
    for name in finished:
        write_bytes(here.box(kind, "s", "1" * 64).path / name, name.encode())
    folder = there.box(kind, "s", "1" * 64).path
    found = sorted(folder.iterdir()) if brought else list(folder.glob("*"))
    assert [path.match(name) for path, name in zip(found, brought, strict=True)] == [True] * len(brought)
    assert all(path.read_bytes() == path.name.encode() for path in found)


def test_a_mark_counts_if_it_was_there_before_the_files_it_speaks_of_were_listed(tmp_path: Path, url: str) -> None:
    here, there = working(tmp_path / "a", url), working(tmp_path / "b", url)
    box, late = here.box("shards", "s", "1" * 64), there.box("shards", "s", "1" * 64)

    def write(number: int) -> None:
        write_bytes(box.path / f"samples-0000{number}.arrow", b"rows")
        write_bytes(box.path / f"shard-0000{number}.json", b"{}")

    write(0)
    remote(there).entries("shards/s")
    write(1)
    assert sorted(path.name for path in late.path.iterdir()) == [
        "samples-00000.arrow",
        "samples-00001.arrow",
        "shard-00000.json",
    ]


def test_what_was_left_of_a_box_that_another_machine_completed_is_not_read(tmp_path: Path, url: str) -> None:
    here, there = working(tmp_path / "a", url), working(tmp_path / "b", url)
    box, other = (store.box("mixtures", "m", "1" * 64) for store in (here, there))
    for name in ("manifest.json", "scores.parquet", "ids.parquet", "excluded.json"):
        write_bytes(box.path / name, b"judge failed")
    remote(there).drop(f"{box.name}/excluded.json")
    for name in ("manifest.json", "scores.parquet", "ids.parquet"):
        write_bytes(other.path / name, b"all answered")
    other.finish(Index(rows=3))
    remote(here).forget()
    assert box.done
    path = box.path
    assert sorted(each.name for each in path.iterdir()) == ["ids.parquet", "index.json", "manifest.json"]
    have([path / "scores.parquet"])
    assert {(path / name).read_bytes() for name in ("manifest.json", "scores.parquet", "ids.parquet")} == {
        b"all answered"
    }


def test_of_what_was_left_here_the_same_stays(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/url"  # unlike memory it tells when a file changed
    here, there = working(tmp_path / "a", url), working(tmp_path / "b", url)
    box, other = (store.box("shards", "s", "1" * 64) for store in (here, there))
    (tmp_path / "url" / box.name).mkdir(parents=True)
    mark = other.path / "shard-00000.json"
    for name in ("samples-00000.arrow", mark.name):
        write_bytes(other.path / name, b"rows")
    brought = [(path, path.stat().st_ino) for path in sorted(box.path.iterdir())]
    assert len(brought) == 2
    write_bytes(mark, b"ROWS")
    os.utime(tmp_path / "url" / box.name / mark.name, (1_700_000_000, 1_700_000_000))
    other.finish(Index(rows=1))
    remote(here).forget()
    found = {path.name: path.read_bytes() for path in box.path.iterdir()}
    assert (found["samples-00000.arrow"], found[mark.name]) == (b"rows", b"ROWS")
    assert [path.stat().st_ino == inode for path, inode in brought] == [True, False]


def test_a_box_made_here_is_not_brought_again(tmp_path: Path, url: str) -> None:
    store = working(tmp_path, url)
    box = store.box("mixtures", "m", "1" * 64)
    write_bytes(box.path / "scores.parquet", b"rows")
    box.finish(Index(rows=1))
    before = {path: path.stat().st_ino for path in box.path.iterdir()}
    remote(store).forget()
    assert {path: path.stat().st_ino for path in box.path.iterdir()} == before
    assert len(before) == 2


def test_parts_that_a_table_stands_in_for_go_at_both_places(tmp_path: Path, url: str) -> None:
    here = working(tmp_path, url)
    box = here.box("scores", "s", "1" * 64)
    parts = [box.path / f"part-0000{number}.parquet" for number in range(2)]
    for part in parts:
        write_bytes(part, b"rows")
    box.finish(Index(rows=1))
    withdraw(parts)
    withdraw([])
    assert names(here) == [f"{box.name}/index.json"]
    assert [path.name for path in box.path.iterdir()] == ["index.json"]


def test_what_is_below_no_box_stays_here(tmp_path: Path, url: str) -> None:
    store = working(tmp_path, url)
    write_text(store.root / "raw" / "x" / "file.json", "{}")
    write_text(store.root / "sources.lock", "{}")
    assert names(store) == ["sources.lock"]


def test_state_is_brought_under_the_lock(tmp_path: Path, url: str) -> None:
    here, there = working(tmp_path / "a", url), working(tmp_path / "b", url)
    for text in ("{}", '{"a": 1}'):
        with here.lock():
            write_text(here.root / "sources.lock", text)
        with there.lock():
            assert (there.root / "sources.lock").read_text() == text


def test_whether_a_box_is_complete_is_known_without_it(tmp_path: Path, url: str) -> None:
    here, there = working(tmp_path / "a", url), working(tmp_path / "b", url)
    assert not there.box("scans", "s", "1" * 64).done
    here.box("scans", "s", "1" * 64).finish(Index(rows=3))
    remote(there).forget()
    box = there.box("scans", "s", "1" * 64)
    assert box.done and not (there.root / box.name).exists()
    assert box.index(Index) == Index(rows=3) and (there.root / box.name).is_dir()


def test_samples_come_when_they_are_read(tmp_path: Path, url: str) -> None:
    here, there = working(tmp_path / "a", url), working(tmp_path / "b", url)
    box, brought = (store.box("shards", "s", "1" * 64) for store in (here, there))
    for number in range(3):
        write_samples(
            sample_path(box.path, number), [SampleRow(f"s/train/{number}", number, (("user", "why?"),), (), (), "{}")]
        )
    counts = [ShardCounts(items=1, samples=1, quarantined=0)] * 3
    about = {"source": "s", "fingerprint": "1" * 64, "items": 3, "samples": 3, "pictures": 0, "picture_bytes": 0}
    box.finish(ShardsIndex.model_validate({**about, "quarantined": {}, "repairs": {}, "shards": counts}))
    assert brought.done and [path.name for path in brought.path.iterdir()] == ["index.json"]
    assert read_samples(sample_path(brought.path, 1), ["key"])["key"].to_list() == ["s/train/1"]
    assert {path.name for path in brought.path.iterdir()} == {"index.json", "samples-00001.arrow"}
    keys = [key for frame in read_all(brought.path, ["key"]) for key in frame["key"]]
    assert keys == [f"s/train/{number}" for number in range(3)]


def test_a_large_file_that_did_not_change_is_not_brought_again(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/url"  # unlike memory it tells when a file changed
    (tmp_path / "url" / "imported" / "s").mkdir(parents=True)
    here, there = working(tmp_path / "a", url), working(tmp_path / "b", url)
    large, small = (Path("imported") / "s" / name for name in ("large.parquet", "small.parquet"))
    for file, size in ((large, 2_000_000), (small, 10)):
        write_bytes(here.root / file, bytes(size))
    inodes = []
    for _ in range(2):
        remote(there).forget()
        remote(there).bring_state()
        inodes.append([(there.root / file).stat().st_ino for file in (large, small)])
    assert inodes[0][0] == inodes[1][0] and inodes[0][1] != inodes[1][1]
    write_bytes(here.root / large, bytes(2_000_001))
    remote(there).forget()
    remote(there).bring_state()
    assert (there.root / large).stat().st_size == 2_000_001


def test_a_folder_has_a_name_of_its_own(tmp_path: Path, url: str) -> None:
    here, there = working(tmp_path / "a", url), working(tmp_path / "b", url)
    names = {remote(here).writer, Remote(here.root, url).writer, remote(there).writer}
    assert len(names) == 2 and all(re.fullmatch("[0-9a-f]{16}", name) for name in names)


def test_a_picture_is_read_by_range_until_its_pack_is_worth_bringing(tmp_path: Path, url: str) -> None:
    here, there = working(tmp_path / "a", url), working(tmp_path / "b", url)
    box = here.box("shards", "s", "2" * 64)
    with PackWriter(here.root, box.name, "pictures") as packs:
        image = packs.add(b"picture", "e9f7b6e7c3a4dc7c4f1a8d8a6f9f4f3a" * 2, Facts(1, 1, "PNG"))
    box.finish(Index(rows=1))
    image = image._replace(sha256="c3f0e3ae7d5ca3a35c8a1b1c1d3d6d9c" * 2)
    assert there.box("shards", "s", "2" * 64).done
    pack = there.root / image.pack
    with pytest.raises(StoreError, match="other bytes than stored"):
        PictureReader(str(there.root))(image)
    assert not pack.exists()
    reads = [remote(there).read(image.pack, image.offset, image.size) for _ in range(20)]
    assert set(reads) == {b"picture"}
    assert pack.read_bytes() == (here.root / image.pack).read_bytes()


def test_the_folder_may_be_cut_down_and_fills_again(tmp_path: Path, url: str) -> None:
    store = working(tmp_path, url)
    for number in range(3):
        box = store.box("scores", "s", str(number) * 64)
        write_bytes(box.path / "table.parquet", bytes(1000))
        box.finish(Index(rows=number))
        os.utime(box.path / "index.json", (1_700_000_000 + number, 1_700_000_000 + number))
    assert cut_down(store.root, 1_500) > 2_000
    left = [path.parent.name for path in (store.root / "scores").glob("*/*/index.json")]
    assert left == ["2" * 20]
    remote(store).forget()
    assert (store.box("scores", "s", "0" * 64).path / "table.parquet").stat().st_size == 1000


def test_a_box_that_was_removed_and_made_again_is_brought_again_once(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/url"  # unlike memory it tells when a file changed
    here, there = working(tmp_path / "a", url), working(tmp_path / "b", url)
    name = here.box("mixtures", "m", "1" * 64).name
    (tmp_path / "url" / name).mkdir(parents=True)

    def make(store: Store, grades: bytes) -> None:
        write_bytes(store.root / name / "manifest.json", grades)
        store.box("mixtures", "m", "1" * 64).finish(Index(rows=1))

    make(here, b"graded 7")
    remove_box(there.root, remote(there), name, [f"{name}/manifest.json"])
    note_removed(there.root, [Removed(box=name)])
    os.utime(here.root / name / INDEX, (1_700_000_000, 1_700_000_000))  # it was made some time ago
    make(there, b"graded 8")
    inodes = []
    for _ in range(2):
        remote(here).forget()
        remote(here).bring_state()
        drop_removed(here.root, remote(here))
        box = here.box("mixtures", "m", "1" * 64)
        assert (box.path / "manifest.json").read_bytes() == b"graded 8"
        inodes.append((box.path / "manifest.json").stat().st_ino)
    assert inodes[0] == inodes[1]


def test_a_folder_that_is_the_store_is_never_cut_down(tmp_path: Path) -> None:
    box = Store(tmp_path).box("scores", "s", "1" * 64)
    box.finish(Index(rows=1))
    assert cut_down(tmp_path, 0) == 0
    assert box.done


def test_a_folder_belongs_to_one_place(tmp_path: Path, url: str) -> None:
    attach(tmp_path / "a", url)
    attach(tmp_path / "a", url + "/")
    with pytest.raises(UsageError, match="another store"):
        attach(tmp_path / "a", url + "2")
    Store(tmp_path / "b").box("scores", "s", "1" * 64).finish(Index(rows=1))
    with pytest.raises(UsageError, match="a store of its own"):
        attach(tmp_path / "b", url)


@pytest.mark.parametrize(("url", "said"), [("nosuch://x/y", "no kind of store"), ("gs://x/y", "pip install gcsfs")])
def test_a_kind_of_url_that_cannot_be_used(tmp_path: Path, url: str, said: str) -> None:
    store = working(tmp_path, url)
    with pytest.raises(UsageError, match=said):
        store.names("runs")
