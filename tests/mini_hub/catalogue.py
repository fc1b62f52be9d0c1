"""The catalogue as plain data, and the overlay that turns its entries into entries of the miniature."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from mini_hub.local import ENTRIES

TAKEN = frozenset({"ready", "unverified", "gated"})
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def entries(catalog: Path) -> list[dict[str, Any]]:
    """Every source that somebody could read, in the order of the files, then those of shapes that none of them has.

    The embedded demo is none. What nobody can find but what has a shape and file names is one.
    """
    found = [
        entry for file in sorted(catalog.glob("*.yaml")) for entry in _entries(yaml.load(file.read_text(), _LOADER))
    ]
    return [entry for entry in found if _is_taken(entry) and entry.get("repo") != "demo"] + ENTRIES


def _is_taken(entry: dict[str, Any]) -> bool:
    return entry.get("status", "ready") in TAKEN or bool(entry.get("layout") and entry.get("files"))


def _entries(loaded: Any) -> Iterator[dict[str, Any]]:
    for item in loaded if isinstance(loaded, list) else [loaded]:
        shared = {key: value for key, value in item.items() if key != "sources"}
        for own in item.get("sources", [{}]):
            templates = {
                key: _filled(shared[key], own.get("config", "")) for key in ("files", "archive") if key in shared
            }
            yield {**shared, **templates, **own}


def _filled(template: Any, config: str) -> Any:
    if isinstance(template, list):
        return [_filled(item, config) for item in template]
    return template.replace("{config}", config)


def repo_of(entry: Mapping[str, Any]) -> str:
    """The repository of a source; one that is on no hub gets one by the name of its host."""
    return str(entry.get("repo") or f"mini-{entry.get('host', 'none')}/{entry['name']}")


def overlay(entry: Mapping[str, Any], declared: Mapping[str, Any], rows: int, commit: str) -> dict[str, Any]:
    """The entry of the miniature: the real one with the miniature's files, rows and commit."""
    invented = "".join(f", `{key}` invented" for key in declared)
    changed = {"repo": repo_of(entry), "revision": commit, "rows": rows, "rows_basis": "counted"}
    notes = f"Synthetic: the miniature of tests/mini_hub, not the published data{invented}."
    dropped = {"used_by", "aliases", "notes"}
    kept = {key: value for key, value in entry.items() if key not in dropped}
    return {**kept, **declared, **changed, "notes": notes}


def dump(overlays: list[dict[str, Any]]) -> str:
    """The overlay as a file of the catalogue."""
    head = "# Synthetic. Written by tests/mini_hub: no row, commit or file in here is a publisher's.\n"
    return head + yaml.dump(overlays, Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=120)
