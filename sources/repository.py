"""One dataset repository on the hub, as `huggingface_hub` reaches it: commits, listings, bodies of files.

Connections, addresses, look-ups and kinds of errors are those of `huggingface_hub`. Two things it does are not enough.
A file's body: `hf_hub_download` writes to a new name at each attempt and deletes it on any failure (its issue 4196 and
pull request 4306), so nothing survives a killed run; it compares sizes, not hashes; and a server that sends one byte at
a time holds it for ever. A listing: `HfApi.list_repo_tree` has no time-out, and sleeps as long as `Retry-After` says.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Final, NamedTuple, cast
from urllib.parse import urlsplit

from huggingface_hub import HfApi, constants, get_session, hf_hub_url, hf_raise_for_status
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, HfHubHTTPError, RevisionNotFoundError

from sources.lock import COMMIT
from sources.transfer import (
    PASSING,
    Broken,
    Failed,
    Progress,
    Result,
    Transfer,
    TransferPolicy,
    seconds,
    size_of,
    wished_offline,
)

# huggingface_hub 1 speaks through httpx and 2 through httpx2; their errors share the parent of `HfHubHTTPError`
_WireError: Final = cast(type[Exception], HfHubHTTPError.__mro__[1])
# what reading an answer raises that no hub gave: a log-in page, a proxy's note
_UNREADABLE: Final = (ValueError, TypeError, KeyError, AttributeError)


class HubFile(NamedTuple):
    """A file as the hub lists it; `digest` is the SHA-256 of an LFS file, of a small one the name of its git blob."""

    name: str
    size: int
    digest: str


class Repository:
    """Every request to one repository goes through here.

    The hub is the one in `HF_ENDPOINT`, the token the one in `HF_TOKEN`, both read when this is made.
    """

    def __init__(self, source: str, repo: str, policy: TransferPolicy, progress: Progress) -> None:
        # else the client asks `/api/agent-harnesses` who runs it and sends that along; the variable of this name is
        # read when the package is imported, which may have happened
        constants.HF_HUB_DISABLE_TELEMETRY = True
        self.repo = repo
        self._endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
        offline = policy.offline or wished_offline() or constants.is_offline_mode()
        self.transfer = Transfer(f"source `{source}`: `{repo}`", replace(policy, offline=offline), progress)
        self._timeout = policy.timeout
        self._token = os.environ.get("HF_TOKEN", "").strip()
        self._headers = {"User-Agent": "vlmix"} | ({"Authorization": f"Bearer {self._token}"} if self._token else {})

    def resolve(self, branch: str) -> str:
        """The commit that a branch or tag points to.

        Raises:
            SourceError: refused, missing, unreachable or broken.
        """
        api = HfApi(endpoint=self._endpoint, token=self._token or False, library_name="vlmix")

        def ask() -> str:
            info = api.dataset_info(self.repo, revision=branch, timeout=self._timeout)
            if not COMMIT.fullmatch(str(info.sha)):
                raise ValueError(f"`{info.sha}` is no commit")
            return str(info.sha)

        return self._patiently(f"revision `{branch}`", ask)

    def listing(self, revision: str) -> list[HubFile]:
        """Every file of a commit.

        Raises:
            SourceError: see `resolve`.
        """
        address = f"{self._endpoint}/api/datasets/{self.repo}/tree/{revision}"
        query, files = "recursive=true", list[HubFile]()

        def ask() -> tuple[list[HubFile], str]:
            response = get_session().get(f"{address}?{query}", headers=self._headers, timeout=self._timeout)
            hf_raise_for_status(response)
            # only the query is taken: a mirror passes on the host of the hub it copies
            following = urlsplit(response.links.get("next", {}).get("url", "")).query
            entries = [entry for entry in response.json() if entry["type"] == "file"]
            return [
                HubFile(entry["path"], entry["size"], entry.get("lfs", entry)["oid"]) for entry in entries
            ], following

        while query:
            page, query = self._patiently(f"revision `{revision}`", ask)
            files += page
        return files

    def body(self, file: HubFile, revision: str, part: Path) -> None:
        """Bring `part` to the size of the file, from where it stands.

        Raises:
            SourceError: see `resolve`; what has come is kept.
        """
        url = hf_hub_url(self.repo, file.name, repo_type="dataset", revision=revision, endpoint=self._endpoint)

        def ask() -> None:
            start = have if (have := size_of(part)) < file.size else 0
            headers = {**self._headers, "Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
            with get_session().stream("GET", url, headers=headers, timeout=self._timeout) as response:
                hf_raise_for_status(response)
                if start and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                    self.transfer.count(-start)  # the server begins again
                    start = 0
                self.transfer.grow(part, response.iter_bytes(), start, file.size)
            if (have := size_of(part)) != file.size:
                raise Broken(f"the answer ended after {have} of {file.size} bytes")

        part.touch()  # an empty file is whole without a request
        if size_of(part) != file.size:
            self._patiently(f"`{file.name}`", ask, lambda: size_of(part))

    def _patiently(self, place: str, ask: Callable[[], Result], have: Callable[[], int] = lambda: 0) -> Result:
        def explained() -> Result:
            try:
                return ask()
            except HfHubHTTPError as error:
                status = error.response.status_code
                message = f"HTTP {status}: {self._remedy(error)}"
                raise Failed(message, passing=status in PASSING, pause=_pause(error)) from error
            except _UNREADABLE as error:
                kind = f"{type(error).__name__}: {error}"
                message = f"{self._endpoint} does not answer like a hub: {kind}; check HF_ENDPOINT"
                raise Failed(message, passing=False) from error
            except _WireError as error:
                kind = f"{type(error).__name__}: {error}"
                remedy = "check the network and HF_ENDPOINT, then run again"
                raise Failed(f"cannot reach {self._endpoint}: {kind}; {remedy}") from error

        return self.transfer.patiently(place, explained, have)

    def _remedy(self, error: HfHubHTTPError) -> str:
        page, status = f"{self._endpoint}/datasets/{self.repo}", error.response.status_code
        if isinstance(error, GatedRepoError):
            account = "the account of HF_TOKEN has no access" if self._token else "HF_TOKEN is not set"
            return f"gated, and {account}; request access at {page}, then set HF_TOKEN to a token of that account"
        if isinstance(error, RevisionNotFoundError):
            return "no such revision; set another `revision`, or take the branch as it is with --update"
        if isinstance(error, EntryNotFoundError):
            return "listed but not there; pin another `revision`, or leave it out of `files`"
        absent = "check `repo`; a private one needs HF_TOKEN"
        if status == HTTPStatus.UNAUTHORIZED:
            return "HF_TOKEN is not accepted; make another" if self._token else f"private or not there; {absent}"
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return f"too many requests, the hub asks to wait {_pause(error):g} s; run again then"
        if status in PASSING:
            return "the hub has trouble; run again later, what has come is kept"
        return f"no such repository; {absent}" if status == HTTPStatus.NOT_FOUND else f"refused; look at {page}"


def _pause(error: HfHubHTTPError) -> float:
    return seconds(error.response.headers.get("Retry-After", ""))
