"""Pictures of an export: each written once under its digest, those of a registered mirror referenced where they lie."""

from dataclasses import dataclass
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


@dataclass(slots=True)
class Media:
    """Pictures of a store for an export; `folder` is where files of their own are written.

    It remembers no names, so that memory does not grow with the export: a picture that is there was written by it.
    `referenced` counts mentions of pictures that stay in a mirror.
    """

    reader: PictureReader
    folder: Path
    written: int = 0
    written_bytes: int = 0
    referenced: int = 0

    def path(self, image: Image) -> str:
        """Path of the picture below `folder`, with `/`; the file is there when this returns.

        A picture that is a whole file of a registered mirror is reached through one symbolic link per mirror; bytes
        inside packs and archives are written out, unchanged, each distinct picture once.

        Raises:
            StoreError: the picture cannot be read or written.
        """
        try:
            return self._linked(image) or self._copied(image)
        except OSError as error:
            remedy = "free space, or choose another folder with --out"
            raise StoreError(
                f"cannot write pictures to `{self.folder}`: {error.strerror or error}; {remedy}"
            ) from error

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
        path = self.folder / name
        if not path.is_file():
            data = self.reader(image)
            # no temporary name, no sync: a folder whose export was cut short is never taken for a whole one
            try:
                path.write_bytes(data)
            except FileNotFoundError:  # 256 times at most
                path.parent.mkdir(parents=True)
                path.write_bytes(data)
            self.written += 1
            self.written_bytes += image.size
        return name
