"""A publisher's server on this machine: files by path with tags, dates and ranges, and faults on demand."""

import hashlib
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ALWAYS = 1 << 30


@dataclass(frozen=True)
class Fault:
    """What goes wrong with a request, `times` times in a row.

    `status` with `headers` is answered instead of the file. `cut` closes the connection after that many bytes of the
    body; `drip` sends that many bytes at a time, with `pause` seconds between them; `wrong` changes every byte;
    `no_range` ignores `Range` and `blind` ignores `If-Range`; `extra` are more headers of a body. `length` says how
    the end of a body is told: `content`, `chunked`, or `close` for the end of the connection.
    """

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    drip: int = 0
    pause: float = 0.0
    wrong: bool = False
    no_range: bool = False
    blind: bool = False
    extra: Mapping[str, str] = field(default_factory=dict)
    length: str = "content"
    times: int = 1


@dataclass(frozen=True)
class Hit:
    """One request and its answer; `sent` counts the bytes of the body that were meant to be sent."""

    path: str
    host: str
    range: str
    if_range: str
    if_none_match: str
    status: int
    sent: int


class FileServer(ThreadingHTTPServer):
    """Serves `files`; `tags` says how a file is told from its next version: by `etag`, `weak`, `date` or `nothing`."""

    daemon_threads = False

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = dict(files)
        self.tags = "etag"
        self.dated = 1_000_000_000
        self.log: list[Hit] = []
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self._faults: dict[str, deque[Fault]] = {}

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        """Address of a file."""
        return f"http://{host}:{self.server_port}/{path}"

    def fail(self, path: str, *faults: Fault) -> None:
        """Set the faults of a path; those that were set are replaced."""
        self._faults[path] = deque(faults)

    def fault(self, path: str) -> Fault:
        """The next fault of a path."""
        with self.lock:
            script = self._faults.get(path)
            if not script:
                return Fault()
            fault = script.popleft()
            if fault.times > 1:
                script.appendleft(replace(fault, times=fault.times - 1))
            return fault

    def ranges(self, path: str) -> list[str]:
        """Ranges asked for, in order."""
        return [hit.range for hit in self.log if hit.path == path]

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing when a client hangs up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FileServer

    def do_GET(self) -> None:
        path = self.path.strip("/")
        fault, data = self.server.fault(path), self.server.files.get(path)
        if fault.status or data is None:
            self._send(fault.status or 404, {**fault.headers, "Content-Length": "0"}, b"", Fault())
            return
        names = {**self._names(data), **fault.extra}
        tag = names.get("ETag", "")
        if tag and tag == self.headers["If-None-Match"]:
            self._send(304, names, b"", Fault())
            return
        body = bytes(byte ^ 0xFF for byte in data) if fault.wrong else data
        status, asked = 200, self.headers["Range"] or ""
        same = self.headers["If-Range"] in {None, *(value for name, value in names.items() if name != "Date")}
        if asked.startswith("bytes=") and not fault.no_range and (same or fault.blind):
            start = int(asked[6:].split("-")[0])
            status = 206 if start < len(body) else 416
            names["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}" if status == 206 else f"*/{len(body)}"
            body = body[start:]
        self._send(status, {**names, **self._end(fault, body)}, body, fault)

    def _names(self, data: bytes) -> dict[str, str]:
        tag, date = f'"{hashlib.sha1(data).hexdigest()}"', formatdate(self.server.dated, usegmt=True)
        return {
            "etag": {"ETag": tag, "Last-Modified": date},
            "weak": {"ETag": f"W/{tag}"},
            "date": {"Last-Modified": date},
            "nothing": {},
        }[self.server.tags]

    def _end(self, fault: Fault, body: bytes) -> dict[str, str]:
        self.close_connection = self.close_connection or fault.cut is not None or fault.length == "close"
        kinds = {"content": {"Content-Length": str(len(body))}, "chunked": {"Transfer-Encoding": "chunked"}}
        return kinds.get(fault.length, {"Connection": "close"})

    def _send(self, status: int, headers: Mapping[str, str], body: bytes, fault: Fault) -> None:
        data = body[: fault.cut]
        asked = {name: self.headers[name] or "" for name in ("Host", "Range", "If-Range", "If-None-Match")}
        with self.server.lock:  # before the client can know
            self.server.log.append(Hit(self.path.strip("/"), *asked.values(), status, len(data)))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        step = fault.drip or max(len(data), 1)
        with suppress(OSError):
            for start in range(0, len(data), step):
                if start and self.server.stopping.wait(fault.pause):
                    break
                piece = data[start : start + step]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if fault.length == "chunked" else piece)
            if fault.length == "chunked" and fault.cut is None:
                self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serve(files: Mapping[str, bytes], faults: Mapping[str, Sequence[Fault]] | None = None) -> Iterator[FileServer]:
    """Serve files by path from a thread of this process."""
    with FileServer(files) as server:
        for path, script in (faults or {}).items():
            server.fail(path, *script)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.stopping.set()
            server.shutdown()
            thread.join()
