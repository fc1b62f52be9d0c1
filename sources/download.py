"""The declaration of files that a publisher serves by address, outside any hub."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_INSIDE: Final = re.compile(r"[^./\0\\][^/\0\\]*(/[^./\0\\][^/\0\\]*)*")
"""Paths without hidden, empty or upward parts."""
_RAW: Final = "raw.githubusercontent.com"
_PINNED: Final = re.compile(r"/[^/]+/[^/]+/[0-9a-f]{40}/.+")


def _address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        raise ValueError("expected an http or https address without user or password")
    if parts.hostname == _RAW and not _PINNED.fullmatch(parts.path):
        raise ValueError(f"pin a commit of 40 hex digits: https://{_RAW}/OWNER/NAME/COMMIT/PATH")
    if parts.hostname == "github.com" and "/blob/" in parts.path:
        raise ValueError(f"`/blob/` gives a web page; write https://{_RAW}/OWNER/NAME/COMMIT/PATH")
    return url


def _inside(path: str) -> str:
    if not _INSIDE.fullmatch(path):
        raise ValueError("expected a path below the source's folder without hidden or upward parts")
    return path


class Download(BaseModel):
    """One file, by its own address and not by that of a page about it.

    `path` is its place below the source's base folder, which `files`, `root` and `archive` start from. Without `sha256`
    the bytes that the first fetch finds are the ones that later fetches must find (sources/lock.py).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Annotated[str, AfterValidator(_address)]
    path: Annotated[str, AfterValidator(_inside)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    size: Annotated[int, Field(ge=0)] | None = None
    """Bytes."""


def distinct(downloads: Sequence[Download]) -> Sequence[Download]:
    """The downloads, if each has a place of its own.

    Raises:
        ValueError: two have one path, or one lies where another needs a folder.
    """
    paths = [PurePosixPath(download.path) for download in downloads]
    folders = {parent for path in paths for parent in path.parents}
    for number, path in enumerate(paths):
        if path in folders or path in paths[:number]:
            raise ValueError(f"`{path}` is the path of two downloads, or of a file and a folder")
    return downloads


Downloads = Annotated[tuple[Download, ...], AfterValidator(distinct)]
"""Downloads of one source."""
