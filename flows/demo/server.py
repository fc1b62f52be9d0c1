"""A loopback web server for the pictures of the demo publisher that only hands out addresses."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

HOST = "http://pictures.demo.invalid"
# The first folder of a path says how the address behaves; `lost/` is simply not there.
GONE, MOVED, FLAKY, LOST = "gone", "moved", "flaky", "lost"
MOVED_HTML = b"<!doctype html><title>Moved</title><p>This picture has moved to another gallery.</p>"
MAGIC = {b"\xff\xd8": "image/jpeg", b"\x89P": "image/png"}


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True

    def __init__(self, folder: Path):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder.resolve()
        self.seen: set[str] = set()
        self.lock = threading.Lock()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing when a client hangs up."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # typeshed names a private alias

    def first_time(self, path: str) -> bool:
        """Whether `path` is asked for the first time in the life of this server."""
        with self.lock:
            new = path not in self.seen
            self.seen.add(path)
        return new


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        status, kind, body = _answer(self.server, unquote(urlsplit(self.path).path).lstrip("/"))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _answer(server: _Server, path: str) -> tuple[HTTPStatus, str, bytes]:
    """Status, content type and body for one path."""
    top = path.split("/", 1)[0]
    if top == GONE:
        return HTTPStatus.GONE, "text/plain", b"gone"
    if top == MOVED:
        return HTTPStatus.OK, "text/html; charset=utf-8", MOVED_HTML
    if top == FLAKY and server.first_time(path):
        return HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain", b"try again"
    file = (server.folder / path.replace("\0", "?")).resolve()
    if not file.is_relative_to(server.folder) or not file.is_file():
        return HTTPStatus.NOT_FOUND, "text/plain", b"not found"
    body = file.read_bytes()
    return HTTPStatus.OK, MAGIC.get(body[:2], "application/octet-stream"), body


@contextmanager
def serve(root: Path) -> Iterator[str]:
    """Serve `root`/pixmo_www on a free loopback port and give the base URL, which stands for `HOST`.

    Paths below `gone/` answer 410, below `moved/` HTML with status 200, and each path below `flaky/` answers 500 once,
    then its picture. Everything else is the file, or 404.
    """
    server = _Server(root / "pixmo_www")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="demo-pictures")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
