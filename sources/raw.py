"""The raw files of a source: which they are, in a pinned order, and what bytes they hold."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict

from shards.errors import CatalogError, SourceError
from shards.files import file_sha256, write_text
from sources.spec import Source

PICTURE_FOLDER = "picture_folder"
_NUMBERS = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class RawFile:
    """A file on disk and its name relative to the base folder, with `/`."""

    name: str
    path: Path


class RawDigest(BaseModel):
    """Name and bytes of a raw file, as they enter fingerprints."""

    model_config = ConfigDict(frozen=True)

    name: str
    sha256: str
    size: int


class Digests:
    """SHA-256 of files, remembered by path, size and modification time so that unchanged files are read once."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._known: dict[str, tuple[int, int, str]] = {}
        if cache.is_file():
            self._known = {path: (size, time, sha) for path, (size, time, sha) in json.loads(cache.read_text()).items()}
        self._changed = False

    def __call__(self, file: RawFile) -> RawDigest:
        """Digest of the file's bytes as they are."""
        stat = file.path.stat()
        size, time, sha = self._known.get(str(file.path), (-1, -1, ""))
        if (size, time) != (stat.st_size, stat.st_mtime_ns):
            sha = file_sha256(file.path)
            self._known[str(file.path)] = (stat.st_size, stat.st_mtime_ns, sha)
            self._changed = True
        return RawDigest(name=file.name, sha256=sha, size=stat.st_size)

    def save(self) -> None:
        """Keep what was learnt for the next run."""
        if self._changed:
            write_text(self._cache, json.dumps(self._known, sort_keys=True))
            self._changed = False


def raw_files(source: Source, base: Path) -> tuple[RawFile, ...]:
    """Files that hold the rows of a source, in natural order of their names (`part-2` before `part-10`).

    Raises:
        CatalogError: no `files` where the layout needs them.
        SourceError: a glob matches nothing.
    """
    if source.layout == PICTURE_FOLDER:
        folder = base / source.root
        return _matches(source, folder, source.files or ("**/*",))
    if not source.files:
        raise CatalogError(f"source `{source.name}`: layout `{source.layout}` needs `files`")
    return _matches(source, base, source.files)


def archive_files(source: Source, base: Path) -> tuple[RawFile, ...]:
    """Tar files, or raw pieces of one tar, that hold the pictures; empty without `archive`."""
    return _matches(source, base, (source.archive,)) if source.archive else ()


def _matches(source: Source, base: Path, globs: tuple[str, ...]) -> tuple[RawFile, ...]:
    names: set[str] = set()
    for glob in globs:
        if PurePosixPath(glob).is_absolute() or ".." in PurePosixPath(glob).parts:
            raise CatalogError(f"source `{source.name}`: `{glob}` leaves the base folder; give a relative glob")
        found = {_relative(path, base) for path in _expand(base, glob) if path.is_file()}
        found = {name for name in found if not any(part.startswith(".") for part in name.split("/"))}
        if not found:
            raise SourceError(f"source `{source.name}`: no file matches `{glob}` in `{base}`; check `files` and `root`")
        names |= found
    return tuple(RawFile(name, base / name) for name in sorted(names, key=natural))


def _expand(base: Path, glob: str) -> Iterator[Path]:
    # upstream names hold brackets (`chart_qa(cauldron)[v2]`), which a glob would read as a set of characters
    literal = base / glob
    return iter([literal]) if literal.is_file() else base.glob(glob)


def _relative(path: Path, base: Path) -> str:
    return path.relative_to(base).as_posix()


def natural(name: str) -> tuple[tuple[int, str], ...]:
    """Sort key that orders numbers in names by value."""
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in _NUMBERS.split(name))
