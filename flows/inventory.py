"""What a store holds: its boxes, in the folder and at the URL behind it, and what lies beside them."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from shards.columns import PARTS
from shards.remote import INDEX, PART, SHARED, Remote, remote_of
from shards.store import MADE_FROM, Store
from shards.temporary import SUFFIX

_ABOUT: Final = "about.json"
"""What a box that grows says about itself; it never has an index."""


class Found(NamedTuple):
    """A file: bytes, and seconds since 1970 of its last change, 0 where nobody tells."""

    size: int
    changed: float


@dataclass(frozen=True, slots=True)
class Held:
    """A box as it lies in a store. `files` are relative to the store, those at the URL and those in the folder."""

    name: str
    files: Mapping[str, Found] = field(repr=False)

    @property
    def kind(self) -> str:
        """What it is a box of, such as `shards`."""
        return self.name.partition("/")[0]

    @property
    def label(self) -> str:
        """Name of the source, recipe or mixture that it belongs to."""
        return self.name.split("/")[1]

    @property
    def whole(self) -> bool:
        """Whether it has an index."""
        return f"{self.name}/{INDEX}" in self.files

    @property
    def superseded(self) -> list[str]:
        """Files that were to be removed when the index was written; a run that is killed at that moment leaves them."""
        return [name for name in sorted(self.files) if self.whole and name.rpartition("/")[2].startswith(PART)]

    @property
    def grows(self) -> bool:
        """Whether it is one of those that are never complete: answers of a judge, compared pictures."""
        return not self.whole and f"{self.name}/{_ABOUT}" in self.files

    @property
    def size(self) -> int:
        """Bytes; a file that lies at both places counts once."""
        return sum(found.size for found in self.files.values())

    @property
    def changed(self) -> float:
        """Seconds since 1970 of its newest change."""
        return max((found.changed for found in self.files.values()), default=0)

    @property
    def finished(self) -> float | None:
        """Seconds since 1970 at which its index was written; null without one."""
        return self.files[f"{self.name}/{INDEX}"].changed if self.whole else None


def inventory(store: Store) -> dict[str, Held]:
    """Every box of a store by name, complete or not; files that are being written are none."""
    remote = remote_of(store.root)
    found: dict[str, dict[str, Found]] = {}
    for kind in SHARED:
        for folder in sorted(store.root.glob(f"{kind}/*/*/")):
            if not folder.parent.name.startswith("."):
                found[f"{kind}/{folder.parent.name}/{folder.name}"] = dict(_files(store.root, folder))
        for path, entry in (remote.entries(kind) if remote else {}).items():
            parts = path.split("/")
            if len(parts) > len(("kind", "name", "fingerprint")):
                found.setdefault("/".join(parts[:3]), {})[path] = Found(entry.size, entry.changed or 0)
    return {name: Held(name, found[name]) for name in sorted(found)}


def _files(root: Path, folder: Path) -> Iterator[tuple[str, Found]]:
    """Files below a folder by path relative to `root`."""
    for at, _, names in os.walk(folder):
        for name in names:
            path = Path(at) / name
            if name.startswith(".") and name.endswith((SUFFIX, *PARTS)):
                continue
            try:
                status = path.stat()
            except FileNotFoundError:  # gone since it was listed
                continue
            yield path.relative_to(root).as_posix(), Found(status.st_size, status.st_mtime)


def beside(store: Store) -> dict[str, dict[str, Found]]:
    """What lies in the folder beside the boxes: files by the name of their folder, or by their own."""
    found: dict[str, dict[str, Found]] = {}
    for path in sorted(store.root.iterdir()) if store.root.is_dir() else ():
        if path.is_file():
            found[path.name] = {path.name: Found(path.stat().st_size, path.stat().st_mtime)}
        elif path.name not in SHARED:
            found[path.name] = dict(_files(store.root, path))
    return {name: files for name, files in found.items() if files and not name.startswith(".")}


def made_from(store: Store, held: Held) -> tuple[str, ...] | None:
    """Names of the boxes that a box was made from; null where it does not say so, or cannot be read."""
    path = f"{held.name}/{INDEX if held.whole else _ABOUT}"
    data = read(store.root, remote_of(store.root), path) if held.whole or held.grows else None
    try:
        names = json.loads(data or b"{}").get(MADE_FROM)
    except (ValueError, AttributeError):
        return None
    return None if names is None else tuple(str(name) for name in names)


def read(root: Path, remote: Remote | None, path: str) -> bytes | None:
    """A small file of a box, from the folder or the URL; the box is not brought."""
    file = root / path
    if file.is_file():
        return file.read_bytes()
    return remote.read_all(path) if remote else None
