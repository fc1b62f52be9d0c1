"""Files of a dataset repository on the Hugging Face hub: one commit, checked bytes, resumed where a run was cut."""

import hashlib
import json
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final

from pydantic import BaseModel, Field

from shards.errors import CatalogError, SourceError
from shards.files import file_sha256, fingerprint, write_text
from sources.lock import COMMIT, lock_commit, locked_commit
from sources.raw import RawDigest
from sources.repository import HubFile, Repository
from sources.transfer import Progress, TransferPolicy, size_of

_REPO: Final = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_VISIBLE: Final = re.compile(r"[^./\0][^/\0]*(/[^./\0][^/\0]*)*")
"""Names without hidden, empty or upward parts; of the others a hub has no use for, and a source cannot read them."""
_OURS: Final = ".hub"
"""Folder beside the files for parts and done-marks; hidden, so that no glob of a source finds it."""
_SHA256_DIGITS: Final = 64


class Downloaded(BaseModel):
    """Files of one commit below `root`, by name, all whole and checked; without `root` it is the done-mark."""

    root: Path = Field(exclude=True)
    repo: str
    revision: str
    patterns: tuple[str, ...]
    files: tuple[RawDigest, ...]


def download(
    source: str,
    *,
    repo: str,
    patterns: tuple[str, ...],
    folder: Path,
    lock: Path,
    revision: str = "main",
    policy: TransferPolicy | None = None,
    update: bool = False,
    progress: Progress = lambda done, total: None,
) -> Downloaded:
    """Files of a source in `folder`/COMMIT; asks for nothing that is there already.

    The hub is the one in `HF_ENDPOINT`, the token the one in `HF_TOKEN`, both read from the environment at each call;
    `HF_HUB_OFFLINE` works like `policy.offline`. Call under the store's lock, from one process.

    Args:
        source: name for messages.
        repo: dataset repository, `owner/name`.
        patterns: names or globs as in `Source.files`: `*` stays within a folder, `**` does not.
        folder: place of this source; each commit has its own folder in it.
        lock: see sources/lock.py; a branch is resolved once, then read from here.
        revision: commit of 40 hex digits, or a branch or tag.
        policy: bounds; None for the defaults.
        update: resolve the branch again and write what is found to `lock`.
        progress: hears of bytes.

    Raises:
        CatalogError: `repo` is no repository name.
        SourceError: refused, missing, unreachable, broken or too slow; what is finished is kept for the next run.
        StoreError: the disk is full or cannot be written, or the lock file is damaged.
    """
    if not _REPO.fullmatch(repo):
        raise CatalogError(f"source `{source}`: `repo` is `{repo}`, expected `owner/name`")
    hub = Repository(source, repo, policy or TransferPolicy(), progress)
    commit = revision if COMMIT.fullmatch(revision) else _locked(hub, revision, lock, update=update)
    root = folder / commit
    mark = root / _OURS / f"{fingerprint('hub', 1, repo, patterns)[:20]}.json"
    if found := _finished(root, mark):
        return found
    files = _fetch_all(hub, _selected(hub.transfer.name, hub.listing(commit), patterns), root)
    found = Downloaded(root=root, repo=repo, revision=commit, patterns=patterns, files=files)
    write_text(mark, found.model_dump_json(indent=1) + "\n")
    return found


def _finished(root: Path, mark: Path) -> Downloaded | None:
    """What the done-mark says, if it is there and so are the files."""
    try:
        found = Downloaded.model_validate({"root": root, **json.loads(mark.read_bytes())})
    except (FileNotFoundError, ValueError):
        return None
    return found if all(size_of(root / file.name) == file.size for file in found.files) else None


def _locked(hub: Repository, branch: str, lock: Path, *, update: bool) -> str:
    """The commit that the lock file has for a branch; else what the branch points to, which is then written to it."""
    known = locked_commit(lock, hub.repo, branch)
    if known and not update:
        return known
    commit = hub.resolve(branch)
    lock_commit(lock, hub.repo, branch, commit)
    return commit


def _selected(name: str, listing: Sequence[HubFile], patterns: Sequence[str]) -> list[HubFile]:
    """Files that a glob matches, sorted by name; no glob may be without one."""
    chosen: dict[str, HubFile] = {}
    visible = [file for file in listing if _VISIBLE.fullmatch(file.name)]
    for pattern in patterns:
        parts = PurePosixPath(pattern).parts
        found = {file.name: file for file in visible if _fits(PurePosixPath(file.name).parts, parts)}
        if not found:
            some = ", ".join(f"`{file.name}`" for file in visible[:3]) or "no file"
            raise SourceError(f"{name}: no file matches `{pattern}`; check `files`, the repository has {some}")
        chosen |= found
    return [chosen[name] for name in sorted(chosen)]


def _fits(name: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    if not pattern or not name:
        return not pattern and not name
    if pattern[0] == "**":
        return any(_fits(name[skipped:], pattern[1:]) for skipped in range(len(name)))
    # folders are called `chart_qa(cauldron)[v2]`, which a glob alone would read as a set of characters
    return (name[0] == pattern[0] or fnmatchcase(name[0], pattern[0])) and _fits(name[1:], pattern[1:])


def _fetch_all(hub: Repository, files: Sequence[HubFile], root: Path) -> tuple[RawDigest, ...]:
    """Bring every file that is not there yet; the first failure stops the others."""
    with hub.transfer.writing(root):
        (root / _OURS).mkdir(parents=True, exist_ok=True)
        hub.transfer.expect(sum(file.size for file in files))
        hub.transfer.count(sum(max(0, size_of(root / file.name), size_of(_part(root, file))) for file in files))
        hub.transfer.check_space(root)
        return tuple(hub.transfer.run([partial(_fetch, hub, file, root) for file in files]))


def _fetch(hub: Repository, file: HubFile, root: Path) -> RawDigest:
    """One file, whole and checked, in its place. Wrong bytes are thrown away and asked for once more."""
    target, part = root / file.name, _part(root, file)
    digest_of = file_sha256 if len(file.digest) == _SHA256_DIGITS else _git_blob
    for _ in range(2):
        if size_of(target) != file.size:
            hub.body(file, root.name, part)
            if (found := digest_of(part)) != file.digest:
                part.unlink()
                hub.transfer.count(-file.size)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            part.replace(target)
        sha256 = file.digest if digest_of is file_sha256 else file_sha256(target)
        return RawDigest(name=file.name, sha256=sha256, size=file.size)
    remedy = "run again later; if it stays, ask the publisher"
    raise SourceError(f"{hub.transfer.name}: `{file.name}`: expected {file.digest}, found {found} twice; {remedy}")


def _part(root: Path, file: HubFile) -> Path:
    return root / _OURS / f"{fingerprint(file.name, file.digest)[:20]}.part"


def _git_blob(path: Path) -> str:
    data = path.read_bytes()  # the hub puts what is larger than 10 MB into LFS
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
