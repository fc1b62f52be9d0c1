"""Which addresses on the network are asked: public ones only, and each the one that was checked."""

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Final

import httpx

from shards.errors import PictureError

BAD_URL: Final = (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError)
"""What httpx and the look-up of a host raise on a URL that can never work (IDNA problems are a `ValueError`)."""
HEADERS: Final = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "vlmix"}
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
"""HTTP statuses that send the client to another URL."""
_MAX_PORT: Final = 65535

# provider-internal addresses in public space: Oracle's metadata (192.0.0.192) and Azure's host (168.63.129.16)
_INSIDE: Final = (ipaddress.ip_network("192.0.0.0/24"), ipaddress.ip_network("168.63.129.16/32"))
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_UNICAST6: Final = ipaddress.ip_network("2000::/3")


def checked(address: str) -> httpx.URL:
    """A URL that may be asked.

    Raises:
        PictureError: `download_refused`: not http or https, or with credentials.
        ValueError: or another of `BAD_URL`; no URL at all.
    """
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

    Raises:
        PictureError: `download_refused`.
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


def pinned(
    url: httpx.URL, target: httpx.URL, *, silence: float, headers: Mapping[str, str] | None = None
) -> httpx.Request:
    """A request for `url` to `target`, the same URL with an address as host; no look-up can come between.

    Args:
        url: what is asked for; names the host to the server and to its certificate.
        target: where the connection goes.
        silence: seconds that the server may say nothing.
        headers: besides `HEADERS`.
    """
    named = {"Host": url.netloc.decode("ascii"), **HEADERS, **(headers or {})}
    timeout = dict.fromkeys(("connect", "read", "write", "pool"), silence)
    extensions = {"sni_hostname": url.raw_host.decode("ascii"), "timeout": timeout}
    return httpx.Request("GET", target, headers=named, extensions=extensions)
