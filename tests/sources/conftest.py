"""Small pictures, and sources driven through scan and conversion as the flow does it."""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from PIL import Image as PillowImage

from shards.pack import Image
from shards.sample import ShardsIndex, read_all
from shards.store import Box, Store
from sources.convert import convert, gate, read_quarantine, shards_box
from sources.gather import Gathered
from sources.raw import Digests, raw_files
from sources.scan import ScanIndex, scan, scan_box
from sources.spec import Source


@dataclass(frozen=True)
class Made:
    """The finished boxes of one source."""

    scanned: Box
    box: Box

    @property
    def index(self) -> ShardsIndex:
        return self.box.index(ShardsIndex)

    @property
    def samples(self) -> list[dict[str, Any]]:
        columns = ["key", "position", "messages", "images", "videos", "meta"]
        rows = pl.concat(list(read_all(self.box.path, columns))).to_dicts()
        return [{**row, "meta": json.loads(row["meta"])} for row in rows]

    @property
    def keys(self) -> list[str]:
        return [sample["key"] for sample in self.samples]

    @property
    def images(self) -> list[list[Image]]:
        return [[Image(**image) for image in sample["images"]] for sample in self.samples]

    @property
    def quarantine(self) -> list[dict[str, str]]:
        return read_quarantine(self.box, len(self.index.shards)).to_dicts()

    @property
    def reasons(self) -> dict[str, str]:
        """Reason by locator."""
        return {row["locator"]: row["reason"] for row in self.quarantine}


def picture(seed: int = 0, side: int = 8) -> bytes:
    """A PNG whose bytes depend on `seed`."""
    buffer = io.BytesIO()
    PillowImage.new("RGB", (side, side), (seed % 256, seed // 256 % 256, seed // 65536)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def png() -> Callable[..., bytes]:
    """Small pictures, see `picture`."""
    return picture


def line(row: object) -> str:
    return f"{row if isinstance(row, str) else json.dumps(row)}\n"


@pytest.fixture
def raw(tmp_path: Path) -> Callable[[Mapping[str, bytes | str | list[Any]]], Path]:
    """Write files below a folder `raw`: bytes, text, or a list of rows as JSON lines. Gives the folder."""

    def write(files: Mapping[str, bytes | str | list[Any]]) -> Path:
        for name, content in files.items():
            path = tmp_path / "raw" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            text = "".join(map(line, content)) if isinstance(content, list) else content
            path.write_bytes(text.encode() if isinstance(text, str) else text)
        return tmp_path / "raw"

    return write


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Made]:
    """Scan and convert the folder `raw`; keywords are fields of the source, `gathered` what lies outside it."""

    def made(gathered: Mapping[str, Gathered] | None = None, store: str = "store", **body: Any) -> Made:
        source = Source(**{"name": "s", "files": ("*.jsonl",), "quarantine_limit": 1, **body})
        base = tmp_path / "raw"
        files = raw_files(source, base)
        digests = Digests(tmp_path / "digests.json")
        digested = [digests(file) for file in files]
        scanned = scan_box(Store(tmp_path / store), source, digested)
        if not scanned.done:
            scan(scanned, source, files, digested)
        box = shards_box(Store(tmp_path / store), source, scanned.name, "pictures")
        if not box.done:
            convert(box, source, files, base, gathered or {}, scanned.index(ScanIndex))
        gate(source, box.index(ShardsIndex), scanned.index(ScanIndex).raw_rows)
        return Made(scanned, box)

    return made
