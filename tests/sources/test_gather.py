"""Archives: streamed once, joined from pieces, referred to in place, and never trusted."""

import gzip
import io
import tarfile
import tracemalloc
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from shards.errors import SourceError
from shards.files import write_text
from shards.pack import Mirror, PictureReader
from shards.store import Box
from sources.gather import Gathered, GatherIndex, load, read_rows, unpack
from sources.raw import RawFile
from sources.spec import Source

Member = tuple[str, bytes] | tarfile.TarInfo
BLOCK = 512


def tar(members: Iterable[Member], form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            archive.addfile(info, io.BytesIO(member[1]))
    return buffer.getvalue()


def special(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.fixture
def gather(tmp_path: Path):
    """Unpack raw files (name -> bytes) for the wanted references; gives what was gathered and the index."""

    def run(files: dict[str, bytes], wanted: Iterable[str], **body: object) -> tuple[dict[str, Gathered], GatherIndex]:
        (tmp_path / "mirror").mkdir(exist_ok=True)
        for name, data in files.items():
            (tmp_path / "mirror" / name).write_bytes(data)
        raw = tuple(RawFile(name, tmp_path / "mirror" / name) for name in files)
        box = Box(tmp_path / "store", "pictures/s/0123")
        unpack(box, Source(name="s", layout="mplug", **body), raw, set(wanted))
        return {row.ref: row for row in read_rows(box.path / "gathered.parquet")}, box.index(GatherIndex)

    return run


def pieces(data: bytes, number: int, stem: str = "x.tar.gz") -> dict[str, bytes]:
    size = -(-len(data) // number)
    return {f"{stem}.{piece:02d}": data[piece * size : (piece + 1) * size] for piece in range(number)}


def bytes_of(gathered: dict[str, Gathered], store: Path) -> dict[str, bytes]:
    read = PictureReader(str(store))
    return {ref: read(row.image) for ref, row in gathered.items() if row.image}


def reasons(gathered: dict[str, Gathered]) -> dict[str, str]:
    return {ref: row.reason for ref, row in gathered.items() if row.image is None}


@pytest.mark.parametrize("number", [1, 2, 5, 13])
@pytest.mark.parametrize("zipped", [True, False])
def test_raw_pieces_of_an_archive_are_one_stream(gather, png, tmp_path: Path, number: int, zipped: bool) -> None:
    pictures = {f"imgs/{seed}.png": png(seed) for seed in range(9)}
    data = tar(pictures.items())
    gathered, index = gather(pieces(gzip.compress(data) if zipped else data, number), pictures)
    assert bytes_of(gathered, tmp_path / "store") == pictures
    assert index == GatherIndex(outcomes={"ok": 9}, unused=0)


def test_pieces_of_two_archives_are_two_streams(gather, png, tmp_path: Path) -> None:
    a, b = {"a.png": png(1)}, {"b.png": png(2)}
    files = pieces(tar(a.items()), 2, "a.tar") | pieces(gzip.compress(tar(b.items())), 3, "b.tar.gz")
    gathered, _ = gather(files, {*a, *b})
    assert bytes_of(gathered, tmp_path / "store") == a | b


def test_several_whole_archives_are_read_one_after_the_other(gather, png, tmp_path: Path) -> None:
    files = {"1.tar": tar([("a.png", png(1))]), "2.tgz": gzip.compress(tar([("b.png", png(2)), ("a.png", png(3))]))}
    gathered, index = gather(files, {"a.png", "b.png"})
    assert bytes_of(gathered, tmp_path / "store") == {"a.png": png(1), "b.png": png(2)}
    assert index.outcomes == {"ok": 2}


def test_every_reference_has_an_outcome_and_nothing_else_is_stored(gather, png, tmp_path: Path) -> None:
    members = [
        ("./dotted.png", png(1)),
        ("plain.png", png(2)),
        ("unused.png", png(3)),
        ("readme.txt", b"pictures"),
        ("cut.png", png(4, 200)[:300]),
        ("page.png", b"<html>"),
        ("empty.png", b""),
        ("folder/same.png", png(1)),
        ("long/" * 40 + "name.png", png(5)),
        ("\u732b/\u00e9.png", png(6)),
    ]
    wanted = {name.removeprefix("./") for name, _ in members} - {"unused.png", "readme.txt"} | {"lost.png", "folder"}
    gathered, index = gather({"a.tar": tar(members)}, wanted)
    assert gathered.keys() == wanted
    assert reasons(gathered) == {
        "cut.png": "picture_undecodable",
        "page.png": "picture_unknown_format",
        "empty.png": "picture_empty",
        "lost.png": "picture_missing",
        "folder": "picture_missing",
    }
    ok = {name.removeprefix("./"): data for name, data in members}
    assert bytes_of(gathered, tmp_path / "store") == {ref: ok[ref] for ref in wanted - reasons(gathered).keys()}
    assert index.unused == 2
    assert index.outcomes == {
        "ok": 5,
        "picture_empty": 1,
        "picture_missing": 2,
        "picture_undecodable": 1,
        "picture_unknown_format": 1,
    }
    assert gathered["dotted.png"].image == gathered["folder/same.png"].image


def test_the_order_of_members_changes_no_name_and_no_outcome(gather, png, tmp_path: Path) -> None:
    members = [(f"{seed}.png", png(seed)) for seed in range(12)]
    forwards, _ = gather({"a.tar": tar(members)}, dict(members))
    backwards, _ = gather({"a.tar": tar(reversed(members))}, dict(members))
    assert list(forwards) == list(backwards) == sorted(dict(members))
    assert bytes_of(backwards, tmp_path / "store") == dict(members)


def test_a_plain_tar_of_a_mirror_is_referred_to_in_place(gather, png, tmp_path: Path) -> None:
    pictures = {"imgs/" + "deep/" * seed + f"{seed}.png": png(seed, 8 + seed) for seed in range(40)}
    files = {"a.tar": tar(pictures.items()), "b.tar": tar([("z.png", png(99)), ("cut.png", png(4, 200)[:300])])}
    gathered, _ = gather(files, {*pictures, "z.png", "cut.png"}, pictures="reference")
    assert reasons(gathered) == {"cut.png": "picture_undecodable"}
    images = {ref: row.image for ref, row in gathered.items() if row.image}
    assert {image.pack for image in images.values()} == {"mirror/s/a.tar", "mirror/s/b.tar"}
    for image in images.values():
        name = image.pack.removeprefix("mirror/s/")
        assert (image.row, len(files[name][image.offset : image.offset + image.size])) == (None, image.size)
    write_text(tmp_path / "store/mirrors/s.json", Mirror(root=str(tmp_path / "mirror")).model_dump_json())
    assert bytes_of(gathered, tmp_path / "store") == {**pictures, "z.png": png(99)}
    assert not list((tmp_path / "store").rglob("*.arrow"))


@pytest.mark.parametrize("how", ["zipped", "pieces"])
def test_what_has_no_place_of_its_own_in_a_mirror_is_copied(gather, png, tmp_path: Path, how: str) -> None:
    data = tar([("a.png", png(1))])
    cut = BLOCK + len(png(1)) // 2
    files = {"a.tar.gz": gzip.compress(data)} if how == "zipped" else {"a.00": data[:cut], "a.01": data[cut:]}
    gathered, _ = gather(files, {"a.png"}, pictures="reference")
    assert bytes_of(gathered, tmp_path / "store") == {"a.png": png(1)}
    assert len(list((tmp_path / "store").rglob("*.arrow"))) == 1


def test_names_that_lead_out_of_the_archive_write_nowhere(gather, png, tmp_path: Path) -> None:
    escape = str(tmp_path / "escaped.png")
    members: list[Member] = [
        ("../../escaped.png", png(1)),
        (escape, png(2)),
        special("link", tarfile.SYMTYPE, str(tmp_path)),
        ("link/escaped.png", png(3)),
        ("ok.png", png(4)),
    ]
    before = {path for path in tmp_path.rglob("*") if "store" not in path.parts}
    gathered, index = gather({"a.tar": tar(members)}, {"ok.png"})
    after = {path for path in tmp_path.rglob("*") if "store" not in path.parts and "mirror" not in path.parts}
    assert after == before
    assert list(gathered) == ["ok.png"]
    assert index.unused == 1
    assert index.refused == {"archive_member_not_regular": 1, "unsafe_path": 2}


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE, b"V"],
)
def test_only_regular_members_are_pictures(gather, png, tmp_path: Path, kind: bytes) -> None:
    (tmp_path / "secret.png").write_bytes(png(1))
    members: list[Member] = [special("a.png", kind, str(tmp_path / "secret.png")), ("b.png", png(2))]
    gathered, index = gather({"a.tar": tar(members)}, {"a.png", "b.png"})
    folder = kind == tarfile.DIRTYPE
    assert reasons(gathered) == {"a.png": "picture_missing" if folder else "archive_member_not_regular"}
    assert index.refused == ({} if folder else {"archive_member_not_regular": 1})
    assert bytes_of(gathered, tmp_path / "store") == {"b.png": png(2)}


def claiming(size: int, form: int = tarfile.GNU_FORMAT) -> bytes:
    """An archive whose second member says that it is of this size and has 3 bytes."""
    info = tarfile.TarInfo("huge.png")
    info.size = size
    return tar([("a.png", b"abc")])[: 2 * BLOCK] + info.tobuf(form) + b"abc" + bytes(3 * BLOCK - 3)


@pytest.mark.parametrize("size", [10_000, 64 << 20, (64 << 20) + 1, 1 << 40, 1 << 62])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_member_larger_than_the_archive_is_an_error(gather, size: int, zipped: bool) -> None:
    data = claiming(size)
    with pytest.raises(SourceError, match=r"source `s`: archive `a.tar`: .*; fetch the archive again"):
        gather({"a.tar": gzip.compress(data) if zipped else data}, {"huge.png"})


def test_a_member_above_the_limit_is_not_read(gather, png) -> None:
    size = (64 << 20) + 1
    info = tarfile.TarInfo("huge.png")
    info.size = size
    data = info.tobuf() + png(1) + bytes(-(-size // BLOCK) * BLOCK - len(png(1))) + tar([("b.png", png(2))])
    gathered, _ = gather({"a.tgz": gzip.compress(data, 1)}, {"huge.png", "b.png"})
    assert reasons(gathered) == {"huge.png": "picture_too_large"}
    assert "limit 67108864" in gathered["huge.png"].message


def sparse(name: str, headers: dict[str, str]) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.pax_headers = headers
    return info


def test_a_member_with_holes_has_no_place_of_its_own(gather, png) -> None:
    hollow = sparse("a.png", {"GNU.sparse.map": "0,1", "GNU.sparse.size": "512"})
    hollow.size = 0
    gathered, _ = gather({"a.tar": tar([hollow, ("b.png", png(2))])}, {"a.png", "b.png"}, pictures="reference")
    assert reasons(gathered) == {"a.png": "archive_member_not_regular"}


def whole() -> bytes:
    noise = bytes((7 * at * at + at) % 251 for at in range(20_000))
    return tar([(f"{number}.png", noise) for number in range(5)])


def hurt(data: bytes, at: int, with_: bytes = b"\xff" * 64) -> bytes:
    return data[:at] + with_ + data[at + len(with_) :]


HEADER = BLOCK * (1 + -(-20_000 // BLOCK))
"""Where the second member begins."""

LONG = gzip.compress(tar([("0.png", b"".join(b"%d " % (number * number) for number in range(90_000)))]))
"""One member of 0.9 MB; the middle of the stream lies in its bytes."""

DAMAGED = {
    "cut in the first header": whole()[:100],
    "cut in a later header": whole()[: HEADER + 100],
    "cut in a member": whole()[: 2 * HEADER + 5000],
    "a damaged later header": hurt(whole(), HEADER),
    "nothing": b"",
    "no tar": b"<html>not found</html>" * 100,
    "a picture": b"\x89PNG\r\n\x1a\n" * 200,
    "gzip cut in its header": gzip.compress(whole())[:5],
    "gzip cut": gzip.compress(whole())[:-500],
    "gzip with other bytes in a long member": hurt(LONG, len(LONG) // 2, b"\xff" * 8),
    "gzip without its checksum": gzip.compress(whole())[:-8],
    "gzip with other bytes": hurt(gzip.compress(whole()), len(gzip.compress(whole())) // 2, b"\xff" * 8),
    "gzip of no tar": gzip.compress(b"<html>"),
    "gzip and rubbish": gzip.compress(whole()[: HEADER * 2]) + b"rubbish" * 9,
    "endless long names": special("x" * 200, b"L").tobuf(tarfile.GNU_FORMAT)[:BLOCK] * 3000 + bytes(2 * BLOCK),
    "a sparse map that is none": tar([sparse("a.png", {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"})]),
    "numbers in headers that are none": tar([special("a", b"x")], tarfile.USTAR_FORMAT)[:BLOCK] * 2 + b"9" * BLOCK,
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_archive_is_an_error_that_names_it(gather, damage: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"^source `s`: archive `a.tar`: .*; fetch the archive again; is a piece"):
        gather({"a.tar": DAMAGED[damage]}, {"0.png", "4.png"})
    assert [path.name for path in (tmp_path / "store").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_missing_piece_is_an_error(gather, lost: int) -> None:
    files = pieces(gzip.compress(whole()), 3)
    del files[f"x.tar.gz.{lost:02d}"]
    with pytest.raises(SourceError, match=r"is a piece missing\?"):
        gather(files, {"0.png"})


def test_a_tar_without_its_last_blocks_is_whole(gather, png, tmp_path: Path) -> None:
    data = tar([("a.png", png(1))])[: 2 * BLOCK]
    gathered, _ = gather({"a.tar": data}, {"a.png"})
    assert bytes_of(gathered, tmp_path / "store") == {"a.png": png(1)}


def packed(path: Path, members: int, data: bytes) -> None:
    """An archive in which every member has these bytes; its ending says of which kind it is."""
    names = (f"{number % 7}/{number}.png" for number in range(members))
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, data)
    else:
        path.write_bytes(tar(((name, data) for name in names), tarfile.USTAR_FORMAT))


def most_held(folder: Path, kind: str, members: int, data: bytes) -> int:
    """Bytes that gathering and looking up all members of an archive takes at most."""
    folder.mkdir()
    packed(folder / f"p.{kind}", members, data)
    box = Box(folder / "store", "pictures/s/0123")
    files = (RawFile(f"p.{kind}", folder / f"p.{kind}"),)
    tracemalloc.start()
    try:
        unpack(box, Source(name="s", layout="mplug"), files, (f"{n % 7}/{n}.png" for n in range(members)))
        found = load(box)
        assert all(f"{n % 7}/{n}.png" in found for n in range(0, members, 5))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_memory_hardly_grows_with_members(monkeypatch: pytest.MonkeyPatch, png, tmp_path: Path, kind: str) -> None:
    # what is held at a time is less here, so that a small archive shows what is held of all
    for name in ("places._FRESH", "gather.ROWS", "scratch.ROWS"):
        monkeypatch.setattr(f"sources.{name}", 256)
    members = 1000
    # the first one pays for what is imported and kept on first use
    _, small, large = (most_held(tmp_path / str(n), kind, n, png(0)) for n in (members // 2, members, 4 * members))
    assert (large - small) / (3 * members) < 100


def test_nothing_wanted_is_a_finished_box(gather, png) -> None:
    gathered, index = gather({"a.tar": tar([("a.png", png(1))])}, [])
    assert (gathered, index) == ({}, GatherIndex(outcomes={}, unused=1))
