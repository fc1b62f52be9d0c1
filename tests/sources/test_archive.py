"""Archives of every supported form read correctly; hostile, damaged and random ones are refused by name."""

import bz2
import gzip
import io
import lzma
import random
import re
import stat
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.errors import SourceError
from shards.files import write_text
from shards.pack import Mirror, PictureReader
from shards.store import Box
from sources.archive import members
from sources.gather import Gathered, GatherIndex, read_rows, unpack
from sources.member import MAX_NAME_BYTES, MAX_PICTURE_BYTES
from sources.raw import RawFile, natural
from sources.spec import Source

Files = dict[str, bytes]


@dataclass(frozen=True)
class Entry:
    """One member of a zip, with whatever its headers claim."""

    name: bytes
    data: bytes = b""
    method: int = 8
    flags: int = 0
    mode: int = 0o100644
    size: int | None = None
    packed: int | None = None
    crc: int | None = None
    local_name: bytes | None = None
    at: int | None = None
    """Claimed offset."""
    bare: bool = False
    """In the directory only."""


def deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def zipped(entries: Iterable[Entry], wide: bool = False, cuts: tuple[int, ...] = (), **claims: int) -> bytes:
    """A zip; `wide` with zip64 fields everywhere, `cuts` for offsets as in a zip split there, `claims` for its end."""
    body, directory, number = bytearray(), bytearray(), 0
    for entry in entries:
        packed = deflate(entry.data) if entry.method == 8 else entry.data
        size = len(entry.data) if entry.size is None else entry.size
        claimed = len(packed) if entry.packed is None else entry.packed
        crc = zlib.crc32(entry.data) if entry.crc is None else entry.crc
        at, disk = split_place(len(body) if entry.at is None else entry.at, cuts)
        if not entry.bare:
            local = entry.name if entry.local_name is None else entry.local_name
            body += struct.pack("<4s5H3I2H", b"PK\3\4", 20, entry.flags, entry.method, 0, 0, crc, 0, 0, len(local), 0)
            body += local + packed
        big = wide or max(size, claimed, at) > 0xFFFFFFFE
        extra = struct.pack("<2H3Q", 1, 24, size, claimed, at) if big else b""
        sizes = (0xFFFFFFFF,) * 3 if big else (claimed, size, at)
        fixed = struct.pack("<4s6H3I", b"PK\1\2", 0x031E, 20, entry.flags, entry.method, 0, 0, crc, *sizes[:2])
        tail = struct.pack("<5H2I", len(entry.name), len(extra), 0, disk, 0, entry.mode << 16, sizes[2])
        directory += fixed + tail + entry.name + extra
        number += 1
    first, first_disk = split_place(len(body), cuts)
    last = len(cuts)
    end_64 = b""
    if wide:
        here, disk = split_place(len(body) + len(directory), cuts)
        end_64 = struct.pack(
            "<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, last, first_disk, number, number, len(directory), first
        )
        end_64 += struct.pack("<4sIQI", b"PK\6\7", disk, claims.get("locator", here), last + 1)
    counted = claims.get("number", number) % 65536  # as macOS does it
    fields = (last, first_disk, counted, counted, claims.get("size", len(directory)), first)
    fields = (last, first_disk, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF) if wide else fields
    return bytes(body + directory + end_64 + struct.pack("<4s4H2IH", b"PK\5\6", *fields, 0))


def split_place(position: int, cuts: tuple[int, ...]) -> tuple[int, int]:
    disk = sum(position >= cut for cut in cuts)
    return position - (0, *cuts)[disk], disk


def pieces(data: bytes, *names: str) -> Files:
    size = -(-len(data) // len(names))
    return {name: data[number * size : (number + 1) * size] for number, name in enumerate(names)}


def tar(contents: Iterable[tuple[str, bytes] | tarfile.TarInfo], form: int = tarfile.GNU_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for item in contents:
            info = item if isinstance(item, tarfile.TarInfo) else tarfile.TarInfo(item[0])
            data = b"" if isinstance(item, tarfile.TarInfo) else item[1]
            info.size = len(data) or info.size
            archive.addfile(info, io.BytesIO(data) if data else None)
    return buffer.getvalue()


def special(name: str, kind: bytes = tarfile.REGTYPE, pax: dict[str, str] | None = None) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.pax_headers = kind, "/etc/passwd", pax or {}
    return info


@pytest.fixture
def gather(tmp_path: Path) -> Callable[..., tuple[dict[str, Gathered], GatherIndex]]:
    """Unpack raw files for the wanted references, and prove that nothing but the box was written."""

    def run(files: Files, wanted: Iterable[str], **body: object) -> tuple[dict[str, Gathered], GatherIndex]:
        mirror, store = tmp_path / "area" / "mirror", tmp_path / "area" / "store"
        mirror.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (mirror / name).write_bytes(data)
        write_text(store / "mirrors" / "s.json", Mirror(root=str(mirror)).model_dump_json())
        box = Box(store, "pictures/s/0123")
        before = set(tmp_path.rglob("*"))
        try:
            raw = tuple(RawFile(name, mirror / name) for name in sorted(files, key=natural))
            unpack(box, Source(name="s", layout="mplug", **body), raw, set(wanted))
        finally:
            written = set(tmp_path.rglob("*")) - before
            assert all(path.is_relative_to(box.path) or path in box.path.parents for path in written)
        return {row.ref: row for row in read_rows(box.path / "gathered.parquet")}, box.index(GatherIndex)

    return run


def bytes_of(gathered: dict[str, Gathered], tmp_path: Path) -> Files:
    read = PictureReader(str(tmp_path / "area" / "store"))
    return {ref: read(row.image) for ref, row in gathered.items() if row.image}


def reasons(gathered: dict[str, Gathered]) -> dict[str, str]:
    return {ref: row.reason for ref, row in gathered.items() if row.image is None}


def entries(pictures: Files, method: int = 8) -> list[Entry]:
    return [Entry(name.encode(), data, method) for name, data in pictures.items()]


def split_zip(pictures: Files, wide: bool = False) -> Files:
    whole = zipped(entries(pictures), wide)
    cuts = (len(whole) // 3, 2 * len(whole) // 3)
    whole = zipped(entries(pictures), wide, cuts)
    return {"a.z01": whole[: cuts[0]], "a.z02": whole[cuts[0] : cuts[1]], "a.zip": whole[cuts[1] :]}


def halves(pictures: Files) -> tuple[Files, Files]:
    names = list(pictures)
    return {name: pictures[name] for name in names[::2]}, {name: pictures[name] for name in names[1::2]}


FORMS: dict[str, Callable[[Files], Files]] = {
    "tar": lambda p: {"a.tar": tar(p.items())},
    "tar pax": lambda p: {"a.tar": tar(p.items(), tarfile.PAX_FORMAT)},
    "tar.gz": lambda p: {"a.tar.gz": gzip.compress(tar(p.items()))},
    "tgz of another name": lambda p: {"imgs": gzip.compress(tar(p.items()))},
    "tar.bz2": lambda p: {"a.tar.bz2": bz2.compress(tar(p.items()))},
    "tar.xz": lambda p: {"a.tar.xz": lzma.compress(tar(p.items()))},
    "two tar.gz": lambda p: {f"{n}.tar.gz": gzip.compress(tar(half.items())) for n, half in enumerate(halves(p))},
    "tar and zip": lambda p: {"a.tar": tar(halves(p)[0].items()), "a.zip": zipped(entries(halves(p)[1]))},
    "tar.NN": lambda p: pieces(tar(p.items()), "a.tar.00", "a.tar.01", "a.tar.02"),
    "partial-imgs.NN": lambda p: pieces(gzip.compress(tar(p.items())), *(f"partial-imgs.{n:02}" for n in range(12))),
    "part_aa": lambda p: pieces(gzip.compress(tar(p.items())), "a.part_aa", "a.part_ab"),
    "tar.gz.partaa": lambda p: pieces(gzip.compress(tar(p.items())), "a.tar.gz.partaa", "a.tar.gz.partab"),
    "tar.gz.aa": lambda p: pieces(gzip.compress(tar(p.items())), "a.tar.gz.aa", "a.tar.gz.ab"),
    "tar.gzaa": lambda p: pieces(gzip.compress(tar(p.items())), "a.tar.gzaa", "a.tar.gzab"),
    "empty pieces": lambda p: {"a.00": b"", "a.01": tar(p.items()), "a.02": b""},
    "zip deflated": lambda p: {"a.zip": zipped(entries(p))},
    "zip stored": lambda p: {"a.zip": zipped(entries(p, 0))},
    "zip64": lambda p: {"a.zip": zipped(entries(p), wide=True)},
    "zip of another name": lambda p: {"images": zipped(entries(p))},
    "zip behind a program": lambda p: {"a.zip": b"MZ" * 999 + zipped(entries(p))},
    "zip with a comment": lambda p: {"a.zip": zipped(entries(p))[:-2] + b"\4\0PK\5\6"},
    "zip.NNN": lambda p: pieces(zipped(entries(p)), "a.zip.001", "a.zip.002", "a.zip.003"),
    "z01 and zip": split_zip,
    "z01 and zip64": lambda p: split_zip(p, wide=True),
    "two zips": lambda p: {f"{n}.zip": zipped(entries(half)) for n, half in enumerate(halves(p))},
}
CHECKED = [form for form in FORMS if form not in {"tar", "tar pax", "tar.NN", "empty pieces", "tar and zip"}]
"""Forms that have a checksum over every picture."""


@pytest.fixture(scope="session")
def pictures(png: Callable[..., bytes]) -> Files:
    return {f"images/{number % 3}/\u732b{number}.png": png(number, 20 + number) for number in range(12)}


@pytest.mark.parametrize("how", ["pack", "reference"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read(gather, pictures: Files, tmp_path: Path, form: str, how: str) -> None:
    gathered, index = gather(FORMS[form]({**pictures, "unused.txt": b"x" * 99}), pictures, pictures=how)
    assert bytes_of(gathered, tmp_path) == pictures
    assert index == GatherIndex(outcomes={"ok": len(pictures)}, unused=1)


@pytest.mark.parametrize("form", ["tar", "tar.NN", "zip stored", "zip behind a program"])
def test_a_stored_member_is_referred_to_in_place(gather, pictures: Files, tmp_path: Path, form: str) -> None:
    files = FORMS[form](pictures) if "behind" not in form else {"a.zip": b"MZ" * 99 + zipped(entries(pictures, 0))}
    gathered, _ = gather(files, pictures, pictures="reference")
    assert bytes_of(gathered, tmp_path) == pictures
    copied = [row.image.pack for row in gathered.values() if row.image and row.image.row is not None]
    assert len(copied) <= len(files) - 1  # those that a border cuts in two
    for row in gathered.values():
        if row.image and row.image.row is None:
            assert row.image.pack.removeprefix("mirror/s/") in files


def test_the_directory_may_have_another_order_than_the_members(gather, png, tmp_path: Path) -> None:
    made = [Entry(f"{number}.png".encode(), png(number), number % 2 * 8) for number in range(50)]
    whole = zipped(made)
    shuffled = [replace(entry, bare=True, at=whole.index(entry.name) - 30) for entry in made]
    random.Random(0).shuffle(shuffled)
    position = whole.index(b"PK\1\2")
    data = whole[:position] + zipped(shuffled)[:-6] + struct.pack("<IH", position, 0)
    gathered, _ = gather({"a.zip": data}, {entry.name.decode() for entry in made})
    assert bytes_of(gathered, tmp_path) == {entry.name.decode(): entry.data for entry in made}


@dataclass(frozen=True)
class Hostile:
    """An archive beside which `ok.png` stays readable, what becomes of `bad`, and what is counted."""

    files: Files
    bad: dict[str, str]
    refused: dict[str, int]


def in_zip(*hostile: Entry, bad: str = "", reason: str = "", counted: str = "") -> Hostile:
    data = zipped([*hostile, Entry(b"ok.png", OK, 0)])
    ref = bad or hostile[0].name.decode()
    counted = counted or reason
    return Hostile({"a.zip": data}, {ref: reason} if reason else {}, {counted: 1} if counted else {})


def in_tar(info: tarfile.TarInfo | tuple[str, bytes], reason: str, bad: str = "", pax: bool = False) -> Hostile:
    form = tarfile.PAX_FORMAT if pax else tarfile.GNU_FORMAT
    ref = bad or (info.name if isinstance(info, tarfile.TarInfo) else info[0])
    return Hostile({"a.tar": tar([info, ("ok.png", OK)], form)}, {ref: reason}, {reason: 1})


def blank(side: int = 8) -> bytes:
    rows = b"".join(b"\0" + bytes(3 * side) for _ in range(side))
    chunks = (
        (b"IHDR", struct.pack(">2I5B", side, side, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    packed = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


OK, BAD = blank(8), blank(9)
UPWARDS = ["../a.png", "../../a.png", "x/../../a.png", "x/..", "..", "./../a.png", "/a.png", "//a.png", "/tmp/a.png"]
DRIVES = ["C:\\a.png", "c:/a.png", "C:a.png", "..\\a.png", "x\\..\\a.png", "\\\\host\\a.png", "x\\a.png"]
UNSAFE = [*UPWARDS, *DRIVES]
LINKS = {"socket": stat.S_IFSOCK, "link": stat.S_IFLNK, "pipe": stat.S_IFIFO, "device": stat.S_IFBLK}
KINDS = {"link": tarfile.SYMTYPE, "hard link": tarfile.LNKTYPE, "device": tarfile.CHRTYPE, "disk": tarfile.BLKTYPE}
KINDS |= {"pipe": tarfile.FIFOTYPE, "unknown kind": b"V"}
LONG = "x" * MAX_NAME_BYTES + ".png"
HUGE = MAX_PICTURE_BYTES + 1
HOLES = {"GNU.sparse.map": "0,1", "GNU.sparse.size": "512"}
NOWHERE = Entry(b"b.png", BAD, at=7)


def shown(name: str) -> str:
    return name.removeprefix("./")


HOSTILE: dict[str, Hostile] = {
    **{f"zip: name {n}": in_zip(Entry(n.encode(), BAD), bad=shown(n), reason="unsafe_path") for n in UNSAFE},
    **{f"tar: name {n}": in_tar((n, BAD), "unsafe_path", shown(n)) for n in UNSAFE},
    "zip: NUL": in_zip(Entry(b"a\0.png", BAD), reason="archive_member_name"),
    "tar: NUL": in_tar(special("x", pax={"path": "a\0.png"}), "archive_member_name", "a\0.png", pax=True),
    "zip: Latin-1": in_zip(Entry(b"caf\xe9.png", BAD), bad="caf\\xe9.png", reason="archive_member_name"),
    "tar: Latin-1": in_tar(("caf\udce9.png", BAD), "archive_member_name", "caf\\xe9.png"),
    "zip: long name": in_zip(Entry(LONG.encode(), BAD), reason="archive_member_name"),
    "tar: long name": in_tar((LONG, BAD), "archive_member_name"),
    "zip: no name": in_zip(Entry(b"", BAD), reason="archive_member_name"),
    "tar: no name": in_tar(("", BAD), "archive_member_name"),
    **{
        f"zip: {kind}": in_zip(Entry(b"a.png", b"/etc/passwd", mode=mode), reason="archive_member_not_regular")
        for kind, mode in LINKS.items()
    },
    **{f"tar: {kind}": in_tar(special("a.png", mark), "archive_member_not_regular") for kind, mark in KINDS.items()},
    "tar: holes": in_tar(special("a.png", pax=HOLES), "archive_member_not_regular", pax=True),
    **{f"zip in zip: {n}": in_zip(Entry(n.encode(), b"PK"), reason="nested_archive") for n in ("b.zip", "b.tar.gz")},
    **{f"archive in tar: {n}": in_tar((n, b"PK"), "nested_archive") for n in ("b.ZIP", "b.tar", "b.7z")},
    "zip: 64 MiB and a byte": in_zip(Entry(b"a.png", BAD, size=HUGE), reason="picture_too_large"),
    "zip: packed too large": in_zip(Entry(b"a.png", BAD, packed=HUGE), reason="picture_too_large"),
    "zip: exabytes": in_zip(Entry(b"a.png", BAD, size=1 << 62), reason="picture_too_large"),
    "zip: packed exabytes": in_zip(Entry(b"a.png", BAD, packed=(1 << 64) - 1), reason="picture_too_large"),
    **{
        f"zip: flag {flag}": in_zip(Entry(b"a.png", BAD, flags=flag), reason="archive_member_encrypted")
        for flag in (1, 1 << 6, 1 << 13, 9)
    },
    "zip: AES": in_zip(Entry(b"a.png", BAD, method=99), reason="archive_member_encrypted"),
    **{
        f"zip: method {method}": in_zip(Entry(b"a.png", BAD, method=method), reason="archive_member_method")
        for method in (1, 6, 9, 12, 14, 93, 95, 98)
    },
    "zip: into the next": in_zip(Entry(b"a.png", BAD, 0, packed=99, size=99), reason="archive_member_overlap"),
    "zip: into the directory": in_zip(
        Entry(b"b.png", OK, 0),
        Entry(b"a.png", BAD, 0, packed=500, size=500),
        bad="a.png",
        reason="archive_member_overlap",
    ),
    "zip: more than it says": in_zip(Entry(b"a.png", BAD, size=len(BAD) - 1), reason="archive_member_size"),
    "zip: stored, more than it says": in_zip(Entry(b"a.png", BAD, 0, size=9), reason="archive_member_size"),
    "zip: a bomb": in_zip(Entry(b"a.png", bytes(20 << 20), size=100), reason="archive_member_size"),
    "zip: says nothing": in_zip(Entry(b"a.png", BAD, size=0), reason="archive_member_size"),
    "zip: no picture": in_zip(Entry(b"a.png", b"PK\3\4"), reason="picture_unknown_format", counted="-"),
    "zip: empty": in_zip(Entry(b"a.png"), reason="picture_empty", counted="-"),
    "tar: a size that is no number": Hostile(
        {"a.tar": tar([special("a.png", pax={"size": "9" * 5000}), ("ok.png", OK)], tarfile.PAX_FORMAT)},
        {"a.png": "picture_empty"},
        {},
    ),
    "zip: a folder": in_zip(Entry(b"a.png/"), bad="a.png", reason="picture_missing", counted="-"),
    **{
        f"row: {ref}": Hostile({"a.tar": tar([("ok.png", OK), ("a.png", BAD)])}, {ref: "unsafe_path"}, {})
        for ref in ("../a.png", "x/../a.png", "/a.png", "C:\\a.png", "..\\ok.png", "../ok.png")
    },
    **{
        f"row: {ref[:9]!r}": Hostile({"a.zip": zipped([Entry(b"ok.png", OK)])}, {ref: "picture_missing"}, {})
        for ref in ("nul\0.png", "", "x/" * 50_000, "ok.png/", "OK.PNG", "k.png", "ok.png.png")
    },
    "an unsafe name fits nothing": in_zip(
        Entry(b"../a.png", BAD), bad="a.png", reason="picture_missing", counted="unsafe_path"
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_member_is_refused_by_name_and_spoils_no_other(gather, tmp_path: Path, name: str) -> None:
    hostile = HOSTILE[name]
    gathered, index = gather(hostile.files, {*hostile.bad, "ok.png"})
    assert reasons(gathered) == hostile.bad
    assert bytes_of(gathered, tmp_path) == {"ok.png": OK}
    assert index.refused == {reason: n for reason, n in hostile.refused.items() if reason != "-"}
    again, index_again = gather(hostile.files, {"ok.png"})
    assert index_again.refused == index.refused and list(again) == ["ok.png"]


def test_the_corpus_is_large() -> None:
    assert len(HOSTILE) + len(BROKEN) >= 60


def lying(data: bytes, mark: bytes, shift: int, form: str, value: int) -> bytes:
    """Put a number `shift` bytes behind the last `mark`."""
    at = data.rindex(mark) + shift
    packed = struct.pack(form, value)
    return data[:at] + packed + data[at + len(packed) :]


GOOD = zipped([Entry(b"ok.png", OK), Entry(b"b.png", BAD)])
WIDE = zipped([Entry(b"ok.png", OK)], wide=True)
SPLIT = split_zip({f"{n}.png": OK for n in range(9)})


def header(name: str, kind: bytes, size: int) -> bytes:
    info = special(name, kind)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


BROKEN: dict[str, Files] = {
    "another name in front": {"a.zip": zipped([Entry(b"ok.png", OK, local_name=b"no.png")])},
    "no member there": {"a.zip": zipped([Entry(b"ok.png", OK), NOWHERE])},
    "a member behind the end": {"a.zip": zipped([replace(NOWHERE, at=1 << 30)])},
    "a member at 2^63": {"a.zip": zipped([replace(NOWHERE, at=1 << 63)])},
    "another checksum": {"a.zip": zipped([Entry(b"ok.png", OK, crc=1)])},
    "less than it says": {"a.zip": zipped([Entry(b"ok.png", OK, size=len(OK) + 1)])},
    "no deflated bytes": {"a.zip": zipped([Entry(b"ok.png", OK, 0)]).replace(b"\x14\0\0\0\0\0", b"\x14\0\0\0\x08\0")},
    "more entries than there are": {"a.zip": zipped([Entry(b"ok.png", OK)], number=2)},
    "fewer entries than there are": {"a.zip": lying(GOOD, b"PK\5\6", 10, "<H", 1)},
    "a short directory": {"a.zip": zipped([Entry(b"ok.png", OK)], size=20)},
    "a directory larger than the file": {"a.zip": zipped([Entry(b"ok.png", OK)], size=1 << 30)},
    "an entry longer than its directory": {"a.zip": lying(GOOD, b"PK\1\2", 32, "<H", 60_000)},
    "bytes behind the end": {"a.zip": GOOD + b"x"},
    "a zip64 locator to nowhere": {"a.zip": zipped([Entry(b"ok.png", OK)], wide=True, locator=1 << 40)},
    "a zip64 locator to 2^64": {"a.zip": zipped([Entry(b"ok.png", OK)], wide=True, locator=(1 << 64) - 1)},
    "a zip64 locator to something": {"a.zip": zipped([Entry(b"ok.png", OK)], wide=True, locator=0)},
    "a zip64 directory of exabytes": {"a.zip": lying(WIDE, b"PK\6\6", 40, "<Q", 1 << 60)},
    "2^60 entries": {"a.zip": lying(WIDE, b"PK\6\6", 32, "<Q", 1 << 60)},
    "a piece 9": {"a.zip": lying(GOOD, b"PK\1\2", 34, "<H", 9)},
    "split without its first piece": {name: SPLIT[name] for name in ("a.z02", "a.zip")},
    "split without a middle piece": {name: SPLIT[name] for name in ("a.z01", "a.zip")},
    "split without its last piece": {name: SPLIT[name] for name in ("a.z01", "a.z02")},
    "split, the last piece alone": {"a.zip": SPLIT["a.zip"]},
    "split, a short piece": {**SPLIT, "a.z01": SPLIT["a.z01"][:-40]},
    "split, pieces exchanged": {**SPLIT, "a.z01": SPLIT["a.z02"], "a.z02": SPLIT["a.z01"]},
    "no zip": {"a.zip": b"<html>not found</html>" * 9},
    "an empty file": {"a.zip": b""},
    "a tar called zip": {"a.zip": tar([("ok.png", OK)])},
    "a long name of 2^40 bytes": {"a.tar": header("././@LongLink", b"L", 1 << 40) + bytes(1024)},
    "a pax header of 2 MiB": {"a.tar.gz": gzip.compress(header("x", b"x", 2 << 20) + bytes(3 << 20), 1)},
    "a negative size": {"a.tar": header("ok.png", b"0", -512) + OK + bytes(2048)},
    "a negative pax size": {"a.tar": tar([special("ok.png", pax={"size": "-512"})], tarfile.PAX_FORMAT)},
    "a pax size of 2^70": {"a.tar": tar([special("ok.png", pax={"size": str(1 << 70)})], tarfile.PAX_FORMAT)},
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_archive_is_one_error_that_names_it(gather, name: str) -> None:
    with pytest.raises(SourceError, match=r"^source `s`: archive `a\.[^`]*`: .*; fetch the archive again; is a piece"):
        gather(BROKEN[name], {"ok.png"})


MESSAGES: list[tuple[str, Files]] = [
    ("archive `a.z01, a.zip`: split into 3 pieces, found 2", BROKEN["split without a middle piece"]),
    ("archive `a.tar`: header `././@LongLink` of 1099511627776 bytes", BROKEN["a long name of 2^40 bytes"]),
    ("archive `a.tar.gz`: header `x` of 2097152 bytes", BROKEN["a pax header of 2 MiB"]),
    (
        "archive `a.zip.001, a.zip.003`: its directory should lie 100 bytes elsewhere",
        {"a.zip.001": GOOD[:50], "a.zip.003": GOOD[150:]},
    ),
]


@pytest.mark.parametrize(("message", "files"), MESSAGES)
def test_the_error_says_what_is_wrong(gather, message: str, files: Files) -> None:
    with pytest.raises(SourceError, match=re.escape(f"source `s`: {message}; fetch the archive again")):
        gather(files, {"ok.png"})


def test_two_entries_of_one_place_overlap(gather) -> None:
    made = [Entry(b"a.png", BAD), Entry(b"a.png", BAD, at=0, bare=True), Entry(b"ok.png", OK)]
    gathered, index = gather({"a.zip": zipped(made)}, {"a.png", "ok.png"})
    assert reasons(gathered) == {"a.png": "archive_member_overlap"}
    assert index.refused == {"archive_member_overlap": 1, "duplicate_name": 1}


def test_overlapping_members_inflate_to_no_more_than_one(gather, tmp_path: Path) -> None:
    """Fifield 2019, a better zip bomb: every member quotes the headers of those behind it."""
    kernel = [Entry(f"{number}.png".encode(), OK, 0) for number in range(100)]
    size = len(zipped(kernel)) // 2
    data = zipped(replace(entry, packed=size, size=size) for entry in kernel)
    gathered, index = gather({"a.zip": data}, {entry.name.decode() for entry in kernel})
    assert index.refused == {"archive_member_overlap": 100} == index.outcomes
    assert bytes_of(gathered, tmp_path) == {}


@pytest.mark.parametrize("form", ["tar", "tar.gz", "zip deflated", "zip stored"])
def test_the_first_of_two_members_of_one_name_counts(gather, tmp_path: Path, form: str) -> None:
    if form.startswith("zip"):
        files = {"a.zip": zipped(Entry(b"a.png", data, 8 if "defl" in form else 0) for data in (OK, BAD, OK))}
    else:
        data = tar([("a.png", OK), ("./a.png", BAD), ("a.png", OK)])
        files = {"a.tar": data if form == "tar" else gzip.compress(data)}
    gathered, index = gather(files, {"a.png"})
    assert bytes_of(gathered, tmp_path) == {"a.png": OK}
    assert (index.refused, index.unused) == ({"duplicate_name": 2}, 0)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_a_tar_that_inflates_without_end_is_given_up(gather, monkeypatch, compress) -> None:
    monkeypatch.setattr("sources.archive._FREE_BYTES", 1 << 20)
    monkeypatch.setattr("sources.archive.MAX_INFLATION", 100)
    data = tar([("ok.png", OK), ("a.png", bytes(4 << 20))])
    with pytest.raises(SourceError, match=r"it inflates to more than 100 times its size"):
        gather({"a.tar.x": compress(data)}, {"ok.png"})


@pytest.mark.parametrize("form", ["tar.gz", "zip"])
def test_a_hundred_thousand_tiny_members(gather, tmp_path: Path, form: str) -> None:
    names = [f"{number // 1000}/{number}.png" for number in range(100_000)]
    if form == "zip":
        files = {"a.zip": zipped(Entry(name.encode(), OK, 0) for name in names)}
    else:
        body = OK + bytes(-len(OK) % 512)
        info = tarfile.TarInfo()
        info.size = len(OK)
        blocks = []
        for name in names:
            info.name = name
            blocks.append(info.tobuf(tarfile.USTAR_FORMAT) + body)
        files = {"a.tar.gz": gzip.compress(b"".join(blocks) + bytes(1024), 1)}
    wanted = {"data/99/99999.png", "0/0.png"}
    gathered, index = gather(files, wanted)
    assert bytes_of(gathered, tmp_path) == dict.fromkeys(wanted, OK)
    assert (index.unused, index.matched_by_suffix) == (99_998, 1)


MISSING = "picture_missing"
FITS = [
    # members, references, what each reference is found under
    (["d/a.png"], ["a.png"], {"a.png": "d/a.png"}),
    (["a.png"], ["d/a.png"], {"d/a.png": "a.png"}),
    (["a.png"], ["x/y/d/a.png"], {"x/y/d/a.png": "a.png"}),
    (["d/d/a.png"], ["d/a.png"], {"d/a.png": "d/d/a.png"}),
    (["a.png", "d/a.png"], ["a.png"], {"a.png": "a.png"}),
    (["a.png", "d/a.png"], ["d/a.png"], {"d/a.png": "d/a.png"}),
    (["d/a.png", "e/a.png"], ["a.png"], {"a.png": MISSING}),
    (["a.png", "d/a.png"], ["x/d/a.png"], {"x/d/a.png": MISSING}),
    (["a.png"], ["d/a.png", "e/a.png"], {"d/a.png": MISSING, "e/a.png": MISSING}),
    (["a.png"], ["a.png", "e/a.png"], {"a.png": "a.png", "e/a.png": MISSING}),
    (["x/a.png", "x/d/a.png"], ["d/a.png", "a.png"], {"d/a.png": "x/d/a.png", "a.png": MISSING}),
    (["da.png"], ["a.png"], {"a.png": MISSING}),
    (["a.png"], ["da.png"], {"da.png": MISSING}),
    (["xd/a.png"], ["d/a.png"], {"d/a.png": MISSING}),
    (["e/a.png"], ["d/a.png"], {"d/a.png": MISSING}),
    (["d/a.png", "d/b.png"], ["a.png", "b.png"], {"a.png": "d/a.png", "b.png": "d/b.png"}),
    (["d/a.png", "d/a.png"], ["a.png"], {"a.png": "d/a.png"}),
]


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(("names", "refs", "expected"), FITS)
def test_a_path_means_its_member_or_the_only_one_with_another_prefix(
    gather, png, tmp_path: Path, names: list[str], refs: list[str], expected: dict[str, str], backwards: bool
) -> None:
    data = {name: png(number) for number, name in enumerate(dict.fromkeys(names))}
    order = names[::-1] if backwards else names
    gathered, index = gather({"a.tar": tar((name, data[name]) for name in order)}, refs)
    found = {ref: name for ref, name in expected.items() if name != MISSING}
    assert bytes_of(gathered, tmp_path) == {ref: data[name] for ref, name in found.items()}
    assert set(reasons(gathered).values()) <= {MISSING}
    assert index.matched_by_suffix == sum(ref != name for ref, name in found.items())
    assert index.unused == len(data) - len(set(found.values()))


def test_an_ambiguous_path_is_missing_with_a_message_that_says_so(gather, png) -> None:
    names = ["e/b.png", "d/b.png", "c/b.png", "a.png"]
    refs = {"b.png", "x/a.png", "y/a.png", "lost.png"}
    gathered, _ = gather({"a.tar": tar((name, png()) for name in names)}, refs)
    assert {ref: row.message for ref, row in gathered.items()} == {
        "b.png": "ambiguous: `c/b.png` and `d/b.png` in the archive both fit",
        "lost.png": "no member of this name in the archive; check `archive`",
        "x/a.png": "ambiguous: `a.png` in the archive fits the paths of several records",
        "y/a.png": "ambiguous: `a.png` in the archive fits the paths of several records",
    }


def test_a_refused_member_is_found_under_another_prefix(gather) -> None:
    gathered, index = gather({"a.zip": zipped([Entry(b"d/a.png", BAD, flags=1)])}, {"a.png"})
    assert reasons(gathered) == {"a.png": "archive_member_encrypted"}
    assert (index.matched_by_suffix, index.unused, index.refused) == (1, 0, {"archive_member_encrypted": 1})


def test_records_of_refused_members_land_in_quarantine_under_its_reason(gather, raw, make) -> None:
    files = {"a.zip": zipped([Entry(b"a.png", BAD, flags=1), Entry(b"../b.png", BAD), Entry(b"ok.png", OK)])}
    refs = ["a.png", "../b.png", "ok.png", "C:\\c.png"]
    gathered, _ = gather(files, refs)
    raw({"a.jsonl": [{"q": "?", "i": ref} for ref in refs]})
    made = make(gathered, layout="table", columns={"user": ["q"], "images": ["i"]})
    assert made.reasons == {
        "a.jsonl#0": "archive_member_encrypted",
        "a.jsonl#1": "unsafe_path",
        "a.jsonl#3": "unsafe_path",
    }
    assert made.keys == ["s/train/2"]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("damage", ["cut", "flip"])
@pytest.mark.parametrize("form", FORMS)
def test_a_damaged_archive_gives_its_pictures_or_one_error(
    gather, pictures: Files, tmp_path: Path, form: str, damage: str, seed: int
) -> None:
    chance = random.Random(f"{form} {damage} {seed}")
    files = FORMS[form](pictures)
    name = chance.choice([name for name in files if files[name]])
    at = chance.randrange(len(files[name]))
    if damage == "cut":
        files[name] = files[name][:at]
    else:
        flipped = files[name][at] ^ 1 << chance.randrange(8)
        files[name] = files[name][:at] + bytes([flipped]) + files[name][at + 1 :]
    try:
        gathered, _ = gather(files, pictures)
    except SourceError as error:
        assert any(f"{name}`" in str(error) or f"{name}," in str(error) for name in files)
        return
    assert gathered.keys() == pictures.keys()
    whole = b"".join(files.values())
    for ref, data in bytes_of(gathered, tmp_path).items():
        assert data == pictures[ref] or (form not in CHECKED and (data in whole or data in pictures.values()))


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("random")


MAGIC = [b"", b"PK\3\4", b"PK\5\6", b"PK\7\x08", b"\x1f\x8b\x08\0", b"BZh9", b"\xfd7zXZ\0\0\4", GOOD[:90]]


def read_all(path: Path) -> None:
    try:
        for member in members("s", (RawFile(path.name, path),)):
            assert (member.data is None) == bool(member.reason)
    except SourceError as error:
        assert f"archive `{path.name}`" in str(error)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(head=st.sampled_from(MAGIC), body=st.binary(max_size=700), tail=st.sampled_from([b"", GOOD[-22:], GOOD[-150:]]))
@pytest.mark.parametrize("name", ["a.zip", "a.tar"])
def test_random_bytes_are_no_archive(place: Path, name: str, head: bytes, body: bytes, tail: bytes) -> None:
    (place / name).write_bytes(head + body + tail)
    read_all(place / name)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    whole=st.sampled_from([GOOD, WIDE, zipped([Entry(b"a", OK, 0)] * 3), tar([("a", OK), (LONG[:300], BAD)])]),
    changes=st.lists(st.tuples(st.integers(0, 9999), st.sampled_from([0, 1, 0x7F, 0xFF])), min_size=1, max_size=8),
)
def test_an_archive_with_changed_bytes_is_read_or_refused(
    place: Path, whole: bytes, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(whole)
    for at, value in changes:
        data[at % len(data)] = value
    (place / "a").write_bytes(data)
    read_all(place / "a")
