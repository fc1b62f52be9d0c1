"""Recipe entries to sources: catalogue names, inline declarations, registered mirrors, the demo publishers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from flows.fetching import Progress, fetch_files, is_remote, refusal
from flows.listing import lookup, words
from flows.settings import PICTURES_VARIABLE, own_catalogue, picture_sets
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

Place = tuple[str, str]
"""(stage name, entry id)"""


@dataclass(frozen=True, slots=True)
class Located:
    """A source and the folder that its `files` and `root` start from.

    `remote` says that the files come over the network; `base` is then a folder that never exists, see `on_disk`.
    """

    source: Source
    base: Path
    remote: bool = False

    @property
    def demo(self) -> bool:
        """Whether the embedded publishers write its raw files."""
        return self.source.repo == DEMO


class UnavailableError(CatalogError):
    """The catalogue knows the source, but its files cannot be had."""

    def __init__(self, where: str, source: Source, reason: str) -> None:
        super().__init__(f"{where}source `{source.name}` {reason}")
        self.source = source
        self.reason = f"source `{source.name}` {reason}"


def catalogue(store: Store) -> dict[str, Source]:
    """Sources of the project and mirrors registered in this store; those in `VLMIX_CATALOG` stand over them."""
    return load_catalogue(CATALOG, store.root / "catalog", own=own_catalogue())


def demo_root(store: Store) -> Path:
    """Where the demo publishers write their raw files."""
    return store.root / "demo" / "publishers"


@dataclass(frozen=True, slots=True)
class Missing:
    """A source that cannot be had, and why."""

    source: Source
    reason: str


def locate(recipe: Recipe, folder: Path, store: Store) -> tuple[dict[Place, Located], dict[Place, Missing]]:
    """The source of every entry, and the entries that cannot be had: for their source, or for what they withhold.

    Raises:
        CatalogError: a declaration that is not understood, a layout that does not exist, or a name that the catalogue
            does not have.
        RecipeError: two inline sources of one name.
    """
    found: dict[Place, Located] = {}
    missing: dict[Place, Missing] = {}
    inlined: dict[str, Source] = {}
    for stage in recipe.resolved_stages():
        for entry in stage.entries:
            try:
                place = _locate(entry, folder, store, inlined)
            except UnavailableError as error:
                reasons = filter(None, (entry.withheld, error.reason))
                missing[stage.name, entry.id] = Missing(error.source, "; ".join(reasons))
                continue
            if entry.withheld:
                missing[stage.name, entry.id] = Missing(place.source, entry.withheld)
            else:
                found[stage.name, entry.id] = place
    check_layouts([located.source for located in found.values()])
    return found, missing


def _locate(entry: Entry, folder: Path, store: Store, inlined: dict[str, Source]) -> Located:
    if isinstance(entry.source, str):
        return locate_named(entry.source, store, f"entry `{entry.id}`: ")
    source = inline(entry.id, dict[str, JsonValue](entry.source))
    if inlined.setdefault(source.name, source) != source:
        raise RecipeError(f"entry `{entry.id}`: two different inline sources would both be called `{source.name}`")
    return _remote(source, store) if source.downloads else Located(source, folder)


def locate_named(name: str, store: Store, where: str = "", *, pictures: bool = True) -> Located:
    """A source of the catalogue by name or alias; without `pictures`, those that lie apart may be missing.

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
    if not is_remote(source):
        raise UnavailableError(where, source, refusal(source))
    return _remote(_with_pictures(source, where) if pictures else source, store)


def _with_pictures(source: Source, where: str) -> Source:
    """The source with `root` as the folder on this machine that its pictures lie in, where they lie apart."""
    if source.pictures_from is None:
        return source
    folder = picture_sets()
    if folder and (folder / source.root).is_dir():
        return source.model_copy(update={"root": str(folder / source.root)})
    # the folder that was looked at is told by its variable: manifests hold no places of a machine
    place = f"${PICTURES_VARIABLE}" if source.root == "." else f"${PICTURES_VARIABLE}/{source.root}"
    remedy = f"get them and put them in `{place}`"
    raise UnavailableError(where, source, f"names pictures that lie apart, {source.pictures_from}; {remedy}")


def _remote(source: Source, store: Store) -> Located:
    return Located(source, store.root / "raw" / source.name / "unresolved", remote=True)


def on_disk(located: Located, store: Store, *, update: bool = False, progress: Progress | None = None) -> Located:
    """The source with its files on this machine: downloaded where they come over the network.

    Raises:
        SourceError: nobody gives them; the message says what to do.
        StoreError: the disk is full or cannot be written, or the lock file is damaged.
    """
    if not located.remote:
        return located
    return Located(*fetch_files(located.source, store, update=update, progress=progress))


def excluded_rows(recipe: Recipe, folder: Path) -> dict[Place, tuple[int, ...]]:
    """Row numbers that the `exclude` takes of a recipe leave out, sorted and distinct.

    Raises:
        RecipeError: a file that is missing, or that is no JSON list of row numbers.
    """
    found: dict[Place, tuple[int, ...]] = {}
    for stage in recipe.resolved_stages():
        for entry in stage.entries:
            if entry.take.file is not None and not entry.withheld:
                path = folder / entry.take.file
                try:
                    rows = json.loads(path.read_bytes())
                except (OSError, ValueError) as error:
                    raise RecipeError(f"entry `{entry.id}`: list of excluded rows `{path}`: {error}") from error
                if not isinstance(rows, list) or not all(isinstance(row, int) and row >= 0 for row in rows):
                    raise RecipeError(f"entry `{entry.id}`: `{path}` is no JSON list of row numbers")
                found[stage.name, entry.id] = tuple(sorted(set(rows)))
    return found


def facts(
    located: Mapping[Place, Located], missing: Mapping[Place, Missing], *, count: bool
) -> dict[Place, SourceFacts]:
    """What a plan must know; with `count`, local files without a declared count are counted by reading all of them."""
    found: dict[str, SourceFacts] = {}
    for place in located.values():
        if place.source.name not in found:
            found[place.source.name] = _facts(place, count=count)
    lacking = {
        key: SourceFacts(
            name=item.source.name,
            licence=item.source.licence,
            rows=item.source.rows if item.source.rows is not None else item.source.published_rows,
            status="unresolved",
            reason=item.reason,
        )
        for key, item in missing.items()
    }
    return {key: found[place.source.name] for key, place in located.items()} | lacking


def _basis(source: Source) -> str:
    return "memory" if source.published_rows_basis == "remembered" else str(source.published_rows_basis)


def _facts(located: Located, *, count: bool) -> SourceFacts:
    source = located.source
    rows, status, reason = source.rows, "resolved", ""
    if count and rows is None and located.base.is_dir():
        rows = sum(1 for _ in read_items(source, raw_files(source, located.base)))
    if rows is None:
        # what a paper says of a source is no count of its files
        rows, status = source.published_rows, "assumed"
        reason = (
            "rows unknown until it is read" if rows is None else f"rows from {_basis(source)}, not counted in the files"
        )
    if source.status == "unverified":
        status, reason = "assumed", "; ".join(filter(None, (f"unverified, {source.status_reason}", reason)))
    return SourceFacts.model_validate(
        {"name": source.name, "licence": source.licence, "rows": rows, "status": status, "reason": reason}
    )
