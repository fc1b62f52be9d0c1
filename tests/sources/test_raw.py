"""Which raw files a source has, in which order, and what is remembered about their bytes."""

import os
from pathlib import Path

import pytest
from blake3 import blake3

from shards.errors import CatalogError, PictureError, SourceError
from sources.raw import Digests, RawFile, archive_files, natural, picture_file, raw_files
from sources.spec import Source


def source(*files: str, **body: object) -> Source:
    return Source(name="s", **{"layout": "llava", "files": files, **body})


def fill(base: Path, *names: str) -> Path:
    for name in names:
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text(name)
    return base


def names(files: tuple[RawFile, ...]) -> list[str]:
    assert all(file.path.read_text().endswith(file.name) for file in files), "each name belongs to its own file"
    return [file.name for file in files]


@pytest.mark.parametrize(
    "ordered",
    [
        ["part-2.json", "part-10.json", "part-100.json"],
        ["a/2/x.json", "a/10/x.json", "b/1/x.json"],
        ["x1.json", "x1a.json", "x01b.json", "x2.json"],
        ["0.json", "001.json", "2.json"],
        ["9" * 80 + ".json", "1" + "0" * 80 + ".json"],
    ],
)
def test_numbers_in_names_are_ordered_by_value(tmp_path: Path, ordered: list[str]) -> None:
    fill(tmp_path, *reversed(ordered))
    assert names(raw_files(source("**/*.json"), tmp_path)) == ordered


def test_names_of_equal_value_have_an_order_of_their_own() -> None:
    spelled = ["0" * zeros + "7.json" for zeros in range(8)]
    assert len({natural(name) for name in spelled}) == 8
    assert sorted(spelled, key=natural) == sorted(reversed(spelled), key=natural)


@pytest.mark.parametrize("name", ["10\u00b2", "\u00b2", "\u0663", "\u24607", "1" * 5000, ""])
def test_every_name_can_be_ordered(name: str) -> None:
    assert sorted([name, "b"], key=natural) == sorted(["b", name], key=natural)


@pytest.mark.parametrize(
    ("glob", "found"),
    [
        ("*.json", ["a.json", "b(1).json", "c[v2].json"]),
        ("c[v2].json", ["c[v2].json"]),
        ("b(1).json", ["b(1).json"]),
        ("chart_qa(cauldron,llava_format)/*.json", ["chart_qa(cauldron,llava_format)/x.json"]),
        ("[ab]*.json", ["a.json", "b(1).json"]),
        ("**/*.json", ["a.json", "b(1).json", "c[v2].json", "chart_qa(cauldron,llava_format)/x.json"]),
        ("./a.json", ["a.json"]),
    ],
)
def test_globs_find_names_with_brackets_and_parentheses(tmp_path: Path, glob: str, found: list[str]) -> None:
    fill(tmp_path, "a.json", "b(1).json", "c[v2].json", "chart_qa(cauldron,llava_format)/x.json")
    assert names(raw_files(source(glob), tmp_path)) == found


def test_a_file_that_two_globs_match_is_there_once(tmp_path: Path) -> None:
    fill(tmp_path, "a.json", "b.json")
    assert names(raw_files(source("b.json", "*.json", "a.json"), tmp_path)) == ["a.json", "b.json"]


def test_hidden_files_are_no_raw_files(tmp_path: Path) -> None:
    fill(tmp_path, "a.json", ".b.json", ".cache/c.json", "d/.git/e.json", "d/f.json")
    assert names(raw_files(source("**/*.json"), tmp_path)) == ["a.json", "d/f.json"]
    with pytest.raises(SourceError):
        raw_files(source(".b.json"), tmp_path)


@pytest.mark.parametrize("glob", ["../other/{}", "/ABSOLUTE/other/{}", "inner/../../other/{}"])
def test_names_of_files_elsewhere_hold_no_path_of_this_machine(tmp_path: Path, glob: str) -> None:
    fill(tmp_path / "other", "deep/x.json", "y.json")
    base = fill(tmp_path / "base", "inner/z.json")
    for pattern, expected in {"**/*.json": ["deep/x.json", "y.json"], "deep/x.json": ["x.json"]}.items():
        place = glob.format(pattern).replace("/ABSOLUTE", str(tmp_path))
        assert names(raw_files(source(place), base)) == expected


def test_two_files_may_not_share_a_name(tmp_path: Path) -> None:
    fill(tmp_path / "one", "a.json")
    fill(tmp_path / "two", "a.json")
    with pytest.raises(CatalogError, match=r"source `s`: two files are called `a.json`"):
        raw_files(source("../one/*.json", "../two/*.json"), fill(tmp_path / "base"))


def test_no_match_names_the_glob_and_the_folder(tmp_path: Path) -> None:
    fill(tmp_path, "a.json", "folder.parquet/x")
    with pytest.raises(SourceError) as error:
        raw_files(source("*.json", "*.parquet"), tmp_path)
    assert f"source `s`: no file matches `*.parquet` in `{tmp_path}`" in str(error.value)


@pytest.mark.parametrize("glob", [".", "a**", "**a/x"])
def test_a_pattern_that_is_none_is_an_error_of_the_user(tmp_path: Path, glob: str) -> None:
    fill(tmp_path, "a.json")
    with pytest.raises(CatalogError, match=r"source `s`: `.*` is no glob"):
        raw_files(source(glob), tmp_path)


def test_a_layout_that_reads_files_needs_them(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="layout `llava` needs `files`"):
        raw_files(source(), tmp_path)


def test_a_picture_folder_is_every_file_below_its_root(tmp_path: Path) -> None:
    fill(tmp_path, "out.json", "p/10.jpg", "p/2.jpg", "p/sub/1.jpg", "p/.thumbs/1.jpg")
    folder = source(layout="picture_folder", root="p")
    assert names(raw_files(folder, tmp_path)) == ["2.jpg", "10.jpg", "sub/1.jpg"]
    assert names(raw_files(source("*.jpg", layout="picture_folder", root="p"), tmp_path)) == ["2.jpg", "10.jpg"]


def test_archives_are_in_order_of_their_pieces(tmp_path: Path) -> None:
    fill(tmp_path, *(f"x.tar.{number}" for number in range(12)))
    archives = archive_files(source("a.json", archive="x.tar.*"), tmp_path)
    assert names(archives) == [f"x.tar.{number}" for number in range(12)]
    assert archive_files(source("a.json"), tmp_path) == ()


def test_an_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    file = RawFile("a.json", fill(tmp_path, "a.json") / "a.json")
    file.path.write_bytes(b"one")
    digests = Digests(tmp_path / "cache.json")
    first = digests(file)
    assert (first.name, first.size, first.blake3) == ("a.json", 3, blake3(b"one").hexdigest())
    digests.save()

    # another digest in the file is believed: proof that the bytes were not read
    cache = tmp_path / "cache.json"
    cache.write_text(cache.read_text().replace(first.blake3, "f" * 64))
    assert Digests(cache)(file).blake3 == "f" * 64


@pytest.mark.parametrize("moved", [0, -(10**9), -(10**18), 10**18], ids=["same", "second ago", "1990s", "future"])
def test_a_change_is_seen_whatever_the_clock_says(tmp_path: Path, moved: int) -> None:
    """Files of one size, changed when the clock, or who copied them, gives another time or the same one."""
    file = RawFile("a.json", fill(tmp_path, "a.json") / "a.json")
    cache = tmp_path / "cache.json"
    file.path.write_bytes(b"one")
    before = file.path.stat()
    digests = Digests(cache)
    digests(file)
    digests.save()
    while file.path.stat().st_ctime_ns == before.st_ctime_ns:  # the kernel's clock ticks a few hundred times a second
        file.path.write_bytes(b"two")
    os.utime(file.path, ns=(before.st_atime_ns, before.st_mtime_ns + moved))
    digests = Digests(cache)
    assert digests(file).blake3 == blake3(b"two").hexdigest()
    digests.save()
    # and read once: a time in the future is no reason to read it for ever
    cache.write_text(cache.read_text().replace(blake3(b"two").hexdigest(), "f" * 64))
    assert Digests(cache)(file).blake3 == "f" * 64


def test_what_was_not_saved_is_read_again(tmp_path: Path) -> None:
    file = RawFile("a.json", fill(tmp_path, "a.json") / "a.json")
    Digests(tmp_path / "cache.json")(file)
    assert not (tmp_path / "cache.json").exists()


def test_a_digest_holds_no_path_of_this_machine(tmp_path: Path) -> None:
    base = fill(tmp_path, "d/a.json")
    digests = Digests(tmp_path / "cache.json")
    (digest,) = (digests(file) for file in raw_files(source("d/*.json"), base))
    assert digest.model_dump().keys() == {"name", "blake3", "size"}
    assert str(tmp_path) not in digest.model_dump_json()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../secret", "unsafe_path"),
        ("sub/../../secret", "unsafe_path"),
        ("sub/../a.png", "unsafe_path"),
        ("/etc/hostname", "unsafe_path"),
        ("{root}/a.png", "unsafe_path"),
        ("out", "unsafe_path"),
        ("outside/secret", "unsafe_path"),
        ("b.png", "picture_missing"),
        ("sub", "picture_missing"),
        (".", "picture_missing"),
        ("a\0b", "picture_missing"),
        ("x" * 5000, "picture_missing"),
        ("\ud800", "picture_missing"),
        ("circle", "picture_missing"),
        ("a.png/b", "picture_missing"),
    ],
)
def test_a_record_names_a_file_in_the_folder_or_none(tmp_path: Path, name: str, reason: str) -> None:
    root = fill(tmp_path / "root", "a.png", "sub/c.png")
    fill(tmp_path, "secret")
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "outside").symlink_to(tmp_path)
    (root / "circle").symlink_to(root / "circle")
    with pytest.raises(PictureError) as error:
        picture_file(root, name.format(root=root))
    assert error.value.reason == reason


def test_links_within_the_folder_are_followed(tmp_path: Path) -> None:
    root = fill(tmp_path / "root", "sub/c.png")
    (root / "link.png").symlink_to(root / "sub" / "c.png")
    (tmp_path / "elsewhere").symlink_to(root)
    for folder in (root, tmp_path / "elsewhere", root / ".." / "root"):
        assert picture_file(folder, "link.png").read_text() == "sub/c.png"
