"""Registers a mirror that lies on this machine: a source by reference, with no second copy of its pictures."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import yaml
from pydantic import BaseModel, ValidationError

from flows.settings import own_catalogue, private_hosts
from flows.sourcing import SourceJob, make_shards
from shards.complaint import complaint
from shards.errors import CatalogError, UsageError
from shards.files import write_text
from shards.pack import Mirror
from shards.sample import ShardsIndex
from shards.store import Store
from sources.catalogue import CATALOG, load_catalogue
from sources.policy import FetchPolicy
from sources.scan import check_layouts
from sources.spec import Source


class Registered(BaseModel):
    """A registered mirror, checked row by row."""

    name: str
    samples: int
    quarantined: int
    pictures: int
    mirror_bytes: int
    """Bytes of the mirror's files on disk."""
    added_bytes: int
    """Bytes that the store holds for it."""


def register(store: Store, folder: Path, name: str, body: Mapping[str, object]) -> Registered:
    """Declare a folder as source `name` and read all of it once.

    Raises:
        UsageError: no such folder.
        CatalogError: the declaration is not understood or leaves the folder, or the name is taken by another one.
        DataError: the files cannot be read as declared.
    """
    if not folder.is_dir():
        raise UsageError(f"no folder `{folder}`")
    try:
        source = Source.model_validate({**body, "name": name, "pictures": "reference"})
    except ValidationError as error:
        raise CatalogError(f"source `{name}`: {complaint(error, docs='docs/sources.md')}") from error
    check_layouts([source])
    _check_places(source)
    if name in load_catalogue(CATALOG, own=own_catalogue()):
        raise CatalogError(f"source `{name}` stands in the catalogue of the project already; choose another name")
    declaration = store.root / "catalog" / f"{name}.yaml"
    text = yaml.safe_dump(source.model_dump(mode="json", exclude_defaults=True), sort_keys=False)
    if declaration.is_file() and declaration.read_text() != text:
        raise CatalogError(f"source `{name}` is registered with another declaration; remove `{declaration}` or rename")
    mirror = Mirror(root=str(folder.resolve()))
    with store.lock():
        sourced = make_shards(SourceJob(store, source, folder.resolve(), FetchPolicy(private=private_hosts())))
        # a folder that cannot be read does not replace one that could
        write_text(store.root / "mirrors" / f"{name}.json", mirror.model_dump_json() + "\n")
        write_text(declaration, text)
    load_catalogue.cache_clear()
    index = sourced.shards.index(ShardsIndex)
    kinds = ("scans", "pictures", "shards")
    return Registered(
        name=name,
        samples=index.samples,
        quarantined=sum(index.quarantined.values()),
        pictures=index.pictures,
        mirror_bytes=_bytes(folder),
        added_bytes=sum(_bytes(store.root / kind / name) for kind in kinds)
        + _bytes(store.root / "cache" / "digests" / f"{name}.json"),
    )


def _check_places(source: Source) -> None:
    """Pictures are referred to by their place in the mirror, so nothing may lie outside."""
    for place in (source.root, *source.files, source.archive or "."):
        if PurePosixPath(place).is_absolute() or ".." in PurePosixPath(place).parts:
            raise CatalogError(f"source `{source.name}`: `{place}` leaves the mirror; register a folder further up")


def _bytes(path: Path) -> int:
    """Disk space of a file, or of all files below a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
