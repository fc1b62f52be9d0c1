"""What downloads of pictures may do; apart from what makes requests, which takes long to load."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sources.member import MAX_PICTURE_BYTES


@dataclass(frozen=True, slots=True)
class FetchPolicy:
    """Bounds of a download; times are in seconds.

    `resolve` maps a host name to `address:port`, as curl's --resolve does; that, and a host name in `private` (lower
    case), are the ways to reach a loopback or private address. A server may be silent for `timeout`; all requests and
    waits for one URL take `deadline` at most, however slowly bytes drip in. Waits double from `backoff`, or are what
    `Retry-After` says, up to `max_wait`.
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
    private: frozenset[str] = frozenset()
