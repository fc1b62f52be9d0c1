"""First look at a source: how many rows, and which pictures its records refer to. Opens no picture."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
from pydantic import BaseModel

from shards.errors import CatalogError
from shards.files import fingerprint, write_table
from shards.store import Box, Store
from sources.layouts import LAYOUTS
from sources.raw import PICTURE_FOLDER, RawDigest, RawFile, natural
from sources.record import Defect, Layout, Member, PictureRef, Record, Url
from sources.spec import Source

REFS = {"kind": pl.String, "ref": pl.String, "sha256": pl.String}


class ScanIndex(BaseModel):
    """What a scan found. `named` says that every record has a key of its own and no two are equal."""

    raw: list[RawDigest]
    raw_rows: int
    items: int
    named: bool


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
    """Every item of a source with its file name and the row counted over all files."""
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
    body = source.model_dump(mode="json", include={"layout", "columns", "prompt", "native"})
    return fingerprint("layout", type(layout_of(source)).__name__, layout_of(source).version, body)


def scan_box(store: Store, source: Source, raw: list[RawDigest]) -> Box:
    """Where the scan of these raw files lies."""
    files = [file.model_dump() for file in raw]
    return store.box("scans", source.name, fingerprint("scan", 1, reading_fingerprint(source), files))


def scan(box: Box, source: Source, files: tuple[RawFile, ...], raw: list[RawDigest]) -> None:
    """Read every record once and write `refs.parquet` (kind, ref, sha256) with the distinct picture references."""
    refs: dict[tuple[str, str], str] = {}
    names: set[str] = set()
    items, rows, named = 0, -1, True
    for _, row, item in read_items(source, files):
        items, rows = items + 1, row
        if isinstance(item, Record):
            name = f"{item.name}/{item.part}" if item.part else item.name
            named = named and bool(item.name) and name not in names
            names.add(name)
            refs.update(_refs(item.pictures))
    ordered = sorted(refs, key=lambda ref: (ref[0], natural(ref[1])))
    table = [(kind, ref, refs[kind, ref] or None) for kind, ref in ordered]
    write_table(box.path / "refs.parquet", pl.DataFrame(table, REFS, orient="row"))
    box.finish(ScanIndex(raw=raw, raw_rows=rows + 1, items=items, named=named and items > 0))


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
        if source.layout == "table" and source.columns is None:
            raise CatalogError(f"source `{source.name}`: layout `table` needs `columns`; see docs/sources.md")
