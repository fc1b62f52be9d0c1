"""Which rows of a shared file are a source's own."""

from fnmatch import fnmatchcase

from sources.layouts.value import reach
from sources.spec import Only


def belongs(value: object, only: Only) -> bool:
    """Whether a raw row is one of those that the source declares its own."""
    found = reach(value, only.column) if isinstance(value, dict) else None
    if isinstance(found, list):
        found = found[0] if found else None
    if isinstance(found, dict):
        found = found.get("path")
    return isinstance(found, str) and any(fnmatchcase(found.removeprefix("./"), glob) for glob in only.like)
