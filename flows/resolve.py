"""Recipe entries to sources: catalogue names, inline declarations, registered mirrors, the demo publishers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import JsonValue

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
    """A source and the folder that its `files` and `root` start from."""

    source: Source
    base: Path

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
    """A source of the catalogue by name.

    Raises:
        RecipeError: no such source.
    """
    known = catalogue(store)
    if name not in known:
        import difflib

        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean `{close[0]}`?" if close else "see `vlmix sources list`"
        raise RecipeError(f"{where}no source `{name}` in the catalogue; {hint}")
    source = known[name]
    if source.repo == DEMO:
        return Located(source, demo_root(store))
    mirror = store.root / "mirrors" / f"{name}.json"
    if mirror.is_file():
        return Located(source, Path(Mirror.model_validate_json(mirror.read_bytes()).root))
    raise CatalogError(f"{where}source `{name}` is not on this machine; register a copy: `vlmix sources register DIR`")


def facts(located: Mapping[Place, Located]) -> dict[Place, SourceFacts]:
    """What a plan must know; local files without a declared count are counted by reading them."""
    counted: dict[str, SourceFacts] = {}
    for place in located.values():
        if place.source.name not in counted:
            counted[place.source.name] = _facts(place)
    return {key: counted[place.source.name] for key, place in located.items()}


def _facts(located: Located) -> SourceFacts:
    source = located.source
    rows = source.rows
    if rows is None and located.base.is_dir():
        rows = sum(1 for _ in read_items(source, raw_files(source, located.base)))
    return SourceFacts(
        name=source.name, licence=source.licence, rows=rows, status="unresolved" if rows is None else "resolved"
    )
