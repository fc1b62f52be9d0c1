"""Downloads of pictures from URL lists: bounded, resumable, and never to an address inside our own network.

Lasting reasons: `download_NNN` (HTTP status), `download_bad_url`, `download_refused` (scheme, address or credentials),
`download_redirects`, `download_too_large`, `download_not_picture` (by its first bytes), `download_sha256` and
`download_undecodable`. Passing ones, asked for again: `download_408` and its like, `download_timeout`,
`download_no_address`, `download_failed` (connection); with `give_up` they become a lasting `download_failed`.
"""

import asyncio
import hashlib
import ipaddress
import json
import shutil
import socket
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import httpx
from PIL import Image as PillowImage

from shards.errors import PictureError, SourceError, StoreError
from shards.files import file_sha256
from shards.pack import Image, PackWriter
from shards.picture import FORMATS
from shards.store import Box
from sources.gather import MAX_PICTURE_BYTES, Gathered, finish, read_rows, store_picture, write_rows
from sources.spec import Source

CHUNK_URLS: Final = 512
"""URLs per pack and log; a chunk is packed when each of its URLs has a lasting outcome."""
_OPEN_CHUNKS: Final = 8  # asked for at a time, so that a slow host holds up its own chunk only
_PIECE: Final = 64 << 10  # bytes that a content encoding may unfold to at a time
_SNIFF: Final = 16  # first bytes by which Pillow tells formats apart
_MAX_PORT: Final = 65535

_HEADERS: Final = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "vlmix"}
_TRANSIENT_STATUS: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_REDIRECT_STATUS: Final = frozenset({301, 302, 303, 307, 308})
_WBITS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}  # content encodings by zlib's window argument
_BAD_URL: Final = (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError)
"""What httpx and the look-up of a host raise on a URL that can never work (IDNA problems are a `ValueError`)."""
_CONNECTION: Final = (httpx.TransportError, ConnectionError)  # no `OSError`: a full disk is no failure of a server

# provider-internal addresses in public space: Oracle's metadata (192.0.0.192) and Azure's host (168.63.129.16)
_INSIDE: Final = (ipaddress.ip_network("192.0.0.0/24"), ipaddress.ip_network("168.63.129.16/32"))
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_UNICAST6: Final = ipaddress.ip_network("2000::/3")


@dataclass(frozen=True, slots=True)
class FetchPolicy:
    """Bounds of a download; times are in seconds.

    `resolve` maps a host name to `address:port`, as curl's --resolve does; it is the one way to reach a loopback or
    private address. A server may be silent for `timeout`; all requests and waits for one URL take `deadline` at most,
    however slowly bytes drip in. Waits double from `backoff`, or are what `Retry-After` says, up to `max_wait`.
    `max_bytes` bounds one picture, after content decoding. `give_up` writes URLs down as `download_failed` that failed
    in passing after all retries; without it such a URL stops the source.
    """

    concurrency: int = 64
    per_host: int = 8
    timeout: float = 20.0
    deadline: float = 120.0
    retries: int = 3
    backoff: float = 0.5
    max_wait: float = 30.0
    max_redirects: int = 5
    max_bytes: int = MAX_PICTURE_BYTES
    give_up: bool = False
    resolve: Mapping[str, str] = field(default_factory=dict)


class _Reply(NamedTuple):
    """Outcome of one URL: the digest of a body, or a reason; `wait` is what the server asks for before a retry."""

    sha256: str | None
    reason: str = ""
    message: str = ""
    transient: bool = False
    wait: float = 0.0


Ref = tuple[str, str | None]  # URL, and SHA-256 where the publisher gives it
_Failures = list[tuple[str, _Reply]]


def download(box: Box, source: Source, refs: Sequence[Ref], policy: FetchPolicy) -> None:
    """Download URLs into the packs of a gathering box.

    Lasting outcomes of an unfinished chunk wait in the box's folder `spool`; packs and tables are made from whole
    chunks in the order of `refs`, so neither the order of arrival nor an interruption shows in their bytes. Equal
    bytes are stored once per chunk, because chunks finish in any order.

    Raises:
        SourceError: some URLs had passing failures only; run again to ask for these alone.
        StoreError: the disk is full or the folder cannot be written.
    """
    try:
        failed = asyncio.run(_download(box, refs, policy))
    except OSError as error:
        remedy = "free space or choose another store with --store; what is finished is kept"
        raise StoreError(f"cannot write `{box.path}`: {error.strerror or error}; {remedy}") from error
    if failed:
        url, reply = failed[0]
        reasons = ", ".join(f"`{name}` {n}" for name, n in sorted(Counter(reply.reason for _, reply in failed).items()))
        raise SourceError(
            f"source `{source.name}`: {len(failed)} of {len(refs)} URLs gave no lasting answer, first `{url}`: "
            f"{reply.message}; run again: finished downloads are kept; by reason: {reasons}"
        )
    rows = [row for number in range(-(-len(refs) // CHUNK_URLS)) for row in read_rows(_log(box, number))]
    shutil.rmtree(box.path / "spool", ignore_errors=True)
    finish(box, rows)


def _log(box: Box, number: int) -> Path:
    return box.path / f"log-{number:05d}.parquet"


async def _download(box: Box, refs: Sequence[Ref], policy: FetchPolicy) -> _Failures:
    # look-ups of dead hosts hang in their threads, so there are enough for all, and for packing
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(policy.concurrency + _OPEN_CHUNKS))
    places, packing, client = asyncio.Semaphore(_OPEN_CHUNKS), asyncio.Lock(), _Client(policy)

    async def chunk(number: int, start: int) -> _Failures:
        async with places:
            part, folder = refs[start : start + CHUNK_URLS], box.path / "spool" / f"{number:05d}"
            spool = await asyncio.to_thread(_Spool, folder)
            failed = await _fill(spool, part, client, policy.give_up)
            if not failed:
                async with packing:  # one at a time beside the downloads: decoding is most of the work
                    await asyncio.to_thread(_write_chunk, box, number, part, spool)
        return failed

    starts = enumerate(range(0, len(refs), CHUNK_URLS))
    todo = [chunk(number, start) for number, start in starts if not _log(box, number).is_file()]
    return [pair for failed in await asyncio.gather(*todo) for pair in failed]


class _Spool:
    """Lasting outcomes of one unfinished chunk: a file `POSITION-SHA256` is a body, a file `POSITION` holds a reason.

    Nothing is synced: what a power cut damaged has another digest than its name, or is no JSON, and is asked for again.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.replies: dict[int, _Reply] = {}
        for path in folder.glob("[0-9]*"):
            position, _, sha256 = path.name.partition("-")
            if sha256 and file_sha256(path) == sha256:
                self.replies[int(position)] = _Reply(sha256)
            elif not sha256:
                with suppress(ValueError):
                    self.replies[int(position)] = _Reply(None, *json.loads(path.read_bytes()))

    def part(self, position: int) -> Path:
        return self.folder / f".{position}.tmp"  # a name that `remove_leftovers` knows

    def body(self, position: int) -> Path:
        return self.folder / f"{position}-{self.replies[position].sha256}"

    def keep(self, position: int, reply: _Reply) -> None:
        self.replies[position] = reply
        if reply.sha256 is None:
            self.part(position).write_text(json.dumps([reply.reason, reply.message]))
        self.part(position).replace(self.body(position) if reply.sha256 else self.folder / str(position))


async def _fill(spool: _Spool, refs: Sequence[Ref], client: "_Client", give_up: bool) -> _Failures:
    """Ask for what the spool lacks; gives the passing failures in order."""

    async def one(position: int) -> _Reply:
        url, sha256 = refs[position]
        reply = await client.get(url, spool.part(position))
        if reply.sha256 and sha256 and sha256.lower() != reply.sha256:
            reply = _Reply(None, "download_sha256", f"expected sha256 {sha256[:12]}.., found {reply.sha256[:12]}..")
        if reply.transient and give_up:
            reply = _Reply(None, "download_failed", f"no lasting answer after all retries, last `{reply.reason}`")
        if reply.transient:
            spool.part(position).unlink(missing_ok=True)
        else:
            spool.keep(position, reply)
        return reply

    todo = [position for position in range(len(refs)) if position not in spool.replies]
    replies = await asyncio.gather(*map(one, todo))
    return [(refs[position][0], reply) for position, reply in zip(todo, replies, strict=True) if reply.transient]


def _write_chunk(box: Box, number: int, refs: Sequence[Ref], spool: _Spool) -> None:
    rows, seen = list[Gathered](), dict[str, Image]()
    with PackWriter(box.store, box.name, f"pictures-{number:05d}") as packs:
        for position, (url, _) in enumerate(refs):
            reply = spool.replies[position]
            lost = Gathered(url, None, reply.reason, reply.message)
            rows.append(store_picture(packs, url, spool.body(position).read_bytes(), seen) if reply.sha256 else lost)
    write_rows(_log(box, number), rows)
    shutil.rmtree(spool.folder)


@dataclass(slots=True)
class _Lane:
    """What requests to one host share while there are any; an idle transport holds at most one open connection."""

    slots: asyncio.Semaphore
    idle: list[httpx.AsyncHTTPTransport] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    users: int = 0


@dataclass(slots=True)
class _Try:
    """One URL on its way: where its body goes, which attempt this is, and the seconds it has left."""

    part: Path
    left: float
    number: int = 0


class _Client:
    """Asks for URLs. Connections are kept per host: over a shared one, a host would inherit another's certificate."""

    def __init__(self, policy: FetchPolicy) -> None:
        self._policy = policy
        self._everywhere = asyncio.Semaphore(policy.concurrency)
        self._lanes: dict[str, _Lane] = {}
        self._tls = httpx.create_ssl_context(trust_env=False)

    async def get(self, url: str, part: Path) -> _Reply:
        """Ask until the outcome is a lasting one or the retries are used up; the body is written to `part`."""
        policy, attempt = self._policy, _Try(part, self._policy.deadline)
        reply = await self._attempt(url, attempt)
        while reply.transient and attempt.number < policy.retries:
            wait = min(max(policy.backoff * 2**attempt.number, reply.wait), policy.max_wait)
            attempt.left -= wait
            if attempt.left <= 0:
                break
            await asyncio.sleep(wait)
            attempt.number += 1
            reply = await self._attempt(url, attempt)
        return reply

    async def _attempt(self, url: str, attempt: _Try) -> _Reply:
        try:
            for _ in range(self._policy.max_redirects + 1):
                answer = await self._request(url, attempt)
                if isinstance(answer, _Reply):
                    return answer
                url = answer
            return _Reply(None, "download_redirects", f"more than {self._policy.max_redirects} redirects")
        except PictureError as error:
            return _Reply(None, error.reason, str(error))
        except _BAD_URL as error:
            # parsers quote what they could not read, which may be half a password
            return _Reply(None, "download_bad_url", "bad credentials or host" if "@" in url else str(error))
        except socket.gaierror as error:
            return _Reply(None, "download_no_address", f"{type(error).__name__}: {error}", transient=True)
        except (TimeoutError, httpx.TimeoutException):
            return _Reply(None, "download_timeout", "TimeoutError: answer too slow", transient=True)
        except _CONNECTION as error:
            return _Reply(None, "download_failed", f"{type(error).__name__}: {error}", transient=True)

    async def _request(self, address: str, attempt: _Try) -> _Reply | str:
        """The outcome of one request, or where it is redirected to: each hop is resolved and checked anew."""
        url = _checked(address)
        now = asyncio.get_running_loop().time
        async with self._lane(url.host) as lane, lane.slots, self._everywhere:
            begin = now()
            # one transport per connection: a pool of 64 looks at all of them for each request, 5.6 against 1.5 ms
            transport = lane.idle.pop() if lane.idle else httpx.AsyncHTTPTransport(self._tls, trust_env=False)
            try:
                async with asyncio.timeout(attempt.left):
                    target = await self._target(url, lane, attempt.number)
                    response = await transport.handle_async_request(_pinned(url, target, self._policy.timeout))
                    async with aclosing(response):
                        return await self._answer(response, url, attempt.part)
            finally:
                lane.idle.append(transport)
                attempt.left -= now() - begin

    @asynccontextmanager
    async def _lane(self, host: str) -> AsyncIterator[_Lane]:
        lane = self._lanes.setdefault(host, _Lane(asyncio.Semaphore(self._policy.per_host)))
        lane.users += 1
        try:
            yield lane
        finally:
            lane.users -= 1
            if not lane.users:
                del self._lanes[host]
                for transport in lane.idle:
                    await transport.aclose()

    async def _target(self, url: httpx.URL, lane: _Lane, attempt: int) -> httpx.URL:
        """The URL with its host replaced by an address that was checked, so that a second look-up cannot differ."""
        if url.host in self._policy.resolve:
            named = httpx.URL(f"http://{self._policy.resolve[url.host]}")
            return url.copy_with(host=named.host, port=named.port)
        if attempt or not lane.addresses:
            host = url.raw_host.decode("ascii")
            infos = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
            lane.addresses = public_addresses(host, [str(info[4][0]) for info in infos])
        return url.copy_with(host=lane.addresses[attempt % len(lane.addresses)])

    async def _answer(self, response: httpx.Response, url: httpx.URL, part: Path) -> _Reply | str:
        status, headers = response.status_code, response.headers
        if status in _REDIRECT_STATUS and "location" in headers:
            return str(url.join(headers["location"]))
        if status != httpx.codes.OK:
            after = headers.get("retry-after", "")
            wait = float(after) if after.isdecimal() else 0.0
            return _Reply(None, f"download_{status}", f"HTTP {status}", status in _TRANSIENT_STATUS, wait)
        return _Reply(await _write_body(part, _decoded(response), self._policy.max_bytes))


def _checked(address: str) -> httpx.URL:
    url = httpx.URL(address)
    if url.scheme not in {"http", "https"}:
        raise PictureError("download_refused", f"scheme `{url.scheme}` is not http or https")
    if url.userinfo:
        raise PictureError("download_refused", "credentials in a URL are not sent")
    if not url.host or not 0 < (1 if url.port is None else url.port) <= _MAX_PORT:
        raise httpx.InvalidURL(f"no host, or a port outside 1..{_MAX_PORT}")
    return url


def public_addresses(host: str, found: Sequence[str]) -> list[str]:
    """The addresses of a host, in the order found; one that is not public spoils them all.

    Loopback, private, link-local, shared, multicast, reserved and cloud-internal addresses are not public, nor are
    IPv6 forms (mapped, 6to4, NAT64) of such an IPv4 address.
    """
    if inside := sorted(address for address in found if not _is_public(address)):
        raise PictureError("download_refused", f"`{host}` is at {inside[0]}, an address that is not public")
    return list(found)


def _is_public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ipaddress.IPv4Address(int(ip) % 2**32) if ip in _NAT64 else None)
        if inner is None:
            return ip in _UNICAST6 and ip.is_global
        ip = inner
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _INSIDE)


def _pinned(url: httpx.URL, target: httpx.URL, silence: float) -> httpx.Request:
    headers = {"Host": url.netloc.decode("ascii"), **_HEADERS}
    timeout = dict.fromkeys(("connect", "read", "write", "pool"), silence)
    extensions = {"sni_hostname": url.raw_host.decode("ascii"), "timeout": timeout}
    return httpx.Request("GET", target, headers=headers, extensions=extensions)


async def _decoded(response: httpx.Response) -> AsyncIterator[bytes]:
    """The body without its content encoding, in bounded pieces; httpx unfolds whatever arrives at once."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "identity":
        async for piece in response.aiter_raw():
            yield piece
        return
    if encoding not in _WBITS:
        raise PictureError("download_undecodable", f"content encoding `{encoding[:40]}`")
    unpacker = zlib.decompressobj(_WBITS[encoding])
    try:
        async for piece in response.aiter_raw():
            yield unpacker.decompress(piece, _PIECE)
            while unpacker.unconsumed_tail:
                yield unpacker.decompress(unpacker.unconsumed_tail, _PIECE)
    except zlib.error as error:
        raise PictureError("download_undecodable", f"{encoding}: {error}") from error
    if not unpacker.eof:
        raise PictureError("download_undecodable", f"{encoding}: ends early")


async def _write_body(path: Path, pieces: AsyncIterator[bytes], max_bytes: int) -> str:
    """Write a body that a decoder would look at, as the decoders themselves say; gives its SHA-256."""
    PillowImage.init()
    accepts = [PillowImage.OPEN[name][1] for name in FORMATS]
    digest, total, head = hashlib.sha256(), 0, b""
    with path.open("wb") as file:
        async for piece in pieces:
            total += len(piece)
            if total > max_bytes:
                raise PictureError("download_too_large", f"more than {max_bytes} bytes")
            if len(head) < _SNIFF:
                head += piece[:_SNIFF]
                if len(head) >= _SNIFF and not any(accept is None or accept(head) for accept in accepts):
                    raise PictureError("download_not_picture", f"no known picture format, starts with {head[:8]!r}")
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()
