"""Raw files to shards: three steps per source, each skipped when its box is done."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from flows.executor import Steps
from flows.metering import Spent, measured, tally
from shards.errors import PictureError
from shards.files import file_sha256, fingerprint
from shards.sample import ShardsIndex
from shards.store import Box, Store
from sources import convert, gather
from sources.policy import FetchPolicy
from sources.raw import Digests, RawContent, RawFile, archive_files, picture_file, raw_files
from sources.scan import ScanIndex, read_refs, scan, scan_box
from sources.spec import Source


@dataclass(frozen=True, slots=True)
class SourceJob:
    """One source to be turned into shards."""

    store: Store
    source: Source
    base: Path
    policy: FetchPolicy
    gated: bool = True
    """Whether counts that the source does not allow stop the run; the shards are written all the same."""


class Sourced(NamedTuple):
    """The boxes of a source, and what each step did."""

    scan: Box
    shards: Box
    scanned: Steps
    gathered: Steps
    converted: Steps


def make_shards(job: SourceJob) -> Sourced:
    """Scan, gather and convert one source; what an earlier run finished is kept.

    Raises:
        GateError: see `sources.convert.gate`.
    """
    store, source, base = job.store, job.source, job.base
    digests = Digests(store.root / "cache" / "digests" / f"{source.name}.json")
    files = raw_files(source, base)
    raw = [digests(file) for file in files]
    scanned = scan_box(store, source, raw)
    steps = _steps(scanned)
    with measured("scan", source.name):
        if not scanned.done:
            scan(scanned, source, files, raw)
            tally(Spent(rows=scanned.index(ScanIndex).raw_rows, bytes=sum(file.path.stat().st_size for file in files)))
    with measured("gather", source.name):
        gathered, gather_steps = _gather(job, scanned, digests)
    pictures = _pictures_fingerprint(job, scanned, gathered, digests)
    digests.save()
    box = convert.shards_box(store, source, scanned.name, pictures)
    with measured("convert", source.name):
        convert_steps = _convert(job, box, files, scanned, gathered)
    if job.gated:
        convert.gate(source, box.index(ShardsIndex), scanned.index(ScanIndex).raw_rows)
    return Sourced(scanned, box, steps, gather_steps, convert_steps)


def _steps(box: Box) -> Steps:
    return Steps(0, 1) if box.done else Steps(1, 0)


def _gather(job: SourceJob, scanned: Box, digests: Digests) -> tuple[Box | None, Steps]:
    """Download the URLs or unpack the archive of a source; nothing to do for pictures in records or folders."""
    archives = archive_files(job.source, job.base)
    if not archives and next(read_refs(scanned, "url"), None) is None:
        return None, Steps()
    packed = [digests(file).model_dump(mode="json") for file in archives]
    name = fingerprint("gather", 2, scanned.name, job.source.pictures, packed)
    box = job.store.box("pictures", job.source.name, name)
    steps = _steps(box)
    if not box.done and archives:
        gather.unpack(box, job.source, archives, (ref for ref, _ in read_refs(scanned, "member")))
    elif not box.done:
        from sources.fetch import download

        download(box, job.source, list(read_refs(scanned, "url")), job.policy)
    if steps.executed:
        rows = pq.read_metadata(scanned.path / "refs.parquet").num_rows
        tally(Spent(rows=rows, bytes=sum(path.stat().st_size for path in box.path.iterdir())))
    return box, steps


def _pictures_fingerprint(job: SourceJob, scanned: Box, gathered: Box | None, digests: Digests) -> str:
    """Digest of every picture byte outside the records: the gathered table, or the files of the folder."""
    if gathered:
        return fingerprint("gathered", gathered.name, file_sha256(gathered.path / "gathered.parquet"))
    root = job.base / job.source.root
    members = (ref for ref, _ in read_refs(scanned, "member"))
    found = [file.model_dump(mode="json") for name in members for file in _digest(root, name, digests)]
    return fingerprint("folder", found)


def _digest(root: Path, name: str, digests: Digests) -> list[RawContent]:
    try:
        return [digests(RawFile(name, picture_file(root, name)))]
    except PictureError:
        return []


def _convert(job: SourceJob, box: Box, files: tuple[RawFile, ...], scanned: Box, gathered: Box | None) -> Steps:
    """Counts are shards, so that a resumed run shows what it kept."""
    kept = convert.finished_shards(box)
    if not box.done:
        pictures = gather.load(gathered) if gathered else gather.GatheredByRef(box.path)
        mended = gather.repairs(gathered) if gathered else {}
        of = [scanned, gathered] if gathered else [scanned]
        convert.convert(box, job.source, files, job.base, pictures, scanned.index(ScanIndex), mended, of=of)
        _tally_converted(box.index(ShardsIndex), kept)
    return Steps(convert.finished_shards(box) - kept, kept)


def _tally_converted(index: ShardsIndex, kept: int) -> None:
    """Count what was converted; rows of shards that an earlier run `kept` are not, quarantined ones and bytes are."""
    rows = sum(shard.items for shard in index.shards[kept:])
    tally(Spent(rows=rows, bytes=index.picture_bytes, quarantined=sum(index.quarantined.values())))
