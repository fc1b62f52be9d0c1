"""Pictures that lie outside the records: downloads and archives, gathered once into packs or referenced in place."""

import hashlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import polars as pl
from pydantic import BaseModel

from shards.errors import PictureError
from shards.files import write_table
from shards.pack import Image, PackWriter, mirror_pack
from shards.picture import inspect
from shards.sample import IMAGE_COLUMNS
from shards.store import Box
from sources import archive
from sources.archive import Member
from sources.places import Places
from sources.raw import RawFile
from sources.spec import Source

GATHERED = {
    "ref": pl.String,
    "reason": pl.String,  # quarantine reason; null where the picture is there
    "message": pl.String,
    **IMAGE_COLUMNS,
}
"""One row per reference: either a reason or the IMAGE fields."""

_ROWS: Final = 1 << 13
"""Rows that are handled as objects at a time."""

MAX_PICTURE_BYTES = archive.MAX_PICTURE_BYTES
"""Bytes of one encoded picture above which it is refused."""


class GatherIndex(BaseModel):
    """Counts of gathered pictures by outcome (`ok` or a reason), and of the archive's members.

    `unused`: members that nobody refers to. `refused`: members that are not to be trusted by reason
    (sources/archive.py), and `duplicate_name` where a member has the name of an earlier one that a record refers to.
    `matched_by_suffix`: references that were found under a longer or a shorter path.
    """

    outcomes: dict[str, int]
    unused: int = 0
    refused: dict[str, int] = {}
    matched_by_suffix: int = 0


class Gathered(NamedTuple):
    """One reference and what became of it."""

    ref: str
    image: Image | None
    reason: str = ""
    message: str = ""

    def row(self) -> tuple[object, ...]:
        """Values in the order of `GATHERED`."""
        if self.image is None:
            return (self.ref, self.reason, self.message, *[None] * len(Image._fields))
        return (self.ref, None, None, *self.image)


class GatheredByRef:
    """What became of references, looked up by them; pictures are kept as in `Places`."""

    def __init__(self) -> None:
        self._places = Places()
        self._lost: dict[str, Gathered] = {}

    def add(self, row: Gathered) -> None:
        """Add what became of a reference that is not there yet."""
        if row.image is None:
            self._lost[row.ref] = row
        else:
            self._places[row.ref] = row.image

    def get(self, ref: str) -> Gathered | None:
        """What became of a reference; None where nothing was added."""
        image = self._places.get(ref)
        return self._lost.get(ref) if image is None else Gathered(ref, image)

    def __contains__(self, ref: str) -> bool:
        """Whether a reference was added."""
        return ref in self._places or ref in self._lost


def store_picture(packs: PackWriter, ref: str, data: bytes, seen: Places) -> Gathered:
    """Check one picture and store its bytes unless the same bytes are there already."""
    sha256 = hashlib.sha256(data).hexdigest()
    image = seen.get(sha256)
    if image is None:
        try:
            image = seen[sha256] = packs.add(data, sha256, inspect(data))
        except PictureError as error:
            return Gathered(ref, None, error.reason, str(error))
    return Gathered(ref, image)


def finish(box: Box, rows: Iterable[Gathered]) -> None:
    """Write the table of a gathering box and complete it."""
    box.finish(GatherIndex(outcomes=_write(box, rows)))


def _write(box: Box, rows: Iterable[Gathered]) -> dict[str, int]:
    frame = write_rows(box.path / "gathered.parquet", rows)
    return dict(frame.group_by(pl.col("reason").fill_null("ok")).len().sort("reason").iter_rows())


def write_rows(path: Path, rows: Iterable[Gathered]) -> pl.DataFrame:
    """Write a table of gathered pictures, in the order given."""
    parts = [pl.DataFrame([row.row() for row in part], GATHERED, orient="row") for part in _in_parts(rows)]
    frame = pl.concat(parts) if parts else pl.DataFrame(schema=GATHERED)
    write_table(path, frame)
    return frame


def _in_parts(rows: Iterable[Gathered]) -> Iterator[list[Gathered]]:
    """Rows as objects take ten times the memory of rows in a frame."""
    left = iter(rows)
    while part := list(islice(left, _ROWS)):
        yield part


def load(box: Box) -> GatheredByRef:
    """The gathered pictures of a box by reference."""
    found = GatheredByRef()
    for row in read_rows(box.path / "gathered.parquet"):
        found.add(row)
    return found


def repairs(box: Box) -> dict[str, int]:
    """References that were mended, by repair: `archive_prefix`, found under a longer or a shorter path."""
    found = box.index(GatherIndex).matched_by_suffix
    return {"archive_prefix": found} if found else {}


def read_rows(path: Path) -> Iterator[Gathered]:
    """Rows of a table of gathered pictures, in order."""
    for part in pl.read_parquet(path).iter_slices(_ROWS):
        yield from map(_gathered, part.iter_rows())


def _gathered(row: tuple[str, ...]) -> Gathered:
    ref, reason, message, *image = row
    return Gathered(ref, None, reason, message) if reason else Gathered(ref, Image._make(image))


def unpack(box: Box, source: Source, files: tuple[RawFile, ...], wanted: set[str]) -> None:
    """Stream the archives of a source once and gather every member that a record refers to.

    A record's path means the member of that name, or else the only one whose path ends with it or that it ends with,
    in whole folder names. Of members of one name the first counts. With `pictures: reference` a member that lies in
    the archive byte for byte is not copied: its place is recorded.

    Raises:
        SourceError: an archive is damaged or ends early.
    """
    found = _Found(wanted)
    seen = Places()
    with PackWriter(box.store, box.name, "pictures") as packs:
        for member in archive.members(source.name, files):
            if not found.needs(member):
                continue
            if member.data is None:
                row = Gathered(member.name, None, member.reason, member.message)
            elif source.pictures == "reference" and member.offset is not None:
                row = refer(source, member.name, member.data, member.file, member.offset)
            else:
                row = store_picture(packs, member.name, member.data, seen)
            found.held.add(row)
    suffixed = found.suffixed()
    rows = (found.row(ref, suffixed.get(ref, ref)) for ref in sorted(wanted))
    used = {name for name in (*wanted, *suffixed.values()) if name in found.readable}
    index = GatherIndex(
        outcomes=_write(box, rows),
        unused=found.members - len(used),
        refused=dict(sorted(found.refused.items())),
        matched_by_suffix=len(suffixed),
    )
    box.finish(index)


@dataclass(slots=True)
class _Found:
    """What members of an archive mean to records, learnt one by one; in the end their order makes no difference."""

    wanted: set[str]
    held: GatheredByRef = field(default_factory=GatheredByRef)
    """By member name: what became of the members that a record may refer to."""
    readable: set[str] = field(default_factory=set)
    """Names in `held` that were not refused."""
    members: int = 0
    """Members that were not refused."""
    refused: Counter[str] = field(default_factory=Counter)
    _fits: dict[str, list[str]] = field(default_factory=dict)
    """By reference: the first two names, in their order, of members under a longer or shorter path."""
    _backwards: list[str] = field(default_factory=list)
    _depth: int = 0

    def __post_init__(self) -> None:
        inside = [ref for ref in self.wanted if not archive.leaves(ref)]
        self._backwards = sorted(ref[::-1] for ref in inside)
        self._depth = max((ref.count("/") for ref in inside), default=0)

    def needs(self, member: Member) -> bool:
        """Count a member; whether a record may refer to it, as far as can be known."""
        if member.name in self.held:
            self.refused["duplicate_name"] += 1
            return False
        if member.data is None:
            self.refused[member.reason] += 1
        else:
            self.members += 1
        needed = member.name in self.wanted
        for ref in [] if archive.leaves(member.name) else self._related(member.name):
            fits = self._fits.get(ref, [])
            needed = needed or (not fits and ref not in self.held)
            self._fits[ref] = sorted({*fits, member.name})[:2]
        if needed and member.data is not None:
            self.readable.add(member.name)
        return needed

    def _related(self, name: str) -> list[str]:
        """References that the name ends with, and those that end with it."""
        parts = name.split("/")
        first = max(1, len(parts) - 1 - self._depth)
        found = [ref for at in range(first, len(parts)) if (ref := "/".join(parts[at:])) in self.wanted]
        ending = f"/{name}"[::-1]
        at = bisect_left(self._backwards, ending)
        while at < len(self._backwards) and self._backwards[at].startswith(ending):
            found.append(self._backwards[at][::-1])
            at += 1
        return found

    def suffixed(self) -> dict[str, str]:
        """Member of each reference that no member is called by, where one alone fits and fits no other reference."""
        single = {ref: fits[0] for ref, fits in self._fits.items() if len(fits) == 1 and ref not in self.held}
        claims = Counter(single.values())
        return {ref: name for ref, name in single.items() if claims[name] == 1 and name not in self.wanted}

    def row(self, ref: str, name: str) -> Gathered:
        """What became of a reference that means the member `name`."""
        held = self.held.get(name)
        if held:
            return held._replace(ref=ref)
        if archive.leaves(ref):
            return Gathered(ref, None, "unsafe_path", f"`{ref}` leads out of the archive")
        fits = self._fits.get(ref, [])
        why = "no member of this name in the archive; check `archive`"
        if len(fits) == 1:
            why = f"ambiguous: `{fits[0]}` in the archive fits the paths of several records"
        elif fits:
            why = f"ambiguous: `{fits[0]}` and `{fits[1]}` in the archive both fit"
        return Gathered(ref, None, "picture_missing", why)


def refer(source: Source, ref: str, data: bytes, file: str, offset: int) -> Gathered:
    """Check one picture and refer to its bytes where they lie: in `file` of the mirror, from `offset`."""
    try:
        facts = inspect(data)
    except PictureError as error:
        return Gathered(ref, None, error.reason, str(error))
    sha256 = hashlib.sha256(data).hexdigest()
    pack = mirror_pack(source.name, file)
    return Gathered(ref, Image(sha256, pack, None, offset, len(data), *facts))
