"""Downloads of two thousand URLs that behave as lists from the wild do: classes, bounds, kills, order of arrival."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from commands import ROOT
from picture_server import HUGE_BYTES, PictureServer, picture, serving, sha256

from shards.errors import PictureError, SourceError, StoreError
from shards.pack import PictureReader
from shards.store import Box, Store
from sources.address import public_addresses
from sources.fetch import Ref, download
from sources.gather import Gathered, GatherIndex, read_rows
from sources.policy import FetchPolicy
from sources.spec import Source

SOURCE = Source(name="s", layout="pixmo_cap")
HOSTS = ("a.test", "b.test", "c.test", "xn--bcher-kva.test")
TRIES = 3
CLASSES = {
    # kind: (how many, reason, requests for each)
    "ok": (1430, "", 1),
    "packed": (40, "", 1),
    "flaky": (40, "", 2),
    "busy": (40, "", 2),
    "hop": (40, "", 1),
    "wrong": (40, "download_sha256", 1),
    "missing": (60, "download_404", 1),
    "gone": (40, "download_410", 1),
    "html": (40, "download_not_picture", 1),
    "loop": (30, "download_redirects", 6),
    "inside": (40, "download_refused", 1),
    "metadata": (40, "download_refused", 1),
    "file": (40, "download_refused", 1),
    "nowhere": (40, "download_bad_url", 1),
    "huge": (6, "download_too_large", 1),
    "bomb": (6, "download_too_large", 1),
    "brotli": (14, "download_undecodable", 1),
    "loris": (4, "download_timeout", 1),
    "short": (5, "download_failed", TRIES),
    "down": (5, "download_503", TRIES),
}
PASSING = {"loris", "short", "down"}
BOUNDS = {
    "timeout": 20.0,
    "deadline": 10.0,
    "retries": TRIES - 1,
    "backoff": 0.01,
    "max_bytes": 1 << 20,
    "per_host": 16,
}

CHILD = """
import json, sys
from pathlib import Path
from shards.store import Box, Store
from sources.policy import FetchPolicy
from sources.fetch import download
from sources.spec import Source
store, work = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
with Store(store).lock():
    download(Box(store, "pictures/s/0123"), Source(name="s", layout="pixmo_cap"), work["refs"],
             FetchPolicy(**work["bounds"]))
"""


def refs_of(*kinds: str, share: int = 1) -> list[Ref]:
    """URLs of these kinds, mixed up by a digest so that every chunk holds most of them."""
    paths = [f"/{kind}/{number}" for kind in kinds for number in range(CLASSES[kind][0] // share)]
    paths.sort(key=lambda path: hashlib.sha256(path.encode()).digest())
    return [(f"http://{HOSTS[number % len(HOSTS)]}{path}", sha256(path)) for number, path in enumerate(paths)]


def bounds_for(server: PictureServer, **bounds: Any) -> dict[str, Any]:
    names = (*HOSTS[:3], "b\u00fccher.test")
    return {**BOUNDS, "resolve": {name: f"127.0.0.1:{server.port}" for name in names}, **bounds}


def run(store: Path, refs: list[Ref], bounds: Mapping[str, Any]) -> dict[str, Gathered]:
    box = Box(store, "pictures/s/0123")
    download(box, SOURCE, refs, FetchPolicy(**bounds))
    return {row.ref: row for row in read_rows(box.path / "gathered.parquet")}


def path_of(url: str) -> str:
    return "/" + url.split("/", 3)[3]


def kind_of(url: str) -> str:
    return url.split("/")[3]


def files(folder: Path) -> dict[str, str]:
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def test_two_thousand_urls_end_in_their_classes(tmp_path: Path) -> None:
    refs = refs_of(*CLASSES)
    assert len(refs) == 2000
    with serving() as server:
        with pytest.raises(SourceError) as caught:
            run(tmp_path / "store", refs, bounds_for(server))
        first = Counter(server.asked)
        server.asked.clear()
        rows = run(tmp_path / "store", refs, bounds_for(server, give_up=True))

    reasons = ", ".join(sorted(f"`{CLASSES[kind][1]}` {CLASSES[kind][0]}" for kind in PASSING))
    assert "14 of 2000 URLs gave no lasting answer" in str(caught.value)
    assert str(caught.value).endswith(f"by reason: {reasons}")
    for url, _ in refs:
        kind = kind_of(url)
        _, reason, times = CLASSES[kind]
        assert (kind, rows[url].reason) == (kind, "download_failed" if kind in PASSING else reason)
        if kind != "ok":  # those are reached by `hop` too
            assert (kind, first[path_of(url)]) == (kind, times)
    hops = sum(number for path, number in first.items() if path.startswith("/ok/"))
    assert hops == CLASSES["ok"][0] + CLASSES["hop"][0]
    # only what failed in passing was asked again
    assert {path.split("/")[1] for path in server.asked} == PASSING

    index = Box(tmp_path / "store", "pictures/s/0123").index(GatherIndex)
    expected: Counter[str] = Counter()
    for kind, (number, reason, _) in CLASSES.items():
        expected["download_failed" if kind in PASSING else reason or "ok"] += number
    assert index.outcomes == expected
    read = PictureReader(str(tmp_path / "store"))
    good = [url for url, _ in refs if rows[url].image]
    assert all(read(rows[url].image) == picture(int(url.rpartition("/")[2])) for url in good[::20])
    assert not (tmp_path / "store/pictures/s/0123/spool").exists()


def test_hostile_bodies_are_not_read_to_their_end(tmp_path: Path) -> None:
    refs = [(f"http://a.test/{path}", None) for path in ("huge/0", "html/0")]
    with serving() as server:
        run(tmp_path, refs, bounds_for(server))
        # what the kernel's buffers hold beyond the limit was sent, but not read
        assert server.sent["/huge/0"] < HUGE_BYTES / 8


@pytest.mark.integration
@pytest.mark.parametrize("answers", [150, 700])
def test_a_killed_run_goes_on_where_it_was(tmp_path: Path, answers: int) -> None:
    refs = refs_of("ok", "missing", "html", "wrong", "flaky", share=2)
    folder = tmp_path / "killed/pictures/s/0123"
    with serving(lambda path: 0.01) as server:
        bounds = bounds_for(server, concurrency=32)
        run(tmp_path / "undisturbed", refs, bounds)
        undisturbed = Counter(server.asked)
        server.asked.clear()
        (tmp_path / "work.json").write_text(json.dumps({"refs": refs, "bounds": bounds}))
        command = [sys.executable, "-c", CHILD, str(tmp_path / "killed"), str(tmp_path / "work.json")]
        with subprocess.Popen(command, cwd=ROOT) as child:
            while server.asked.total() < answers and child.poll() is None:
                time.sleep(0.005)
            child.send_signal(signal.SIGKILL)
        assert child.returncode == -signal.SIGKILL
        assert not (folder / "index.json").exists()
        kept = {path_of(refs[position][0]) for position in positions(folder)}
        # a URL is between its answer and its outcome for a moment
        assert len(kept) > answers - 200
        asked = Counter(server.asked)
        subprocess.run(command, cwd=ROOT, check=True)
        again = server.asked - asked
    assert not kept & again.keys()
    assert server.asked.total() - undisturbed.total() <= 64
    assert files(tmp_path / "killed") == files(tmp_path / "undisturbed")


def positions(folder: Path) -> set[int]:
    """Positions in the list whose outcome a killed run kept: in finished chunks, or in the spool."""
    spooled = {512 * int(path.parent.name) + int(path.name.partition("-")[0]) for path in folder.glob("spool/*/[0-9]*")}
    packed = {512 * int(path.stem[4:]) + row for path in folder.glob("log-*.parquet") for row in range(512)}
    return spooled | packed


def test_a_damaged_spool_is_asked_for_again(tmp_path: Path) -> None:
    refs = refs_of("ok", "down", "missing", share=20)
    refs = [ref for ref in refs if kind_of(ref[0]) != "down"] + [("http://a.test/down/0", None)]
    spool = tmp_path / "store/pictures/s/0123/spool/00000"
    with serving() as server:
        with pytest.raises(SourceError, match="1 of 75 URLs"):
            run(tmp_path / "store", refs, bounds_for(server))
        bodies = sorted(spool.glob("*-*"))
        reasons = sorted(path for path in spool.glob("[0-9]*") if "-" not in path.name)
        assert (len(bodies), len(reasons)) == (71, 3)
        bodies[0].write_bytes(b"")
        bodies[1].write_bytes(bodies[1].read_bytes()[:-1])
        reasons[0].write_bytes(b"")
        server.asked.clear()
        rows = run(tmp_path / "store", refs, bounds_for(server, give_up=True))
        assert len(server.asked) == 4
        assert sum(row.image is not None for row in rows.values()) == 71
        run(tmp_path / "other", refs, bounds_for(server, give_up=True))
    assert files(tmp_path / "store") == files(tmp_path / "other")


def test_order_of_arrival_does_not_show(tmp_path: Path) -> None:
    refs = refs_of("ok", "packed", "hop", "missing", "html", "wrong", "bomb", share=2)
    for name, delay in (
        ("fast", lambda path: 0.0),
        ("mixed", lambda path: hashlib.sha256(path.encode()).digest()[0] / 2000),
    ):
        with serving(delay) as server:
            run(tmp_path / name, refs, bounds_for(server, concurrency=48 if name == "mixed" else 7))
    assert files(tmp_path / "fast") == files(tmp_path / "mixed")


@pytest.mark.parametrize(
    ("bounds", "peaks"),
    [
        ({"concurrency": 64, "per_host": 5}, {"a.test": 5, "xn--bcher-kva.test": 5, "all": 20}),
        ({"concurrency": 9, "per_host": 64}, {"all": 9}),
    ],
)
def test_limits_hold_and_are_used(tmp_path: Path, bounds: dict[str, int], peaks: dict[str, int]) -> None:
    refs = refs_of("ok", "hop", share=5)
    with serving(lambda path: 0.03) as server:
        run(tmp_path, refs, bounds_for(server, **bounds))
        assert {name: server.peak[name] for name in peaks} == peaks


def test_a_dead_server_holds_up_its_own_chunk_only(tmp_path: Path) -> None:
    refs = [*refs_of("ok")[:520], ("http://a.test/down/0", None)]
    with serving() as server:
        with pytest.raises(SourceError, match="1 of 521 URLs"):
            run(tmp_path, refs, bounds_for(server))
        server.asked.clear()
        with pytest.raises(SourceError, match="1 of 521 URLs"):
            run(tmp_path, refs, bounds_for(server))
        assert server.asked == {"/down/0": TRIES}
    folder = tmp_path / "pictures/s/0123"
    assert sorted(path.name for path in folder.glob("log-*")) == ["log-00000.parquet"]


def test_retry_after_is_waited_for_up_to_a_bound(tmp_path: Path) -> None:
    url, wait = "http://a.test/later/3600", 0.2
    with serving() as server:
        begin = time.monotonic()
        rows = run(tmp_path, [(url, None)], bounds_for(server, backoff=0.0, max_wait=wait))
        waited = time.monotonic() - begin  # with no wait of our own, all of it is what the server asked for
    assert rows[url].image
    assert server.asked == {"/later/3600": 2}
    assert waited >= wait


def test_credentials_are_neither_sent_nor_shown(tmp_path: Path) -> None:
    urls = ["http://me:secret@a.test/ok/1", "http://me:secret@a.test:secret/x"]
    with serving() as server:
        rows = run(tmp_path, [(url, None) for url in urls], bounds_for(server))
        assert not server.asked
    assert [rows[url].reason for url in urls] == ["download_refused", "download_bad_url"]
    assert not any("secret" in rows[url].message for url in urls)


@pytest.mark.parametrize(
    "url",
    [
        "http://a.test/ok/1#fragment",
        "HTTP://A.TEST:80/ok/1",
        "http://a.test/x/../ok/1",
        "http://b\u00fccher.test/ok/1",
        "http://xn--bcher-kva.test/%6fk/1",
    ],
)
def test_ways_to_write_a_url(tmp_path: Path, url: str) -> None:
    with serving() as server:
        if "%6f" in url:  # escapes are sent as they are; this server knows no such kind
            with pytest.raises(SourceError, match="download_failed"):
                run(tmp_path, [(url, None)], bounds_for(server))
            assert "/%6fk/1" in server.asked
        else:
            assert run(tmp_path, [(url, None)], bounds_for(server))[url].image
            assert server.asked == {"/ok/1": 1}


INSIDE = """
127.0.0.1 127.9.9.9 0.0.0.0 10.0.0.1 172.16.0.1 192.168.0.1 169.254.169.254 100.64.0.1 100.100.100.200 192.0.0.192
168.63.129.16 192.0.2.1 198.18.0.1 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255 ::1 :: fe80::1 fe80::1%eth0
fd00:ec2::254 fec0::1 ff02::1 ff0e::1 2001:db8::1 2001:0:102:304::1 64:ff9b:1::1 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1
::ffff:169.254.169.254 2002:7f00:1::1 2002:a9fe:a9fe::1 64:ff9b::10.0.0.1 64:ff9b::a9fe:a9fe
"""
PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "2002:808:808::1", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", re.split(r"\s+", INSIDE.strip()))
def test_no_address_inside_is_public(address: str) -> None:
    for found in ([address], ["8.8.8.8", address], [address, "8.8.8.8"]):
        with pytest.raises(PictureError, match="an address that is not public") as caught:
            public_addresses("h", found)
        assert caught.value.reason == "download_refused"


def test_public_addresses_are_public() -> None:
    assert public_addresses("h", PUBLIC) == PUBLIC


def test_a_full_disk_is_no_failure_of_a_server(tmp_path: Path) -> None:
    (tmp_path / "pictures").write_text("a file where a folder should be")
    with serving() as server, pytest.raises(StoreError, match="cannot write"):
        run(tmp_path, [("http://a.test/ok/1", None)], bounds_for(server))
    assert not server.asked


def test_the_store_lock_removes_what_a_kill_left(tmp_path: Path) -> None:
    leftover = tmp_path / "pictures/s/0123/spool/00000/.7.tmp"
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(os.urandom(8))
    with Store(tmp_path).lock():
        assert not leftover.exists()
