"""Named sources: YAML files of the project and of the store (registered mirrors)."""

from functools import lru_cache
from pathlib import Path
from typing import Final

import yaml
from pydantic import JsonValue, ValidationError

from shards.errors import CatalogError
from sources.spec import Source, SourceBody

CATALOG: Final = Path(__file__).parent / "catalog"


@lru_cache(maxsize=8)
def load_catalogue(*folders: Path) -> dict[str, Source]:
    """Every source declared below the folders; a later folder may not redefine a name.

    A file holds one source, or a list of them.

    Raises:
        CatalogError: a file that is not understood, or a name that stands twice.
    """
    found: dict[str, Source] = {}
    for file in (file for folder in folders for file in sorted(folder.glob("*.yaml"))):
        loaded = _loaded(file)
        for declaration in loaded if isinstance(loaded, list) else [loaded]:
            source = _source(declaration, file.name)
            if source.name in found:
                raise CatalogError(f"source `{source.name}` stands twice, again in `{file}`")
            found[source.name] = source
    return found


def _loaded(file: Path) -> JsonValue:
    try:
        loaded: JsonValue = yaml.safe_load(file.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CatalogError(f"catalogue `{file.name}`: expected YAML: {error}") from error
    return loaded


def _source(declaration: JsonValue, where: str) -> Source:
    try:
        return Source.model_validate(declaration)
    except ValidationError as error:
        raise CatalogError(f"catalogue `{where}`: {_first(error)}") from error


def inline(name: str, body: dict[str, JsonValue]) -> Source:
    """A source declared inside a recipe; its name is the entry's id in lower case.

    Raises:
        CatalogError: the declaration is not understood.
    """
    try:
        declared = SourceBody.model_validate(body)
        return Source(name=name.lower(), **dict(declared))
    except ValidationError as error:
        raise CatalogError(f"entry `{name}`: inline source: {_first(error)}") from error


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    message = "unknown key" if first["type"] == "extra_forbidden" else first["msg"]
    return f"`{place}`: {message}"
