"""First look at a source: how many rows, and which pictures its records refer to. Opens no picture."""

from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from sqlite3 import Connection
from typing import Final

import numpy as np
import polars as pl
from pydantic import BaseModel

from shards.errors import CatalogError
from shards.files import fingerprint
from shards.store import Box, Store
from sources.layouts import LAYOUTS, PAIRED, WHOLE_FILE
from sources.layouts.parquet import skimming
from sources.raw import PICTURE_FOLDER, RawContent, RawFile, natural
from sources.record import NOT_OF_SOURCE, Defect, Layout, Member, PictureRef, Record, Url
from sources.scratch import ROWS, read_frames, scratch, write_frames
from sources.spec import Source

_DIGEST: Final = 16
_LONGEST: Final = 0xD7FF
"""Digits that are told apart by number: what follows is no character of its own."""

_TABLE: Final = "refs (kind text, sortable text, ref text, sha256 text, primary key (kind, sortable, ref))"

REFS = {"kind": pl.String, "ref": pl.String, "sha256": pl.String}


class ScanIndex(BaseModel):
    """What a scan found. `named` says that every record has a key of its own and no two are equal.

    The files hold `raw_rows` rows of this source and `others` rows that `only` leaves to other sources.
    """

    raw: list[RawContent]
    raw_rows: int
    items: int
    named: bool
    others: int = 0


def layout_of(source: Source) -> Layout:
    """The layout of a source.

    Raises:
        CatalogError: no layout, or one that does not exist.
    """
    if source.layout is None:
        reason = source.status_reason or "nobody has looked at its records"
        raise CatalogError(f"source `{source.name}` has no layout and cannot be read: {reason}")
    if source.layout not in LAYOUTS:
        known = ", ".join(sorted(LAYOUTS))
        raise CatalogError(f"source `{source.name}`: unknown layout `{source.layout}`; known: {known}")
    return LAYOUTS[source.layout]


def read_items(source: Source, files: tuple[RawFile, ...]) -> Iterator[tuple[str, int, Record | Defect]]:
    """Every item of a source with its file name and the row counted over all files, those of other sources included."""
    return (found for found in _read_shared(source, files) if not _is_foreign(found[2]))


def _is_foreign(item: Record | Defect) -> bool:
    return isinstance(item, Defect) and item.reason == NOT_OF_SOURCE


def _read_shared(source: Source, files: tuple[RawFile, ...]) -> Iterator[tuple[str, int, Record | Defect]]:
    """Like `read_items`, and a defect `NOT_OF_SOURCE` for each row of another source."""
    layout = layout_of(source)
    base = 0
    for file in files:
        last = -1
        path = _argument(source, file)
        for item in layout(path, source):
            last = item.row
            yield file.name, base + item.row, item
        base += last + 1


def _argument(source: Source, file: RawFile) -> Path:
    # a picture folder's files are named, not read, by the layout
    return Path(file.name) if source.layout == PICTURE_FOLDER else file.path


def reading_fingerprint(source: Source) -> str:
    """Everything of a declaration that decides what a layout yields; counts, licence, limits and places do not."""
    always = {"layout", "columns", "prompt", "native"}
    # options at their default are left out, so that a store outlives an option that its sources do not use
    chosen = source.model_dump(mode="json", include={"only", "pairs"}, exclude_defaults=True)
    body = source.model_dump(mode="json", include=always) | chosen
    return fingerprint("layout", type(layout_of(source)).__name__, layout_of(source).version, body)


def scan_box(store: Store, source: Source, raw: list[RawContent]) -> Box:
    """Where the scan of these raw files lies."""
    files = [file.model_dump() for file in raw]
    return store.box("scans", source.name, fingerprint("scan", 1, reading_fingerprint(source), files))


def scan(box: Box, source: Source, files: tuple[RawFile, ...], raw: list[RawContent]) -> None:
    """Read every record once and write `refs.parquet` (kind, ref, sha256) with the distinct picture references."""
    names, path = _Names(), box.path / "refs.parquet"
    items, others, rows = 0, 0, -1
    with scratch(path, _TABLE) as database, skimming():
        refs = _Refs(database)
        for _, row, item in _read_shared(source, files):
            rows = row
            if _is_foreign(item):
                others += 1
                continue
            items += 1
            if isinstance(item, Record):
                names.add(item)
                refs.add(item.pictures)
        write_frames(path, pl.Schema(REFS), refs.frames())
    named = items > 0 and names.all_differ()
    box.finish(ScanIndex(raw=raw, raw_rows=rows + 1 - others, items=items, named=named, others=others))


class _Names:
    """Whether all records have names, and no two the same; of a name 128 bits are kept."""

    def __init__(self) -> None:
        self._digests = bytearray()
        self._lacking = False

    def add(self, record: Record) -> None:
        """The next record."""
        self._lacking = self._lacking or not record.name
        if not self._lacking:
            name = f"{record.name}/{record.part}" if record.part else record.name
            self._digests += blake2b(name.encode("utf-8", "surrogatepass"), digest_size=_DIGEST).digest()

    def all_differ(self) -> bool:
        """What it is about."""
        if self._lacking:
            return False
        halves = np.frombuffer(self._digests, np.uint64).reshape(-1, 2)
        first = np.sort(halves[:, 0])
        repeated = halves[np.isin(halves[:, 0], first[1:][first[1:] == first[:-1]])]  # nearly always none
        return len(np.unique(repeated, axis=0)) == len(repeated)


class _Refs:
    """Distinct references, those met since the last packing in memory, the others in natural order on the disk."""

    def __init__(self, database: Connection) -> None:
        self._database = database
        self._fresh: dict[tuple[str, str], str] = {}

    def add(self, pictures: tuple[PictureRef, ...]) -> None:
        """The references of the next record."""
        self._fresh.update(_refs(pictures))
        if len(self._fresh) >= ROWS:
            self._pack()

    def _pack(self) -> None:
        rows = sorted((kind, _sortable(ref), ref, sha256 or None) for (kind, ref), sha256 in self._fresh.items())
        self._database.executemany("insert or replace into refs values (?, ?, ?, ?)", rows)
        self._fresh = {}

    def frames(self) -> Iterator[pl.DataFrame]:
        """All references in natural order, in the columns of `REFS`, some at a time."""
        self._pack()
        rows = self._database.execute("select kind, ref, sha256 from refs order by kind, sortable, ref")
        while part := rows.fetchmany(ROWS):
            yield pl.DataFrame(part, REFS, orient="row")


def read_refs(box: Box, kind: str) -> Iterator[tuple[str, str | None]]:
    """References of one kind, `member` or `url`, in natural order, each with its SHA-256 where it is known."""
    for frame in read_frames(box.path / "refs.parquet"):
        yield from frame.filter(pl.col("kind") == kind).select("ref", "sha256").iter_rows()


def _sortable(name: str) -> str:
    """Text whose order is that of `natural(name)`; nearly, in names with a null character or absurdly long numbers."""
    parts, _ = natural(name)
    return "".join(part + "\0" if length < 0 else chr(min(length, _LONGEST)) + part for length, part in parts)


def _refs(pictures: tuple[PictureRef, ...]) -> Iterator[tuple[tuple[str, str], str]]:
    for picture in pictures:
        if isinstance(picture, Member):
            yield ("member", picture.path), ""
        elif isinstance(picture, Url):
            yield ("url", picture.url), picture.sha256 or ""


def check_layouts(sources: list[Source]) -> None:
    """Stop before any work when a source names a layout that does not exist.

    Raises:
        CatalogError: see `layout_of`.
    """
    for source in sources:
        layout_of(source)
        _check_options(source)
        if source.layout == "table" and source.columns is None:
            raise CatalogError(f"source `{source.name}`: layout `table` needs `columns`; see docs/sources.md")


def _check_options(source: Source) -> None:
    ignored = [
        name
        for name, is_set, layouts in (
            ("only", source.only is not None, set(LAYOUTS) - WHOLE_FILE),
            ("pairs", source.pairs != "apart", PAIRED),
        )
        if is_set and source.layout not in layouts
    ]
    if ignored:
        raise CatalogError(
            f"source `{source.name}`: layout `{source.layout}` does not read `{ignored[0]}`; leave it out"
        )
