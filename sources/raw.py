"""The raw files of a source: which they are, in a pinned order, and what bytes they hold."""

import json
import os
import re
from dataclasses import dataclass
from glob import escape
from itertools import takewhile
from pathlib import Path, PurePosixPath
from stat import S_ISLNK, S_ISREG

from pydantic import BaseModel, ConfigDict

from shards.errors import CatalogError, PictureError, SourceError
from shards.files import file_blake3, write_text
from sources.spec import Source

PICTURE_FOLDER = "picture_folder"
_WILDCARDS = frozenset("*?[")
_ALGORITHM = "blake3 by size, change and inode change"
_NUMBERS = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class RawFile:
    """A file on disk and its name relative to the base folder, with `/`."""

    name: str
    path: Path


class RawDigest(BaseModel):
    """Name and bytes of a fetched file; publishers state SHA-256."""

    model_config = ConfigDict(frozen=True)

    name: str
    sha256: str
    size: int


class RawContent(BaseModel):
    """Name and bytes of a raw file, as they enter fingerprints."""

    model_config = ConfigDict(frozen=True)

    name: str
    blake3: str
    size: int


class Digests:
    """BLAKE3 of files, remembered by path, size and times so that unchanged files are read once.

    Times are only told apart, never compared: a clock or a publisher may set them back or ahead. A file that is written
    with the size and modification time that it had before has another time of inode change, which nobody can set.
    """

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._known: dict[str, tuple[int, int, int, str]] = {}  # by path: state, digest
        if cache.is_file():
            known = json.loads(cache.read_text()).get(_ALGORITHM, {})
            self._known = {path: (size, time, moved, digest) for path, (size, time, moved, digest) in known.items()}
        self._changed = False

    def __call__(self, file: RawFile) -> RawContent:
        """Digest of the file's bytes as they are."""
        stat = file.path.stat()
        path = str(file.path.absolute())
        state = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        *known, digest = self._known.get(path, (-1, -1, -1, ""))
        if (*known,) != state:
            digest = file_blake3(file.path)
            self._known[path] = (*state, digest)
            self._changed = True
        return RawContent(name=file.name, blake3=digest, size=stat.st_size)

    def seen(self, name: str) -> list[RawFile]:
        """Files on this machine that were read under this name, as far as they are still there."""
        paths = [Path(path) for path in sorted(self._known) if path.endswith(f"/{name}")]
        return [RawFile(name, path) for path in paths if path.is_file()]

    def save(self) -> None:
        """Keep what was learnt for the next run."""
        if self._changed:
            write_text(self._cache, json.dumps({_ALGORITHM: self._known}, sort_keys=True))
            self._changed = False


def raw_files(source: Source, base: Path) -> tuple[RawFile, ...]:
    """Files that hold the rows of a source, in natural order of their names (`part-2` before `part-10`).

    Raises:
        CatalogError: no `files` where the layout needs them, or two files of one name.
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


def picture_file(root: Path, name: str) -> Path:
    """The file in a picture folder that a record calls `name`.

    Raises:
        PictureError: `unsafe_path` where the name or a link leads out of the folder, else `picture_missing`.
    """
    path = root / name
    if _is_plain(root, name):
        return path
    try:
        upwards = name.startswith("/") or ".." in PurePosixPath(name).parts
        leaves = upwards or not path.resolve().is_relative_to(root.resolve())
        missing = not leaves and not path.is_file()
    except (OSError, ValueError, RuntimeError) as error:  # a NUL in the name, 5,000 characters, a circle of links
        raise PictureError("picture_missing", f"`{name}` cannot be the name of a file") from error
    if leaves:
        raise PictureError("unsafe_path", f"`{name}` leaves the picture folder")
    if missing:
        raise PictureError("picture_missing", f"no file `{name}` in the picture folder; check `root`")
    return path


def _is_plain(root: Path, name: str) -> bool:
    """Whether a name leads to a file by folders alone, so that it cannot leave the root: no links, no `..`.

    8 us for a name of two parts; to resolve both paths takes 65.
    """
    parts = name.split("/")
    if not {"", ".", ".."}.isdisjoint(parts):
        return False
    path, mode = str(root), 0
    try:
        for part in parts:
            path = f"{path}/{part}"
            mode = os.lstat(path).st_mode
            if S_ISLNK(mode):
                return False
    except (OSError, ValueError):
        return False
    return S_ISREG(mode)


def _matches(source: Source, base: Path, globs: tuple[str, ...]) -> tuple[RawFile, ...]:
    found: dict[str, Path] = {}
    for glob in globs:
        anchor, pattern = _anchor(base, glob)
        names = {path.relative_to(anchor).as_posix() for path in _expand(source, anchor, pattern) if path.is_file()}
        names = {name for name in names if not any(part.startswith(".") for part in name.split("/"))}
        if not names:
            raise SourceError(f"source `{source.name}`: no file matches `{glob}` in `{base}`; check `files` and `root`")
        for name in names:
            if found.setdefault(name, anchor / name) != anchor / name:
                raise CatalogError(
                    f"source `{source.name}`: two files are called `{name}`; move one `files` glob up a folder"
                )
    return tuple(RawFile(name, found[name]) for name in sorted(found, key=natural))


def _anchor(base: Path, glob: str) -> tuple[Path, str]:
    """Folder that names are relative to, and the glob below it.

    That is the base folder; of a glob that leaves it, the last folder before the first wildcard, so that no name and
    with it no fingerprint holds an absolute path.
    """
    parts = PurePosixPath(glob).parts
    if not PurePosixPath(glob).is_absolute() and ".." not in parts:
        return base, glob
    fixed = list(takewhile(lambda part: not set(part) & _WILDCARDS, parts[:-1]))
    return (base / PurePosixPath(*fixed)).resolve(), str(PurePosixPath(*parts[len(fixed) :]))


def _expand(source: Source, anchor: Path, pattern: str) -> list[Path]:
    """Paths that match; a part of the pattern that is there as it is written is no wildcard.

    Upstream names hold brackets (`chart_qa(cauldron)[v2]`), which a glob would read as a set of characters.
    """
    known, parts = anchor, []
    if any("**" in part and part != "**" for part in PurePosixPath(pattern).parts):
        # Python 3.13 reads `a**` as `a*`, earlier ones refuse it
        raise CatalogError(f"source `{source.name}`: `{pattern}` is no glob: `**` stands alone between slashes")
    try:
        for part in PurePosixPath(pattern).parts:
            known = known / part
            parts.append(escape(part) if known.exists() else part)
        return list(anchor.glob("/".join(parts)))
    except (ValueError, IndexError, OSError) as error:
        raise CatalogError(f"source `{source.name}`: `{pattern}` is no glob: {error}") from error


def natural(name: str) -> tuple[tuple[tuple[int, str], ...], str]:
    """Sort key that orders numbers in names by value; the name itself is in it, so that `1` and `01` have an order."""
    # numbers are compared as (number of digits, digits): Python refuses to read one of 5,000 digits
    parts = ((part, part.lstrip("0")) for part in _NUMBERS.split(name))
    return tuple((len(digits), digits) if part.isdecimal() else (-1, part) for part, digits in parts), name
