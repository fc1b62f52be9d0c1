"""The bytes of an archive that may lie in several files."""

import io
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from sources.raw import RawFile

CHUNK: Final = 1 << 20
"""Bytes read at a time."""


class DamagedError(Exception):
    """The archive as a whole cannot be read."""


class _Joined(io.RawIOBase):
    """Several files read as one, without a second copy on disk."""

    def __init__(self, files: Sequence[RawFile], starts: list[int]) -> None:
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
        with io.FileIO(self._files[number].path) as handle:  # 10 us for each `CHUNK`
            handle.seek(self._position - self._starts[number])
            read = handle.readinto(buffer)
        self._position += read
        return read


class Stream(io.BufferedReader):
    """The bytes of an archive from its first piece to its last."""

    def __init__(self, files: Sequence[RawFile], chunk: int = CHUNK) -> None:
        self._files = files
        self.starts = list(accumulate((file.path.stat().st_size for file in files), initial=0))
        """Where each file begins, and where the last one ends."""
        self.size = self.starts[-1]
        super().__init__(_Joined(files, self.starts), chunk)

    def place(self, offset: int, size: int) -> tuple[str, int | None]:
        """Name of the file that holds this byte, and the offset in it if the whole range lies there."""
        number = min(bisect_right(self.starts, offset), len(self._files)) - 1
        whole = offset + size <= self.starts[number + 1]
        return self._files[number].name, offset - self.starts[number] if whole else None

    def exact(self, size: int) -> bytes:
        """So many bytes.

        Raises:
            DamagedError: the archive ends before.
        """
        data = self.read(size)
        if len(data) < size:
            raise DamagedError("it ends early")
        return data
