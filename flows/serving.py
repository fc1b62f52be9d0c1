"""The review page of a mixture in the store."""

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from platform import node

from flows.marking import hits
from flows.reviewing import queue_items, queue_options
from review.answer import Journal
from review.page import Page
from review.page_guard import MIN_TOKEN, Access, new_token
from review.server import listen, serve
from shards.errors import UsageError
from shards.store import Store


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page is to be served.

    `token` is what visitors must bring; None: none on this machine alone, a made one elsewhere. `names` are host names
    under which others reach this machine, beside its own.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    token: str | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Open:
    """A page that is served: the address to open, with its token where there is one."""

    url: str
    items: int
    token: str | None


def serve_queue(
    store: Store, name: str, place: Place, *, audit: int, reviewer: str, tell: Callable[[Open], None]
) -> None:
    """Serve the review page of a mixture, or of all stages of a recipe, until somebody stops it.

    Args:
        store: has the mixture; the answers go to its journal.
        name: as for `flows.mixes.find`.
        place: where.
        audit: rows that the rules keep or drop, drawn at random from every stratum and asked about, too.
        reviewer: name of those who have not told theirs; empty: the page asks.
        tell: called once the port is taken.

    Raises:
        UsageError: nothing finished of that name, the address cannot be taken, or the token is too short.
    """
    if place.token is not None and len(place.token) < MIN_TOKEN:
        raise UsageError(f"a token has at least {MIN_TOKEN} characters, this one has {len(place.token)}")
    queue = queue_items(store, name, queue_options(audit=audit))
    page = Page(queue, Journal(store.root / "review"), hits, name)
    page.warm()
    listening = listen(place.host, place.port)
    port = listening.getsockname()[1]
    loopback = _is_loopback(place.host)
    token = place.token or (None if loopback else new_token())
    own = () if loopback else (node(), place.host)
    names = frozenset(each.lower() for each in (*own, *place.names) if each)
    host = f"[{place.host}]" if ":" in place.host else place.host
    url = f"http://{host}:{port}/" + (f"enter?token={token}" if token else "")
    tell(Open(url, len(queue), token))
    serve(page, Access(port, token, names, everywhere=not loopback), listening, reviewer)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
