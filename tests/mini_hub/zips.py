"""Zip files, whole and split."""

import io
import struct
import zipfile
from collections.abc import Mapping

_SPLIT = b"PK\x07\x08"
_CENTRAL = 46
_END = 22


def zipped(members: Mapping[str, bytes], head: bytes = b"") -> bytes:
    """A zip file that does not know the time."""
    buffer = io.BytesIO(head)
    buffer.seek(len(head))
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in sorted(members.items()):
            archive.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()


def split(members: Mapping[str, bytes]) -> tuple[bytes, bytes]:
    """The pieces `.z01` and `.zip` of a split zip, cut within a member: places count from the start of their piece.

    Source: PKWARE's APPNOTE 6.3.10, sections 4.4 and 8.
    """
    whole = bytearray(zipped(members, _SPLIT))
    end = len(whole) - _END
    number, size, start = struct.unpack_from("<HII", whole, end + 10)
    cut, at = start // 2, start
    for _ in range(number):
        lengths = struct.unpack_from("<HHH", whole, at + 28)
        (local,) = struct.unpack_from("<I", whole, at + 42)
        struct.pack_into("<H", whole, at + 34, int(local >= cut))
        struct.pack_into("<I", whole, at + 42, local - cut if local >= cut else local)
        at += _CENTRAL + sum(lengths)
    struct.pack_into("<HHHHII", whole, end + 4, 1, 1, number, number, size, start - cut)
    return bytes(whole[:cut]), bytes(whole[cut:])
