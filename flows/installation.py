"""What is installed: the package and the libraries that decide which bytes a step writes."""

import hashlib
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from shards.errors import WorkerError

PACKAGES: Final = ("shards", "sources", "filters", "manifests", "review", "flows")
"""The packages of this project."""
_LIBRARIES: Final = ("numba", "numpy", "pillow", "polars", "pyarrow", "scipy", "tokenizers")
_FILES: Final = frozenset({".py", ".yaml", ".md", ".json"})


@cache
def installed() -> str:
    """Python, libraries and a digest of the package's own files: `3.11.7 numba 0.68.1 ... vlmix 3f9a...`.

    Files rather than a version number: an editable installation changes without one.
    """
    digest = hashlib.sha256()
    root = Path(__file__).parents[1]
    for package in PACKAGES:
        for path in sorted(path for path in (root / package).rglob("*") if path.suffix in _FILES and path.is_file()):
            data = path.read_bytes()
            digest.update(f"{path.relative_to(root).as_posix()} {len(data)}\n".encode() + data)
    libraries = [f"{name} {_version(name)}" for name in _LIBRARIES]
    return " ".join([platform.python_version(), *libraries, "vlmix", digest.hexdigest()[:16]])


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


@cache
def check_worker(expected: str, store: Path) -> None:
    """Stop where this process is not the worker that the main process needs.

    Args:
        expected: what `installed` says there.
        store: folder of the store, whose lock file the main process holds.

    Raises:
        WorkerError: another version of something, or the store is not to be seen from here.
    """
    host = platform.node()
    if (found := installed()) != expected:
        here, there = set(_pairs(found)), set(_pairs(expected))
        words = f"has {', '.join(sorted(here - there))}, the run has {', '.join(sorted(there - here))}"
        raise WorkerError(f"worker on `{host}` {words}; install the same on every node")
    if not (store / ".lock").exists():
        raise WorkerError(f"worker on `{host}` does not see the store `{store}`; use a folder that all nodes share")


def _pairs(words: str) -> list[str]:
    python, *rest = words.split()
    return [f"python {python}", *(f"{name} {what}" for name, what in zip(rest[::2], rest[1::2], strict=True))]
