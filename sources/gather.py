"""Pictures that lie outside the records: downloads and archives, gathered once into packs or referenced in place."""

import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple, Self

import polars as pl
from pydantic import BaseModel

from shards.errors import PictureError, SourceError
from shards.files import write_table
from shards.pack import Image, PackWriter, mirror_pack
from shards.picture import decode
from shards.store import Box
from sources.raw import RawFile
from sources.spec import Source

GATHERED = {
    "ref": pl.String,
    "reason": pl.String,  # quarantine reason; null where the picture is there
    "message": pl.String,
    "sha256": pl.String,
    "pack": pl.String,
    "row": pl.Int32,
    "offset": pl.Int64,
    "size": pl.Int64,
    "width": pl.Int32,
    "height": pl.Int32,
    "format": pl.String,
}
"""One row per reference: either a reason or the IMAGE fields."""

MAX_PICTURE_BYTES = 64 << 20
"""Bytes of one encoded picture above which it is refused. Ours: the largest honest page scan we met has 30 MB."""

_CHUNK = 1 << 20
_EMPTY_READS = 8
"""Reads past the end after which an archive is given up; a whole one without its last blocks needs three. Ours."""


class GatherIndex(BaseModel):
    """Counts of gathered pictures by outcome (`ok` or a reason) and members of the archive that nobody refers to."""

    outcomes: dict[str, int]
    unused: int = 0


class Gathered(NamedTuple):
    """One reference and what became of it."""

    ref: str
    image: Image | None
    reason: str = ""
    message: str = ""

    def row(self) -> tuple[object, ...]:
        """Values in the order of `GATHERED`."""
        if self.image is None:
            return (self.ref, self.reason, self.message, *[None] * len(Image._fields))
        return (self.ref, None, None, *self.image)


def store_picture(packs: PackWriter, ref: str, data: bytes, seen: dict[str, Image]) -> Gathered:
    """Check one picture and store its bytes unless the same bytes are there already."""
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        if sha256 not in seen:
            seen[sha256] = packs.add(data, sha256, decode(data))
    except PictureError as error:
        return Gathered(ref, None, error.reason, str(error))
    return Gathered(ref, seen[sha256])


def finish(box: Box, rows: list[Gathered], unused: int = 0) -> None:
    """Write the table of a gathering box and complete it."""
    frame = write_rows(box.path / "gathered.parquet", rows)
    outcomes = frame.group_by(pl.col("reason").fill_null("ok")).len().sort("reason")
    box.finish(GatherIndex(outcomes=dict(outcomes.iter_rows()), unused=unused))


def write_rows(path: Path, rows: list[Gathered]) -> pl.DataFrame:
    """Write a table of gathered pictures, in the order given."""
    frame = pl.DataFrame([row.row() for row in rows], GATHERED, orient="row")
    write_table(path, frame)
    return frame


def load(box: Box) -> dict[str, Gathered]:
    """The gathered pictures of a box by reference."""
    return {row.ref: row for row in read_rows(box.path / "gathered.parquet")}


def read_rows(path: Path) -> list[Gathered]:
    """Rows of a table of gathered pictures, in order."""
    return [_gathered(row) for row in pl.read_parquet(path).iter_rows()]


def _gathered(row: tuple[str, ...]) -> Gathered:
    ref, reason, message, *image = row
    return Gathered(ref, None, reason, message) if reason else Gathered(ref, Image._make(image))


def unpack(box: Box, source: Source, files: tuple[RawFile, ...], wanted: set[str]) -> None:
    """Stream the tar archive (or raw pieces of one) once and gather every member that a record refers to.

    Members outside `wanted` are counted as unused. An uncompressed single-file tar of a source with
    `pictures: reference` is not copied: the members' byte ranges are recorded.

    Raises:
        SourceError: the archive ends early or is no tar file.
    """
    seen: dict[str, Image] = {}
    found: dict[str, Gathered] = {}
    unused = 0
    with PackWriter(box.store, box.name, "pictures") as packs:
        for group in _groups(files):
            reference = source.pictures == "reference" and len(group) == 1 and not _is_gzip(group[0].path)
            for name, data, offset in _members(source, group):
                if name not in wanted:
                    unused += 1
                elif name not in found and reference:
                    found[name] = refer(source, name, data, group[0].name, offset)
                elif name not in found:
                    found[name] = store_picture(packs, name, data, seen)
    why = f"not among the archive's regular files of at most {MAX_PICTURE_BYTES} bytes"
    missing = [Gathered(ref, None, "picture_missing", why) for ref in sorted(wanted - found.keys())]
    finish(box, [found[name] for name in sorted(found)] + missing, unused)


def refer(source: Source, ref: str, data: bytes, file: str, offset: int) -> Gathered:
    """Check one picture and refer to its bytes where they lie: in `file` of the mirror, from `offset`."""
    try:
        picture = decode(data)
    except PictureError as error:
        return Gathered(ref, None, error.reason, str(error))
    sha256 = hashlib.sha256(data).hexdigest()
    pack = mirror_pack(source.name, file)
    return Gathered(ref, Image(sha256, pack, None, offset, len(data), picture.width, picture.height, picture.format))


def _groups(files: tuple[RawFile, ...]) -> list[list[RawFile]]:
    """Files that each are a tar stand alone; raw pieces (`a.tar.00`, `a.tar.01`, ...) are one stream per stem."""
    groups: dict[str, list[RawFile]] = {}
    for file in files:
        suffix = PurePosixPath(file.name).suffix
        stem = file.name.removesuffix(suffix) if suffix[1:].isdecimal() else file.name
        groups.setdefault(stem, []).append(file)
    return list(groups.values())


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(2) == b"\x1f\x8b"


def _members(source: Source, group: list[RawFile]) -> Iterator[tuple[str, bytes, int]]:
    """Name (without leading `./`), bytes and offset of every regular member, in stream order."""
    names = ", ".join(file.name for file in group)
    try:
        with _Joined([file.path for file in group]) as joined:
            stream = gzip.GzipFile(fileobj=joined) if _is_gzip(group[0].path) else joined
            with tarfile.open(fileobj=_Ending(stream), mode="r|", tarinfo=_Strict) as archive:
                for member in archive:
                    if member.isreg() and not member.issparse() and member.size <= MAX_PICTURE_BYTES:
                        handle = archive.extractfile(member)
                        assert handle is not None
                        yield member.name.removeprefix("./"), handle.read(), member.offset_data
            while stream is not joined and stream.read(_CHUNK):
                pass  # gzip compares its checksum at the end of the stream, which lies behind that of the archive
    except (tarfile.TarError, EOFError, OSError, zlib.error, ValueError, RecursionError) as error:
        # headers are parsed as they come: broken numbers and names are a ValueError, endless chains a RecursionError
        remedy = "fetch the archive again; is a piece missing?"
        raise SourceError(f"source `{source.name}`: archive `{names}`: {error}; {remedy}") from error


class _Strict(tarfile.TarInfo):
    """Stops at a damaged header, which `tarfile` takes for the end of the archive unless it is the first one."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if any(buf):
                raise tarfile.ReadError(f"damaged header: {error}") from error
            raise  # nothing, or a block of zeros: the end


class _Ending(io.RawIOBase):
    """Stops reading past the end; `tarfile` would skip a member of 2^62 bytes by 2^48 reads of nothing."""

    def __init__(self, stream: io.BufferedIOBase | io.RawIOBase) -> None:
        self._stream = stream
        self._empty = 0

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._empty = 0 if data else self._empty + 1
        if self._empty > _EMPTY_READS:
            raise EOFError("a member is larger than the archive")
        return data or b""


class _Joined(io.RawIOBase):
    """Several files read as one, without a second copy on disk."""

    def __init__(self, paths: list[Path]) -> None:
        self._paths = list(paths)
        self._handle: IO[bytes] | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        chunks: list[bytes] = []
        while size != 0:
            if self._handle is None:
                if not self._paths:
                    break
                self._handle = self._paths.pop(0).open("rb")
            chunk = self._handle.read(size)
            if not chunk:
                self._handle.close()
                self._handle = None
                continue
            chunks.append(chunk)
            size = size - len(chunk) if size > 0 else size
        return b"".join(chunks)

    def close(self) -> None:
        if self._handle:
            self._handle.close()
        super().close()
