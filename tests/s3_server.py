"""A server that speaks S3 (moto's) in a process of its own; it may have the bad days that real ones have."""

import itertools
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BUCKET = "mixes"
ERRORS = {"slow_down": ("503 Slow Down", "SlowDown"), "internal": ("500 Internal Server Error", "InternalError")}


@dataclass(frozen=True)
class S3:
    """A running server with one empty bucket."""

    port: int
    process: subprocess.Popen[bytes]

    def store(self, name: str) -> str:
        return f"s3://{BUCKET}/{name}"

    def environment(self, cache: Path) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_EC2_METADATA_DISABLED": "true",
            "VLMIX_CACHE": str(cache),
        }


@contextmanager
def running(port_file: Path, *, fault: str = "", every: int = 0) -> Iterator[S3]:
    """Start a server; each `every`-th request gets `fault`: one of `ERRORS`, or `cut` for half an answer."""
    command = [sys.executable, str(Path(__file__)), str(port_file), fault, str(every)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not port_file.is_file():
            assert process.poll() is None, "the server ended before it began"
            time.sleep(0.05)
        port = int(port_file.read_text())
        request = urllib.request.Request(f"http://127.0.0.1:{port}/{BUCKET}", method="PUT")
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status == 200
        yield S3(port, process)
    finally:
        process.kill()
        process.wait()


class Faulty:
    """The server, but for every n-th request; making the bucket does not count."""

    def __init__(self, app: Any, fault: str, every: int) -> None:
        self._app, self._fault, self._every = app, fault, every
        self._number = itertools.count()

    def __call__(self, about: Mapping[str, Any], begin: Any) -> Iterable[bytes]:
        if not self._every or next(self._number) % self._every != self._every - 1:
            return self._app(about, begin)
        if self._fault == "cut":
            return self._cut(about, begin)
        about["wsgi.input"].read(int(about.get("CONTENT_LENGTH") or 0))
        status, code = ERRORS[self._fault]
        begin(status, [("Content-Type", "application/xml")])
        return [f"<Error><Code>{code}</Code><Message>please wait</Message></Error>".encode()]

    def _cut(self, about: Mapping[str, Any], begin: Any) -> Iterator[bytes]:
        body = b"".join(self._app(about, begin))
        yield body[: len(body) // 2]
        raise ConnectionAbortedError


def main(port_file: Path, fault: str, every: int) -> None:
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    app = Faulty(DomainDispatcherApplication(create_backend_app), fault, every)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    temporary = port_file.with_suffix(f".{os.getpid()}")
    temporary.write_text(str(server.server_port))
    temporary.replace(port_file)
    server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
