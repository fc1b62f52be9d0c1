"""Who may ask the review page what: checks of every request before the page sees it, and headers of every answer.

The page shows text that nobody vouches for, and writes what it is told into the store. So a request must name a host
that we are (DNS rebinding), must bring the token where one is needed, and, where it writes, must come from our own page
(cross-site requests) with a secret of the browser's session, and be small.
"""

import hashlib
import hmac
import ipaddress
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import urlsplit

MAX_BODY: Final = 64 << 10
"""Bytes of a request. Ours: 500 item ids and a note of 4,000 characters are 40 kB."""

MIN_TOKEN: Final = 16
"""Characters of a token that a person chooses. Ours."""

HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
"""Headers of every answer, refusals included. Source: OWASP, HTTP headers cheat sheet."""

_COOKIE: Final = re.compile(r"[A-Za-z0-9_-]{1,500}")
_SESSION: Final = re.compile(r"[A-Za-z0-9_-]{43}")  # 32 bytes, as `secrets.token_urlsafe` writes them
_OWN_SITE: Final = frozenset({"same-origin", "none"})


class Refusal(NamedTuple):
    """Status of the answer, and why."""

    status: int
    why: str


@dataclass(frozen=True, slots=True)
class Access:
    """Where the page is served, and to whom.

    `names` are host names, in small letters, that a request may name beside addresses: any loopback address and
    `localhost`, and where `everywhere` is true any address. An address cannot be rebound, a name can.
    """

    port: int
    token: str | None = None
    names: frozenset[str] = frozenset()
    everywhere: bool = False

    def cookie(self, name: str) -> str:
        """Name of a cookie: browsers keep those of all ports of a host together."""
        return f"vlmix_{name}_{self.port}"

    def is_token(self, given: str) -> bool:
        """Whether a token is ours, in the same time whatever is wrong with it."""
        return self.token is not None and hmac.compare_digest(given.encode(), self.token.encode())

    def refusal(self, method: str, path: str, headers: Mapping[str, str], cookies: Mapping[str, str]) -> Refusal | None:
        """Why a request is refused; None where it is not.

        Args:
            method: of the request.
            path: of the request.
            headers: of the request, names in small letters.
            cookies: of the request.
        """
        if not self._is_own_host(headers.get("host", "")):
            return Refusal(421, "this server is not called so; use the address that it printed")
        if headers.get("sec-fetch-site", "none") not in _OWN_SITE and not _is_visit(method, headers):
            return Refusal(403, "requests of other sites are refused")
        if method not in {"GET", "HEAD", "POST"}:
            return Refusal(405, "expected GET, HEAD or POST")
        if self.token is not None and path != "/enter" and not self.is_token(cookies.get(self.cookie("token"), "")):
            return Refusal(401, "open the address with the token that the server printed")
        return self._wrong_write(headers, cookies) if method == "POST" else None

    def _is_own_host(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return name == "localhost" or name in self.names
        return address.is_loopback or self.everywhere or name in self.names

    def _wrong_write(self, headers: Mapping[str, str], cookies: Mapping[str, str]) -> Refusal | None:
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if (origin is None and site != "same-origin") or (origin is not None and not _same(origin, headers["host"])):
            return Refusal(403, "answers are taken from this server's own page only")
        session = cookies.get(self.cookie("session"), "")
        given = headers.get("x-csrf-token", "")
        if not is_session(session) or not hmac.compare_digest(given.encode(), csrf(session).encode()):
            return Refusal(403, "the page is too old or its cookie is gone; load it again")
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return Refusal(415, "expected JSON")
        return None


def _is_visit(method: str, headers: Mapping[str, str]) -> bool:
    """Whether a person followed a link: that shows a page and does nothing."""
    return method == "GET" and (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) == (
        "navigate",
        "document",
    )


def _same(origin: str, host: str) -> bool:
    try:
        return urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False


def new_session() -> str:
    """A secret that names a browser."""
    return secrets.token_urlsafe(32)


def is_session(session: str) -> bool:
    """Whether a text has the form of such a secret."""
    return _SESSION.fullmatch(session) is not None


def csrf(session: str) -> str:
    """What a page of this session must show to write: 64 hex digits that do not tell the session.

    It needs no secret of the server, so pages stay good when that is started again: a session's cookie is out of the
    reach of scripts and of other sites.
    """
    return hmac.new(session.encode(), b"vlmix review", hashlib.sha256).hexdigest()


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(32)


def read_cookies(header: str) -> dict[str, str]:
    """Cookies of a request: ours have values of letters, digits, `-` and `_` only, others are left out."""
    pairs = (part.strip().partition("=") for part in header.split(";"))
    return {name: value for name, _, value in pairs if _COOKIE.fullmatch(value)}
