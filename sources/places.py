"""Where pictures lie, looked up by a name: 12 bytes a picture in memory where a dictionary of objects needs 1,000.

A source may have tens of millions of pictures, and one process reads it. What is known of a picture, 84 bytes, lies in
a file without a name, which is gone with the process.
"""

import hashlib
import os
import tempfile
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from shards.disk import writing
from shards.pack import Image

_FRESH: Final = 4096
"""Pictures that are kept as objects before they are packed."""
_NONE: Final = -1

_FIXED: Final = np.dtype(
    [
        ("second", "u8"),  # of the digest of the name; the first half is in the index
        ("sha256", "u1", 32),
        ("pack", "i4"),
        ("format", "i4"),
        ("row", "i4"),
        ("width", "i4"),
        ("height", "i4"),
        ("offset", "i8"),
        ("size", "i8"),
    ]
)

Digests = npt.NDArray[np.uint64]


class _Run(NamedTuple):
    """Part of the index: first halves of digests, sorted, and the places of their pictures."""

    digests: Digests
    places: npt.NDArray[np.uint32]


class Places:
    """Pictures by name, to be added and looked up; names are remembered by 128 bits of their BLAKE2.

    The index is a few sorted runs, each more than twice as long as the next, so that adding stays cheap. The folder is
    where the file is made, once there are more than `_FRESH`.

    Raises:
        StoreError: while pictures are added; the disk is full, or the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fresh: dict[str, Image] = {}
        self._packed = 0
        """Pictures in the file, which is open while there are any."""
        self._file = -1
        self._runs: list[_Run] = []
        self._words: list[str] = []
        """Names of packs and formats, by number."""
        self._numbers: dict[str, int] = {}

    def __len__(self) -> int:
        """Pictures added."""
        return self._packed + len(self._fresh)

    def __setitem__(self, name: str, image: Image) -> None:
        """Add a picture under a name that has none yet."""
        self._fresh[name] = image
        if len(self._fresh) == _FRESH:
            self._pack()

    def update(self, images: Iterable[tuple[str, Image]]) -> None:
        """Add pictures; names that have one keep it."""
        for name, image in images:
            if name not in self:
                self[name] = image

    def __contains__(self, name: str) -> bool:
        """Whether a picture has this name."""
        return name in self._fresh or self._place(name) is not None

    def __getitem__(self, name: str) -> Image:
        """The picture of a name.

        Raises:
            KeyError: there is none.
        """
        found = self.get(name)
        if found is None:
            raise KeyError(name)
        return found

    def get(self, name: str) -> Image | None:
        """The picture of a name; None where there is none."""
        if name in self._fresh:
            return self._fresh[name]
        place = self._place(name)
        return None if place is None else self._image(place)

    def _place(self, name: str) -> int | None:
        if not self._runs:
            return None
        first, second = np.frombuffer(_digest(name), np.uint64)
        for run in self._runs:
            at = int(run.digests.searchsorted(first))
            while at < len(run.digests) and run.digests[at] == first:
                place = int(run.places[at])
                if self._fixed(place)["second"] == second:
                    return place
                at += 1
        return None

    def _image(self, place: int) -> Image:
        fixed = self._fixed(place)
        row = int(fixed["row"])
        return Image(
            sha256=fixed["sha256"].tobytes().hex(),
            pack=self._words[fixed["pack"]],
            row=None if row == _NONE else row,
            offset=int(fixed["offset"]),
            size=int(fixed["size"]),
            width=int(fixed["width"]),
            height=int(fixed["height"]),
            format=self._words[fixed["format"]],
        )

    def _fixed(self, place: int) -> np.void:
        size = _FIXED.itemsize
        found: np.void = np.frombuffer(os.pread(self._file, size, place * size), _FIXED)[0]
        return found

    def _pack(self) -> None:
        images = list(self._fresh.values())
        digests = np.frombuffer(b"".join(map(_digest, self._fresh)), np.uint64).reshape(-1, 2)
        fixed = np.empty(_FRESH, _FIXED)
        fixed["second"] = digests[:, 1]
        shas = b"".join(bytes.fromhex(image.sha256) for image in images)
        fixed["sha256"] = np.frombuffer(shas, np.uint8).reshape(-1, 32)
        for name in ("offset", "size", "width", "height"):
            fixed[name] = [getattr(image, name) for image in images]
        fixed["row"] = [_NONE if image.row is None else image.row for image in images]
        fixed["pack"] = [self._word(image.pack) for image in images]
        fixed["format"] = [self._word(image.format) for image in images]
        self._index(digests[:, 0], len(self))
        with writing(self._folder):
            self._append(fixed.tobytes())
        self._packed += _FRESH
        self._fresh = {}

    def _append(self, data: bytes) -> None:
        if not self._packed:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._folder, prefix=".", suffix=".tmp") as file:
                self._file = os.dup(file.fileno())
            weakref.finalize(self, os.close, self._file)
        with open(self._file, "ab", closefd=False) as file:
            file.write(data)

    def _word(self, word: str) -> int:
        number = self._numbers.setdefault(word, len(self._words))
        if number == len(self._words):
            self._words.append(word)
        return number

    def _index(self, digests: Digests, end: int) -> None:
        """Add the pictures before `end` to the index."""
        run = _sorted(digests, np.arange(end - len(digests), end, dtype=np.uint32))
        while self._runs and len(self._runs[-1].digests) <= 2 * len(run.digests):
            last = self._runs.pop()
            run = _sorted(np.concatenate([last.digests, run.digests]), np.concatenate([last.places, run.places]))
        self._runs.append(run)


def _sorted(digests: Digests, places: npt.NDArray[np.uint32]) -> _Run:
    order = np.argsort(digests, kind="stable")
    return _Run(digests[order], places[order])


def _digest(name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()
