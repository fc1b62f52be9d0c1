"""Picture packs: original bytes, stored once, each readable with one range request.

A pack is an Arrow IPC file, uncompressed, one picture per record batch. The IMAGE struct of a sample names the pack
relative to the store with the byte range of the picture in it, so a reader needs no footer. A picture of a registered
mirror has the pack name `mirror/NAME/relative path` and the range in that file.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

import fsspec
from pydantic import BaseModel

from shards.arrow_file import ArrowFile
from shards.errors import StoreError
from shards.files import replacing
from shards.picture import Facts, Picture, decode
from shards.remote import remote_of

PACK_BYTES: Final = 256 << 20
"""Size at which a new pack is begun."""
_MIRROR: Final = "mirror/"


class Image(NamedTuple):
    """The IMAGE struct of shards/schema.py as a Python value, fields in the same order."""

    sha256: str
    pack: str
    row: int | None
    offset: int
    size: int
    width: int
    height: int
    format: str


class Mirror(BaseModel):
    """Where the files of a registered mirror lie on this machine; never part of a fingerprint."""

    root: str


class PackWriter:
    """Writes pictures to `NAME-00000.arrow`, `NAME-00001.arrow` ... in one box; use as a context manager."""

    def __init__(self, store: Path, box: str, name: str) -> None:
        self._store = store
        self._prefix = f"{box}/{name}"
        self._number = 0
        self._pack: _Pack | None = None

    def add(self, data: bytes, sha256: str, facts: Facts) -> Image:
        """Append one picture and say where it lies."""
        if self._pack and self._pack.full:
            self.close()
        if not self._pack:
            name = f"{self._prefix}-{self._number:05d}.arrow"
            self._pack = _Pack(self._store, name)
            self._number += 1
        row, offset = self._pack.append(data, sha256)
        return Image(sha256, self._pack.name, row, offset, len(data), *facts)

    def close(self) -> None:
        """Finish the pack in hand; it appears under its name only now."""
        if self._pack:
            self._pack.close()
            self._pack = None

    def discard(self) -> None:
        """Drop the unfinished pack."""
        if self._pack:
            self._pack.discard()
            self._pack = None

    def __enter__(self) -> "PackWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()


class _Pack:
    def __init__(self, store: Path, name: str) -> None:
        self.name = name
        self._replacing = replacing(store / name)
        begun = self._replacing.__enter__()
        try:
            self._file = ArrowFile(begun)
        except OSError as error:
            self._leave(error)

    @property
    def full(self) -> bool:
        return self._file.size >= PACK_BYTES

    def append(self, data: bytes, sha256: str) -> tuple[int, int]:
        try:
            return self._file.append(data, sha256)
        except OSError as error:
            self._file.discard()
            self._leave(error)

    def close(self) -> None:
        try:
            self._file.close()
        except OSError as error:
            self._file.discard()
            self._leave(error)
        self._replacing.__exit__(None, None, None)

    def discard(self) -> None:
        self._file.discard()
        error = KeyboardInterrupt()
        try:
            self._replacing.__exit__(KeyboardInterrupt, error, None)
        except KeyboardInterrupt:
            return

    def _leave(self, error: OSError) -> NoReturn:
        """Remove the file that the disk did not take; the error of `replacing` says so."""
        self._replacing.__exit__(type(error), error, error.__traceback__)
        raise error


ReadRange = Callable[[str, int, int], bytes]
"""(path or URL, first byte, number of bytes) -> bytes."""


def read_range(path: str, offset: int, size: int) -> bytes:
    """Read one byte range of a local file or of any URL that fsspec knows; one request."""
    if "://" not in path:
        with Path(path).open("rb") as handle:
            handle.seek(offset)
            return handle.read(size)
    filesystem, inner = fsspec.core.url_to_fs(path)
    data: bytes = filesystem.cat_file(inner, start=offset, end=offset + size)
    return data


@dataclass(frozen=True, slots=True)
class PictureReader:
    """Reads pictures of a store, which may be a local folder or a URL such as `s3://bucket/store`."""

    store: str
    read: ReadRange = read_range

    def __call__(self, image: Image) -> bytes:
        """The original bytes of a picture, with one range request.

        Raises:
            StoreError: the bytes are not those that were stored (a mirror was changed, a file is damaged).
        """
        try:
            data = self._data(image)
        except OSError as error:
            raise StoreError(f"picture `{image.sha256[:12]}` in `{image.pack}`: {error}") from error
        if hashlib.sha256(data).hexdigest() != image.sha256:
            remedy = "the file was changed after it was read; run `vlmix sources register` or the build again"
            raise StoreError(f"picture `{image.sha256[:12]}` in `{image.pack}` has other bytes than stored; {remedy}")
        return data

    def picture(self, image: Image) -> Picture:
        """The decoded picture."""
        return decode(self(image))

    def _data(self, image: Image) -> bytes:
        path = self._locate(image.pack)
        remote = None if "://" in self.store else remote_of(Path(self.store))
        if remote and not image.pack.startswith(_MIRROR) and not Path(path).is_file():
            return remote.read(image.pack, image.offset, image.size)
        return self.read(path, image.offset, image.size)

    def _locate(self, pack: str) -> str:
        if not pack.startswith(_MIRROR):
            return f"{self.store}/{pack}"
        name, _, relative = pack.removeprefix(_MIRROR).partition("/")
        return f"{_mirror_root(self.store, name)}/{relative}"


def _mirror_root(store: str, name: str) -> str:
    # 30 us beside 150 us for the picture; a cache would not notice that the mirror was moved
    with fsspec.open(f"{store}/mirrors/{name}.json", "rb") as handle:
        return Mirror.model_validate_json(handle.read()).root


def mirror_pack(name: str, relative: str) -> str:
    """Pack name of a file of a registered mirror."""
    return f"{_MIRROR}{name}/{relative}"


def mirror_file(store: str, image: Image) -> tuple[str, str, str] | None:
    """Mirror name, its folder and the path in it, where the picture is a whole file of a registered mirror.

    None for pictures in packs, for ranges inside archives, and for mirrors that are not folders of this machine.
    """
    if not image.pack.startswith(_MIRROR) or image.offset:
        return None
    name, _, relative = image.pack.removeprefix(_MIRROR).partition("/")
    root = _mirror_root(store, name)
    path = Path(root) / relative
    return (name, root, relative) if path.is_file() and path.stat().st_size == image.size else None
