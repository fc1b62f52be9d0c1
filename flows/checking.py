"""A look at a whole source before it enters a recipe: counts, defects by class, gates that it would not pass."""

from pathlib import Path

import polars as pl
from pydantic import BaseModel
from rich.markup import escape

from flows.build import demo_pictures
from flows.console import terminal
from flows.fetching import Progress
from flows.resolve import locate_named, on_disk
from flows.sourcing import SourceJob, make_shards
from shards.errors import GateError
from shards.sample import ShardsIndex
from shards.store import Store
from sources.convert import gate
from sources.scan import ScanIndex

_EXAMPLES = 3


class Defects(BaseModel):
    """Rows in quarantine for one reason, with the first few of them."""

    reason: str
    rows: int
    keys: list[str]
    locators: list[str]
    message: str


class Checked(BaseModel):
    """A source as it was found; `gate` is what would stop a run, null when nothing would.

    `others`: rows of its files that belong to other sources (`only`); `raw_rows` leaves them out.
    """

    source: str
    raw_rows: int
    others: int
    samples: int
    quarantined: int
    pictures: int
    picture_bytes: int
    repairs: dict[str, int]
    defects: list[Defects]
    gate: str | None


def check(name: str, store: Store, progress: Progress | None = None) -> Checked:
    """Fetch, read and convert a whole source, gates open, and say what was found.

    Raises:
        VlmixError: the source cannot be had or read at all.
    """
    located = locate_named(name, store)
    with store.lock(), demo_pictures([located], store) as policy:
        place = on_disk(located, store, progress=progress)
        made = make_shards(SourceJob(store, place.source, place.base, policy, gated=False))
    index, scanned = made.shards.index(ShardsIndex), made.scan.index(ScanIndex)
    quarantine = pl.read_parquet(made.shards.path / "quarantine.parquet")
    try:
        gate(place.source, index, scanned.raw_rows)
        stopped = None
    except GateError as error:
        stopped = str(error)
    return Checked(
        source=place.source.name,
        raw_rows=scanned.raw_rows,
        others=scanned.others,
        samples=index.samples,
        quarantined=quarantine.height,
        pictures=index.pictures,
        picture_bytes=index.picture_bytes,
        repairs=index.repairs,
        defects=[_defects(reason, quarantine) for reason in index.quarantined],
        gate=stopped,
    )


def _defects(reason: str, quarantine: pl.DataFrame) -> Defects:
    rows = quarantine.filter(pl.col("reason") == reason)
    first = rows.head(_EXAMPLES)
    return Defects(
        reason=reason,
        rows=rows.height,
        keys=first["key"].to_list(),
        locators=first["locator"].to_list(),
        message=first["message"][0],
    )


def print_checked(checked: Checked) -> None:
    """What was found, for people."""
    console = terminal()
    console.print(
        f"source `{checked.source}`: {checked.raw_rows:,} raw rows, {checked.samples:,} samples, "
        f"{checked.quarantined:,} quarantined, {checked.pictures:,} pictures of {checked.picture_bytes:,} bytes"
    )
    if checked.others:
        console.print(f"  {checked.others:,} rows of its files belong to other sources")
    for repair, count in checked.repairs.items():
        console.print(f"  repaired {count:>8,}  {repair}")
    for defect in checked.defects:
        console.print(f"  {defect.reason:<24} {defect.rows:>8,}  such as {escape(', '.join(defect.locators))}")
        console.print(f"  {'':<24} {'':>8}  {escape(defect.message)}")
    console.print(f"gate: {escape(checked.gate) if checked.gate else 'passed'}")


class Fetched(BaseModel):
    """Files of a source on this machine."""

    source: str
    folder: Path


def fetch(name: str, store: Store, *, update: bool, progress: Progress | None = None) -> Fetched:
    """Bring the files of a source onto this machine.

    Raises:
        VlmixError: the source cannot be had.
    """
    located = locate_named(name, store, pictures=False)
    with store.lock(), demo_pictures([located], store):
        return Fetched(
            source=located.source.name, folder=on_disk(located, store, update=update, progress=progress).base
        )
