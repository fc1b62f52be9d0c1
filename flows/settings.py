"""Where things are, when nobody says otherwise."""

import os
from pathlib import Path
from typing import Final

from shards.errors import UsageError

STORE_VARIABLE: Final = "VLMIX_STORE"
CACHE_VARIABLE: Final = "VLMIX_CACHE"
CACHE_BYTES_VARIABLE: Final = "VLMIX_CACHE_BYTES"
CATALOG_VARIABLE: Final = "VLMIX_CATALOG"
PICTURES_VARIABLE: Final = "VLMIX_PICTURES"
PRIVATE_VARIABLE: Final = "VLMIX_PRIVATE_HOSTS"


def default_store() -> str:
    """The store named by `VLMIX_STORE`, a folder or a URL, or `.vlmix` in the current folder."""
    return os.environ.get(STORE_VARIABLE, ".vlmix")


def cache_folder() -> Path:
    """The folder named by `VLMIX_CACHE`, or `~/.cache/vlmix`: working folders of stores at URLs."""
    return _folder(CACHE_VARIABLE) or Path.home() / ".cache" / "vlmix"


def cache_bytes() -> int | None:
    """The number in `VLMIX_CACHE_BYTES`: most bytes of boxes in a working folder when a run begins; None for no limit.

    Raises:
        UsageError: it is no number.
    """
    said = os.environ.get(CACHE_BYTES_VARIABLE)
    if not said:
        return None
    if not said.isdecimal():
        raise UsageError(f"{CACHE_BYTES_VARIABLE}: expected a number of bytes, found `{said}`")
    return int(said)


def own_catalogue() -> Path | None:
    """The folder named by `VLMIX_CATALOG`, whose sources stand over those of the project; None without one."""
    return _folder(CATALOG_VARIABLE)


def picture_sets() -> Path | None:
    """The folder named by `VLMIX_PICTURES`, where picture sets lie that no source brings along; None without one."""
    return _folder(PICTURES_VARIABLE)


def private_hosts() -> frozenset[str]:
    """Servers of one's own, named in `VLMIX_PRIVATE_HOSTS`, in lower case; they may be at addresses not public."""
    names = os.environ.get(PRIVATE_VARIABLE, "").split(",")
    return frozenset(name.strip().lower() for name in names if name.strip())


def _folder(variable: str) -> Path | None:
    named = os.environ.get(variable)
    return Path(named).absolute() if named else None
