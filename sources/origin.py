"""Servers of publishers, asked for whole files: one connection per request, to checked addresses only."""

import socket
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from http import HTTPStatus
from typing import Final, NamedTuple

import httpx

from shards.errors import PictureError
from sources.address import BAD_URL, REDIRECTS, checked, pinned, public_addresses
from sources.transfer import Failed

_MAX_REDIRECTS: Final = 5
_CONNECTION: Final = (httpx.TransportError, ConnectionError)  # no `OSError`: a full disk is no failure of a server


class Answer(NamedTuple):
    """What a server says: headers by name in any letter case, and the body as it comes, not unpacked."""

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]

    @property
    def whole(self) -> bool:
        """Whether the body is the whole file."""
        return self.status == HTTPStatus.OK

    @property
    def rest(self) -> bool:
        """Whether the body is the part that was asked for."""
        return self.status == HTTPStatus.PARTIAL_CONTENT

    @property
    def no_rest(self) -> bool:
        """Whether the file ends before the part that was asked for."""
        return self.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE

    @property
    def unchanged(self) -> bool:
        """Whether the file is the one that was asked about."""
        return self.status == HTTPStatus.NOT_MODIFIED

    @property
    def closed(self) -> bool:
        """Whether the server wants to know who asks."""
        return self.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


class Origin:
    """Asks servers of publishers.

    Args:
        silence: seconds that a server may say nothing.
        private: names of hosts that may be at addresses that are not public.
    """

    def __init__(self, *, silence: float, private: Collection[str]) -> None:
        self._silence, self._private = silence, frozenset(name.lower() for name in private)
        self._tls = httpx.create_ssl_context(trust_env=False)

    @contextmanager
    def ask(self, address: str, headers: Mapping[str, str], *, attempt: int) -> Iterator[Answer]:
        """The answer to a GET, redirects followed; each hop is looked up and checked anew.

        Args:
            address: what is asked for.
            headers: besides the usual ones.
            attempt: number of this try; of a host with several addresses each try takes another.

        Raises:
            Failed: no connection, a cut one, too many redirects, or an address that is not asked.
        """
        try:
            for _ in range(_MAX_REDIRECTS + 1):
                url, target = self._target(address, attempt)
                request = pinned(url, target, silence=self._silence, headers=headers)
                with (
                    httpx.HTTPTransport(self._tls, trust_env=False) as transport,
                    closing(transport.handle_request(request)) as response,
                ):
                    location = response.headers.get("location")
                    if response.status_code not in REDIRECTS or not location:
                        yield Answer(response.status_code, response.headers, response.iter_raw())
                        return
                address = self._joined(url, location)
        except _CONNECTION as error:
            remedy = "check the network, then run again: what has come is kept"
            raise Failed(f"cannot reach `{url.host}`: {type(error).__name__}: {error}; {remedy}") from error
        raise Failed(f"more than {_MAX_REDIRECTS} redirects; check `url`", passing=False)

    def _joined(self, url: httpx.URL, location: str) -> str:
        try:
            return str(url.join(location))
        except BAD_URL as error:
            raise Failed(f"a redirect leads nowhere: {error}; check `url`", passing=False) from error

    def _target(self, address: str, attempt: int) -> tuple[httpx.URL, httpx.URL]:
        """A URL, and the same with an address as host."""
        try:
            url = checked(address)
            host = url.raw_host.decode("ascii")
            found = [str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
            addresses = found if url.host.lower() in self._private else public_addresses(host, found)
        except PictureError as error:
            remedy = "a server of your own is named in VLMIX_PRIVATE_HOSTS"
            raise Failed(f"refused: {error}; {remedy}", passing=False) from error
        except socket.gaierror as error:
            remedy = "check `url` and the network, then run again"
            raise Failed(f"no address for `{url.host}`: {error.strerror}; {remedy}") from error
        except BAD_URL as error:
            # parsers quote what they could not read, which may be half a password
            reason = "bad credentials or host" if "@" in address else str(error)
            raise Failed(f"no address that can be asked: {reason}; check `url`", passing=False) from error
        return url, url.copy_with(host=addresses[attempt % len(addresses)])
