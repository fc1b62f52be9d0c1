"""Outcomes of downloads that wait on the disk until their chunk is whole."""

import json
from contextlib import suppress
from pathlib import Path

from shards.files import file_sha256
from sources.client import Reply


class Spool:
    """Lasting outcomes of one unfinished chunk: a file `POSITION-SHA256` is a body, a file `POSITION` holds a reason.

    Nothing is synced: what a power cut damaged has another digest than its name, or is no JSON, and is asked for again.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.replies: dict[int, Reply] = {}
        for path in folder.glob("[0-9]*"):
            position, _, sha256 = path.name.partition("-")
            if sha256 and file_sha256(path) == sha256:
                self.replies[int(position)] = Reply(sha256)
            elif not sha256:
                with suppress(ValueError):
                    self.replies[int(position)] = Reply(None, *json.loads(path.read_bytes()))

    def part(self, position: int) -> Path:
        """Where a body is written while it comes."""
        return self.folder / f".{position}.tmp"  # a name that `shards.temporary` knows

    def body(self, position: int) -> Path:
        """Where the body of a kept reply lies."""
        return self.folder / f"{position}-{self.replies[position].sha256}"

    def keep(self, position: int, reply: Reply) -> None:
        """Keep a lasting outcome; a body is taken from `part`."""
        self.replies[position] = reply
        if reply.sha256 is None:
            self.part(position).write_text(json.dumps([reply.reason, reply.message]))
        self.part(position).replace(self.body(position) if reply.sha256 else self.folder / str(position))
