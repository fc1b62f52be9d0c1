"""An Arrow IPC file with one picture per record batch, written around the bytes of the pictures as they are.

Batches of one schema differ in a few numbers. pyarrow makes the first one, and each picture's numbers are put into a
copy of it: a quarter less CPU than pyarrow takes for all of them, and no copy of the picture. The file is a plain Arrow
IPC file.

Source: Arrow columnar format 1.5, "IPC File Format"; FlatBuffers, "Internals", for the list of batches in the footer.
"""

import os
import struct
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa

PICTURE: Final = pa.schema([pa.field("sha256", pa.string(), False), pa.field("bytes", pa.large_binary(), False)])

_PADDING: Final = 8  # Arrow IPC pads each buffer and each message to this many bytes
_DIGITS: Final = 64
_EXAMPLE_BYTES: Final = 65_521
_END_OF_BATCHES: Final = struct.pack("<II", 0xFFFFFFFF, 0)
_BLOCK: Final = struct.Struct("<qi4xq")  # where a batch begins, bytes of its message and of its body
_TAIL: Final = struct.Struct("<I6s")  # bytes of the footer, magic
_BATCHES_FIELD: Final = 4 + 2 * 3  # where a footer's vtable says where its fourth field is
_AHEAD: Final = 16 << 20
"""Bytes after which the disk is told to begin, so that the wait at the end of a file is short. Ours."""


class _Head(NamedTuple):
    """What stands before the bytes of a picture, cut where its own numbers go."""

    to_body: bytes
    to_size: bytes
    to_sha256: bytes
    to_end: bytes
    metadata: int
    """Bytes of the message without its body."""
    fixed: int
    """Bytes of the body without the picture."""


@lru_cache(1)
def _head() -> _Head:
    data, sha256 = bytes(_EXAMPLE_BYTES), b"?" * _DIGITS
    ends = struct.pack("<ii", 0, _DIGITS), struct.pack("<qq", 0, _EXAMPLE_BYTES)
    columns = [
        pa.Array.from_buffers(kind.type, 1, [None, pa.py_buffer(end), pa.py_buffer(value)])
        for kind, end, value in zip(PICTURE, ends, (sha256, data), strict=True)
    ]
    batch = pa.RecordBatch.from_arrays(columns, schema=PICTURE)
    message = batch.serialize().to_pybytes()
    metadata = 8 + int.from_bytes(message[4:8], "little")
    padded = _padded(_EXAMPLE_BYTES)
    head = message[:-padded]
    to_body, rest = head.split(_number(len(message) - metadata))
    to_size, rest, nothing = rest.split(_number(_EXAMPLE_BYTES))
    to_sha256, to_end = rest.split(sha256)
    assert not nothing
    return _Head(to_body, to_size, to_sha256, to_end, metadata, len(head) - metadata)


@lru_cache(1)
def _frame() -> tuple[bytes, bytes]:
    """What pyarrow writes before the first batch, and the footer of a file without any."""
    sink = pa.BufferOutputStream()
    pa.ipc.new_file(sink, PICTURE).close()
    data = sink.getvalue().to_pybytes()
    size, _ = _TAIL.unpack(data[-_TAIL.size :])
    footer = data[-_TAIL.size - size : -_TAIL.size]
    return data[: -_TAIL.size - size].removesuffix(_END_OF_BATCHES), footer


class ArrowFile:
    """Writes pictures to one file; nothing of it may be read before `close`."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)
        self._blocks = bytearray()
        self.size = 0
        """Bytes written."""
        self._begun = 0
        try:
            self._write(_frame()[0])
        except OSError:
            self._file.close()
            raise

    def append(self, data: bytes, sha256: str) -> tuple[int, int]:
        """Add a batch with one picture: its number, and where its bytes begin."""
        head, size, padded = _head(), _number(len(data)), _padded(len(data))
        body = head.fixed + padded
        self._blocks += _BLOCK.pack(self.size, head.metadata, body)
        offset = self.size + head.metadata + head.fixed
        numbers = head.to_body, _number(body), head.to_size, size, head.to_sha256, sha256.encode(), head.to_end, size
        self._write(b"".join(numbers), data, bytes(padded - len(data)))
        return len(self._blocks) // _BLOCK.size - 1, offset

    def close(self) -> None:
        """Write the footer."""
        footer = bytearray(_frame()[1])
        (table,) = struct.unpack_from("<I", footer)
        (back,) = struct.unpack_from("<i", footer, table)
        (field,) = struct.unpack_from("<H", footer, table - back + _BATCHES_FIELD)
        footer += bytes((4 - len(footer)) % _PADDING)  # so that the blocks behind the number of them are aligned
        struct.pack_into("<I", footer, table + field, len(footer) - table - field)
        footer += struct.pack("<I", len(self._blocks) // _BLOCK.size) + self._blocks
        self._write(_END_OF_BATCHES, footer, _TAIL.pack(len(footer), b"ARROW1"))
        self._file.close()

    def discard(self) -> None:
        """Stop without a footer."""
        self._file.close()

    def _write(self, *parts: bytes | bytearray) -> None:
        total = sum(map(len, parts))
        written = os.writev(self._file.fileno(), parts)
        if written < total:  # a signal, or a disk that is about to be full
            rest = memoryview(b"".join(parts))
            while written < total:
                written += self._file.write(rest[written:])
        self.size += total
        if self.size - self._begun >= _AHEAD and hasattr(os, "posix_fadvise"):
            # Linux begins to write what is not on the disk yet; it cannot drop those pages, and nothing waits
            os.posix_fadvise(self._file.fileno(), self._begun, self.size - self._begun, os.POSIX_FADV_DONTNEED)
            self._begun = self.size


def _number(value: int) -> bytes:
    return value.to_bytes(8, "little")


def _padded(size: int) -> int:
    return -(-size // _PADDING) * _PADDING
