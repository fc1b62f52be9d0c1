"""Exporters of archives: tars, MDS shards, Parquet; what their packages make of them is tested in tests/interop."""

import json
import struct
import tarfile
from collections.abc import Callable, Iterator
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from material import Pictures, good_rows, part, refused_rows, row, talk

from manifests.exports.base import Exporter, ExportRow, Part
from manifests.exports.energon import PREPARE, Energon
from manifests.exports.hf import Hf
from manifests.exports.mds import InstellaVlOnline, Mds
from manifests.exports.wds import Wds

ARCHIVES: dict[str, Callable[..., Exporter]] = {
    "webdataset": Wds,
    "energon": Energon,
    "mds": Mds,
    "instellavl-online": InstellaVlOnline,
    "hf": Hf,
}

LISTS = {"urls.txt", "mixture.json", "mixture.yaml", "README.md", PREPARE}
"""Files that say which sets there are."""


@pytest.fixture
def pictures(tmp_path: Path) -> Pictures:
    return Pictures(tmp_path)


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def members(path: Path) -> list[tarfile.TarInfo]:
    with tarfile.open(path) as tar:
        return tar.getmembers()


def tar_samples(folder: Path) -> Iterator[dict[str, bytes]]:
    """Samples of all tars below a folder, grouped as webdataset groups them: by neighbours."""
    for path in sorted(folder.rglob("*.tar")):
        with tarfile.open(path) as tar:
            for _, group in groupby(tar, key=lambda member: member.name.split(".", 1)[0]):
                read = {}
                for member in group:
                    handle = tar.extractfile(member)
                    assert handle is not None
                    read[member.name.split(".", 1)[1]] = handle.read()
                yield read


def mds_rows(folder: Path) -> Iterator[list[bytes]]:
    """Columns of each sample, by the offsets of the shards."""
    for shard in json.loads((folder / "index.json").read_text())["shards"]:
        data = (folder / shard["raw_data"]["basename"]).read_bytes()
        assert len(data) == shard["raw_data"]["bytes"]
        (count,) = struct.unpack_from("<I", data)
        assert count == shard["samples"]
        offsets = struct.unpack_from(f"<{count + 1}I", data, 4)
        assert offsets[-1] == len(data)
        for begin, end in pairwise(offsets):
            first, second = struct.unpack_from("<2I", data, begin)
            columns = data[begin + 8 : end]
            assert len(columns) == first + second
            yield [columns[:first], columns[first:]]


def parquet_rows(folder: Path) -> list[dict[str, Any]]:
    return [found for path in sorted(folder.glob("*.parquet")) for found in pq.read_table(path).to_pylist()]


def everything(pictures: Pictures) -> list[Part]:
    rows = [*good_rows(pictures), *refused_rows(pictures).values()]
    return [part("v1.5_set", rows, times=2), part("v1.5_set.more", rows[:3]), part("none", [])]


@pytest.mark.parametrize("name", ARCHIVES)
def test_the_same_rows_give_the_same_bytes(pictures: Pictures, tmp_path: Path, name: str) -> None:
    for out in ("a", "b"):
        ARCHIVES[name]()(everything(pictures), pictures.media(tmp_path / out), tmp_path / out)
    assert files(tmp_path / "a") == files(tmp_path / "b")


@pytest.mark.parametrize("name", ARCHIVES)
def test_every_row_is_written_or_refused(pictures: Pictures, tmp_path: Path, name: str) -> None:
    parts = everything(pictures)
    outcomes = ARCHIVES[name]()(parts, pictures.media(tmp_path / "x"), tmp_path / "x")
    assert [outcome.part for outcome in outcomes] == parts
    for outcome in outcomes:
        assert outcome.written + outcome.refused.total() == outcome.part.rows * outcome.part.times
    assert outcomes[1].written == 3


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_part_without_rows_has_no_files(pictures: Pictures, tmp_path: Path, name: str) -> None:
    videos = part("clips", [row("v", ("assistant", "<video>"), videos=["v.mp4"])])
    ARCHIVES[name]()([part("none", []), videos], pictures.media(tmp_path / "x"), tmp_path / "x")
    found = files(tmp_path / "x")
    assert b"none" not in b"".join(found[listed] for listed in LISTS & set(found))
    assert not any("none" in path for path in found)
    assert any("clips" in path for path in found) == (name in {"webdataset", "mds"})


@pytest.mark.parametrize("name", ["webdataset", "energon"])
def test_members_of_a_sample_are_neighbours_under_safe_names(pictures: Pictures, tmp_path: Path, name: str) -> None:
    out = tmp_path / "x"
    ARCHIVES[name]()(everything(pictures), pictures.media(out), out)
    seen: list[str] = []
    for path in sorted(out.rglob("*.tar")):
        found = members(path)
        for member in found:
            key, _, suffix = member.name.partition(".")
            assert key.isascii() and key.replace("_", "").isalnum() and len(member.name) < 100
            assert suffix == suffix.lower()
            assert (member.mtime, member.uid, member.gid, member.mode) == (0, 0, 0, 0o644)
            assert member.uname == member.gname == ""
        seen += [key for key, _ in groupby(member.name.split(".", 1)[0] for member in found)]
    assert len(seen) == len(set(seen)) > 20


def test_a_web_sample_holds_the_text_the_places_and_the_original_bytes(pictures: Pictures, tmp_path: Path) -> None:
    out = tmp_path / "x"
    rows = [*good_rows(pictures), *refused_rows(pictures).values()]
    (outcome,) = Wds()([part("all", rows)], pictures.media(out), out)
    assert outcome.refused == {} and outcome.adapted == {"literal_neutralised": 1}
    media = pictures.media(out)
    for stored, sample in zip(rows, tar_samples(out), strict=True):
        found = json.loads(sample["json"])
        assert (found["key"], found["entry"]) == (stored.key, "all")
        assert [message["role"] for message in found["messages"]] == [role for role, _ in stored.messages]
        if stored.key != "s/train/literal":
            assert [message["content"] for message in found["messages"]] == [text for _, text in stored.messages]
        assert [sample[suffix] for suffix in found["images"]] == [media.data(image) for image in stored.images]
        assert list(sample) == ["json", *found["images"]]
        assert found.get("videos", []) == list(stored.videos)
    texts = {json.loads(sample["json"])["key"]: json.loads(sample["json"])["messages"] for sample in tar_samples(out)}
    assert texts["s/train/literal"][0]["content"] == "What does < image> mean, and < video>?"
    assert texts["s/train/r0"] == [{"role": "document", "content": "Text with <image> in it."}]
    assert texts["s/train/spread"][0]["content"] == "First <image>, then <image>: compare."


def test_tars_end_at_their_size(pictures: Pictures, tmp_path: Path) -> None:
    out = tmp_path / "x"
    size = 8000
    rows = [row(str(number), *talk("<image>", "word " * 200), images=pictures.packed[:1]) for number in range(20)]
    rows[7] = row("large", *talk("x" * 3 * size))
    Wds(size=size)([part("all", rows)], pictures.media(out), out)
    tars = sorted(out.rglob("*.tar"))
    assert [path.name for path in tars] == [f"{number:06d}.tar" for number in range(len(tars))]
    assert len(list(tar_samples(out))) == len(rows)
    for path in tars:
        used = sum(512 + -(-member.size // 512) * 512 for member in members(path))
        assert used <= size or len(members(path)) == 1
    assert len(tars) > 5


@pytest.mark.parametrize(("rows", "shards", "counts"), [(10, 4, [2, 3, 2, 3]), (3, 4, [1, 1, 1]), (8, 1, [8])])
def test_shards_are_equal_so_that_every_worker_has_one(
    pictures: Pictures, tmp_path: Path, rows: int, shards: int, counts: list[int]
) -> None:
    out = tmp_path / "x"
    Wds(shards=shards)([part("all", [row(f"{n}", *talk("?")) for n in range(rows)])], pictures.media(out), out)
    assert sorted(len(members(path)) for path in out.rglob("*.tar")) == sorted(counts)


def test_urls_stand_as_often_as_they_are_to_be_read(pictures: Pictures, tmp_path: Path) -> None:
    out = tmp_path / "x"
    parts = [part("a", good_rows(pictures)[:4], times=3), part("b", good_rows(pictures)[:2])]
    outcomes = Wds(shards=2)(parts, pictures.media(out), out)
    urls = (out / "urls.txt").read_text().splitlines()
    assert [urls.count(f"shards/{name}/{number:06d}.tar") for name in "ab" for number in (0, 1)] == [3, 3, 1, 1]
    index = json.loads((out / "mixture.json").read_text())
    assert index["rows"] == sum(shard["samples"] * shard["times"] for shard in index["shards"]) == 14
    assert index["rows"] == sum(outcome.written for outcome in outcomes)
    assert [shard["bytes"] for shard in index["shards"]] == [(out / s["url"]).stat().st_size for s in index["shards"]]


def test_energon_reads_integer_repetitions_of_crude_sets(pictures: Pictures, tmp_path: Path) -> None:
    out = tmp_path / "x"
    Energon()(
        [part("v1.5", good_rows(pictures)[:6], times=3), part("b", good_rows(pictures)[:1])], pictures.media(out), out
    )
    mixture = yaml.safe_load((out / "mixture.yaml").read_text())
    blend = mixture["splits"]["train"]["blend_epochized"]
    assert blend == [{"path": "sets/v1.5", "repetitions": 3}, {"path": "sets/b", "repetitions": 1}]
    assert yaml.safe_load((out / "sets/b/.nv-meta/dataset.yaml").read_text())["__class__"] == "CrudeWebdataset"
    assert (out / PREPARE).read_text().count("energon prepare --non-interactive") == 2
    assert json.loads(next(tar_samples(out / "sets" / "b"))["json"]) == [
        {"role": "user", "content": "Why?"},
        {"role": "assistant", "content": "An answer."},
    ]


def test_instella_has_one_picture_per_record_and_no_key_for_none(pictures: Pictures, tmp_path: Path) -> None:
    out = tmp_path / "x"
    (outcome,) = InstellaVlOnline()([part("all", good_rows(pictures), times=2)], pictures.media(out), out)
    assert yaml.safe_load((out / "mixture.yaml").read_text()) == {
        "datasets": [{"shard_path": "shards/all/", "repeat": 2}]
    }
    stored = {found.key: found for found in good_rows(pictures)}
    media, count = pictures.media(out), 0
    for picture, text in mds_rows(out / "shards" / "all"):
        found = json.loads(text)
        images = stored[found["id"].partition(":")[2]].images
        assert ("image" in found) == bool(images)
        assert len(images) <= 1 and (not images or media.data(images[0]) == picture)
        assert len(found["conversations"]) % 2 == 0
        assert found["conversations"][0]["value"].count("<image>") == len(images)
        count += 1
    assert 2 * count == outcome.written
    assert set(outcome.refused) == {"several", "interleaved", "video"}


def test_mds_holds_every_row_with_its_pictures(pictures: Pictures, tmp_path: Path) -> None:
    out = tmp_path / "x"
    rows = [*good_rows(pictures), *refused_rows(pictures).values()]
    Mds(size=4096)([part("all", rows)], pictures.media(out), out)
    assert len(list((out / "shards" / "all").glob("*.mds"))) > 3
    media = pictures.media(out)
    for stored, (images, text) in zip(rows, mds_rows(out / "shards" / "all"), strict=True):
        assert json.loads(text)["key"] == stored.key
        zero, count = struct.unpack_from("<2I", images)
        assert (zero, count) == (0, len(stored.images))
        assert images[8 + 4 * count :] == b"".join(map(media.data, stored.images))


def test_hf_rows_are_messages_of_parts(pictures: Pictures, tmp_path: Path) -> None:
    out = tmp_path / "x"
    rows = [*good_rows(pictures), *refused_rows(pictures).values()]
    (outcome,) = Hf()([part("all", rows, times=2)], pictures.media(out), out)
    found = parquet_rows(out / "data")
    assert len(found) + len(parquet_rows(out / "documents")) == outcome.written
    by_key = {one["key"].rpartition("/")[2]: one for one in found}
    for one in found:
        parts = [part for message in one["messages"] for part in message["content"]]
        assert sum(part["type"] == "image" for part in parts) == len(one["images"])
        assert all((part["text"] is None) == (part["type"] == "image") for part in parts)
        assert "<image>" not in "".join(part["text"] or "" for part in parts)
    assert by_key["plain"]["images"] == []
    assert by_key["glued"]["messages"][0] == {
        "role": "user",
        "content": [{"type": "image", "text": None}, {"type": "text", "text": "What?"}],
    }
    assert by_key["spread"]["messages"][0]["content"][::2] == [
        {"type": "text", "text": "First "},
        {"type": "text", "text": ", then "},
        {"type": "text", "text": ": compare."},
    ]
    assert by_key["system"]["messages"][0]["role"] == "system"
    (document, again) = parquet_rows(out / "documents")
    assert document == again
    assert (document["text"], len(document["images"])) == ("Text with <image> in it.", 1)


def test_hf_files_and_row_groups_end_at_their_sizes(pictures: Pictures, tmp_path: Path) -> None:
    out = tmp_path / "x"
    rows = [row(f"{number}", *talk("?", "word " * 100)) for number in range(450)]
    Hf(size=100_000)([part("all", rows)], pictures.media(out), out)
    found = [pq.ParquetFile(path) for path in sorted((out / "data").glob("*.parquet"))]
    groups = [[one.metadata.row_group(n).num_rows for n in range(one.num_row_groups)] for one in found]
    assert groups == [[100, 100], [100, 100], [50]]
    assert all(b"huggingface" in one.schema_arrow.metadata for one in found)
    card = yaml.safe_load((out / "README.md").read_text().split("---\n")[1])
    names = [f"data/all-0000{number}.parquet" for number in range(3)]
    paths = {one["config_name"]: one["data_files"][0]["path"] for one in card["configs"]}
    assert paths == {"default": names, "all": names}


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_failure_leaves_no_file_that_is_not_whole(pictures: Pictures, tmp_path: Path, name: str) -> None:
    out = tmp_path / "x"

    def broken() -> Iterator[ExportRow]:
        yield row("a", *talk("?"))
        raise KeyboardInterrupt

    failing = part("all", [])
    failing = Part(failing.name, failing.entry, 1, 2, broken)
    with pytest.raises(KeyboardInterrupt):
        ARCHIVES[name]()([failing], pictures.media(out), out)
    assert files(out) == {}
