"""Where things are, when nobody says otherwise."""

import logging
import os
from pathlib import Path
from typing import Final, Literal

from shards.errors import UsageError

STORE_VARIABLE: Final = "VLMIX_STORE"
CACHE_VARIABLE: Final = "VLMIX_CACHE"
CACHE_BYTES_VARIABLE: Final = "VLMIX_CACHE_BYTES"
CATALOG_VARIABLE: Final = "VLMIX_CATALOG"
PICTURES_VARIABLE: Final = "VLMIX_PICTURES"
PRIVATE_VARIABLE: Final = "VLMIX_PRIVATE_HOSTS"
LOG_VARIABLE: Final = "VLMIX_LOG"
LOG_FORMATS: Final[tuple[Literal["text", "json"], ...]] = ("text", "json")
LOG_LEVEL_VARIABLE: Final = "VLMIX_LOG_LEVEL"


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


def log_format() -> Literal["text", "json"]:
    """The word in `VLMIX_LOG`: how logs are written, `text` or `json`.

    Raises:
        UsageError: it is another word.
    """
    said = os.environ.get(LOG_VARIABLE) or "text"
    for known in LOG_FORMATS:
        if said == known:
            return known
    raise UsageError(f"{LOG_VARIABLE}: expected `text` or `json`, found `{said}`")


def log_level() -> int | None:
    """The level in `VLMIX_LOG_LEVEL`: debug, info, warning or error; None for the one that the format has.

    Raises:
        UsageError: it is another word.
    """
    said = os.environ.get(LOG_LEVEL_VARIABLE)
    if not said:
        return None
    levels = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
    if said.lower() not in levels:
        raise UsageError(f"{LOG_LEVEL_VARIABLE}: expected one of {', '.join(levels)}, found `{said}`")
    return levels[said.lower()]


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
