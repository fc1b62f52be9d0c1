"""Pictures that lie outside the records: downloads and archives, gathered once into packs or referenced in place."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from sqlite3 import Connection
from typing import Final, NamedTuple

import polars as pl
from pydantic import BaseModel

from shards.errors import PictureError
from shards.pack import Image, PackWriter, mirror_pack
from shards.picture import inspect
from shards.sample import IMAGE_COLUMNS
from shards.store import Box
from sources import archive
from sources.member import Member, leaves
from sources.places import Places
from sources.raw import RawFile
from sources.scratch import ROWS, read_frames, scratch, write_frames
from sources.spec import Source

GATHERED = {
    "ref": pl.String,
    "reason": pl.String,  # quarantine reason; null where the picture is there
    "message": pl.String,
    **IMAGE_COLUMNS,
}
"""One row per reference: either a reason or the IMAGE fields."""


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
    """What became of references, looked up by them; pictures are kept as in `Places`, with a file in the folder."""

    def __init__(self, folder: Path) -> None:
        self._places = Places(folder)
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
    return dict(sorted(write_rows(box.path / "gathered.parquet", rows).items()))


def write_rows(path: Path, rows: Iterable[Gathered]) -> Counter[str]:
    """Write a table of gathered pictures, in the order given; returns how many have which outcome."""
    outcomes: Counter[str] = Counter()

    def frames() -> Iterator[pl.DataFrame]:
        left = iter(rows)
        while part := list(islice(left, ROWS)):  # rows as objects take ten times the memory of rows in a frame
            outcomes.update("ok" if row.image else row.reason for row in part)
            yield pl.DataFrame([row.row() for row in part], GATHERED, orient="row")

    write_frames(path, pl.Schema(GATHERED), frames())
    return outcomes


def load(box: Box) -> GatheredByRef:
    """The gathered pictures of a box by reference."""
    found = GatheredByRef(box.path)
    for row in read_rows(box.path / "gathered.parquet"):
        found.add(row)
    return found


def repairs(box: Box) -> dict[str, int]:
    """References that were mended, by repair: `archive_prefix`, found under a longer or a shorter path."""
    found = box.index(GatherIndex).matched_by_suffix
    return {"archive_prefix": found} if found else {}


def read_rows(path: Path) -> Iterator[Gathered]:
    """Rows of a table of gathered pictures, in order."""
    for frame in read_frames(path):
        yield from map(_gathered, frame.iter_rows())


def _gathered(row: tuple[str, ...]) -> Gathered:
    ref, reason, message, *image = row
    return Gathered(ref, None, reason, message) if reason else Gathered(ref, Image._make(image))


def unpack(box: Box, source: Source, files: tuple[RawFile, ...], wanted: Iterable[str]) -> None:
    """Stream the archives of a source once and gather every member that a record refers to.

    A record's path means the member of that name, or else the only one whose path ends with it or that it ends with,
    in whole folder names. Of members of one name the first counts. With `pictures: reference` a member that lies in
    the archive byte for byte is not copied: its place is recorded.

    Raises:
        SourceError: an archive is damaged or ends early.
    """
    with scratch(box.path / "gathered.parquet", *_TABLES) as database:
        found = _Found(database, wanted, box.path)
        seen = Places(box.path)
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
        suffixed, used = found.settle()
        outcomes = _write(box, found.rows())
    refused = dict(sorted(found.refused.items()))
    box.finish(GatherIndex(outcomes=outcomes, unused=found.members - used, refused=refused, matched_by_suffix=suffixed))


_TABLES: Final = (
    "refs (ref text primary key, first text, second text)",  # members under a longer or shorter path, in their order
    "endings (backwards text primary key)",  # references that lead nowhere else, from their last character on
    "meant (member text primary key, ref text, refs int)",  # the reference that a member under another path may mean
)


class _Found:
    """What members of an archive mean to records, learnt one by one; in the end their order makes no difference."""

    def __init__(self, database: Connection, wanted: Iterable[str], folder: Path) -> None:
        self._database = database
        self._depth = 0
        left = iter(wanted)
        while refs := list(islice(left, ROWS)):
            database.executemany("insert or ignore into refs values (?, null, null)", ((ref,) for ref in refs))
            inside = [ref for ref in refs if not leaves(ref)]
            database.executemany("insert or ignore into endings values (?)", sorted((ref[::-1],) for ref in inside))
            self._depth = max(self._depth, *(ref.count("/") for ref in inside), 0)
        self.held = GatheredByRef(folder)
        """By member name: what became of the members that a record may refer to."""
        self.members = 0
        """Members that were not refused."""
        self.refused: Counter[str] = Counter()
        self._barred: set[str] = set()
        """Names in `held` that were refused."""
        self._used = 0
        """Names in `held` that are references themselves, and were not refused."""

    def needs(self, member: Member) -> bool:
        """Count a member; whether a record may refer to it, as far as can be known."""
        if member.name in self.held:
            self.refused["duplicate_name"] += 1
            return False
        if member.data is None:
            self.refused[member.reason] += 1
        else:
            self.members += 1
        same, others = self._related(member.name)
        needed = same
        for ref, *fits in others:
            needed = needed or (fits[0] is None and ref not in self.held)
            self._fit(ref, sorted({member.name, *(fit for fit in fits if fit is not None)}))
        if needed and member.data is None:
            self._barred.add(member.name)
        elif same:
            self._used += 1
        return needed

    def _fit(self, ref: str, fits: list[str]) -> None:
        first, second = (*fits, None)[:2]
        self._database.execute("update refs set first = ?, second = ? where ref = ?", (first, second, ref))

    def _related(self, name: str) -> tuple[bool, list[tuple[str, str | None, str | None]]]:
        """Whether the name is a reference; rows of those that it ends with, and of those that end with it."""
        parts = name.split("/")
        first = len(parts) if leaves(name) else max(1, len(parts) - 1 - self._depth)
        names = [name, *("/".join(parts[at:]) for at in range(first, len(parts)))]
        names += [] if leaves(name) else self._longer(name)
        found = [row for ref in names for row in self._database.execute("select * from refs where ref = ?", (ref,))]
        same = bool(found) and found[0][0] == name
        return same, found[1:] if same else found

    def _longer(self, name: str) -> list[str]:
        """References that end with the name and are longer."""
        ending, found = f"/{name}"[::-1], []
        query = "select backwards from endings where backwards >= ? order by backwards"
        for (backwards,) in self._database.execute(query, (ending,)):
            if not backwards.startswith(ending):
                break
            found.append(backwards[::-1])
        return found

    def settle(self) -> tuple[int, int]:
        """References that a member under another path is meant by, and members that are meant by any.

        That is where no member is called like the reference, one alone fits, and fits no other reference.
        """
        claim = "insert into meant values (?, ?, 1) on conflict do update set refs = refs + 1"
        single = self._database.execute("select ref, first from refs where first is not null and second is null")
        for ref, member in single:
            if ref not in self.held:
                self._database.execute(claim, (member, ref))
        self._database.execute("delete from meant where refs > 1 or member in (select ref from refs)")
        ((suffixed,),) = self._database.execute("select count(*) from meant")
        members = self._database.execute("select member from meant")
        return suffixed, self._used + sum(member not in self._barred for (member,) in members)

    def rows(self) -> Iterator[Gathered]:
        """What became of each reference, in their order, once all is settled."""
        query = """
            select refs.*, member from refs
            left join meant on member = first and meant.ref = refs.ref
            order by refs.ref
        """
        for ref, first, second, member in self._database.execute(query):
            yield self._row(ref, first, second, member or ref)

    def _row(self, ref: str, first: str | None, second: str | None, name: str) -> Gathered:
        held = self.held.get(name)
        if held:
            return held._replace(ref=ref)
        if leaves(ref):
            return Gathered(ref, None, "unsafe_path", f"`{ref}` leads out of the archive")
        why = "no member of this name in the archive; check `archive`"
        if second is not None:
            why = f"ambiguous: `{first}` and `{second}` in the archive both fit"
        elif first is not None:
            why = f"ambiguous: `{first}` in the archive fits the paths of several records"
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
