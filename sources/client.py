"""Requests for pictures: bounded in number and time, to checked addresses only, repeated while failures may pass.

Lasting reasons: `download_NNN` (HTTP status), `download_bad_url`, `download_refused` (scheme, address or credentials),
`download_redirects`, `download_too_large`, `download_not_picture` (by its first bytes), `download_sha256` and
`download_undecodable`. Passing ones, asked for again: `download_408` and its like, `download_timeout`,
`download_no_address`, `download_failed` (connection); with `give_up` they become a lasting `download_failed`.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import httpx

from shards.errors import PictureError
from sources.address import BAD_URL, REDIRECTS, checked, pinned, public_addresses
from sources.body import decoded, write_body
from sources.policy import FetchPolicy
from sources.transfer import PASSING

_CONNECTION: Final = (httpx.TransportError, ConnectionError)  # no `OSError`: a full disk is no failure of a server


class Reply(NamedTuple):
    """Outcome of one URL: the digest of a body, or a reason; `wait` is what the server asks for before a retry."""

    sha256: str | None
    reason: str = ""
    message: str = ""
    transient: bool = False
    wait: float = 0.0


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


class Client:
    """Asks for URLs. Connections are kept per host: over a shared one, a host would inherit another's certificate."""

    def __init__(self, policy: FetchPolicy) -> None:
        self._policy = policy
        self._everywhere = asyncio.Semaphore(policy.concurrency)
        self._lanes: dict[str, _Lane] = {}
        self._tls = httpx.create_ssl_context(trust_env=False)

    async def get(self, url: str, part: Path) -> Reply:
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

    async def _attempt(self, url: str, attempt: _Try) -> Reply:
        try:
            for _ in range(self._policy.max_redirects + 1):
                answer = await self._request(url, attempt)
                if isinstance(answer, Reply):
                    return answer
                url = answer
            return Reply(None, "download_redirects", f"more than {self._policy.max_redirects} redirects")
        except PictureError as error:
            return Reply(None, error.reason, str(error))
        except BAD_URL as error:
            # parsers quote what they could not read, which may be half a password
            return Reply(None, "download_bad_url", "bad credentials or host" if "@" in url else str(error))
        except socket.gaierror as error:
            return Reply(None, "download_no_address", f"{type(error).__name__}: {error}", transient=True)
        except (TimeoutError, httpx.TimeoutException):
            return Reply(None, "download_timeout", "TimeoutError: answer too slow", transient=True)
        except _CONNECTION as error:
            return Reply(None, "download_failed", f"{type(error).__name__}: {error}", transient=True)

    async def _request(self, address: str, attempt: _Try) -> Reply | str:
        """The outcome of one request, or where it is redirected to: each hop is resolved and checked anew."""
        url = checked(address)
        now = asyncio.get_running_loop().time
        async with self._lane(url.host) as lane, lane.slots, self._everywhere:
            begin = now()
            # one transport per connection: a pool of 64 looks at all of them for each request, 5.6 against 1.5 ms
            transport = lane.idle.pop() if lane.idle else httpx.AsyncHTTPTransport(self._tls, trust_env=False)
            try:
                async with asyncio.timeout(attempt.left):
                    target = await self._target(url, lane, attempt.number)
                    response = await transport.handle_async_request(pinned(url, target, silence=self._policy.timeout))
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
            found = [str(info[4][0]) for info in infos]
            lane.addresses = found if url.host.lower() in self._policy.private else public_addresses(host, found)
        return url.copy_with(host=lane.addresses[attempt % len(lane.addresses)])

    async def _answer(self, response: httpx.Response, url: httpx.URL, part: Path) -> Reply | str:
        status, headers = response.status_code, response.headers
        if status in REDIRECTS and "location" in headers:
            return str(url.join(headers["location"]))
        if status != httpx.codes.OK:
            after = headers.get("retry-after", "")
            wait = float(after) if after.isdecimal() else 0.0
            return Reply(None, f"download_{status}", f"HTTP {status}", status in PASSING, wait)
        return Reply(await write_body(part, decoded(response), self._policy.max_bytes))
