"""Files of a dataset repository on the Hugging Face hub: one commit, checked bytes, resumed where a run was cut.

Connections, addresses, look-ups and kinds of errors are those of `huggingface_hub`. Two things it does are not enough.
A file's body: `hf_hub_download` writes to a new name at each attempt and deletes it on any failure (its issue 4196 and
pull request 4306), so nothing survives a killed run; it compares sizes, not hashes; and a server that sends one byte at
a time holds it for ever. A listing: `HfApi.list_repo_tree` has no time-out, and sleeps as long as `Retry-After` says.
"""

import hashlib
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, CancelledError, ThreadPoolExecutor, wait
from dataclasses import dataclass
from fnmatch import fnmatchcase
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple, TypeVar, cast
from urllib.parse import urlsplit

from huggingface_hub import HfApi, constants, get_session, hf_hub_url, hf_raise_for_status
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, HfHubHTTPError, RevisionNotFoundError
from pydantic import BaseModel, Field

from shards.errors import CatalogError, SourceError, StoreError
from shards.files import file_sha256, fingerprint, write_text
from sources.raw import RawDigest

_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_REPO: Final = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_VISIBLE: Final = re.compile(r"[^./\0][^/\0]*(/[^./\0][^/\0]*)*")
"""Names without hidden, empty or upward parts; of the others a hub has no use for, and a source cannot read them."""
_OURS: Final = ".hub"
"""Folder beside the files for parts and done-marks; hidden, so that no glob of a source finds it."""
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_SHA256_DIGITS: Final = 64
# huggingface_hub 1 speaks through httpx and 2 through httpx2; their errors share the parent of `HfHubHTTPError`
_WireError: Final = cast(type[Exception], HfHubHTTPError.__mro__[1])
# what reading an answer raises that no hub gave: a log-in page, a proxy's note
_UNREADABLE: Final = (ValueError, TypeError, KeyError, AttributeError)

Result = TypeVar("Result")
Progress = Callable[[int, int], None]
"""Hears of (bytes on disk, bytes in all), from several threads, one at a time. The first falls when bytes are wrong."""


@dataclass(frozen=True, slots=True)
class HubPolicy:
    """Bounds of a download; times in seconds.

    A connection that brings less than `slowest` bytes a second over `patience` seconds is given up and made anew. The
    n-th wait is `backoff * 2 ** (n - 1)`, at most a minute, or what `Retry-After` says; above `longest_wait` that is an
    error, as are more than `retries` failures in a row; a cut after new bytes starts the count again.
    """

    parallel: int = 4
    timeout: float = 20.0
    slowest: float = 1000.0
    patience: float = 60.0
    retries: int = 5
    backoff: float = 1.0
    longest_wait: float = 300.0
    offline: bool = False


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
    policy: HubPolicy | None = None,
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
        lock: JSON file {repo: {branch: commit}}; a branch is resolved once, then read from here.
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
    hub = _Hub(source, repo, policy or HubPolicy(), progress)
    commit = revision if _COMMIT.fullmatch(revision) else _locked(hub, revision, lock, update=update)
    root = folder / commit
    mark = root / _OURS / f"{fingerprint('hub', 1, repo, patterns)[:20]}.json"
    if found := _finished(root, mark):
        return found
    files = _fetch_all(hub, _selected(hub, hub.listing(commit), patterns), root)
    found = Downloaded(root=root, repo=repo, revision=commit, patterns=patterns, files=files)
    write_text(mark, found.model_dump_json(indent=1) + "\n")
    return found


def _finished(root: Path, mark: Path) -> Downloaded | None:
    """What the done-mark says, if it is there and so are the files."""
    try:
        found = Downloaded.model_validate({"root": root, **json.loads(mark.read_bytes())})
    except (FileNotFoundError, ValueError):
        return None
    return found if all(_have(root / file.name) == file.size for file in found.files) else None


def _locked(hub: "_Hub", branch: str, lock: Path, *, update: bool) -> str:
    """The commit that the lock file has for a branch; else what the branch points to, which is then written to it."""
    locked = _read_lock(lock)
    known = locked.get(hub.repo, {})
    if branch in known and not update:
        return known[branch]
    commit = hub.resolve(branch)
    write_text(lock, json.dumps({**locked, hub.repo: {**known, branch: commit}}, indent=1, sort_keys=True) + "\n")
    return commit


def _read_lock(lock: Path) -> dict[str, dict[str, str]]:
    try:
        locked = json.loads(lock.read_text()) if lock.is_file() else {}
        if not all(_COMMIT.fullmatch(commit) for branches in locked.values() for commit in branches.values()):
            raise ValueError("expected commits of 40 hex digits")
        return dict(locked)
    except _UNREADABLE as error:
        remedy = "restore it from a copy, or delete it to take what the branches point to today"
        raise StoreError(f"`{lock}`: {error}; {remedy}") from error


class _File(NamedTuple):
    """A file as the hub lists it; `digest` is the SHA-256 of an LFS file, of a small one the name of its git blob."""

    name: str
    size: int
    digest: str


def _selected(hub: "_Hub", listing: Sequence[_File], patterns: Sequence[str]) -> list[_File]:
    """Files that a glob matches, sorted by name; no glob may be without one."""
    chosen: dict[str, _File] = {}
    visible = [file for file in listing if _VISIBLE.fullmatch(file.name)]
    for pattern in patterns:
        parts = PurePosixPath(pattern).parts
        found = {file.name: file for file in visible if _fits(PurePosixPath(file.name).parts, parts)}
        if not found:
            some = ", ".join(f"`{file.name}`" for file in visible[:3]) or "no file"
            raise SourceError(f"{hub.name}: no file matches `{pattern}`; check `files`, the repository has {some}")
        chosen |= found
    return [chosen[name] for name in sorted(chosen)]


def _fits(name: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    if not pattern or not name:
        return not pattern and not name
    if pattern[0] == "**":
        return any(_fits(name[skipped:], pattern[1:]) for skipped in range(len(name)))
    # folders are called `chart_qa(cauldron)[v2]`, which a glob alone would read as a set of characters
    return (name[0] == pattern[0] or fnmatchcase(name[0], pattern[0])) and _fits(name[1:], pattern[1:])


def _fetch_all(hub: "_Hub", files: Sequence[_File], root: Path) -> tuple[RawDigest, ...]:
    """Bring every file that is not there yet; the first failure stops the others."""
    try:
        (root / _OURS).mkdir(parents=True, exist_ok=True)
        hub.total = sum(file.size for file in files)
        hub.count(sum(max(0, _have(root / file.name), _have(_part(root, file))) for file in files))
        missing, free = hub.total - hub.done, shutil.disk_usage(root).free
        if missing > free:
            raise OSError(f"{missing} bytes to come, {free} bytes free")
        with ThreadPoolExecutor(hub.policy.parallel) as pool:
            jobs = [pool.submit(_fetch, hub, file, root) for file in files]
            try:
                wait(jobs, return_when=FIRST_EXCEPTION)
            finally:
                hub.stop.set()
                pool.shutdown(cancel_futures=True)
        errors = [error for job in jobs if not job.cancelled() and (error := job.exception())]
        for error in sorted(errors, key=lambda error: isinstance(error, CancelledError)):
            raise error
        return tuple(job.result() for job in jobs)
    except OSError as error:
        remedy = "free space or choose another store with --store; what is finished is kept"
        raise StoreError(f"{hub.name}: cannot write to `{root}`: {error.strerror or error}; {remedy}") from error


def _fetch(hub: "_Hub", file: _File, root: Path) -> RawDigest:
    """One file, whole and checked, in its place. Wrong bytes are thrown away and asked for once more."""
    target, part = root / file.name, _part(root, file)
    digest_of = file_sha256 if len(file.digest) == _SHA256_DIGITS else _git_blob
    for _ in range(2):
        if _have(target) != file.size:
            hub.body(file, root.name, part)
            if (found := digest_of(part)) != file.digest:
                part.unlink()
                hub.count(-file.size)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            part.replace(target)
        sha256 = file.digest if digest_of is file_sha256 else file_sha256(target)
        return RawDigest(name=file.name, sha256=sha256, size=file.size)
    remedy = "run again later; if it stays, ask the publisher"
    raise SourceError(f"{hub.name}: `{file.name}`: expected {file.digest}, found {found} twice; {remedy}")


def _part(root: Path, file: _File) -> Path:
    return root / _OURS / f"{fingerprint(file.name, file.digest)[:20]}.part"


def _have(path: Path) -> int:
    """Bytes of a file; -1 where there is none. A file gets its name after its bytes were checked."""
    return path.stat().st_size if path.is_file() else -1


def _git_blob(path: Path) -> str:
    data = path.read_bytes()  # the hub puts what is larger than 10 MB into LFS
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


class _Broken(Exception):  # noqa: N818 -- an answer that is no use; another may be
    pass


class _Hub:
    """One repository of the hub: every request goes through here."""

    def __init__(self, source: str, repo: str, policy: HubPolicy, progress: Progress) -> None:
        # else the client asks `/api/agent-harnesses` who runs it and sends that along; the variable of this name is
        # read when the package is imported, which may have happened
        constants.HF_HUB_DISABLE_TELEMETRY = True
        self.repo, self.policy, self.progress = repo, policy, progress
        self.name = f"source `{source}`: `{repo}`"
        self.endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
        wish = os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
        self.offline = policy.offline or wish or constants.is_offline_mode()
        self.token = os.environ.get("HF_TOKEN", "").strip()
        self.headers = {"User-Agent": "vlmix"} | ({"Authorization": f"Bearer {self.token}"} if self.token else {})
        self.stop, self.lock, self.done, self.total = threading.Event(), threading.Lock(), 0, 0

    def count(self, number: int) -> None:
        """Bytes that came to the disk."""
        with self.lock:
            self.done += number
            self.progress(self.done, self.total)

    def resolve(self, branch: str) -> str:
        """The commit that a branch or tag points to."""
        api = HfApi(endpoint=self.endpoint, token=self.token or False, library_name="vlmix")

        def ask() -> str:
            info = api.dataset_info(self.repo, revision=branch, timeout=self.policy.timeout)
            if not _COMMIT.fullmatch(str(info.sha)):
                raise ValueError(f"`{info.sha}` is no commit")
            return str(info.sha)

        return self._patiently(f"revision `{branch}`", ask)

    def listing(self, revision: str) -> list[_File]:
        """Every file of a commit."""
        address = f"{self.endpoint}/api/datasets/{self.repo}/tree/{revision}"
        query, files = "recursive=true", list[_File]()

        def ask() -> tuple[list[_File], str]:
            response = get_session().get(f"{address}?{query}", headers=self.headers, timeout=self.policy.timeout)
            hf_raise_for_status(response)
            # only the query is taken: a mirror passes on the host of the hub it copies
            following = urlsplit(response.links.get("next", {}).get("url", "")).query
            entries = [entry for entry in response.json() if entry["type"] == "file"]
            return [_File(entry["path"], entry["size"], entry.get("lfs", entry)["oid"]) for entry in entries], following

        while query:
            page, query = self._patiently(f"revision `{revision}`", ask)
            files += page
        return files

    def body(self, file: _File, revision: str, part: Path) -> None:
        """Bring `part` to the size of the file, from where it stands."""
        url = hf_hub_url(self.repo, file.name, repo_type="dataset", revision=revision, endpoint=self.endpoint)

        def ask() -> None:
            start = have if (have := _have(part)) < file.size else 0
            headers = {**self.headers, "Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
            with get_session().stream("GET", url, headers=headers, timeout=self.policy.timeout) as response:
                hf_raise_for_status(response)
                if start and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                    self.count(-start)  # the server begins again
                    start = 0
                self._write(response.iter_bytes(), part, start, file.size)
            if (have := _have(part)) != file.size:
                raise _Broken(f"the answer ended after {have} of {file.size} bytes")

        part.touch()  # an empty file is whole without a request
        if _have(part) != file.size:
            self._patiently(f"`{file.name}`", ask, lambda: _have(part))

    def _write(self, chunks: Iterator[bytes], part: Path, have: int, size: int) -> None:
        since, number = time.monotonic(), 0
        with part.open("ab" if have else "wb") as handle:
            for chunk in chunks:
                if self.stop.is_set():
                    raise CancelledError
                if have + len(chunk) > size:
                    self.count(-have)
                    handle.truncate(0)
                    raise _Broken(f"the answer is longer than {size} bytes")
                handle.write(chunk)
                self.count(len(chunk))
                have, number = have + len(chunk), number + len(chunk)
                if (passed := time.monotonic() - since) >= self.policy.patience:
                    if number < self.policy.slowest * passed:
                        raise _Broken(f"{number} bytes in {passed:.3g} s, less than {self.policy.slowest:g} a second")
                    since, number = time.monotonic(), 0
            handle.flush()
            os.fsync(handle.fileno())

    def _patiently(self, place: str, ask: Callable[[], Result], have: Callable[[], int] = lambda: 0) -> Result:
        """Ask until there is an answer; what passes is waited for, what does not is one message."""
        if self.offline:
            remedy = "run once with the network"
            raise SourceError(f"{self.name}: {place}: offline, and not all of it is on this disk; {remedy}")
        failures = 0
        while True:
            before = have()
            try:
                return ask()
            except (HfHubHTTPError, _WireError, _Broken, *_UNREADABLE) as error:
                moved = have() > before and not isinstance(error, _Broken)
                failures = 1 if moved else failures + 1
                pause = max(min(self.policy.backoff * 2 ** (failures - 1), 60.0), _retry_after(error))
                refused = isinstance(error, HfHubHTTPError) and error.response.status_code not in _PASSING
                if (
                    refused
                    or isinstance(error, _UNREADABLE)
                    or failures > self.policy.retries
                    or pause > self.policy.longest_wait
                ):
                    raise SourceError(f"{self.name}: {place}: {self._explained(error)}") from error
            if self.stop.wait(pause):
                raise CancelledError

    def _explained(self, error: Exception) -> str:
        if isinstance(error, HfHubHTTPError):
            return f"HTTP {error.response.status_code}: {self._remedy(error)}"
        if isinstance(error, _Broken):
            return f"{error}; run again, what has come is kept"
        kind = f"{type(error).__name__}: {error}"
        if isinstance(error, _UNREADABLE):
            return f"{self.endpoint} does not answer like a hub: {kind}; check HF_ENDPOINT"
        return f"cannot reach {self.endpoint}: {kind}; check the network and HF_ENDPOINT, then run again"

    def _remedy(self, error: HfHubHTTPError) -> str:
        page, status = f"{self.endpoint}/datasets/{self.repo}", error.response.status_code
        if isinstance(error, GatedRepoError):
            account = "the account of HF_TOKEN has no access" if self.token else "HF_TOKEN is not set"
            return f"gated, and {account}; request access at {page}, then set HF_TOKEN to a token of that account"
        if isinstance(error, RevisionNotFoundError):
            return "no such revision; set another `revision`, or take the branch as it is with --update"
        if isinstance(error, EntryNotFoundError):
            return "listed but not there; pin another `revision`, or leave it out of `files`"
        absent = "check `repo`; a private one needs HF_TOKEN"
        if status == HTTPStatus.UNAUTHORIZED:
            return "HF_TOKEN is not accepted; make another" if self.token else f"private or not there; {absent}"
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return f"too many requests, the hub asks to wait {_retry_after(error):g} s; run again then"
        if status in _PASSING:
            return "the hub has trouble; run again later, what has come is kept"
        return f"no such repository; {absent}" if status == HTTPStatus.NOT_FOUND else f"refused; look at {page}"


def _retry_after(error: Exception) -> float:
    """Seconds that an answer asks to wait; 0 where it does not say, or gives a date."""
    wanted = error.response.headers.get("Retry-After", "") if isinstance(error, HfHubHTTPError) else ""
    return float(wanted) if wanted.isdecimal() else 0.0
