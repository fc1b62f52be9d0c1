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
import stat
import struct
import tarfile
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Final, NamedTuple, Self

from shards.errors import SourceError
from sources.raw import RawFile

MAX_PICTURE_BYTES: Final = 64 << 20
"""Bytes of one encoded picture above which it is refused. Ours: the largest honest page scan we met has 30 MB."""

MAX_NAME_BYTES: Final = 4096
"""Bytes of a member's name above which it is refused: PATH_MAX of Linux."""

MAX_INFLATION: Final = 1000
"""Bytes of a compressed tar for each of its file above which it is given up, from `_FREE_BYTES` on. Ours."""

_FREE_BYTES: Final = 256 << 20
_CHUNK: Final = 1 << 20
_EMPTY_READS: Final = 8
"""Reads past the end after which an archive is given up; a whole one without its last blocks needs three. Ours."""

_COMPRESSED: Final[dict[bytes, Callable[[io.BufferedReader], io.BufferedIOBase]]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_LONG_HEADERS: Final = (b"L", b"K", b"x", b"g", b"X")
_ZIP: Final = re.compile(rb"PK(\x03\x04|\x05\x06|\x07\x08)")
_NESTED: Final = re.compile(r"\.(tar|tgz|tbz2?|txz|gz|bz2|xz|zst|zip|7z|rar)$", re.IGNORECASE)
_PIECE: Final = re.compile(
    r"(\.\d+"  # x.00, x.tar.01, x.zip.001
    r"|[._-]part[._-]?([a-z]{2}|\d+)"  # x.tar.gz.partaa, x.part_00
    r"|(?<=\.tar|r\.gz|\.tgz|\.bz2|r\.xz|\.zip)(?!\.[gx]z)[._-]?[a-z]{2})$",  # x.tar.gz.aa, x.tar.gzaa, not x.tar.gz
    re.IGNORECASE,
)
_SPLIT_ZIP: Final = re.compile(r"\.(z\d+|zip)$", re.IGNORECASE)


class Member(NamedTuple):
    """One file in an archive: its bytes, or None and why they are refused.

    `name` has no leading `./`. `data` lies byte for byte in the raw file `file` from `offset`; None: it is compressed,
    or cut in two by the border of a piece.
    """

    name: str
    data: bytes | None
    file: str
    offset: int | None
    reason: str = ""
    message: str = ""


class _DamagedError(Exception):
    """The archive as a whole cannot be read."""


_FAULTS: Final = (_DamagedError, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError)
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
            with _Stream(group) as stream:
                head = stream.read(6)
                is_zip = _ZIP.match(head) or group[-1].name.lower().endswith(".zip")
                yield from _zip(stream) if is_zip else _tar(stream, head)
        except (*_FAULTS, *_FAULTS_OF_TAR) as error:
            names = ", ".join(file.name for file in group)
            remedy = "fetch the archive again; is a piece missing?"
            raise SourceError(f"source `{source_name}`: archive `{names}`: {error}; {remedy}") from error


def leaves(path: str) -> bool:
    """Whether a path leads, on any system, out of the folder that it is relative to."""
    drive = path[:1].isalpha() and path[1:2] == ":"
    return drive or path.startswith("/") or "\\" in path or ".." in path.split("/")


def _groups(files: tuple[RawFile, ...]) -> list[list[RawFile]]:
    """Files that are an archive each stand alone; pieces are together, the `.zip` of a split one last."""
    groups: dict[tuple[bool, bool, str], list[RawFile]] = {}
    for file in files:
        split, piece = _SPLIT_ZIP.search(file.name), _PIECE.search(file.name)
        stem = file.name[: end.start()] if (end := split or piece) else file.name
        groups.setdefault((bool(split), bool(piece), stem), []).append(file)
    return [sorted(group, key=lambda file: file.name.lower().endswith(".zip")) for group in groups.values()]


def _named(raw: bytes) -> tuple[str, tuple[str, str] | None]:
    name = raw.decode("utf-8", "backslashreplace").removeprefix("./")
    try:
        raw.decode()
    except UnicodeDecodeError:
        return name, ("archive_member_name", f"member `{name}` of the archive has a name that is not UTF-8")
    if not name or "\0" in name or len(raw) > MAX_NAME_BYTES:
        return name, ("archive_member_name", f"member {name[:40]!r} of the archive has an impossible name")
    if leaves(name):
        return name, ("unsafe_path", f"member `{name}` leads out of the archive")
    if _NESTED.search(name):
        return name, ("nested_archive", f"member `{name}` is an archive in the archive, which is not opened")
    return name, None


def _too_large(size: int) -> tuple[str, str] | None:
    why = f"{size} bytes, limit {MAX_PICTURE_BYTES}"
    return ("picture_too_large", why) if size > MAX_PICTURE_BYTES else None


def _tar(stream: "_Stream", head: bytes) -> Iterator[Member]:
    stream.seek(0)
    opened = next((how(stream) for magic, how in _COMPRESSED.items() if head.startswith(magic)), None)
    content = _Ending(opened or stream, max(_FREE_BYTES, MAX_INFLATION * stream.size))
    with tarfile.open(fileobj=content, mode="r|", tarinfo=_Strict) as archive:
        while (info := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # typeshed hides it; 1 kB for each of millions
            if info.isdir():
                continue
            name, refused = _named(info.name.encode("utf-8", "surrogateescape"))
            if not refused and (not info.isreg() or info.issparse()):
                refused = "archive_member_not_regular", f"member `{name}` is a link, a device or has holes"
            refused = refused or _too_large(info.size)
            file, offset = (stream.place(0, 0)[0], None) if opened else stream.place(info.offset_data, info.size)
            if refused:
                yield Member(name, None, file, None, *refused)
                continue
            handle = archive.extractfile(info)
            assert handle is not None
            yield Member(name, handle.read(), file, offset)
    while opened and content.read(_CHUNK):
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
        if info.size < 0 or (info.type in _LONG_HEADERS and info.size > _CHUNK):
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


class _Joined(io.RawIOBase):
    """Several files read as one, without a second copy on disk."""

    def __init__(self, files: list[RawFile], starts: list[int]) -> None:
        self._files = files
        self._starts = starts
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._starts[-1]}[whence]
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # `Buffer` has no name before 3.12
        number = bisect_right(self._starts, self._position) - 1
        if number >= len(self._files):
            return 0
        with io.FileIO(self._files[number].path) as handle:  # 10 us for each `_CHUNK`
            handle.seek(self._position - self._starts[number])
            read = handle.readinto(buffer)
        self._position += read
        return read


class _Stream(io.BufferedReader):
    """The bytes of an archive from its first piece to its last."""

    def __init__(self, files: list[RawFile]) -> None:
        self._files = files
        self.starts = list(accumulate((file.path.stat().st_size for file in files), initial=0))
        self.size = self.starts[-1]
        super().__init__(_Joined(files, self.starts), _CHUNK)

    def place(self, offset: int, size: int) -> tuple[str, int | None]:
        """Name of the file that holds this byte, and the offset in it if the whole range lies there."""
        number = min(bisect_right(self.starts, offset), len(self._files)) - 1
        whole = offset + size <= self.starts[number + 1]
        return self._files[number].name, offset - self.starts[number] if whole else None

    def exact(self, size: int) -> bytes:
        data = self.read(size)
        if len(data) < size:
            raise _DamagedError("it ends early")
        return data


_END: Final = struct.Struct("<4s4H2IH")
_END_64: Final = struct.Struct("<4sQ2H2I4Q")
_LOCATOR_64: Final = struct.Struct("<4sIQI")
_ENTRY: Final = struct.Struct("<4s6H3I5H2I")
_HEADER: Final = struct.Struct("<4s5H3I2H")
_FIELD: Final = struct.Struct("<2H")
_MAX_16, _MAX_32 = 0xFFFF, 0xFFFFFFFF
_STORED, _DEFLATED, _AES = 0, 8, 99  # methods
_LOCKED: Final = 1 | 1 << 6 | 1 << 13  # flags: encrypted bytes, strongly so, encrypted headers


class _Entry(NamedTuple):
    position: int
    raw_name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    mode: int


def _zip(stream: _Stream) -> Iterator[Member]:
    entries, directory = _directory(stream)
    limits = [*(entry.position for entry in entries[1:]), directory]
    for entry, limit in zip(entries, limits, strict=True):
        if entry.raw_name.endswith(b"/"):
            continue
        name, refused = _named(entry.raw_name)
        refused = refused or _refused(entry) or _too_large(max(entry.packed, entry.size))
        start = entry.position if refused else _start(stream, entry)
        if not refused and start + entry.packed > limit:
            # members that claim each other's bytes are how a small zip inflates to petabytes
            refused = "archive_member_overlap", f"member `{name}` runs into another one"
        data, refused = (b"", refused) if refused else _content(stream.exact(entry.packed), entry)
        file, offset = stream.place(start, entry.packed)
        if refused:
            yield Member(name, None, file, None, *refused)
        else:
            yield Member(name, data, file, offset if entry.method == _STORED else None)


def _refused(entry: _Entry) -> tuple[str, str] | None:
    if entry.flags & _LOCKED or entry.method == _AES:
        return "archive_member_encrypted", "the archive's member needs a password"
    if stat.S_IFMT(entry.mode) not in {0, stat.S_IFREG}:
        return "archive_member_not_regular", "the archive's member is a link or a device"
    if entry.method not in {_STORED, _DEFLATED}:
        return "archive_member_method", f"compression method {entry.method}, expected {_STORED} or {_DEFLATED}"
    return None


def _start(stream: _Stream, entry: _Entry) -> int:
    """Where the bytes of a member begin; the handle stands there."""
    stream.seek(entry.position)
    mark, _, _, method, _, _, _, _, _, name_size, extra_size = _HEADER.unpack(stream.exact(_HEADER.size))
    if mark != b"PK\3\4" or method != entry.method or stream.exact(name_size) != entry.raw_name:
        raise _DamagedError(f"no member {entry.raw_name[:80]!r} where the directory says that it is")
    return stream.seek(extra_size, io.SEEK_CUR)


def _content(packed: bytes, entry: _Entry) -> tuple[bytes, tuple[str, str] | None]:
    data = packed
    if entry.method == _DEFLATED:
        data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, entry.size + 1)
    if len(data) > entry.size:
        return b"", ("archive_member_size", f"more than the {entry.size} bytes that the archive says it has")
    if len(data) < entry.size or zlib.crc32(data) != entry.crc:
        raise _DamagedError(f"member {entry.raw_name[:80]!r} has other bytes than its checksum says")
    return data, None


def _directory(stream: _Stream) -> tuple[list[_Entry], int]:
    """The entries of a zip from front to back, and where its directory begins."""
    end, disk, first, number, size, offset = _end(stream)
    if disk and disk + 2 != len(stream.starts):
        raise _DamagedError(f"split into {disk + 1} pieces, found {len(stream.starts) - 1}")
    shift = end - size - _disk(stream, first) - offset  # something else may stand before a zip
    if shift < 0 or (shift and disk):
        raise _DamagedError(f"its directory should lie {abs(shift)} bytes elsewhere")
    stream.seek(end - size)
    entries = list(_entries(stream, size, shift))
    if (len(entries) - number) % (_MAX_16 + 1):  # macOS writes the number modulo 2^16
        raise _DamagedError(f"damaged directory: expected {number} members, found {len(entries)}")
    return sorted(entries), end - size


def _end(stream: _Stream) -> tuple[int, int, int, int, int, int]:
    """Where the directory ends, this piece, its first piece, number of entries, its size, its offset in that piece."""
    tail_at = stream.seek(max(0, stream.size - _END.size - _MAX_16))
    tail = stream.exact(stream.size - tail_at)
    at = tail.rfind(b"PK\5\6")
    while at >= 0 and (at + _END.size > len(tail) or at + _END.size + _END.unpack_from(tail, at)[-1] != len(tail)):
        at = tail.rfind(b"PK\5\6", 0, at + 3)  # bytes of a comment
    if at < 0:
        raise _DamagedError("no directory at the end of the zip")
    end = tail_at + at
    _, disk, first, _, number, size, offset, _ = _END.unpack_from(tail, at)
    if _MAX_16 in {disk, first, number} or _MAX_32 in {size, offset}:
        stream.seek(max(0, end - _LOCATOR_64.size))
        mark, disk_64, offset_64, _ = _LOCATOR_64.unpack(stream.exact(_LOCATOR_64.size))
        if mark == b"PK\6\7":
            end = stream.seek(_disk(stream, disk_64) + offset_64)
            mark, *_, disk, first, _, number, size, offset = _END_64.unpack(stream.exact(_END_64.size))
            if mark != b"PK\6\6":
                raise _DamagedError("no zip64 directory where its locator says that it is")
    return end, disk, first, number, size, offset


def _disk(stream: _Stream, number: int) -> int:
    if number + 1 >= len(stream.starts):
        raise _DamagedError(f"no piece {number + 1}")
    return stream.starts[number]


def _entries(stream: _Stream, left: int, shift: int) -> Iterator[_Entry]:
    while left > 0:
        mark, _, _, flags, method, _, _, crc, packed, size, *more = _ENTRY.unpack(stream.exact(_ENTRY.size))
        name_size, extra_size, comment_size, disk, _, attributes, offset = more
        if mark != b"PK\1\2":
            raise _DamagedError("damaged directory: an entry is none")
        raw_name, extra, _ = stream.exact(name_size), stream.exact(extra_size), stream.exact(comment_size)
        size, packed, offset = _wide(extra, (size, packed, offset))
        position = _disk(stream, disk) + offset + shift
        yield _Entry(position, raw_name, flags, method, crc, packed, size, attributes >> 16)
        left -= _ENTRY.size + name_size + extra_size + comment_size
    if left:
        raise _DamagedError("damaged directory: its last entry is too long")


def _wide(extra: bytes, values: tuple[int, int, int]) -> Iterator[int]:
    """Size, packed size and offset of an entry; those of more than 32 bits stand in its zip64 field, in this order."""
    wide: Iterator[tuple[int, ...]] = iter(())
    while len(extra) >= _FIELD.size:
        kind, length = _FIELD.unpack_from(extra)
        if kind == 1:
            wide = struct.iter_unpack("<Q", extra[_FIELD.size :][: length // 8 * 8])
            break
        extra = extra[_FIELD.size + length :]
    return (next(wide, (value,))[0] if value == _MAX_32 else value for value in values)
