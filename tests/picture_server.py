"""Picture servers on this machine, with every way to answer that a URL list meets in the wild.

A path is `/KIND/NUMBER`; `KINDS` says what each kind does. Run as a script it serves until standard input closes and
prints its port, for benchmarks whose clients are other processes.
"""

import asyncio
import gzip
import hashlib
import random
import struct
import sys
import threading
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache

HUGE_BYTES = 200 << 20
PICTURES = 40
"""Distinct good pictures; numbers above repeat them."""
_PNG = b"\x89PNG\r\n\x1a\n"


@cache
def picture(number: int) -> bytes:
    """A PNG of noise with 0.3 to 120 kB, by `number` modulo `PICTURES`."""
    number %= PICTURES
    side = 8 + 5 * number
    noise = random.Random(number).randbytes((3 * side + 1) * side)
    # the first byte of each line is its filter, 0 for none
    lines = b"".join(b"\0" + noise[row * 3 * side : (row + 1) * 3 * side] for row in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return _PNG + b"".join(map(_chunk, (b"IHDR", b"IDAT", b"IEND"), (header, zlib.compress(lines, 0), b"")))


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@cache
def bomb() -> bytes:
    """A quarter of a megabyte that unfolds to 256 MB and begins like a picture."""
    return gzip.compress(_PNG + bytes(256 << 20), 6, mtime=0)


@dataclass(frozen=True)
class Reply:
    """An answer: `length` is a lie about the body, `drip` sends one byte after each that many seconds."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    length: int | None = None
    drip: float = 0.0
    huge: bool = False


def _to(location: str) -> Reply:
    return Reply(302, b"moved", (("Location", location),))


KINDS: dict[str, Callable[[int, int, int], Reply]] = {
    "ok": lambda number, times, port: Reply(200, picture(number)),
    "packed": lambda number, times, port: Reply(200, gzip.compress(picture(number)), (("Content-Encoding", "gzip"),)),
    "wrong": lambda number, times, port: Reply(200, picture(number)),
    "hop": lambda number, times, port: _to(f"../ok/{number}"),
    "flaky": lambda number, times, port: Reply(200, picture(number)) if times > 1 else Reply(500),
    "busy": lambda number, times, port: (
        Reply(200, picture(number)) if times > 1 else Reply(503, b"", (("Retry-After", "0"),))
    ),
    "later": lambda number, times, port: (
        Reply(200, picture(number)) if times > 1 else Reply(503, b"", (("Retry-After", str(number)),))
    ),
    "missing": lambda number, times, port: Reply(404, b"not here"),
    "gone": lambda number, times, port: Reply(410),
    "html": lambda number, times, port: Reply(200, b"<!doctype html><p>sold" + bytes(300_000)),
    "loop": lambda number, times, port: _to(f"/loop/{number}"),
    "inside": lambda number, times, port: _to(f"http://127.0.0.1:{port}/ok/{number}"),
    "metadata": lambda number, times, port: _to("http://169.254.169.254/latest/meta-data"),
    "file": lambda number, times, port: _to("file:///etc/passwd"),
    "nowhere": lambda number, times, port: _to("http://[::1"),
    "huge": lambda number, times, port: Reply(huge=True),
    "bomb": lambda number, times, port: Reply(200, bomb(), (("Content-Encoding", "gzip"),)),
    "brotli": lambda number, times, port: Reply(200, b"?", (("Content-Encoding", "br"),)),
    "loris": lambda number, times, port: Reply(200, picture(number), drip=0.05),
    "short": lambda number, times, port: Reply(200, picture(number), length=len(picture(number)) + 1),
    "down": lambda number, times, port: Reply(503, b"", (("Retry-After", "0"),)),
}
"""(number, times asked, port) -> answer."""


def sha256(path: str) -> str | None:
    """The digest that a list gives for a path: the right one for half of the good pictures, another for `wrong`."""
    _, kind, number = path.split("/")
    if kind == "wrong":
        return hashlib.sha256(b"another picture").hexdigest()
    return hashlib.sha256(picture(int(number))).hexdigest() if kind == "ok" and int(number) % 2 else None


@dataclass
class PictureServer:
    """Answers by kind and counts; `delay` says how long an answer takes in seconds, by path."""

    delay: Callable[[str], float] = lambda path: 0.0
    port: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    peak: Counter[str] = field(default_factory=Counter)
    _busy: Counter[str] = field(default_factory=Counter)

    async def serve(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        """Serve on a free port of 127.0.0.1 until told to stop."""
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        ready()
        await stop.wait()
        server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                if not await self._answer(head, writer):
                    break
        writer.close()

    async def _answer(self, head: str, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; gives whether the connection goes on."""
        path = head.split(" ", 2)[1]
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        self.asked[path] += 1
        names = (headers["host"], "all")
        for name in names:
            self._busy[name] += 1
            self.peak[name] = max(self.peak[name], self._busy[name])
        try:
            if seconds := self.delay(path):
                await asyncio.sleep(seconds)
        finally:
            for name in names:
                self._busy[name] -= 1
        _, kind, number = path.split("/")
        reply = KINDS[kind](int(number), self.asked[path], self.port)
        length = HUGE_BYTES if reply.huge else len(reply.body) if reply.length is None else reply.length
        # a huge body comes without its length, or the client would not even begin to read it
        fields = reply.headers if reply.huge else (*reply.headers, ("Content-Length", str(length)))
        lines = [f"HTTP/1.1 {reply.status} .", *(f"{name}: {value}" for name, value in fields), "", ""]
        writer.write("\r\n".join(lines).encode("latin-1"))
        async for piece in _pieces(reply):
            writer.write(piece)
            await writer.drain()
            self.sent[path] += len(piece)
        return length == len(reply.body)


async def _pieces(reply: Reply) -> AsyncIterator[bytes]:
    if reply.huge:
        yield _PNG
        for _ in range(HUGE_BYTES >> 16):
            yield bytes(1 << 16)
    elif reply.drip:
        for position in range(len(reply.body)):
            yield reply.body[position : position + 1]
            await asyncio.sleep(reply.drip)
    else:
        yield reply.body


@contextmanager
def serving(delay: Callable[[str], float] = lambda path: 0.0) -> Iterator[PictureServer]:
    """A server in a thread of this process."""
    server, ready = PictureServer(delay), threading.Event()
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(server.serve(stop, ready.set),))
    thread.start()
    ready.wait()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def main() -> None:
    with serving() as server:
        sys.stdout.write(f"{server.port}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
