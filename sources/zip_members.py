"""Members of a zip, of pieces of one and of split ones, read by its directory; see sources/archive.py for reasons.

Source: PKWARE's APPNOTE 6.3.10, sections 4.3 to 4.5 and 8 (split archives).
"""

import io
import stat
import struct
import zlib
from array import array
from collections.abc import Iterator, Sequence
from itertools import chain, groupby, pairwise
from typing import Final, NamedTuple

import numpy as np

from sources.member import Member, named, too_large
from sources.raw import RawFile
from sources.stream import DamagedError, Stream

_DIRECTORY_CHUNK: Final = 1 << 16
"""Bytes of a directory read at a time; most have their entries in the order of the members. Ours."""
_FAR: Final = 1 << 63
"""Behind the end of any file."""
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


class _Directory(NamedTuple):
    """Where the directory of a zip begins and ends, how many entries it says it has, and what stands before the zip."""

    begin: int
    end: int
    number: int
    shift: int


def zip_members(stream: Stream, files: Sequence[RawFile]) -> Iterator[Member]:
    """Every file in a zip from front to back; `files` are its pieces, which `stream` reads.

    Of a member 16 bytes are in memory: its entry in the directory is read again when its turn comes.
    """
    with Stream(files, _DIRECTORY_CHUNK) as beside:
        directory = _directory(beside)
        for entry, following in pairwise(chain(_in_order(beside, directory), (None,))):
            assert entry is not None, "only the last one is"
            if not entry.raw_name.endswith(b"/"):
                yield _member(stream, entry, following.position if following else directory.begin)


def _member(stream: Stream, entry: _Entry, limit: int) -> Member:
    """The file of an entry, which ends before `limit`."""
    name, refused = named(entry.raw_name)
    refused = refused or _refused(entry) or too_large(max(entry.packed, entry.size))
    start = entry.position if refused else _start(stream, entry)
    if not refused and start + entry.packed > limit:
        # members that claim each other's bytes are how a small zip inflates to petabytes
        refused = "archive_member_overlap", f"member `{name}` runs into another one"
    data, refused = (b"", refused) if refused else _content(stream.exact(entry.packed), entry)
    file, offset = stream.place(start, entry.packed)
    if refused:
        return Member(name, None, file, None, *refused)
    return Member(name, data, file, offset if entry.method == _STORED else None)


def _refused(entry: _Entry) -> tuple[str, str] | None:
    if entry.flags & _LOCKED or entry.method == _AES:
        return "archive_member_encrypted", "the archive's member needs a password"
    if stat.S_IFMT(entry.mode) not in {0, stat.S_IFREG}:
        return "archive_member_not_regular", "the archive's member is a link or a device"
    if entry.method not in {_STORED, _DEFLATED}:
        return "archive_member_method", f"compression method {entry.method}, expected {_STORED} or {_DEFLATED}"
    return None


def _start(stream: Stream, entry: _Entry) -> int:
    """Where the bytes of a member begin; the handle stands there."""
    stream.seek(entry.position)
    mark, _, _, method, _, _, _, _, _, name_size, extra_size = _HEADER.unpack(stream.exact(_HEADER.size))
    if mark != b"PK\3\4" or method != entry.method or stream.exact(name_size) != entry.raw_name:
        raise DamagedError(f"no member {entry.raw_name[:80]!r} where the directory says that it is")
    return stream.seek(extra_size, io.SEEK_CUR)


def _content(packed: bytes, entry: _Entry) -> tuple[bytes, tuple[str, str] | None]:
    data = packed
    if entry.method == _DEFLATED:
        data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, entry.size + 1)
    if len(data) > entry.size:
        return b"", ("archive_member_size", f"more than the {entry.size} bytes that the archive says it has")
    if len(data) < entry.size or zlib.crc32(data) != entry.crc:
        raise DamagedError(f"member {entry.raw_name[:80]!r} has other bytes than its checksum says")
    return data, None


def _directory(stream: Stream) -> _Directory:
    end, disk, first, number, size, offset = _end(stream)
    if disk and disk + 2 != len(stream.starts):
        raise DamagedError(f"split into {disk + 1} pieces, found {len(stream.starts) - 1}")
    shift = end - size - _disk(stream, first) - offset  # something else may stand before a zip
    if shift < 0 or (shift and disk):
        raise DamagedError(f"its directory should lie {abs(shift)} bytes elsewhere")
    return _Directory(end - size, end, number, shift)


def _in_order(stream: Stream, directory: _Directory) -> Iterator[_Entry]:
    """The entries of a directory, which has them in any order, by the places of their members."""
    positions, places = array("Q"), array("Q")
    at = stream.seek(directory.begin)
    while at < directory.end:
        entry, size = _entry(stream, directory.shift)
        positions.append(min(entry.position, _FAR))
        places.append(at)
        at += size
    if at > directory.end:
        raise DamagedError("damaged directory: its last entry is too long")
    if (len(places) - directory.number) % (_MAX_16 + 1):  # macOS writes the number modulo 2^16
        raise DamagedError(f"damaged directory: expected {directory.number} members, found {len(places)}")
    order = np.argsort(np.frombuffer(positions, np.uint64), kind="stable")
    for _, same in groupby(order, key=positions.__getitem__):  # only a damaged zip has two at one place
        yield from sorted(_read(stream, places[number], directory.shift) for number in same)


def _read(stream: Stream, place: int, shift: int) -> _Entry:
    stream.seek(place)
    return _entry(stream, shift)[0]


def _end(stream: Stream) -> tuple[int, int, int, int, int, int]:
    """Where the directory ends, this piece, its first piece, number of entries, its size, its offset in that piece."""
    tail_at = stream.seek(max(0, stream.size - _END.size - _MAX_16))
    tail = stream.exact(stream.size - tail_at)
    at = tail.rfind(b"PK\5\6")
    while at >= 0 and (at + _END.size > len(tail) or at + _END.size + _END.unpack_from(tail, at)[-1] != len(tail)):
        at = tail.rfind(b"PK\5\6", 0, at + 3)  # bytes of a comment
    if at < 0:
        raise DamagedError("no directory at the end of the zip")
    end = tail_at + at
    _, disk, first, _, number, size, offset, _ = _END.unpack_from(tail, at)
    if _MAX_16 in {disk, first, number} or _MAX_32 in {size, offset}:
        stream.seek(max(0, end - _LOCATOR_64.size))
        mark, disk_64, offset_64, _ = _LOCATOR_64.unpack(stream.exact(_LOCATOR_64.size))
        if mark == b"PK\6\7":
            end = stream.seek(_disk(stream, disk_64) + offset_64)
            mark, *_, disk, first, _, number, size, offset = _END_64.unpack(stream.exact(_END_64.size))
            if mark != b"PK\6\6":
                raise DamagedError("no zip64 directory where its locator says that it is")
    return end, disk, first, number, size, offset


def _disk(stream: Stream, number: int) -> int:
    if number + 1 >= len(stream.starts):
        raise DamagedError(f"no piece {number + 1}")
    return stream.starts[number]


def _entry(stream: Stream, shift: int) -> tuple[_Entry, int]:
    """The entry of a directory that begins here, and its bytes."""
    mark, _, _, flags, method, _, _, crc, packed, size, *more = _ENTRY.unpack(stream.exact(_ENTRY.size))
    name_size, extra_size, comment_size, disk, _, attributes, offset = more
    if mark != b"PK\1\2":
        raise DamagedError("damaged directory: an entry is none")
    raw_name, extra, _ = stream.exact(name_size), stream.exact(extra_size), stream.exact(comment_size)
    size, packed, offset = _wide(extra, (size, packed, offset))
    position = _disk(stream, disk) + offset + shift
    entry = _Entry(position, raw_name, flags, method, crc, packed, size, attributes >> 16)
    return entry, _ENTRY.size + name_size + extra_size + comment_size


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
