"""Downloads of pictures from URL lists: bounded, resumable, and never to an address inside our own network."""

import asyncio
import hashlib
import ipaddress
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import httpx

from shards.errors import SourceError
from shards.pack import Image, PackWriter
from shards.store import Box
from sources.gather import MAX_PICTURE_BYTES, Gathered, finish, read_rows, store_picture, write_rows
from sources.spec import Source

CHUNK_URLS: Final = 512
"""URLs per resumable chunk; the bodies of one chunk are in memory at a time."""

_TRANSIENT_STATUS: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_REDIRECT_STATUS: Final = frozenset({301, 302, 303, 307, 308})
_BAD_URL: Final = (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError)
"""What httpx and the look-up of a host raise on a URL that can never work (IDNA problems are a `ValueError`)."""
_MAX_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class FetchPolicy:
    """Bounds of a download.

    `resolve` maps a host name to `address:port`, as curl's --resolve does; it is the one way to reach a loopback or
    private address. Times are in seconds, `max_bytes` bounds one picture.
    """

    concurrency: int = 64
    per_host: int = 8
    timeout: float = 20.0
    retries: int = 3
    backoff: float = 0.5
    max_redirects: int = 5
    max_bytes: int = MAX_PICTURE_BYTES
    resolve: Mapping[str, str] = field(default_factory=dict)


class Reply(NamedTuple):
    """Outcome of one URL: bytes, or a reason; a transient reason may be another one next time."""

    data: bytes | None
    reason: str = ""
    message: str = ""
    transient: bool = False


class _Refused(Exception):  # noqa: N818 -- control flow inside this module
    pass


def download(box: Box, source: Source, refs: Sequence[tuple[str, str | None]], policy: FetchPolicy) -> None:
    """Download (url, sha256 or None) pairs into the packs of a gathering box, chunk by chunk.

    A chunk is written when each of its URLs has a lasting outcome; finished chunks are not asked for again. Equal bytes
    are stored once per chunk: what lies in a pack must not depend on which chunks were finished first.

    Raises:
        SourceError: some URLs had passing failures only; nothing of their chunk is kept, run again to go on.
    """
    failed: list[tuple[str, Reply]] = []
    for number, start in enumerate(range(0, len(refs), CHUNK_URLS)):
        if _log(box, number).is_file():
            continue
        chunk = refs[start : start + CHUNK_URLS]
        replies = asyncio.run(fetch([url for url, _ in chunk], policy))
        passing = [(url, reply) for (url, _), reply in zip(chunk, replies, strict=True) if reply.transient]
        failed += passing
        if not passing:
            _write_chunk(box, number, chunk, replies)
    if failed:
        url, reply = failed[0]
        remedy = "run again: finished downloads are kept"
        raise SourceError(
            f"source `{source.name}`: {len(failed)} of {len(refs)} URLs gave no lasting answer, first `{url}`: "
            f"{reply.message}; {remedy}"
        )
    finish(box, [row for number in range(-(-len(refs) // CHUNK_URLS)) for row in read_rows(_log(box, number))])


def _write_chunk(box: Box, number: int, chunk: Sequence[tuple[str, str | None]], replies: list[Reply]) -> None:
    seen: dict[str, Image] = {}
    with PackWriter(box.store, box.name, f"pictures-{number:05d}") as packs:
        rows = [_store(packs, url, sha, reply, seen) for (url, sha), reply in zip(chunk, replies, strict=True)]
    write_rows(_log(box, number), rows)


def _log(box: Box, number: int) -> Path:
    return box.path / f"log-{number:05d}.parquet"


def _store(packs: PackWriter, url: str, sha256: str | None, reply: Reply, seen: dict[str, Image]) -> Gathered:
    if reply.data is None:
        return Gathered(url, None, reply.reason, reply.message)
    found = hashlib.sha256(reply.data).hexdigest()
    if sha256 and sha256.lower() != found:
        return Gathered(url, None, "download_sha256", f"expected sha256 {sha256[:12]}.., found {found[:12]}..")
    return store_picture(packs, url, reply.data, seen)


async def fetch(urls: Sequence[str], policy: FetchPolicy) -> list[Reply]:
    """Replies in the order of `urls`."""
    everywhere = asyncio.Semaphore(policy.concurrency)
    hosts: dict[str, asyncio.Semaphore] = {}
    limits = httpx.Limits(max_connections=policy.concurrency)
    async with httpx.AsyncClient(timeout=policy.timeout, limits=limits, trust_env=False) as client:

        async def one(url: str) -> Reply:
            host = hosts.setdefault(_host(url), asyncio.Semaphore(policy.per_host))
            async with host, everywhere:
                return await _with_retries(client, url, policy)

        return list(await asyncio.gather(*(one(url) for url in urls)))


def _host(url: str) -> str:
    try:
        return httpx.URL(url).host
    except _BAD_URL:
        return ""


async def _with_retries(client: httpx.AsyncClient, url: str, policy: FetchPolicy) -> Reply:
    reply = Reply(None)
    for attempt in range(policy.retries + 1):
        if attempt:
            await asyncio.sleep(policy.backoff * 2 ** (attempt - 1))
        reply = await _attempt(client, url, policy)
        if not reply.transient:
            break
    return reply


async def _attempt(client: httpx.AsyncClient, url: str, policy: FetchPolicy) -> Reply:
    try:
        async with asyncio.timeout(policy.timeout):
            return await _follow(client, url, policy)
    except _Refused as error:
        return Reply(None, "download_refused", str(error))
    except _BAD_URL as error:
        return Reply(None, "download_bad_url", str(error))
    except httpx.DecodingError as error:
        return Reply(None, "download_undecodable", str(error))
    except (httpx.TransportError, TimeoutError, OSError) as error:
        return Reply(None, "download_failed", f"{type(error).__name__}: {error}", transient=True)


async def _follow(client: httpx.AsyncClient, url: str, policy: FetchPolicy) -> Reply:
    for _ in range(policy.max_redirects + 1):
        target, headers, extensions = await _target(httpx.URL(url), policy)
        async with client.stream("GET", target, headers=headers, extensions=extensions) as response:
            if response.status_code in _REDIRECT_STATUS and "location" in response.headers:
                # each hop is resolved and checked anew
                url = str(httpx.URL(url).join(response.headers["location"]))
                continue
            return await _body(response, policy.max_bytes)
    return Reply(None, "download_redirects", f"more than {policy.max_redirects} redirects")


async def _target(url: httpx.URL, policy: FetchPolicy) -> tuple[httpx.URL, dict[str, str], dict[str, str]]:
    """The URL with its host replaced by the address that was checked, so that a second look-up cannot differ."""
    if url.scheme not in {"http", "https"}:
        raise _Refused(f"scheme `{url.scheme}` is not http or https")
    if not url.host or not 0 <= (url.port or 0) <= _MAX_PORT:
        raise httpx.InvalidURL(f"`{url}` has no host, or a port above {_MAX_PORT}")
    headers, extensions = {"Host": url.netloc.decode()}, {"sni_hostname": url.host}
    if url.host in policy.resolve:
        address, _, port = policy.resolve[url.host].partition(":")
        return url.copy_with(host=address, port=int(port) if port else None), headers, extensions
    port_number = url.port or (443 if url.scheme == "https" else 80)
    infos = await asyncio.get_running_loop().getaddrinfo(url.host, port_number, type=socket.SOCK_STREAM)
    address = str(infos[0][4][0])
    if not ipaddress.ip_address(address.split("%")[0]).is_global:
        raise _Refused(f"`{url.host}` is at {address}, an address that is not public")
    return url.copy_with(host=address), headers, extensions


async def _body(response: httpx.Response, max_bytes: int) -> Reply:
    status = response.status_code
    if status in _TRANSIENT_STATUS:
        return Reply(None, f"download_{status}", f"HTTP {status}", transient=True)
    if status != httpx.codes.OK:
        return Reply(None, f"download_{status}", f"HTTP {status}")
    chunks: list[bytes] = []
    total = 0
    async for chunk in response.aiter_bytes():
        total += len(chunk)
        if total > max_bytes:
            return Reply(None, "download_too_large", f"more than {max_bytes} bytes")
        chunks.append(chunk)
    return Reply(b"".join(chunks))
