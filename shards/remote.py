"""A store at a URL (`s3://`, `gs://`, `az://` ...): a folder of this machine works on its boxes and sends them there.

The folder is an ordinary store with a file `.remote` that names the URL. What is written into a box goes to the URL
first and gets its name in the folder afterwards, so whatever the folder holds, the URL holds; the index of a box is
written last at both places, so it means the same at both. A box that the folder lacks is brought when somebody asks
for it, without its large files: samples and tables of scores come when they are read, see also `shards.columns`, and
picture packs once they are read often. So is what a lost machine finished of a box. The folder may be lost or cut down
at any time.

Raw files, downloads and digests of files stay on the machine: they are caches of what the publishers have.
"""

import fcntl
import os
import uuid
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

from shards.client import Entry, ask, file_system, listed, place_at, read_small
from shards.errors import StoreError, UsageError
from shards.holding import Watch
from shards.temporary import temporary_name

MARK: Final = ".remote"
"""Name of the file in a working folder that holds the URL."""

SHARED: Final = ("scans", "pictures", "shards", "scores", "likeness", "mixtures", "runs", "queues", "leakage", "leaks")
"""Kinds of boxes."""

GROWING: Final = ("pictures", "shards", "scores", "likeness", "leakage", "leaks")
"""Kinds whose boxes hold finished parts or answers before they have an index, or never get one."""

_HELD: Final = (*(kind for kind in SHARED if kind != "queues"), "imported", "removed.jsonl")
"""What only a run writes that holds the store; queues, answers, exports and take-downs are written beside one."""

STATE: Final = (
    "imported",
    "catalog",
    "mirrors",
    "review",
    "exports",
    "sources.lock",
    "takedown",
    "removed.jsonl",
)
"""Files outside boxes that may change; brought anew when the store is locked."""

INDEX: Final = "index.json"
SCORES_FILE: Final = "scores.parquet"
PART: Final = "part-"
"""How names of files begin that one table of a finished box stands in for; they go when it is there, see `withdraw`."""
_PACK: Final = "pictures-*.arrow"
_LATER: Final = (_PACK, "samples-*.arrow", SCORES_FILE, "report.html")
"""Files of complete boxes that do not come with them: most of their bytes, which few commands read."""

_WRITER: Final = ".writer"

_ONCE: Final = ("takedown",)
"""Those of them that are written once; more of them come."""

_LARGE: Final = 1_000_000
"""Bytes from which a file that may change is not brought again if size and time are the same. Times are told by the
second: a small file may have changed twice in one, and costs little. Ours."""

_SAME_S: Final = 1e-3
"""Seconds within which two times are one: disks and servers round them."""

_RANGES: Final = 16
"""Pictures read one by one from a pack, before the pack is brought. Ours."""


@dataclass(slots=True)
class Remote:
    """The place behind a working folder; one for each process and folder, see `remote_of`."""

    root: Path
    url: str
    _listed: dict[str, dict[str, Entry]] = field(default_factory=dict)
    _looked: set[str] = field(default_factory=set)
    _read: dict[str, int] = field(default_factory=dict)
    _writer: str = ""
    _watch: Watch = field(default_factory=Watch)

    @property
    def writer(self) -> str:
        """16 hex digits that name this folder, and no other, to who writes beside others at the URL."""
        if not self._writer:
            with (self.root / _WRITER).open("a+", encoding="ascii") as handle:
                fcntl.flock(handle, fcntl.LOCK_EX)
                handle.seek(0)
                self._writer = handle.read() or uuid.uuid4().hex[:16]
                if not handle.tell():
                    handle.write(self._writer)
        return self._writer

    def entries(self, prefix: str) -> dict[str, Entry]:
        """Files below a prefix by path; listed once, until `forget`."""
        if prefix not in self._listed:
            self._listed[prefix] = {entry.path: entry for entry in listed(self.url, prefix)}
        return self._listed[prefix]

    def forget(self) -> None:
        """Look again at what lies there: others may have written."""
        self._listed.clear()
        self._looked.clear()

    def bring(self, box: str) -> None:
        """Have a box in the folder, without its large files, as far as it is finished there; looks once.

        Of a box without an index come the files that a run may go on from, without picture packs.
        """
        if box in self._looked or (self.root / box / INDEX).is_file():
            return
        self._looked.add(box)
        found = {path: entry for path, entry in self.entries(box.rpartition("/")[0]).items() if _lies_in(path, box)}
        growing = f"{box}/{INDEX}" not in found
        if growing:
            found = self._finished_part(box, found)
        later = (_PACK,) if growing else _LATER
        wanted = [path for path in sorted(found, key=_written_last) if not any(map(Path(path).match, later))]
        if growing:
            here = {path for path in found if (self.root / path).is_file()}
        else:
            here = {path for path, entry in found.items() if self.is_same(entry)}
            self._drop_left(box, here.union(wanted))
        try:
            self.download([found[path] for path in wanted if path not in here])
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
        return {entry.path: entry for entry in listed(self.url, box) if not entry.path.endswith(".json")} | marks

    def _drop_left(self, box: str, kept: Collection[str]) -> None:
        """Remove what a run that was cut short left here of a box that another machine has completed since.

        That machine may have written other bytes: a judge that failed here answered there, a picture came.
        """
        for file in (self.root / box).rglob("[!.]*"):
            if file.is_file() and file.relative_to(self.root).as_posix() not in kept:
                file.unlink(missing_ok=True)

    def entry(self, path: str) -> Entry | None:
        """A file of a box as it was listed; None where there is none."""
        return self.entries(path.rpartition("/")[0].rpartition("/")[0]).get(path)

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
        there = self._top()
        found = [entry for name in STATE if name in there for entry in self.entries(name).values()]
        self.download([entry for entry in found if not self._is_kept(entry) and not self._is_own(entry)])

    def _is_kept(self, entry: Entry) -> bool:
        """Whether the folder has a large file, or one that is written once, as it is there."""
        return (entry.size >= _LARGE or entry.path.partition("/")[0] in _ONCE) and self.is_same(entry)

    def is_same(self, entry: Entry) -> bool:
        """Whether the folder has a file as it is there, by size and time."""
        try:
            status = (self.root / entry.path).stat()
        except FileNotFoundError:
            return False
        return status.st_size == entry.size and abs(status.st_mtime - (entry.changed or 0)) < _SAME_S

    def _is_own(self, entry: Entry) -> bool:
        """Whether nobody else writes a file, and somebody here may do so at this moment."""
        return self.writer in entry.path and (self.root / entry.path).is_file()

    def _top(self) -> set[str]:
        """Names of files and folders at the URL itself."""
        try:
            found = ask(self.url, "list", lambda: file_system(self.url).ls(self._at(""), detail=False))
        except FileNotFoundError:
            return set()
        return {name.rstrip("/").rpartition("/")[2] for name in found}

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
            ask(self.url, "read", lambda: file_system(self.url).get(sources, [str(target) for target in temporary]))
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
        data: bytes = ask(
            self.url, "read", lambda: file_system(self.url).cat_file(self._at(path), start=offset, end=end)
        )
        return data

    def read_ranges(self, path: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Ranges of a file, begin and end each, with one request each at the same time."""
        place, (begins, ends) = self._at(path), zip(*ranges, strict=True)

        def call() -> list[bytes]:
            places, system = [place] * len(ranges), file_system(self.url)
            found: list[bytes] = system.cat_ranges(places, list(begins), list(ends), on_error="raise")
            if any(len(data) != end - begin for data, (begin, end) in zip(found, ranges, strict=True)):
                raise OSError(f"`{path}` is shorter than it was, or its answer was cut")
            return found

        return ask(self.url, "read", call)

    def read_all(self, path: str) -> bytes | None:
        """A small file; None if it is not there."""
        return read_small(self.url, path)

    def write(self, path: str, data: bytes, *, create: bool = False) -> bool:
        """Write a small file; with `create` only where none is, and False says that one is."""
        mode = "create" if create else "overwrite"
        try:
            ask(self.url, "write", lambda: file_system(self.url).pipe_file(self._at(path), data, mode=mode))
        except FileExistsError:
            return False
        return True

    def drop(self, path: str) -> None:
        """Remove a file if it is there."""
        with suppress(FileNotFoundError):
            ask(self.url, "remove", lambda: file_system(self.url).rm(self._at(path)))

    def drop_all(self, paths: Sequence[str]) -> None:
        """Remove files, as many as a request takes at a time; those that are not there do not matter."""
        if paths:
            with suppress(FileNotFoundError):
                ask(self.url, "remove", lambda: file_system(self.url).rm([self._at(path) for path in paths]))

    def check_held(self) -> None:
        """Make sure that the run of this folder, if there is one, still holds the store; asked at most once a beat.

        Raises:
            StoreError: another run took it over.
        """
        self._watch.check(self.root, self.url)

    def upload(self, file: Path, path: str) -> None:
        """Put a file of this machine at a path relative to the store; it appears there whole or not at all.

        Raises:
            StoreError: it cannot be written.
        """
        ask(self.url, "write", lambda: file_system(self.url).put_file(str(file), self._at(path)))

    def place_of(self, path: str) -> str:
        """URL of a path relative to the store."""
        return f"{self.url}/{path}"

    def _place(self, entry: Entry, temporary: Path) -> None:
        size = temporary.stat().st_size
        if size != entry.size:
            raise StoreError(f"`{self.place_of(entry.path)}`: expected {entry.size} bytes, read {size}; run again")
        if entry.changed is not None:
            os.utime(temporary, (entry.changed, entry.changed))
        temporary.replace(self.root / entry.path)

    def _at(self, path: str) -> str:
        return place_at(self.url, path)


def _lies_in(path: str, box: str) -> bool:
    return path.startswith(f"{box}/")


def _written_last(path: str) -> tuple[bool, bool, str]:
    """Key that puts what speaks of other files behind them, and the index last."""
    return path.endswith(f"/{INDEX}"), path.endswith(".json"), path


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
    """Send a finished file to where its name `path` stands for, if that lies in the shared part of a working folder.

    Raises:
        StoreError: it cannot be written, or the run does not hold the store any more.
    """
    found = inside(path)
    if found:
        remote, relative = found
        if relative.partition("/")[0] in _HELD:
            remote.check_held()
        remote.upload(file, relative)


def have(files: Sequence[Path]) -> None:
    """Have files of a store that do not come with their boxes, all at once; those that are nowhere do not matter."""
    missing = [place for file in files if not file.is_file() and (place := inside(file))]
    if missing:
        remote = missing[0][0]
        remote.download([entry for _, path in missing if (entry := remote.entry(path))])


def withdraw(files: Sequence[Path]) -> None:
    """Remove files of one box that a finished file stands in for, at the URL first."""
    found = inside(files[0]) if files else None
    if found:
        remote, _ = found
        remote.check_held()
        remote.drop_all([file.absolute().relative_to(remote.root).as_posix() for file in files])
    for file in files:
        file.unlink(missing_ok=True)


def inside(path: Path) -> tuple[Remote, str] | None:
    """The place behind the working folder that a path lies in, and the path there; None where there is none."""
    path = path.absolute()
    for folder in path.parents:
        remote = remote_of(folder)
        if remote:
            relative = path.relative_to(folder).as_posix()
            return (remote, relative) if relative.partition("/")[0] in SHARED + STATE else None
    return None
