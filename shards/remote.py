"""A store at a URL (`s3://`, `gs://`, `az://` ...): a folder of this machine works on its boxes and sends them there.

The folder is an ordinary store with a file `.remote` that names the URL. What is written into a box goes to the URL
first and gets its name in the folder afterwards, so whatever the folder holds, the URL holds; the index of a box is
written last at both places, so it means the same at both. A box that the folder lacks is brought when somebody asks
for it, its picture packs only once they are read often; so is what a lost machine finished of a box. The folder may be
lost or cut down at any time.

Raw files, downloads and digests of files stay on the machine: they are caches of what the publishers have.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from shards.errors import StoreError, UsageError, VlmixError
from shards.temporary import temporary_name

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

MARK: Final = ".remote"
"""Name of the file in a working folder that holds the URL."""

SHARED: Final = ("scans", "pictures", "shards", "scores", "likeness", "mixtures", "runs", "queues", "leakage", "leaks")
"""Kinds of boxes."""

GROWING: Final = ("pictures", "shards", "scores", "likeness", "leakage", "leaks")
"""Kinds whose boxes hold finished parts or answers before they have an index, or never get one."""

STATE: Final = (
    "imported",
    "catalog",
    "mirrors",
    "review",
    "exports",
    "sources.lock",
    "takedown.jsonl",
    "removed.jsonl",
)
"""Files outside boxes that may change; brought anew when the store is locked."""

INDEX: Final = "index.json"
_PACK: Final = "pictures-*.arrow"

_EXTRAS: Final = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}
"""Package that a kind of URL needs; `hf://` comes with huggingface_hub."""

_TRIES: Final = 3
"""Of each request, on top of what the client itself repeats. Ours."""

_RANGES: Final = 16
"""Pictures read one by one from a pack, before the pack is brought. Ours."""

Answer = TypeVar("Answer")


class Entry(NamedTuple):
    """A file at the URL: path relative to the store, bytes, and seconds since 1970 of its last change if told."""

    path: str
    size: int
    changed: float | None


@dataclass(slots=True)
class Remote:
    """The place behind a working folder; one for each process and folder, see `remote_of`."""

    root: Path
    url: str
    _listed: dict[str, dict[str, Entry]] = field(default_factory=dict)
    _looked: set[str] = field(default_factory=set)
    _read: dict[str, int] = field(default_factory=dict)

    def entries(self, prefix: str) -> dict[str, Entry]:
        """Files below a prefix by path; listed once, until `forget`."""
        if prefix not in self._listed:
            self._listed[prefix] = {entry.path: entry for entry in self._list(prefix)}
        return self._listed[prefix]

    def forget(self) -> None:
        """Look again at what lies there: others may have written."""
        self._listed.clear()
        self._looked.clear()

    def bring(self, box: str) -> None:
        """Have a box in the folder, without its picture packs, as far as it is finished there; looks once.

        Of a box without an index come the files that a run may go on from.
        """
        if box in self._looked or (self.root / box / INDEX).is_file():
            return
        self._looked.add(box)
        found = {path: entry for path, entry in self.entries(box.rpartition("/")[0]).items() if _lies_in(path, box)}
        growing = f"{box}/{INDEX}" not in found
        if growing:
            found = self._finished_part(box, found)
        wanted = [found[path] for path in sorted(found, key=_written_last) if not Path(path).match(_PACK)]
        try:
            self.download([entry for entry in wanted if not (self.root / entry.path).is_file()])
        except FileNotFoundError:
            if not growing:
                raise
            # another run has completed the box since; who asks for it next finds the index

    def _finished_part(self, box: str, found: dict[str, Entry]) -> dict[str, Entry]:
        """Files of a box without an index that are of use; a run may be adding to them.

        A .json file there says that others are finished, which were written before it. A list of many files is no
        picture of one moment, so such a file counts if it was there before the others were listed.
        """
        if box.partition("/")[0] not in GROWING:
            return {}
        marks = {path: entry for path, entry in found.items() if path.endswith(".json")}
        if not marks:
            return found
        return {entry.path: entry for entry in self._list(box) if not entry.path.endswith(".json")} | marks

    def bring_indexes(self, prefix: str) -> None:
        """Have every complete box below a prefix such as `runs/demo`, each as old as it is there."""
        for path, entry in sorted(self.entries(prefix).items()):
            if path.endswith(f"/{INDEX}"):
                self.bring(path.removesuffix(f"/{INDEX}"))
                if entry.changed is not None:
                    # another machine may have written it again since: it is the latest of its name now
                    os.utime(self.root / path, (entry.changed, entry.changed))

    def bring_state(self) -> None:
        """Have the files that may change as they are there; what the folder has besides is kept."""
        for prefix in STATE:
            self.download(list(self.entries(prefix).values()))

    def download(self, entries: Sequence[Entry]) -> None:
        """Have these files, each whole or absent; they get the time of change that they have there.

        Raises:
            StoreError: a file cannot be read, or has another size than listed.
        """
        if not entries:
            return
        temporary = [temporary_name(self.root / entry.path) for entry in entries]
        sources = [self._at(entry.path) for entry in entries]
        try:
            for target in temporary:
                target.parent.mkdir(parents=True, exist_ok=True)
            self._ask("read", lambda: self._filesystem().get(sources, [str(target) for target in temporary]))
            for entry, target in zip(entries, temporary, strict=True):
                self._place(entry, target)
        finally:
            for target in temporary:
                target.unlink(missing_ok=True)

    def read(self, path: str, offset: int, size: int) -> bytes:
        """A range of a file, with one request; a file that is often read is brought."""
        self._read[path] = self._read.get(path, 0) + 1
        if self._read[path] == _RANGES:
            self.download([entry for name, entry in self.entries(path).items() if name == path])
        end = offset + size
        data: bytes = self._ask("read", lambda: self._filesystem().cat_file(self._at(path), start=offset, end=end))
        return data

    def read_all(self, path: str) -> bytes | None:
        """A small file; None if it is not there."""
        try:
            data: bytes = self._ask("read", lambda: self._filesystem().cat_file(self._at(path)))
        except FileNotFoundError:
            return None
        return data

    def write(self, path: str, data: bytes, *, create: bool = False) -> bool:
        """Write a small file; with `create` only where none is, and False says that one is."""
        mode = "create" if create else "overwrite"
        try:
            self._ask("write", lambda: self._filesystem().pipe_file(self._at(path), data, mode=mode))
        except FileExistsError:
            return False
        return True

    def drop(self, path: str) -> None:
        """Remove a file if it is there."""
        with suppress(FileNotFoundError):
            self._ask("remove", lambda: self._filesystem().rm(self._at(path)))

    def drop_all(self, paths: Sequence[str]) -> None:
        """Remove files, as many as a request takes at a time; those that are not there do not matter."""
        if paths:
            with suppress(FileNotFoundError):
                self._ask("remove", lambda: self._filesystem().rm([self._at(path) for path in paths]))

    def upload(self, file: Path, path: str) -> None:
        """Put a file of this machine at a path relative to the store; it appears there whole or not at all.

        Raises:
            StoreError: it cannot be written.
        """
        self._ask("write", lambda: self._filesystem().put_file(str(file), self._at(path)))

    def place_of(self, path: str) -> str:
        """URL of a path relative to the store."""
        return f"{self.url}/{path}"

    def _list(self, prefix: str) -> Iterator[Entry]:
        try:
            found = self._ask("list", lambda: self._filesystem().find(self._at(prefix), detail=True))
        except FileNotFoundError:
            return
        start = len(self._at("").strip("/"))
        for name, about in found.items():
            changed = about.get("LastModified") or about.get("mtime") or about.get("last_modified")
            stamp = changed.timestamp() if hasattr(changed, "timestamp") else changed
            yield Entry(name.lstrip("/")[start:].lstrip("/"), int(about["size"]), stamp)

    def _place(self, entry: Entry, temporary: Path) -> None:
        size = temporary.stat().st_size
        if size != entry.size:
            raise StoreError(f"`{self.place_of(entry.path)}`: expected {entry.size} bytes, read {size}; run again")
        if entry.changed is not None:
            os.utime(temporary, (entry.changed, entry.changed))
        temporary.replace(self.root / entry.path)

    def _at(self, path: str) -> str:
        """The path as the file system of the URL wants it."""
        return f"{self.url.partition('://')[2]}/{path}".rstrip("/")

    def _filesystem(self) -> "AbstractFileSystem":
        return _filesystem(self.url.partition("://")[0], os.getpid())

    def _ask(self, act: str, call: Callable[[], Answer]) -> Answer:
        """The answer to a request; what may pass is tried again, what may not gets one message."""
        for tried in range(1, _TRIES + 1):
            try:
                return call()
            except (FileExistsError, VlmixError):
                raise
            except Exception as error:  # each client raises errors of its own, and this is the edge to all of them
                if isinstance(error, FileNotFoundError) and "bucket" not in str(error).lower():
                    raise
                if tried == _TRIES or not _passing(error):
                    said = f"{type(error).__name__}: {error}".rstrip(".")
                    raise StoreError(f"cannot {act} store `{self.url}`: {said}; {_remedy(error)}") from error
        raise AssertionError


def _lies_in(path: str, box: str) -> bool:
    return path.startswith(f"{box}/")


def _written_last(path: str) -> tuple[bool, bool, str]:
    """Key that puts what speaks of other files behind them, and the index last."""
    return path.endswith(f"/{INDEX}"), path.endswith(".json"), path


def _passing(error: Exception) -> bool:
    """Whether a failure may be gone the next time: anything but a refusal of who asks or what is asked for."""
    refused = isinstance(error, FileNotFoundError | PermissionError | TypeError | ValueError)
    return not refused and not any(word in _told(error) for word in (*_WHO, *_MAY))


_WHO: Final = ("credential", "access key", "invalidaccesskey", "signature", "token has expired")
_MAY: Final = ("accessdenied", "access denied", "forbidden", "permission")


def _told(error: Exception) -> str:
    return f"{type(error).__name__} {error}".lower()


def _remedy(error: Exception) -> str:
    if any(word in _told(error) for word in _WHO):
        return "give credentials where the client looks for them (s3: AWS_ACCESS_KEY_ID, a profile or a role)"
    if isinstance(error, PermissionError) or any(word in _told(error) for word in _MAY):
        return "ask for the right to list, read and write below this prefix"
    if isinstance(error, FileNotFoundError):
        return "make the bucket, or name another with --store"
    return "what is finished is kept; run again when the store answers"


@lru_cache
def _filesystem(protocol: str, process: int) -> "AbstractFileSystem":
    """The client of a kind of URL; each process its own, since connections do not survive a fork.

    Raises:
        UsageError: the package for it is missing, or nobody knows this kind.
    """
    import fsspec

    try:
        return fsspec.filesystem(protocol, use_listings_cache=False, skip_instance_cache=True)
    except ImportError as error:
        package = _EXTRAS.get(protocol, "its fsspec package")
        raise UsageError(f"a store at `{protocol}://` needs `{package}`; pip install {package}") from error
    except ValueError as error:
        raise UsageError(f"no kind of store `{protocol}://` is known; use s3, gs, az, hf or a folder") from error


@lru_cache
def remote_of(root: Path) -> Remote | None:
    """The place behind a working folder; None for a folder that is the store itself."""
    mark = root / MARK
    return Remote(root, mark.read_text("utf-8").strip()) if mark.is_file() else None


def attach(root: Path, url: str) -> None:
    """Make a folder the working folder of a URL.

    Raises:
        UsageError: it is that of another URL, or a store of its own.
    """
    url = url.rstrip("/")
    mark = root / MARK
    if mark.is_file():
        if mark.read_text("utf-8").strip() != url:
            raise UsageError(f"folder `{root}` belongs to another store than `{url}`; choose another with VLMIX_CACHE")
        return
    if root.is_dir() and any((root / kind).exists() for kind in SHARED):
        raise UsageError(f"folder `{root}` is a store of its own; choose another with VLMIX_CACHE")
    root.mkdir(parents=True, exist_ok=True)
    temporary = root / f"{MARK}.{os.getpid()}"
    temporary.write_text(url + "\n", "utf-8")
    temporary.replace(mark)
    remote_of.cache_clear()


def publish(file: Path, path: Path) -> None:
    """Send a finished file to where its name `path` stands for, if that lies in the shared part of a working folder."""
    found = _inside(path.absolute())
    if found:
        remote, relative = found
        remote.upload(file, relative)


def withdraw(files: Sequence[Path]) -> None:
    """Remove files of one box that a finished file stands in for, at the URL first."""
    found = _inside(files[0].absolute()) if files else None
    if found:
        remote, _ = found
        remote.drop_all([file.absolute().relative_to(remote.root).as_posix() for file in files])
    for file in files:
        file.unlink(missing_ok=True)


def _inside(path: Path) -> tuple[Remote, str] | None:
    for folder in path.parents:
        remote = remote_of(folder)
        if remote:
            relative = path.relative_to(folder).as_posix()
            return (remote, relative) if relative.partition("/")[0] in SHARED + STATE else None
    return None


def cut_down(root: Path, limit: int) -> int:
    """Remove complete boxes from a working folder until they take no more than `limit` bytes.

    Those used longest ago go first; the store at the URL keeps them. A folder that is the store itself is left alone.

    Returns:
        Bytes removed.
    """
    if remote_of(root) is None:
        return 0
    boxes = [path.parent for kind in SHARED for path in (root / kind).glob(f"*/*/{INDEX}")]
    sizes = {box: sum(file.stat().st_size for file in box.iterdir()) for box in boxes}
    left, removed = sum(sizes.values()), 0
    for box in sorted(boxes, key=lambda box: ((box / INDEX).stat().st_atime_ns, box)):
        if left - removed <= limit:
            break
        (box / INDEX).unlink()
        shutil.rmtree(box)
        removed += sizes[box]
    return removed
