"""A hub on this machine: enough of the Hugging Face HTTP API for the real client, with faults on demand.

`ROOT/OWNER/NAME/...` are dataset repositories; their commit follows from names and bytes. Large and binary files are
LFS files, which the hub redirects to a second origin, as the real one does.
"""

import hashlib
import json
import socket
import threading
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

LFS_SUFFIXES = frozenset({".arrow", ".bin", ".gz", ".jpg", ".parquet", ".png", ".tar", ".zip"})
LFS_BYTES = 1 << 20
ALWAYS = 1 << 30


@dataclass(frozen=True)
class Fault:
    """What goes wrong with a request, `times` times in a row.

    `status` (with `code` as `X-Error-Code` and `headers`) is answered instead. Of a body that is sent: `cut` closes the
    connection after that many bytes; `short` announces and sends so many only; `wrong` changes every byte; `longer`
    adds bytes; `drip` sends that many bytes at a time, with `pause` seconds between them; `no_range` ignores `Range`.
    `size` is a lie about the file's size in listings.
    """

    status: int = 0
    code: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    short: int | None = None
    wrong: bool = False
    longer: int = 0
    drip: int = 0
    pause: float = 0.0
    no_range: bool = False
    size: int | None = None
    times: int = 1


GATED = Fault(status=403, code="GatedRepo", times=ALWAYS)
UNAUTHORISED = Fault(status=401, times=ALWAYS)
GONE = Fault(status=404, code="EntryNotFound", times=ALWAYS)

Faults = Mapping[str, Fault | Sequence[Fault]]
"""By `owner/name` (every API request), `owner/name@tree` or `owner/name@info`, or `owner/name/path/of/file`."""


@dataclass(frozen=True)
class Hit:
    """One request and its answer; `sent` counts bytes of the body, as far as the server meant to send it."""

    method: str
    path: str
    range: str
    authorization: str
    status: int
    sent: int


@dataclass(frozen=True)
class Blob:
    """Content of one file of a commit: on disk, or pushed later."""

    source: Path | bytes

    @cached_property
    def data(self) -> bytes:
        return self.source if isinstance(self.source, bytes) else self.source.read_bytes()

    @property
    def size(self) -> int:
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def oid(self) -> str:
        return hashlib.sha1(b"blob %d\0" % self.size + self.data).hexdigest()


Commit = Mapping[str, Blob]


class HubServer:
    """A running hub; `log` holds every request."""

    def __init__(self, root: Path, faults: Faults, page: int) -> None:
        self.page = page
        self.log: list[Hit] = []
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.commits: dict[str, dict[str, Commit]] = defaultdict(dict)
        self.branches: dict[str, dict[str, str]] = defaultdict(dict)
        self.url = self.cdn = ""
        self._faults: dict[str, deque[Fault]] = {}
        self.fail(faults)
        for folder in sorted(root.glob("*/*")):
            files = (path for path in sorted(folder.rglob("*")) if path.is_file())
            self._commit(
                "/".join(folder.parts[-2:]), {path.relative_to(folder).as_posix(): Blob(path) for path in files}
            )

    def fail(self, faults: Faults) -> None:
        """Set faults; those of the same places are replaced."""
        for place, script in faults.items():
            self._faults[place] = deque([script] if isinstance(script, Fault) else script)

    def push(self, repo: str, files: Mapping[str, bytes], branch: str = "main") -> str:
        """Move a branch to a commit with `files` changed or added; gives the commit."""
        before = self.commits[repo].get(self.branches[repo].get("main", ""), {})
        return self._commit(repo, {**before, **{name: Blob(data) for name, data in files.items()}}, branch)

    def head(self, repo: str, branch: str = "main") -> str:
        """The commit that a branch points to."""
        return self.branches[repo][branch]

    def asked(self, part: str) -> list[Hit]:
        """Requests with `part` in their path, in order."""
        return [hit for hit in self.log if part in hit.path]

    def bodies(self, name: str) -> list[Hit]:
        """Answers that were to carry bytes of the file of this name, in order; redirects left out."""
        return [hit for hit in self.log if hit.method == "GET" and hit.path.endswith("/" + name) and hit.status < 300]

    def fault(self, *places: str) -> Fault:
        """The next fault of the first place that has one."""
        with self.lock:
            for place in places:
                script = self._faults.get(place)
                if script:
                    fault = script.popleft()
                    if fault.times > 1:
                        script.appendleft(Fault(**{**fault.__dict__, "times": fault.times - 1}))
                    return fault
        return Fault()

    def lie(self, place: str) -> int | None:
        """A wrong size for listings; not used up."""
        script = self._faults.get(place)
        return script[0].size if script else None

    def files(self, repo: str, revision: str) -> tuple[str, Commit] | None:
        """Commit and files of a revision."""
        commit = self.branches[repo].get(revision, revision)
        files = self.commits[repo].get(commit)
        return None if files is None else (commit, files)

    def _commit(self, repo: str, files: Commit, branch: str = "main") -> str:
        listing = json.dumps([repo, sorted((name, blob.oid) for name, blob in files.items())])
        commit = hashlib.sha1(listing.encode()).hexdigest()
        self.commits[repo][commit] = files
        self.branches[repo][branch] = commit
        return commit


def is_lfs(name: str, blob: Blob) -> bool:
    """Whether the real hub would keep this file outside git."""
    return Path(name).suffix in LFS_SUFFIXES or blob.size > LFS_BYTES


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "_Listener"

    def do_GET(self) -> None:
        hub, url = self.server.hub, urlsplit(self.path)
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        match parts:
            case ["api", "datasets", owner, name]:
                self._info(hub, f"{owner}/{name}", "main")
            case ["api", "datasets", owner, name, "revision", revision]:
                self._info(hub, f"{owner}/{name}", revision)
            case ["api", "datasets", owner, name, "tree", revision, *folder]:
                self._tree(hub, f"{owner}/{name}", revision, "/".join(folder), parse_qs(url.query))
            case ["datasets", owner, name, "resolve", revision, *file]:
                self._resolve(hub, f"{owner}/{name}", revision, "/".join(file))
            case ["cdn", owner, name, commit, *file]:
                blob = hub.commits[f"{owner}/{name}"][commit]["/".join(file)]
                self._body(hub.fault(f"{owner}/{name}/{'/'.join(file)}"), blob, {"ETag": f'"{blob.sha256}"'})
            case _:
                self._refuse(Fault(status=404))

    def do_HEAD(self) -> None:
        self.do_GET()

    def _info(self, hub: HubServer, repo: str, revision: str) -> None:
        if found := self._found(hub, repo, revision, "info"):
            commit, files = found
            siblings = [{"rfilename": name} for name in files]
            self._json({"id": repo, "sha": commit, "private": False, "gated": False, "tags": [], "siblings": siblings})

    def _tree(self, hub: HubServer, repo: str, revision: str, folder: str, query: Mapping[str, list[str]]) -> None:
        if not (found := self._found(hub, repo, revision, "tree")):
            return
        inside = f"{folder}/" if folder else ""
        names = [name for name in sorted(found[1]) if name.startswith(inside)]
        entries = [self._entry(hub, repo, name, found[1][name]) for name in names]
        folders = sorted({str(parent) for name in names for parent in Path(name).parents} - {".", folder})
        entries += [{"type": "directory", "path": path, "size": 0, "oid": "0" * 40} for path in folders]
        if query.get("recursive", [""])[0].lower() not in {"true", "1"}:
            entries = [entry for entry in entries if "/" not in entry["path"].removeprefix(inside)]
        start = int(query.get("cursor", ["0"])[0])
        headers = {}
        if start + hub.page < len(entries):
            following = f"{hub.url}{urlsplit(self.path).path}?recursive=true&cursor={start + hub.page}"
            headers["Link"] = f'<{following}>; rel="next"'
        self._json(entries[start : start + hub.page], headers)

    def _entry(self, hub: HubServer, repo: str, name: str, blob: Blob) -> dict[str, Any]:
        size = hub.lie(f"{repo}/{name}") or blob.size
        entry: dict[str, Any] = {"type": "file", "path": name, "size": size, "oid": blob.oid}
        if is_lfs(name, blob):
            entry["lfs"] = {"oid": blob.sha256, "size": size, "pointerSize": 130}
        return entry

    def _resolve(self, hub: HubServer, repo: str, revision: str, name: str) -> None:
        if not (found := self._found(hub, repo, revision, "resolve")):
            return
        commit, files = found
        headers = {"X-Repo-Commit": commit}
        if name not in files:
            self._refuse(Fault(status=404, code="EntryNotFound", headers=headers))
        elif is_lfs(name, files[name]):
            blob = files[name]
            target = f"{hub.cdn}/cdn/{repo}/{commit}/{quote(name)}"
            linked = {"X-Linked-Etag": f'"{blob.sha256}"', "X-Linked-Size": str(blob.size), "Location": target}
            self._send(302, {**headers, **linked}, b"")
        else:
            fault = hub.fault(f"{repo}/{name}") if self.command == "GET" else Fault()
            self._body(fault, files[name], {**headers, "ETag": f'"{files[name].oid}"'})

    def _found(self, hub: HubServer, repo: str, revision: str, kind: str) -> tuple[str, Commit] | None:
        """Commit and files, or None after an answer that says why not."""
        fault = hub.fault(f"{repo}@{kind}", repo)
        found = hub.files(repo, revision)
        if fault.status:
            self._refuse(fault)
        elif not hub.commits[repo]:
            # the real hub does not tell strangers whether a private repository exists
            self._refuse(Fault(status=404 if self.headers["Authorization"] else 401, code="RepoNotFound"))
        elif found is None:
            self._refuse(Fault(status=404, code="RevisionNotFound"))
        return None if fault.status else found

    def _refuse(self, fault: Fault) -> None:
        code = {"X-Error-Code": fault.code} if fault.code else {}
        body = json.dumps({"error": f"refused with {fault.status}"}).encode()
        self._send(fault.status, {**code, **fault.headers, "Content-Type": "application/json"}, body)

    def _json(self, value: object, headers: Mapping[str, str] | None = None) -> None:
        self._send(200, {**(headers or {}), "Content-Type": "application/json"}, json.dumps(value).encode())

    def _body(self, fault: Fault, blob: Blob, headers: Mapping[str, str]) -> None:
        if fault.status:
            self._refuse(fault)
            return
        data = bytes(byte ^ 0xFF for byte in blob.data) if fault.wrong else blob.data
        data += b"!" * fault.longer
        status, headers = 200, {**headers, "Accept-Ranges": "bytes"}
        asked = self.headers["Range"] or ""
        if asked.startswith("bytes=") and not fault.no_range:
            start = int(asked[6:].split("-")[0])
            status = 206
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            data = data[start:]
        self._send(status, headers, data if fault.short is None else data[: fault.short], fault)

    def _send(self, status: int, headers: Mapping[str, str], body: bytes, fault: Fault | None = None) -> None:
        fault = fault or Fault()
        data = b"" if self.command == "HEAD" else body[: fault.cut]
        asked, token = self.headers["Range"] or "", self.headers["Authorization"] or ""
        hit = Hit(self.command, unquote(self.path), asked, token, status, len(data))
        with self.server.hub.lock:
            self.server.hub.log.append(hit)  # before the client can know
        self.close_connection = self.close_connection or fault.cut is not None
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        step = fault.drip or max(len(data), 1)
        with suppress(OSError):
            for start in range(0, len(data), step):
                if start and self.server.hub.stopping.wait(fault.pause):
                    break
                self.wfile.write(data[start : start + step])

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class _Listener(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True

    def __init__(self, hub: HubServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub = hub
        self.connections: set[Any] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self.hub.lock:
            self.connections.add(request)
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing when a client hangs up."""

    def close(self) -> None:
        self.shutdown()
        for connection in self.connections:
            with suppress(OSError):  # closed long ago
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def serve(root: Path, faults: Faults | None = None, page: int = 1000) -> Iterator[HubServer]:
    """Serve the repositories below `root`; `page` is the number of entries in one answer of a listing."""
    hub = HubServer(root, faults or {}, page)
    listeners = [_Listener(hub), _Listener(hub)]
    hub.url, hub.cdn = (listener.url for listener in listeners)
    threads = [threading.Thread(target=listener.serve_forever, args=(0.02,)) for listener in listeners]
    for thread in threads:
        thread.start()
    try:
        yield hub
    finally:
        hub.stopping.set()
        for listener, thread in zip(listeners, threads, strict=True):
            listener.close()
            thread.join()
