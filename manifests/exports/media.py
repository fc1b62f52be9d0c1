"""Pictures of an export: each written once under its digest, those of a registered mirror referenced where they lie."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from shards.errors import StoreError
from shards.pack import Image, PictureReader, mirror_file

EXTENSIONS: Final = {
    "JPEG": "jpg",
    "MPO": "jpg",
    "PNG": "png",
    "WEBP": "webp",
    "GIF": "gif",
    "BMP": "bmp",
    "TIFF": "tif",
    "JPEG2000": "jp2",
    "AVIF": "avif",
    "PPM": "ppm",
}
"""File name extension by Pillow's name of the format."""

_THREADS: Final = 4
_UNDER_WAY: Final = 64
"""Pictures that wait for a thread or are being written, at most."""


@dataclass(slots=True)
class Media:
    """Pictures of a store for an export; `folder` is where files of their own are written.

    It remembers no names but those under way, so that memory does not grow with the export: a picture that is there was
    written by it. `referenced` counts mentions of pictures that stay in a mirror.
    """

    reader: PictureReader
    folder: Path
    written: int = 0
    written_bytes: int = 0
    referenced: int = 0
    _threads: ThreadPoolExecutor | None = field(default=None, init=False, repr=False)
    _under_way: dict[str, Future[None]] = field(default_factory=dict, init=False, repr=False)

    @contextmanager
    def in_threads(self) -> Iterator[None]:
        """Have pictures written while rows are: the files are there when this block ends, not when `path` returns.

        Raises:
            StoreError: as `path`, of a picture before.
        """
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="vlmix-pictures") as self._threads:
            try:
                yield
                while self._under_way:
                    self._wait()
            finally:
                for writing in self._under_way.values():
                    writing.cancel()
                self._under_way.clear()
        self._threads = None

    def path(self, image: Image) -> str:
        """Path of the picture below `folder`, with `/`; the file is there when this returns, but see `in_threads`.

        A picture that is a whole file of a registered mirror is reached through one symbolic link per mirror; bytes
        inside packs and archives are written out, unchanged, each distinct picture once.

        Raises:
            StoreError: the picture cannot be read or written.
        """
        with self._complaints():
            return self._linked(image) or self._copied(image)

    def data(self, image: Image) -> bytes:
        """The original bytes of the picture."""
        return self.reader(image)

    def _linked(self, image: Image) -> str | None:
        found = mirror_file(self.reader.store, image)
        if found is None:
            return None
        name, root, relative = found
        link = self.folder / "mirrors" / name
        if not link.is_symlink():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(root, target_is_directory=True)
        self.referenced += 1
        return f"mirrors/{name}/{relative}"

    def _copied(self, image: Image) -> str:
        name = f"{image.sha256[:2]}/{image.sha256}.{EXTENSIONS.get(image.format, 'bin')}"
        if name in self._under_way or (self.folder / name).is_file():
            return name
        if self._threads is None:
            self._write(name, image)
        else:
            if len(self._under_way) == _UNDER_WAY:
                self._wait()
            self._under_way[name] = self._threads.submit(self._write, name, image)
        self.written += 1
        self.written_bytes += image.size
        return name

    def _wait(self) -> None:
        """Until the picture that has been under way for longest is there."""
        self._under_way.pop(next(iter(self._under_way))).result()

    def _write(self, name: str, image: Image) -> None:
        with self._complaints():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            # no temporary name, no sync: a folder whose export was cut short is never taken for a whole one
            path.write_bytes(self.reader(image))

    @contextmanager
    def _complaints(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            remedy = "free space, or choose another folder with --out"
            raise StoreError(
                f"cannot write pictures to `{self.folder}`: {error.strerror or error}; {remedy}"
            ) from error
