"""The lock file of a store: what the first fetch found where a declaration pins nothing.

{"OWNER/NAME": {BRANCH: COMMIT}, "downloads": {URL: {"sha256": .., "size": .., "etag": .., "modified": ..}}}
"""

import json
import re
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from shards.errors import StoreError
from shards.files import write_text

COMMIT: Final = re.compile(r"[0-9a-f]{40}")
"""A commit, and no branch."""
_DOWNLOADS: Final = "downloads"  # no repository: those have a slash
_DAMAGED: Final = (ValueError, TypeError, AttributeError)  # half a file, or JSON of another shape


class LockedFile(BaseModel):
    """The bytes behind a URL; `etag` and `modified` as the server sent them, empty where it did not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0)]
    etag: str = ""
    modified: str = ""


def locked_commit(lock: Path, repo: str, branch: str) -> str | None:
    """The commit that a branch was found at, or None.

    Raises:
        StoreError: the file is damaged.
    """
    return _read(lock)[0].get(repo, {}).get(branch)


def locked_commits(lock: Path) -> set[str]:
    """Every commit in the lock file.

    Raises:
        StoreError: the file is damaged.
    """
    return {commit for branches in _read(lock)[0].values() for commit in branches.values()}


def lock_commit(lock: Path, repo: str, branch: str, commit: str) -> None:
    """Write down where a branch was found. Call under the store's lock, from one thread at a time."""
    branches, files = _read(lock)
    _write(lock, {**branches, repo: {**branches.get(repo, {}), branch: commit}}, files)


def locked_file(lock: Path, url: str) -> LockedFile | None:
    """What was found behind a URL, or None.

    Raises:
        StoreError: the file is damaged.
    """
    return _read(lock)[1].get(url)


def lock_file(lock: Path, url: str, found: LockedFile) -> None:
    """Write down what was found behind a URL. Call under the store's lock, from one thread at a time."""
    branches, files = _read(lock)
    _write(lock, branches, {**files, url: found})


def _read(lock: Path) -> tuple[dict[str, dict[str, str]], dict[str, LockedFile]]:
    try:
        written = json.loads(lock.read_text()) if lock.is_file() else {}
        files = {url: LockedFile.model_validate(found) for url, found in written.pop(_DOWNLOADS, {}).items()}
        if not all(COMMIT.fullmatch(commit) for branches in written.values() for commit in branches.values()):
            raise ValueError("expected commits of 40 hex digits")
    except _DAMAGED as error:
        reason = " ".join(str(error).split())
        remedy = "restore it from a copy, or delete it to take what is published today"
        raise StoreError(f"`{lock}`: {reason}; {remedy}") from error
    return written, files


def _write(lock: Path, branches: dict[str, dict[str, str]], files: dict[str, LockedFile]) -> None:
    written: dict[str, object] = dict(branches)
    if files:
        written[_DOWNLOADS] = {url: found.model_dump(exclude_defaults=True) for url, found in files.items()}
    write_text(lock, json.dumps(written, indent=1, sort_keys=True) + "\n")
