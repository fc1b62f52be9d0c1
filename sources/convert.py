"""Records to samples: pictures looked up, markers counted, defects named, shards written."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from shards.errors import GateError, PictureError
from shards.files import canonical_json, fingerprint, table_writer, write_bytes, write_table
from shards.pack import Image, PackWriter
from shards.picture import inspect
from shards.sample import (
    IMAGE_COLUMNS,
    SampleRow,
    ShardCounts,
    ShardsIndex,
    read_all,
    read_samples,
    sample_path,
    write_samples,
)
from shards.schema import IMAGE_MARKER, QUARANTINE, VIDEO_MARKER
from shards.store import Box, Store
from sources.gather import Gathered, GatheredByRef, refer
from sources.member import MAX_PICTURE_BYTES
from sources.places import Places
from sources.raw import RawFile, picture_file
from sources.record import Defect, Embedded, Member, PictureRef, Record
from sources.scan import ScanIndex, read_items, reading_fingerprint
from sources.spec import Source

SHARD_ITEMS: Final = 2048
"""Samples and quarantined rows per shard: small enough that a killed run repeats seconds, large enough to compress."""

_ROWS: Final = 1 << 15
"""Pictures of a row group of their table: who reads some of them reads no more than these."""

_VERSION: Final = 1
_OURS: Final = frozenset({"locator", "native", "repairs"})
"""What we write into `meta`; an upstream column of that name gets a `_` behind it."""


@dataclass(slots=True)
class Unrepresentable(Exception):  # noqa: N818 -- control flow, not an error for users
    """A record that cannot become a sample, and the quarantine reason."""

    reason: str
    message: str


@dataclass(slots=True)
class _Shard:
    samples: list[SampleRow] = field(default_factory=list)
    defects: list[tuple[str, str, str, str]] = field(default_factory=list)

    @property
    def items(self) -> int:
        return len(self.samples) + len(self.defects)


@dataclass(slots=True)
class Pictures:
    """Looks picture references up; the same bytes are checked and stored once per source."""

    source: Source
    root: Path
    gathered: GatheredByRef
    packs: PackWriter
    before: Places
    """Pictures that are stored already, by SHA-256."""
    stored: dict[str, Image] = field(default_factory=dict)
    """Pictures that were stored since, by SHA-256."""
    members: dict[str, Gathered] = field(default_factory=dict)

    def __call__(self, ref: PictureRef) -> Image:
        """Where the picture lies.

        Raises:
            Unrepresentable: the picture is missing or not usable.
        """
        if isinstance(ref, Embedded):
            return self._store(ref.data)
        if isinstance(ref, Member):
            return _image(self._member(ref.path))
        return _image(self.gathered.get(ref.url) or Gathered(ref.url, None, "picture_missing", "never downloaded"))

    def _member(self, path: str) -> Gathered:
        gathered = self.gathered.get(path)
        if gathered:
            return gathered
        if path not in self.members:
            try:
                self.members[path] = self._read(path)
            except Unrepresentable as error:
                self.members[path] = Gathered(path, None, error.reason, error.message)
        return self.members[path]

    def _read(self, path: str) -> Gathered:
        try:
            file = picture_file(self.root, path)
        except PictureError as error:
            raise Unrepresentable(error.reason, str(error)) from error
        if file.stat().st_size > MAX_PICTURE_BYTES:
            raise Unrepresentable("picture_too_large", f"{file.stat().st_size} bytes, limit {MAX_PICTURE_BYTES}")
        data = file.read_bytes()
        if self.source.pictures == "reference":
            return refer(self.source, path, data, (PurePosixPath(self.source.root) / path).as_posix(), 0)
        return Gathered(path, self._store(data))

    def _store(self, data: bytes) -> Image:
        sha256 = hashlib.sha256(data).hexdigest()
        known = self.stored.get(sha256) or self.before.get(sha256)
        if known is None:
            try:
                known = self.stored[sha256] = self.packs.add(data, sha256, inspect(data))
            except PictureError as error:
                raise Unrepresentable(error.reason, str(error)) from error
        return known


def _image(gathered: Gathered) -> Image:
    if gathered.image is None:
        raise Unrepresentable(gathered.reason, gathered.message)
    return gathered.image


def shards_box(store: Store, source: Source, scan_fingerprint: str, pictures_fingerprint: str) -> Box:
    """Where the samples of a source lie; the fingerprint covers every byte that they were made from."""
    # samples of a mirror name its files, so where they lie in it is part of them
    place = source.root if source.pictures == "reference" else None
    identity = [source.name, source.split, source.pictures, place, reading_fingerprint(source)]
    whole = fingerprint("shards", _VERSION, SHARD_ITEMS, identity, scan_fingerprint, pictures_fingerprint)
    return store.box("shards", source.name, whole)


def convert(
    box: Box,
    source: Source,
    files: tuple[RawFile, ...],
    base: Path,
    gathered: GatheredByRef,
    scan: ScanIndex,
    repairs: Mapping[str, int] | None = None,
    *,
    of: Iterable[Box] = (),
) -> None:
    """Write the shards of a source; shards that a killed run finished are kept.

    `repairs` are those that were made before, see `sources.gather.repairs`; the index counts them with its own. `of`
    are the boxes that the samples are made from.
    """
    done = _finished(box)
    stored = _stored(box, len(done))
    first = sum(shard.items for shard in done)
    items = islice(read_items(source, files), first, None)
    while True:
        number = len(done)
        with PackWriter(box.store, box.name, f"pictures-{number:05d}") as packs:
            # the next shards know of the pictures that samples refer to, which is what a restarted run can find out
            pictures = Pictures(source, base / source.root, gathered, packs, stored)
            shard = _fill(source, enumerate(islice(items, SHARD_ITEMS), first), pictures, scan.named)
        if not shard.items and done:
            break
        stored.update(_own(box, (image for sample in shard.samples for image in sample.images)))
        done.append(_write(box, number, shard))
        first += shard.items
        if shard.items < SHARD_ITEMS:
            break
    box.finish(_summary(box, source, done, repairs or {}), of=of)


def _fill(
    source: Source, items: Iterator[tuple[int, tuple[str, int, Record | Defect]]], pictures: Pictures, named: bool
) -> _Shard:
    shard = _Shard()
    for position, (file, row, item) in items:
        key = _key(source, row, item, named)
        locator = f"{file}#{item.row}" + (f"/{item.part}" if item.part else "")
        if isinstance(item, Defect):
            shard.defects.append((key, item.reason, locator, item.message))
            continue
        try:
            shard.samples.append(sample_row(key, position, locator, item, pictures))
        except Unrepresentable as error:
            shard.defects.append((key, error.reason, locator, error.message))
    return shard


def _key(source: Source, row: int, item: Record | Defect, named: bool) -> str:
    # a broken record has no name; `#` keeps its row number apart from records that are called by a number
    name = item.name if named and isinstance(item, Record) else f"#{row}" if named else str(row)
    return "/".join(filter(None, (source.name, source.split, name, item.part)))


def sample_row(
    key: str, position: int, locator: str, record: Record, pictures: Callable[[PictureRef], Image]
) -> SampleRow:
    """A record as a sample; `locator` is its raw file and row, `pictures` looks references up.

    Raises:
        Unrepresentable: it goes to quarantine.
    """
    texts = [message.text for message in record.messages]
    for marker, found, kind in ((IMAGE_MARKER, record.pictures, "pictures"), (VIDEO_MARKER, record.videos, "videos")):
        markers = sum(text.count(marker) for text in texts)
        if markers != len(found):
            raise Unrepresentable("marker_mismatch", f"{markers} `{marker}` markers for {len(found)} {kind}")
    try:
        "".join(texts).encode()
    except UnicodeEncodeError as error:
        raise Unrepresentable("broken_record", "text holds half a surrogate pair, which is not UTF-8") from error
    if record.pictures and record.videos:
        raise Unrepresentable("mixed_media", "pictures and videos in one row")
    meta = {f"{name}_" if name in _OURS else name: value for name, value in record.meta.items()}
    meta["locator"] = locator
    if record.native:
        meta["native"] = dict(record.native)
    if record.repairs:
        meta["repairs"] = list(record.repairs)
    images = tuple(pictures(ref) for ref in record.pictures)
    messages = tuple((message.role, message.text) for message in record.messages)
    return SampleRow(key, position, messages, images, record.videos, canonical_json(meta))


def _write(box: Box, number: int, shard: _Shard) -> ShardCounts:
    write_samples(sample_path(box.path, number), shard.samples)
    quarantine = pl.DataFrame(shard.defects, dict.fromkeys(QUARANTINE.names, pl.String), orient="row")
    table = quarantine.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(QUARANTINE)
    write_table(box.path / f"quarantine-{number:05d}.parquet", table)
    counts = ShardCounts(samples=len(shard.samples), quarantined=len(shard.defects), items=shard.items)
    write_bytes(_mark(box, number), counts.model_dump_json().encode())
    return counts


def _mark(box: Box, number: int) -> Path:
    return box.path / f"shard-{number:05d}.json"


def _finished(box: Box) -> list[ShardCounts]:
    """Shards that an earlier run completed, from the first on."""
    done: list[ShardCounts] = []
    while _mark(box, len(done)).is_file():
        done.append(ShardCounts.model_validate_json(_mark(box, len(done)).read_bytes()))
    return done


def finished_shards(box: Box) -> int:
    """Shards of a box that are complete, whether or not the box is."""
    return len(_finished(box))


def _stored(box: Box, shards: int) -> Places:
    """Pictures in the packs of finished shards, by SHA-256."""
    groups = (read_samples(sample_path(box.path, number), ["images"])["images"] for number in range(shards))
    places = Places(box.path)
    places.update(_own(box, (Image(**image) for shard in groups for group in shard for image in group)))
    return places


def _own(box: Box, images: Iterable[Image]) -> Iterator[tuple[str, Image]]:
    return ((image.sha256, image) for image in images if image.pack.startswith(f"{box.name}/"))


def _summary(box: Box, source: Source, done: list[ShardCounts], before: Mapping[str, int]) -> ShardsIndex:
    repairs: Counter[str] = Counter(before)
    for frame in read_all(box.path, ["meta"]):
        for meta in frame.filter(pl.col("meta").str.contains('"repairs":', literal=True))["meta"]:
            repairs.update(json.loads(meta).get("repairs", ()))
    quarantine = read_quarantine(box, len(done))
    write_table(box.path / "quarantine.parquet", quarantine)
    pictures, picture_bytes = _write_distinct_pictures(box)
    reasons = quarantine.group_by("reason").len().sort("reason")
    items = sum(shard.items for shard in done)
    return ShardsIndex(
        source=source.name,
        fingerprint=box.name.rsplit("/", 1)[1],
        items=items,
        samples=sum(shard.samples for shard in done),
        quarantined=dict(reasons.iter_rows()),
        repairs=dict(sorted(repairs.items())),
        pictures=pictures,
        picture_bytes=picture_bytes,
        shards=done,
    )


def read_quarantine(box: Box, shards: int) -> pl.DataFrame:
    """The quarantined rows of a source, in order: key, reason, locator, message."""
    return pl.concat([pl.read_parquet(box.path / f"quarantine-{number:05d}.parquet") for number in range(shards)])


def _write_distinct_pictures(box: Box) -> tuple[int, int]:
    """Write the IMAGE fields of every distinct picture, in order of first use; how many, and their bytes."""
    first = _first_uses(np.concatenate([_halves(frame["sha256"]) for frame in _used_pictures(box)]))
    number, size, end = 0, 0, 0
    with table_writer(box.path / "pictures.parquet", pl.Schema(IMAGE_COLUMNS)) as write:
        for frame in _used_pictures(box):
            own = frame.filter(first[end : end + frame.height])
            write(own)
            number, size, end = number + own.height, size + int(own["size"].sum()), end + frame.height
    return number, size


def _used_pictures(box: Box) -> Iterator[pl.DataFrame]:
    """The IMAGE fields of every picture of every sample, some shards at a time."""
    frames: list[pl.DataFrame] = []
    for frame in chain(read_all(box.path, ["images"]), [None]):
        if frame is not None:
            frames.append(frame.explode("images").drop_nulls().unnest("images").cast(pl.Schema(IMAGE_COLUMNS)))
        if frames and (frame is None or sum(each.height for each in frames) >= _ROWS):
            yield pl.concat(frames)
            frames = []


def _halves(shas: pl.Series) -> npt.NDArray[np.uint64]:
    """(n, 2) the first 16 bytes of SHA-256: a quarter of the text, and none of it is equal by chance."""
    return np.frombuffer(bytes.fromhex("".join(shas)), np.uint64).reshape(-1, 4)[:, :2]


def _first_uses(halves: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """(n,) whether no row before is the same; sorted by hand, since polars takes ten times the memory for it."""
    order = np.lexsort((halves[:, 1], halves[:, 0]))
    ordered = halves[order]
    first = np.ones(len(halves), np.bool_)
    first[order[1:]] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return first


def gate(source: Source, index: ShardsIndex, rows: int) -> None:
    """Compare what was found with what the source declares: `rows` of raw rows, and the share in quarantine.

    Raises:
        GateError: more rows in quarantine than the source allows, or another number of rows than it declares.
    """
    if source.rows is not None and rows != source.rows:
        remedy = "pin another revision or change `rows`"
        raise GateError(f"source `{source.name}`: expected {source.rows} rows, found {rows}; {remedy}")
    bad = sum(index.quarantined.values())
    if bad > source.quarantine_limit * index.items:
        reasons = ", ".join(f"{reason} {count}" for reason, count in index.quarantined.items())
        remedy = "mend the source or raise `quarantine_limit`"
        raise GateError(
            f"source `{source.name}`: {bad} of {index.items} rows in quarantine ({reasons}), "
            f"limit {source.quarantine_limit:.0%}; {remedy}"
        )
