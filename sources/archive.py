"""Members of picture archives, read as a stream: tar, compressed tar, zip, and pieces of each. Nothing is unpacked.

Nobody vouches for an archive. A member that cannot be trusted is handed out without its bytes and with a reason:

* `unsafe_path`: its name leads out of a folder: absolute, `..`, a drive letter, a backslash
* `archive_member_name`: its name is empty, longer than `MAX_NAME_BYTES`, not UTF-8, or holds a NUL
* `archive_member_not_regular`: a link, a device, a pipe, a file with holes
* `nested_archive`: it is called like an archive; archives in archives are not opened
* `picture_too_large`: it says that it has more than `MAX_PICTURE_BYTES`
* `archive_member_encrypted`: it needs a password
* `archive_member_method`: it is compressed in another way than deflate
* `archive_member_overlap`: it shares bytes with another member or with the directory of the zip
* `archive_member_size`: it holds more than the bytes that it says it has

Source: zip as in PKWARE's APPNOTE 6.3.10, sections 4.3 to 4.5 and 8 (split archives).
"""

import bz2
import gzip
import io
import lzma
import re
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterator
from typing import Final, Self

from shards.errors import SourceError
from sources.member import Member, named, too_large
from sources.raw import RawFile
from sources.stream import CHUNK, DamagedError, Stream
from sources.zip_members import zip_members

MAX_INFLATION: Final = 1000
"""Bytes of a compressed tar for each of its file above which it is given up, from `_FREE_BYTES` on. Ours."""

_FREE_BYTES: Final = 256 << 20
_EMPTY_READS: Final = 8
"""Reads past the end after which an archive is given up; a whole one without its last blocks needs three. Ours."""

_COMPRESSED: Final[dict[bytes, Callable[[io.BufferedReader], io.BufferedIOBase]]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_LONG_HEADERS: Final = (b"L", b"K", b"x", b"g", b"X")
_ZIP: Final = re.compile(rb"PK(\x03\x04|\x05\x06|\x07\x08)")
_PIECE: Final = re.compile(
    r"(\.\d+"  # x.00, x.tar.01, x.zip.001
    r"|[._-]part[._-]?([a-z]{2}|\d+)"  # x.tar.gz.partaa, x.part_00
    r"|(?<=\.tar|r\.gz|\.tgz|\.bz2|r\.xz|\.zip)(?!\.[gx]z)[._-]?[a-z]{2})$",  # x.tar.gz.aa, x.tar.gzaa, not x.tar.gz
    re.IGNORECASE,
)
_SPLIT_ZIP: Final = re.compile(r"\.(z\d+|zip)$", re.IGNORECASE)


_FAULTS: Final = (DamagedError, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError)
_FAULTS_OF_TAR: Final = (ValueError, RecursionError)  # numbers and names that are none, endless chains of headers


def members(source_name: str, files: tuple[RawFile, ...]) -> Iterator[Member]:
    """Every file in the archives of a source, in stream order; folders are passed over.

    `files` are whole archives or pieces of such, in natural order of their names: `x.00`, `x.tar.gz.partaa` or
    `x.zip.001` are one stream per stem, `x.z01` ... `x.zip` is a split zip. The first bytes say what an archive is.

    Raises:
        SourceError: an archive is damaged, ends early or is none.
    """
    for group in _groups(files):
        try:
            with Stream(group) as stream:
                head = stream.read(6)
                is_zip = _ZIP.match(head) or group[-1].name.lower().endswith(".zip")
                yield from zip_members(stream, group) if is_zip else _tar(stream, head)
        except (*_FAULTS, *_FAULTS_OF_TAR) as error:
            names = ", ".join(file.name for file in group)
            remedy = "fetch the archive again; is a piece missing?"
            raise SourceError(f"source `{source_name}`: archive `{names}`: {error}; {remedy}") from error


def _groups(files: tuple[RawFile, ...]) -> list[list[RawFile]]:
    """Files that are an archive each stand alone; pieces are together, the `.zip` of a split one last."""
    groups: dict[tuple[bool, bool, str], list[RawFile]] = {}
    for file in files:
        split, piece = _SPLIT_ZIP.search(file.name), _PIECE.search(file.name)
        stem = file.name[: end.start()] if (end := split or piece) else file.name
        groups.setdefault((bool(split), bool(piece), stem), []).append(file)
    return [sorted(group, key=lambda file: file.name.lower().endswith(".zip")) for group in groups.values()]


def _tar(stream: Stream, head: bytes) -> Iterator[Member]:
    stream.seek(0)
    opened = next((how(stream) for magic, how in _COMPRESSED.items() if head.startswith(magic)), None)
    content = _Ending(opened or stream, max(_FREE_BYTES, MAX_INFLATION * stream.size))
    with tarfile.open(fileobj=content, mode="r|", tarinfo=_Strict) as archive:
        while (info := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # typeshed hides it; 1 kB for each of millions
            if info.isdir():
                continue
            name, refused = named(info.name.encode("utf-8", "surrogateescape"))
            if not refused and (not info.isreg() or info.issparse()):
                refused = "archive_member_not_regular", f"member `{name}` is a link, a device or has holes"
            refused = refused or too_large(info.size)
            file, offset = (stream.place(0, 0)[0], None) if opened else stream.place(info.offset_data, info.size)
            if refused:
                yield Member(name, None, file, None, *refused)
                continue
            handle = archive.extractfile(info)
            assert handle is not None
            yield Member(name, handle.read(), file, offset)
    while opened and content.read(CHUNK):
        pass  # checksums stand at the end of the compressed stream, which lies behind that of the archive


class _Strict(tarfile.TarInfo):
    """Stops at a damaged header, which `tarfile` takes for the end of the archive unless it is the first one."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            info = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if any(buf):
                raise tarfile.ReadError(f"damaged header: {error}") from error
            raise  # nothing, or a block of zeros: the end
        if info.size < 0 or (info.type in _LONG_HEADERS and info.size > CHUNK):
            raise tarfile.ReadError(f"header `{info.name}` of {info.size} bytes")
        return info


class _Ending(io.RawIOBase):
    """Stops reading past the end; `tarfile` would skip a member of 2^62 bytes by 2^48 reads of nothing."""

    def __init__(self, stream: io.BufferedIOBase, limit: int) -> None:
        self._stream = stream
        self._left = limit
        self._empty = 0

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._empty = 0 if data else self._empty + 1
        self._left -= len(data)
        if self._empty > _EMPTY_READS:
            raise EOFError("a member is larger than the archive")
        if self._left < 0:
            raise EOFError(f"it inflates to more than {MAX_INFLATION} times its size")
        return data
