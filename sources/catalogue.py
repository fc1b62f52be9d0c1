"""Named sources: YAML files of the project and of the store (registered mirrors)."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

import yaml
from pydantic import JsonValue, ValidationError

from shards.complaint import complaint
from shards.errors import CatalogError
from sources.spec import Source, SourceBody

CATALOG: Final = Path(__file__).parent / "catalog"
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The C loader reads the catalogue six times as fast; not every build of PyYAML has it."""
_DOCS: Final = "docs/sources.md"
_TEMPLATES: Final[tuple[str, ...]] = ("files", "archive")


@lru_cache(maxsize=8)
def load_catalogue(*folders: Path, own: Path | None = None) -> dict[str, Source]:
    """Every source declared in the folders; a later folder may not redefine a name.

    Sources in the folder `own` stand in the place of those of the same name, as a whole, or after the last.

    A file holds one source, or a list of sources and groups. A group has a list `sources` and, beside it, what they
    share; a source's own value stands over the group's. In `files` and `archive` of a group, `{config}` is the
    source's configuration.

    Raises:
        CatalogError: a file that is not understood, a name or alias that stands twice, or no file in `own`.
    """
    found = _declared(folders)
    if own is not None:
        if not any(own.glob("*.yaml")):
            raise CatalogError(f"catalogue `{own}`: expected a folder with .yaml files; check VLMIX_CATALOG")
        found |= _declared((own,))
    _check_aliases(found)
    return found


def _declared(folders: tuple[Path, ...]) -> dict[str, Source]:
    found: dict[str, Source] = {}
    for file in (file for folder in folders for file in sorted(folder.glob("*.yaml"))):
        for declaration in _declarations(_loaded(file), file.name):
            source = _source(declaration, file.name)
            if source.name in found:
                raise CatalogError(f"source `{source.name}` stands twice, again in `{file}`")
            found[source.name] = source
    return found


def _loaded(file: Path) -> JsonValue:
    try:
        # every loader chosen above is a safe one
        loaded: JsonValue = yaml.load(file.read_text(), Loader=_LOADER)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CatalogError(f"catalogue `{file.name}`: expected YAML: {error}") from error
    return loaded


def _declarations(loaded: JsonValue, where: str) -> Iterator[JsonValue]:
    for item in loaded if isinstance(loaded, list) else [loaded]:
        if not isinstance(item, dict) or "sources" not in item:
            yield item
            continue
        shared = {key: value for key, value in item.items() if key != "sources"}
        members = item["sources"]
        if not isinstance(members, list):
            raise CatalogError(f"catalogue `{where}`: `sources` of a group: expected a list")
        yield from (_member(shared, member, where) for member in members)


def _member(shared: dict[str, JsonValue], own: JsonValue, where: str) -> JsonValue:
    if not isinstance(own, dict):
        raise CatalogError(f"catalogue `{where}`: `sources` of a group: expected mappings")
    config = str(own.get("config", ""))
    templates = {key: _filled(shared[key], config) for key in _TEMPLATES if key in shared}
    return {**shared, **templates, **own}


def _filled(template: JsonValue, config: str) -> JsonValue:
    if isinstance(template, list):
        return [_filled(item, config) for item in template]
    return template.replace("{config}", config) if isinstance(template, str) else template


def _source(declaration: JsonValue, where: str) -> Source:
    try:
        return Source.model_validate(declaration)
    except ValidationError as error:
        name = declaration.get("name") if isinstance(declaration, dict) else None
        place = f"catalogue `{where}`: " + (f"source `{name}`: " if isinstance(name, str) else "")
        raise CatalogError(f"{place}{complaint(error, docs=_DOCS)}") from error


def _check_aliases(found: dict[str, Source]) -> None:
    owners: dict[str, str] = {name: name for name in found}
    for source in found.values():
        for alias in source.aliases:
            other = owners.setdefault(alias, source.name)
            if other != source.name:
                raise CatalogError(f"source `{source.name}`: alias `{alias}` already means `{other}`")


def inline(name: str, body: dict[str, JsonValue]) -> Source:
    """A source declared inside a recipe; its name is the entry's id in lower case.

    Raises:
        CatalogError: the declaration is not understood.
    """
    try:
        declared = SourceBody.model_validate(body)
        return Source(name=name.lower(), **dict(declared))
    except ValidationError as error:
        raise CatalogError(f"entry `{name}`: inline source: {complaint(error, docs=_DOCS)}") from error
