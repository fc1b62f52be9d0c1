"""Recipe entries to sources: catalogue names, inline declarations, registered mirrors, the demo publishers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from flows.listing import lookup, words
from manifests.plan import SourceFacts
from manifests.recipe import Entry, Recipe
from shards.errors import CatalogError, RecipeError
from shards.pack import Mirror
from shards.store import Store
from sources.catalogue import CATALOG, inline, load_catalogue
from sources.raw import raw_files
from sources.scan import check_layouts, read_items
from sources.spec import Source

DEMO: Final = "demo"
DEMO_HOST: Final = "pictures.demo.invalid"
"""Host name in the demo's URL lists; `.invalid` never resolves, so nothing outside is ever asked."""

Progress = Callable[[int, int], None]
"""(bytes done, bytes in all); called from worker threads, one at a time."""

Place = tuple[str, str]
"""(stage name, entry id)"""


@dataclass(frozen=True, slots=True)
class Located:
    """A source and the folder that its `files` and `root` start from.

    `hub` says that the files come from the hub; `base` is then a folder that exists only once they are there.
    """

    source: Source
    base: Path
    hub: bool = False

    @property
    def demo(self) -> bool:
        """Whether the embedded publishers write its raw files."""
        return self.source.repo == DEMO


def catalogue(store: Store) -> dict[str, Source]:
    """Sources of the project and mirrors registered in this store."""
    return load_catalogue(CATALOG, store.root / "catalog")


def demo_root(store: Store) -> Path:
    """Where the demo publishers write their raw files."""
    return store.root / "demo" / "publishers"


def locate(recipe: Recipe, folder: Path, store: Store) -> dict[Place, Located]:
    """The source of every entry.

    Raises:
        CatalogError: a declaration that is not understood, or a layout that does not exist.
        RecipeError: a name that the catalogue does not have.
    """
    found: dict[Place, Located] = {}
    inlined: dict[str, Source] = {}
    for stage in recipe.resolved_stages():
        for entry in stage.entries:
            found[stage.name, entry.id] = _locate(entry, folder, store, inlined)
    check_layouts([located.source for located in found.values()])
    return found


def _locate(entry: Entry, folder: Path, store: Store, inlined: dict[str, Source]) -> Located:
    if isinstance(entry.source, str):
        return locate_named(entry.source, store, f"entry `{entry.id}`: ")
    source = inline(entry.id, dict[str, JsonValue](entry.source))
    if inlined.setdefault(source.name, source) != source:
        raise RecipeError(f"entry `{entry.id}`: two different inline sources would both be called `{source.name}`")
    return Located(source, folder)


def locate_named(name: str, store: Store, where: str = "") -> Located:
    """A source of the catalogue by name or alias.

    Raises:
        CatalogError: no such source, or one that cannot be had; the message says why.
    """
    known = catalogue(store)
    try:
        source = known[name] if name in known else lookup(words(known), name).source
    except CatalogError as error:
        raise CatalogError(f"{where}{error}") from error
    mirror = store.root / "mirrors" / f"{source.name}.json"
    if source.repo == DEMO:
        return Located(source, demo_root(store))
    if mirror.is_file():
        return Located(source, Path(Mirror.model_validate_json(mirror.read_bytes()).root))
    if source.status not in {"ready", "unverified"}:
        raise CatalogError(f"{where}source `{source.name}` cannot be fetched: {source.status}, {source.status_reason}")
    if source.host == "hf" and source.files:
        return Located(source, raw_folder(store, source) / "unresolved", hub=True)
    place = source.url or source.repo or "the publisher"
    remedy = f"get it from {place} and register the folder: `vlmix sources register DIR --name {source.name}-local`"
    raise CatalogError(f"{where}source `{source.name}` is no set of files on the hub; {remedy}")


def raw_folder(store: Store, source: Source) -> Path:
    """Where the files of a hub repository are kept; subsets of one repository share it."""
    assert source.repo is not None
    return store.root / "raw" / source.repo.lower().replace("/", "--")


def on_disk(located: Located, store: Store, *, update: bool = False, progress: Progress | None = None) -> Located:
    """The source with its files on this machine: downloaded from the hub where they come from there.

    Raises:
        SourceError: the hub does not give them; the message says what to do.
    """
    if not located.hub:
        return located
    from sources.hub import download

    source = located.source
    assert source.repo is not None
    patterns = (*source.files, *((source.archive,) if source.archive else ()))
    found = download(
        source.name,
        repo=source.repo,
        patterns=patterns,
        folder=raw_folder(store, source),
        lock=store.root / "sources.lock",
        revision=source.revision or "main",
        update=update,
        progress=progress or (lambda done, total: None),
    )
    return Located(source, found.root)


def facts(located: Mapping[Place, Located], *, count: bool) -> dict[Place, SourceFacts]:
    """What a plan must know; with `count`, local files without a declared count are counted by reading all of them."""
    found: dict[str, SourceFacts] = {}
    for place in located.values():
        if place.source.name not in found:
            found[place.source.name] = _facts(place, count=count)
    return {key: found[place.source.name] for key, place in located.items()}


def _facts(located: Located, *, count: bool) -> SourceFacts:
    source = located.source
    rows, status = source.rows, "resolved"
    if count and rows is None and located.base.is_dir():
        rows = sum(1 for _ in read_items(source, raw_files(source, located.base)))
    if rows is None:
        # what a paper says of a source is no count of its files
        rows, status = source.published_rows, "assumed" if source.published_rows is not None else "unresolved"
    return SourceFacts.model_validate({"name": source.name, "licence": source.licence, "rows": rows, "status": status})
