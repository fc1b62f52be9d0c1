import hashlib
import io
import random
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest
from PIL import Image as PillowImage

from shards.arrow_file import PICTURE
from shards.errors import StoreError
from shards.files import write_bytes, write_text
from shards.pack import PACK_BYTES, Image, Mirror, PackWriter, PictureReader, mirror_pack, read_range
from shards.picture import Facts, Picture, decode, inspect

BOX = "shards/source/0123"


def a_picture() -> tuple[bytes, Picture]:
    buffer = io.BytesIO()
    PillowImage.linear_gradient("L").save(buffer, "PNG")
    return buffer.getvalue(), decode(buffer.getvalue())


def payloads() -> list[bytes]:
    """Bytes of every length modulo the padding of Arrow, and some larger ones."""
    source = random.Random(0)
    return [source.randbytes(size) for size in (*range(1, 20), 1000, 4095, 4096, 4097, 70_001)]


def write(store: Path, blobs: list[bytes], name: str = "pictures") -> list[Image]:
    facts = inspect(a_picture()[0])
    with PackWriter(store, BOX, name) as writer:
        return [writer.add(data, hashlib.sha256(data).hexdigest(), facts) for data in blobs]


def test_every_picture_is_one_batch_of_an_arrow_file(tmp_path: Path) -> None:
    images = write(tmp_path, payloads())
    with pa.memory_map(str(tmp_path / BOX / "pictures-00000.arrow")) as source:
        reader = pa.ipc.open_file(source)
        assert reader.schema == PICTURE
        assert reader.num_record_batches == len(images)
        for image, data in zip(images, payloads(), strict=True):
            assert image.row is not None
            batch = reader.get_batch(image.row)
            assert batch.to_pylist() == [{"sha256": image.sha256, "bytes": data}]


def test_every_picture_is_one_range_request_of_its_own_size(tmp_path: Path) -> None:
    images = write(tmp_path, payloads())
    requests: list[tuple[str, int, int]] = []

    def counting(path: str, offset: int, size: int) -> bytes:
        requests.append((path, offset, size))
        return read_range(path, offset, size)

    reader = PictureReader(str(tmp_path), counting)
    assert [reader(image) for image in images] == payloads()
    assert len(requests) == len(images)
    assert sum(size for _, _, size in requests) <= 1.2 * sum(map(len, payloads()))


def test_a_store_may_be_a_url(tmp_path: Path) -> None:
    images = write(tmp_path, payloads())
    memory = fsspec.filesystem("memory")
    for path in tmp_path.rglob("*.arrow"):
        memory.pipe_file(f"/pack_test/{path.relative_to(tmp_path)}", path.read_bytes())
    reader = PictureReader("memory://pack_test")
    assert [reader(image) for image in images] == payloads()


def test_a_picture_comes_back_decoded(tmp_path: Path) -> None:
    data, picture = a_picture()
    (image,) = write(tmp_path, [data])
    assert (image.width, image.height, image.format) == (256, 256, "PNG")
    assert PictureReader(str(tmp_path)).picture(image).image.tobytes() == picture.image.tobytes()


def test_changed_bytes_are_noticed(tmp_path: Path) -> None:
    first, second = write(tmp_path, [b"first", b"second"])
    path = tmp_path / first.pack
    path.write_bytes(path.read_bytes().replace(b"first", b"First"))
    reader = PictureReader(str(tmp_path))
    with pytest.raises(StoreError, match="other bytes than stored"):
        reader(first)
    assert reader(second) == b"second"


def test_a_missing_or_shortened_pack_is_named(tmp_path: Path) -> None:
    (image,) = write(tmp_path, [b"picture"])
    path = tmp_path / image.pack
    path.write_bytes(path.read_bytes()[: image.offset + 3])
    with pytest.raises(StoreError, match="other bytes"):
        PictureReader(str(tmp_path))(image)
    path.unlink()
    with pytest.raises(StoreError, match="pictures-00000"):
        PictureReader(str(tmp_path))(image)


def test_a_mirror_is_read_where_it_lies(tmp_path: Path) -> None:
    write_bytes(tmp_path / "mirror" / "a" / "b.tar", b"0123456789")
    write_text(tmp_path / "store" / "mirrors" / "disk.json", Mirror(root=str(tmp_path / "mirror")).model_dump_json())
    sha256 = hashlib.sha256(b"345").hexdigest()
    image = Image(sha256, mirror_pack("disk", "a/b.tar"), None, 3, 3, 1, 1, "PNG")
    assert PictureReader(str(tmp_path / "store"))(image) == b"345"


def test_an_error_leaves_no_pack(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stop"), PackWriter(tmp_path, BOX, "pictures") as writer:
        writer.add(b"picture", "0" * 64, Facts(1, 1, "PNG"))
        raise ValueError("stop")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_no_picture_no_pack(tmp_path: Path) -> None:
    assert write(tmp_path, []) == []
    assert not list(tmp_path.iterdir())


def test_same_pictures_same_pack(tmp_path: Path) -> None:
    assert write(tmp_path / "one", payloads()) == write(tmp_path / "two", payloads())
    packs = [(tmp_path / name / BOX / "pictures-00000.arrow").read_bytes() for name in ("one", "two")]
    assert packs[0] == packs[1]


@pytest.mark.slow
def test_a_full_pack_is_followed_by_another(tmp_path: Path) -> None:
    quarter = bytes(PACK_BYTES // 4)
    images = write(tmp_path, [quarter] * 4 + [b"small", b"smaller"])
    packs = [f"{BOX}/pictures-{number:05d}.arrow" for number in (0, 1)]
    assert [(image.pack, image.row) for image in images] == [
        *((packs[0], row) for row in range(4)),
        (packs[1], 0),
        (packs[1], 1),
    ]
    reader = PictureReader(str(tmp_path))
    assert (reader(images[3]) == quarter, reader(images[4]), reader(images[5])) == (True, b"small", b"smaller")
