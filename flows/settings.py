"""Where things are, when nobody says otherwise."""

import os
from pathlib import Path
from typing import Final

STORE_VARIABLE: Final = "VLMIX_STORE"
CATALOG_VARIABLE: Final = "VLMIX_CATALOG"
PICTURES_VARIABLE: Final = "VLMIX_PICTURES"
PRIVATE_VARIABLE: Final = "VLMIX_PRIVATE_HOSTS"


def default_store() -> Path:
    """The store named by `VLMIX_STORE`, or `.vlmix` in the current folder."""
    return Path(os.environ.get(STORE_VARIABLE, ".vlmix"))


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
