"""The miniature of every published source, served: a hub, and a server for the pictures of its URL lists."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from hub_server import HubServer, serve
from mini_hub.build import Summary, build
from mini_hub.case import HOST

from sources.catalogue import CATALOG


@dataclass(frozen=True)
class Miniature:
    """The miniature on disk, the hub that serves it, and where the pictures of its URL lists are."""

    folder: Path
    summary: Summary
    hub: HubServer
    pictures: str

    @property
    def variables(self) -> dict[str, str]:
        """What a user sets to have the miniature instead of the publishers; it must know the port, see `serving`."""
        return {
            "HF_ENDPOINT": self.hub.url,
            "VLMIX_CATALOG": str(self.folder / "catalog"),
            "VLMIX_PICTURES": str(self.folder / "pictures"),
            "VLMIX_PRIVATE_HOSTS": "127.0.0.1",
        }


class _Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving(folder: Path, *, by_port: bool = False) -> Iterator[Miniature]:
    """Build the miniature in `folder` and serve it; `by_port` puts the picture server's real place into URL lists."""
    web = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder / "web")))
    pictures = f"127.0.0.1:{web.server_port}"
    summary = build(CATALOG, folder, pictures if by_port else HOST)
    thread = threading.Thread(target=web.serve_forever, args=(0.02,))
    thread.start()
    try:
        with serve(folder / "hub") as hub:
            yield Miniature(folder, summary, hub, pictures)
    finally:
        web.shutdown()
        thread.join()
        web.server_close()
