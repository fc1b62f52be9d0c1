"""A server that speaks S3 (moto's) in a process of its own; it may have the bad days that real ones have.

It counts requests, and the bytes of files that it sends, and may ask who somebody is, and what that one may do. It may
keep one request waiting, so that others come between.
"""

import itertools
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BUCKET = "mixes"
CONTROL = "/-"
"""Requests below this path are for the server of the tests, and no bucket is called so."""
ERRORS = {"slow_down": ("503 Slow Down", "SlowDown"), "internal": ("500 Internal Server Error", "InternalError")}


@dataclass(frozen=True)
class S3:
    """A running server with one empty bucket."""

    port: int
    process: subprocess.Popen[bytes]

    def store(self, name: str) -> str:
        return f"s3://{BUCKET}/{name}"

    @contextmanager
    def failing(self, fault: str, every: int, of: str = "-") -> Iterator[None]:
        """Give each `every`-th request of a kind (`list`, `get`, `put`, `delete`; all) a fault.

        It is one of `ERRORS`, or `cut` for half an answer.
        """
        self._ask("PUT", f"{CONTROL}/{fault}/{every}/{of}")
        try:
            yield
        finally:
            self._ask("PUT", f"{CONTROL}/-/0/-")

    @contextmanager
    def holding(self, of: str, name: str, number: int = 1) -> Iterator[Callable[[], None]]:
        """Keep the `number`-th request of a kind for a file waiting until the block ends.

        Gives what returns when that request has come. `name` is the end of the file's.
        """
        self._ask("PUT", f"{CONTROL}/hold/{of}/{number}/{name}")

        def come() -> None:
            while self._ask("GET", f"{CONTROL}/held") != b"True":
                time.sleep(0.02)

        try:
            yield come
        finally:
            self._ask("PUT", f"{CONTROL}/go")

    def sent(self) -> int:
        """Bytes of answers to requests for files so far."""
        return int(self._ask("GET", f"{CONTROL}/sent"))

    def asked(self, of: str) -> int:
        """Requests of a kind so far, those that got a fault, too."""
        return int(self._ask("GET", f"{CONTROL}/asked/{of}"))

    def person(self, name: str, may: Sequence[str] = ()) -> dict[str, str]:
        """Somebody whom the server knows, and their credentials; takes two requests, and one for what they `may`."""
        from botocore.session import get_session

        known = self.environment(Path())
        client = get_session().create_client(
            "iam",
            region_name=known["AWS_DEFAULT_REGION"],
            endpoint_url=known["AWS_ENDPOINT_URL"],
            aws_access_key_id=known["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=known["AWS_SECRET_ACCESS_KEY"],
        )
        client.create_user(UserName=name)
        key = client.create_access_key(UserName=name)["AccessKey"]
        if may:
            statement = {"Effect": "Allow", "Action": list(may), "Resource": "*"}
            policy = {"Version": "2012-10-17", "Statement": [statement]}
            client.put_user_policy(UserName=name, PolicyName=name, PolicyDocument=json.dumps(policy))
        return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}

    def _ask(self, method: str, path: str) -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            data: bytes = answer.read()
        return data

    def names(self, prefix: str) -> list[str]:
        """Files below a prefix, such as `twice/scores/`; at most 1,000."""
        found = self._ask("GET", f"/{BUCKET}?list-type=2&prefix={prefix}").decode()
        return re.findall(r"<Key>(.*?)</Key>", found)

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
def running(port_file: Path, *, strangers: int | None = None) -> Iterator[S3]:
    """Start a server; it answers so many requests of people whom it does not know, None: all of them."""
    command = [sys.executable, str(Path(__file__)), str(port_file)]
    variables = {} if strangers is None else {"INITIAL_NO_AUTH_ACTION_COUNT": str(strangers)}
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **variables}
    )
    try:
        while not port_file.is_file():
            assert process.poll() is None, "the server ended before it began"
            time.sleep(0.05)
        port = int(port_file.read_text())
        server = S3(port, process)
        server._ask("PUT", f"/{BUCKET}")
        yield server
    finally:
        process.kill()
        process.wait()


class Faulty:
    """The server, but for every n-th request of a kind."""

    def __init__(self, app: Any) -> None:
        self._app, self._fault, self._every, self._of = app, "", 0, ""
        self._number, self._sent, self._asked = itertools.count(), 0, Counter[str]()
        self._wanted, self._left, self._come, self._go = (
            ("", ""),
            itertools.count(),
            threading.Event(),
            threading.Event(),
        )

    def __call__(self, about: Mapping[str, Any], begin: Any) -> Iterable[bytes]:
        if about["PATH_INFO"].startswith(CONTROL):
            begin("200 OK", [])
            return [self._told(about["PATH_INFO"].split("/")[2:])]
        kind = _kind(about)
        self._asked[kind] += 1
        if kind == self._wanted[0] and about["PATH_INFO"].endswith(self._wanted[1]) and next(self._left) == 1:
            self._come.set()
            self._go.wait()
        if not self._every or self._of not in ("-", kind) or next(self._number) % self._every != self._every - 1:
            return self._counted(kind, self._app(about, begin))
        if self._fault == "cut":
            return self._cut(about, begin)
        about["wsgi.input"].read(int(about.get("CONTENT_LENGTH") or 0))
        status, code = ERRORS[self._fault]
        begin(status, [("Content-Type", "application/xml")])
        return [f"<Error><Code>{code}</Code><Message>please wait</Message></Error>".encode()]

    def _told(self, words: list[str]) -> bytes:
        if words[0] == "asked":
            return str(self._asked[words[1]]).encode()
        if words[0] == "hold":
            self._go.clear(), self._come.clear()
            self._left = itertools.count(2 - int(words[2]))
            self._wanted = (words[1], "/".join(words[3:]))
        elif words[0] == "go":
            self._wanted = ("", "")
            self._go.set()
        elif words[0] == "held":
            return str(self._come.is_set()).encode()
        elif words != ["sent"]:
            self._fault, every, self._of = words
            self._every, self._number = int(every), itertools.count()
        return str(self._sent).encode()

    def _counted(self, kind: str, answer: Iterable[bytes]) -> Iterable[bytes]:
        data = b"".join(answer)
        self._sent += len(data) if kind == "get" else 0
        return [data]

    def _cut(self, about: Mapping[str, Any], begin: Any) -> Iterator[bytes]:
        body = b"".join(self._app(about, begin))
        yield body[: len(body) // 2]
        raise ConnectionAbortedError


def _kind(about: Mapping[str, Any]) -> str:
    """What a request is about: a list or whether there is a file, or one that is read, written or removed."""
    if about["REQUEST_METHOD"] == "DELETE" or "delete" in about["QUERY_STRING"].split("&"):
        return "delete"
    if about["REQUEST_METHOD"] in ("PUT", "POST"):
        return "put"
    return "list" if about["REQUEST_METHOD"] == "HEAD" or "list-type" in about["QUERY_STRING"] else "get"


def main(port_file: Path) -> None:
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    app = Faulty(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    temporary = port_file.with_suffix(f".{os.getpid()}")
    temporary.write_text(str(server.server_port))
    temporary.replace(port_file)
    server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
