from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from shards.pack import Image
from shards.sample import SampleRow, read_all, read_samples, sample_path, write_samples
from shards.schema import IMAGE, SAMPLE, SCHEMA_VERSION

IMAGES = (
    Image("a" * 64, "shards/s/0/pictures-00000.arrow", 0, 328, 10, 3, 4, "JPEG"),
    Image("b" * 64, "mirror/disk/b.tar", None, 5_000_000_000, 20, 5, 6, "PNG"),
)

ROWS = [
    SampleRow("s/train/0", 0, (("user", "<image>\nWhat?"), ("assistant", "A \u732b.")), IMAGES[:1], (), "{}"),
    SampleRow("s/train/2", 2, (("document", "<image><image>"),), IMAGES, (), '{"id":"7"}'),
    SampleRow("s/train/3", 3, (("user", ""), ("assistant", "\0")), (), ("a.mp4", "b.mp4"), "{}"),
    SampleRow("s/train/4", 4, (), (), (), "{}"),
]


def as_row(values: dict[str, object]) -> SampleRow:
    messages, images, videos = values["messages"], values["images"], values["videos"]
    assert isinstance(messages, list)
    assert isinstance(images, list)
    assert isinstance(videos, list)
    return SampleRow(
        str(values["key"]),
        int(str(values["position"])),
        tuple((turn["role"], turn["text"]) for turn in messages),
        tuple(Image(**image) for image in images),
        tuple(videos),
        str(values["meta"]),
    )


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    write_samples(tmp_path / "x.arrow", ROWS)
    frame = read_samples(tmp_path / "x.arrow", SAMPLE.names)
    assert [as_row(values) for values in frame.to_dicts()] == ROWS


def test_only_the_named_columns_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    write_samples(tmp_path / "x.arrow", ROWS)
    frame = read_samples(tmp_path / "x.arrow", ["videos", "key"])
    assert frame.columns == ["videos", "key"]
    assert frame.equals(read_samples(tmp_path / "x.arrow", SAMPLE.names).select("videos", "key"))


def test_an_empty_shard_has_all_columns(tmp_path: Path) -> None:
    write_samples(tmp_path / "x.arrow", [])
    frame = read_samples(tmp_path / "x.arrow", SAMPLE.names)
    assert frame.height == 0
    write_samples(tmp_path / "y.arrow", ROWS)
    assert frame.schema == read_samples(tmp_path / "y.arrow", SAMPLE.names).schema


def test_the_file_carries_the_schema_and_its_version(tmp_path: Path) -> None:
    write_samples(tmp_path / "x.arrow", ROWS)
    with pa.memory_map(str(tmp_path / "x.arrow")) as source:
        schema = pa.ipc.open_file(source).schema
    assert schema.equals(SAMPLE, check_metadata=True)
    assert schema.metadata[b"vlmix.schema_version"] == str(SCHEMA_VERSION).encode()


def test_image_fields_stand_in_the_order_of_the_schema() -> None:
    assert list(Image._fields) == [field.name for field in IMAGE]
    assert list(SampleRow._fields) == SAMPLE.names


def test_same_rows_same_bytes(tmp_path: Path) -> None:
    for name in ("x", "y"):
        write_samples(tmp_path / name, ROWS)
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()


def test_all_shards_come_in_order(tmp_path: Path) -> None:
    for number, part in enumerate((ROWS[:2], [], ROWS[2:])):
        write_samples(sample_path(tmp_path, number), part)
    frames = list(read_all(tmp_path, ["key"]))
    assert [frame.height for frame in frames] == [2, 0, 2]
    assert pl.concat(frames)["key"].to_list() == [row.key for row in ROWS]
    assert list(read_all(tmp_path / "absent", ["key"])) == []


def test_hugging_face_datasets_open_a_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    write_samples(tmp_path / "x.arrow", ROWS)
    dataset = datasets.load_dataset(
        "arrow", data_files=str(tmp_path / "x.arrow"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert dataset["key"][:] == [row.key for row in ROWS]
    assert as_row(dataset[1]) == ROWS[1]
