"""Files by address from a server on this machine: cut, changed, refused, trickling, and never half a file."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from commands import ROOT
from file_server import ALWAYS, Fault, FileServer, serve

from shards.errors import SourceError, StoreError
from sources.direct import download
from sources.download import Download
from sources.raw import RawDigest
from sources.transfer import TransferPolicy

BIG = bytes(range(256)) * 4000
"""1,024,000 bytes: large enough that a cut leaves something behind."""
NEXT = BIG[::-1]
FILES = {"big.bin": BIG, "notes.txt": b"a small one", "empty.txt": b""}
POLICY = TransferPolicy(timeout=2, backoff=0.01, retries=3, patience=0.2, longest_wait=1.5)

Get = Callable[..., dict[str, RawDigest]]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with serve(FILES) as server:
        yield server


@pytest.fixture
def get(server: FileServer, tmp_path: Path) -> Get:
    def run(*names: str, store: str = "store", **more: object) -> dict[str, RawDigest]:
        declared = {key: more.pop(key) for key in ("sha256", "size", "url") if key in more}
        files = tuple(
            Download(**{"url": server.url(name), "path": f"data/{name}", **declared}) for name in names or ("big.bin",)
        )
        places = {"folder": tmp_path / store / "mine", "lock": tmp_path / store / "sources.lock"}
        options = {"policy": POLICY, "private": ("127.0.0.1",), "page": "https://pages.test/mine", **places, **more}
        found = download("mine", files=files, **options)  # type: ignore[arg-type] # keywords of one test each
        return {digest.name.removeprefix("data/"): digest for digest in found}

    return run


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def kept(tmp_path: Path) -> dict[str, bytes]:
    """Files below the store that a source would see."""
    folder = tmp_path / "store" / "mine"
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    names = {path: path.relative_to(folder) for path in paths}
    return {
        name.name: path.read_bytes() for path, name in names.items() if not any(p.startswith(".") for p in name.parts)
    }


def locked(tmp_path: Path) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = json.loads((tmp_path / "store" / "sources.lock").read_text())["downloads"]
    return found


def test_files_arrive_and_are_locked(server: FileServer, get: Get, tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    found = get(*FILES, progress=lambda done, total: heard.append((done, total)))
    assert kept(tmp_path) == FILES
    for name, data in FILES.items():
        assert (found[name].sha256, found[name].size) == (sha256(data), len(data))
        written = locked(tmp_path)[server.url(name)]
        assert (written["sha256"], written["size"]) == (sha256(data), len(data))
        assert written["etag"] == f'"{hashlib.sha1(data).hexdigest()}"'
    assert heard[-1] == (sum(map(len, FILES.values())),) * 2
    assert not list((tmp_path / "store" / "mine" / ".downloads").iterdir())


def test_a_second_run_asks_nothing(server: FileServer, get: Get) -> None:
    first = get(*FILES)
    server.log.clear()
    assert get(*FILES) == first
    assert not server.log


@pytest.mark.parametrize("tags", ["etag", "date"])
def test_goes_on_after_cuts_without_a_byte_sent_twice(server: FileServer, get: Get, tmp_path: Path, tags: str) -> None:
    server.tags = tags
    server.fail("big.bin", Fault(cut=300_000), Fault(cut=200_000))
    get()
    assert kept(tmp_path) == {"big.bin": BIG}
    assert server.ranges("big.bin") == ["", "bytes=300000-", "bytes=500000-"]
    assert sum(hit.sent for hit in server.log) == len(BIG)


@pytest.mark.parametrize("tags", ["weak", "nothing"])
def test_begins_again_where_nothing_tells_versions_apart(
    server: FileServer, get: Get, tmp_path: Path, tags: str
) -> None:
    server.tags = tags
    server.fail("big.bin", Fault(cut=300_000))
    heard: list[int] = []
    get(progress=lambda done, total: heard.append(done))
    assert kept(tmp_path) == {"big.bin": BIG}
    assert server.ranges("big.bin") == ["", ""]
    assert max(heard) == heard[-1] == len(BIG)


def test_a_date_of_this_second_is_not_trusted(server: FileServer, get: Get) -> None:
    server.tags, server.dated = "date", int(time.time()) + 60
    server.fail("big.bin", Fault(cut=300_000))
    get()
    assert server.ranges("big.bin") == ["", ""]


def test_goes_on_in_a_later_run(server: FileServer, get: Get, tmp_path: Path) -> None:
    server.fail("big.bin", Fault(cut=300_000), Fault(status=500, times=ALWAYS))
    with pytest.raises(SourceError, match=r"`data/big.bin`: HTTP 500 from .*; run again later"):
        get()
    assert kept(tmp_path) == {} and not (tmp_path / "store" / "sources.lock").exists()
    server.fail("big.bin")
    server.log.clear()
    heard: list[int] = []
    get(progress=lambda done, total: heard.append(done))
    assert server.ranges("big.bin") == ["bytes=300000-"]
    assert kept(tmp_path) == {"big.bin": BIG}
    assert heard[0] == 300_000 and heard[-1] == len(BIG)


@pytest.mark.parametrize("fault", [Fault(), Fault(no_range=True), Fault(blind=True)])
@pytest.mark.parametrize("tags", ["etag", "date"])
def test_a_file_that_changes_while_it_comes_is_taken_whole(
    server: FileServer, get: Get, tmp_path: Path, fault: Fault, tags: str
) -> None:
    server.tags = tags
    server.fail("big.bin", Fault(cut=300_000), Fault(status=500, times=ALWAYS))
    with pytest.raises(SourceError):
        get()
    server.files["big.bin"] = NEXT
    server.dated += 1000
    server.fail("big.bin", fault)
    assert get()["big.bin"].sha256 == sha256(NEXT)
    assert kept(tmp_path) == {"big.bin": NEXT}


def test_a_shorter_file_while_going_on(server: FileServer, get: Get, tmp_path: Path) -> None:
    server.fail("big.bin", Fault(cut=300_000), Fault(status=500, times=ALWAYS))
    with pytest.raises(SourceError):
        get()
    server.files["big.bin"] = b"short"
    server.fail("big.bin", Fault(blind=True))  # the answer is 416
    get()
    assert kept(tmp_path) == {"big.bin": b"short"}


def test_a_changed_file_is_one_message_until_update(server: FileServer, get: Get, tmp_path: Path) -> None:
    get()
    (tmp_path / "store" / "mine" / "data" / "big.bin").unlink()
    for data, message in (
        (NEXT, rf"{sha256(BIG)} then, {sha256(NEXT)} now"),
        (b"short", "1024000 bytes then, 5 bytes"),
    ):
        server.files["big.bin"] = data
        with pytest.raises(
            SourceError, match=rf"^source `mine`: `data/big.bin`: .*another file.*{message}.* --update"
        ) as found:
            get()
        assert "\n" not in str(found.value) and kept(tmp_path) == {}
    assert get(update=True)["big.bin"].sha256 == sha256(b"short")
    assert locked(tmp_path)[server.url("big.bin")]["sha256"] == sha256(b"short")
    assert kept(tmp_path) == {"big.bin": b"short"}


def test_update_asks_whether_there_is_another(server: FileServer, get: Get, tmp_path: Path) -> None:
    get("big.bin", "notes.txt")
    server.files["notes.txt"] = b"another text"
    server.log.clear()
    heard: list[tuple[int, int]] = []
    found = get("big.bin", "notes.txt", update=True, progress=lambda done, total: heard.append((done, total)))
    assert found["notes.txt"].sha256 == sha256(b"another text")
    assert kept(tmp_path) == {"big.bin": BIG, "notes.txt": b"another text"}
    assert [hit.status for hit in server.log if hit.path == "big.bin"] == [304]
    assert heard[-1] == (len(BIG) + 12,) * 2


def test_a_failed_update_leaves_what_was_there(server: FileServer, get: Get, tmp_path: Path) -> None:
    first = get()
    server.files["big.bin"] = NEXT
    server.fail("big.bin", Fault(), Fault(cut=1000), Fault(status=404, times=ALWAYS))
    with pytest.raises(SourceError, match="HTTP 404"):
        get(update=True)
    assert kept(tmp_path) == {"big.bin": BIG} and get() == first


def test_declared_bytes_are_compared(server: FileServer, get: Get, tmp_path: Path) -> None:
    server.fail("big.bin", Fault(wrong=True))
    get(sha256=sha256(BIG), size=len(BIG))  # damage on the way is asked for once more
    assert kept(tmp_path) == {"big.bin": BIG}
    server.log.clear()
    assert get(sha256=sha256(BIG), update=True) and not server.log
    with pytest.raises(SourceError, match=rf"expected {sha256(NEXT)}, found {sha256(BIG)} of 1024000 bytes; look at"):
        get(sha256=sha256(NEXT), store="other")
    assert len(server.log) == 2
    with pytest.raises(SourceError, match=r"expected 3 bytes, the server has 1024000; look at https://pages.test/mine"):
        get(size=3, store="third")
    assert len(server.log) == 3
    assert not (tmp_path / "other" / "mine" / "data").exists()


def test_damage_on_the_way_is_no_change(server: FileServer, get: Get, tmp_path: Path) -> None:
    get()
    (tmp_path / "store" / "mine" / "data" / "big.bin").unlink()
    server.fail("big.bin", Fault(wrong=True))
    get()
    assert kept(tmp_path) == {"big.bin": BIG}


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, "HTTP 404 from http.*; look at https://pages.test/mine for the address of today"),
        (410, "HTTP 410"),
        (403, "HTTP 403 from http.*; https://pages.test/mine may ask for a registration; .*vlmix sources register"),
        (401, "HTTP 401"),
    ],
)
def test_a_lasting_answer_is_asked_for_once(
    server: FileServer, get: Get, tmp_path: Path, status: int, message: str
) -> None:
    server.fail("big.bin", Fault(status=status, times=ALWAYS))
    with pytest.raises(SourceError, match=rf"^source `mine`: `data/big.bin`: {message}"):
        get()
    assert len(server.log) == 1 and kept(tmp_path) == {}


def test_passing_trouble_is_waited_for(server: FileServer, get: Get, tmp_path: Path) -> None:
    server.fail(
        "big.bin", Fault(status=500), Fault(status=503), Fault(status=429, headers={"Retry-After": "1"}), Fault(cut=0)
    )
    get(policy=replace(POLICY, retries=4))
    assert kept(tmp_path) == {"big.bin": BIG}


def test_an_hour_is_not_waited_for(server: FileServer, get: Get) -> None:
    server.fail("big.bin", Fault(status=429, headers={"Retry-After": "3600"}))
    with pytest.raises(SourceError, match="HTTP 429"):
        get()


def test_a_trickle_is_given_up_and_gone_on_with(server: FileServer, get: Get, tmp_path: Path) -> None:
    trickle = Fault(drip=1, pause=0.05)
    server.fail("big.bin", trickle)
    get()
    assert kept(tmp_path) == {"big.bin": BIG}
    assert server.ranges("big.bin")[1].startswith("bytes=")
    server.fail("big.bin", replace(trickle, times=ALWAYS))
    with pytest.raises(SourceError, match=r"bytes in 0.2.* s, less than 1000 a second; run again"):
        get(store="other")


def test_silence_is_given_up(server: FileServer, get: Get) -> None:
    server.fail("big.bin", Fault(drip=1000, pause=60, times=ALWAYS))
    with pytest.raises(SourceError, match=r"cannot reach `127.0.0.1`: ReadTimeout.*; check the network"):
        get(policy=replace(POLICY, timeout=0.2, retries=0))


@pytest.mark.parametrize("length", ["chunked", "close"])
def test_an_answer_without_a_length(server: FileServer, get: Get, tmp_path: Path, length: str) -> None:
    server.fail("big.bin", Fault(length=length, cut=300_000), *[Fault(length=length)] * 9)
    if length == "close":  # nothing tells a cut from the end
        with pytest.raises(SourceError, match="gives no length, so that a cut looks like the end; add `size` or `sha"):
            get()
        server.fail("big.bin", Fault(length=length, cut=300_000), *[Fault(length=length)] * 9)
        get(size=len(BIG))
        assert "bytes=300000-" in server.ranges("big.bin")
    else:
        get()
    assert kept(tmp_path) == {"big.bin": BIG}


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"Content-Type": "text/html; charset=utf-8"}, "gives a web page; look at https://pages.test/mine, which may"),
        ({"Content-Encoding": "gzip"}, "packs the file as `gzip`"),
    ],
)
def test_what_is_no_file_is_refused(server: FileServer, get: Get, extra: dict[str, str], message: str) -> None:
    server.fail("big.bin", Fault(extra=extra))
    with pytest.raises(SourceError, match=message):
        get()
    assert len(server.log) == 1


def test_redirects_are_followed_to_checked_addresses(server: FileServer, get: Get, tmp_path: Path) -> None:
    server.fail("old.bin", Fault(status=302, headers={"Location": "../big.bin"}))
    get("old.bin")
    assert kept(tmp_path) == {"old.bin": BIG}
    inside = [server.url("big.bin", "localhost"), "http://10.0.0.1/x", "http://169.254.169.254/latest/meta-data"]
    for location in inside:
        server.fail("new.bin", Fault(status=307, headers={"Location": location}, times=ALWAYS))
        server.log.clear()
        with pytest.raises(SourceError, match=r"refused: .* an address that is not public; .*VLMIX_PRIVATE_HOSTS"):
            get("new.bin")
        assert [hit.path for hit in server.log] == ["new.bin"]
    server.fail("new.bin", Fault(status=307, headers={"Location": inside[0]}))
    assert get("new.bin", private=("127.0.0.1", "LOCALHOST"))["new.bin"].sha256 == sha256(BIG)


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("/loop.bin", "more than 5 redirects"),
        ("file:///etc/passwd", "refused: scheme `file`"),
        ("http://me:secret@127.0.0.1/x", "refused: credentials in a URL are not sent"),
        ("http://a..b/x", "no address that can be asked"),
    ],
)
def test_redirects_that_lead_nowhere(server: FileServer, get: Get, location: str, message: str) -> None:
    server.fail("loop.bin", Fault(status=302, headers={"Location": location}, times=ALWAYS))
    with pytest.raises(SourceError, match=message) as found:
        get("loop.bin")
    assert "secret" not in str(found.value)


def test_this_machine_is_refused_unless_it_is_named(server: FileServer, get: Get) -> None:
    with pytest.raises(SourceError, match=r"`127.0.0.1` is at 127.0.0.1, an address that is not public"):
        get(private=())
    assert not server.log


def test_a_host_that_nobody_knows(get: Get) -> None:
    with pytest.raises(SourceError, match=r"no address for `nobody.invalid`: .*; check `url` and the network"):
        get(url="http://nobody.invalid/x")


@pytest.mark.parametrize("by_variable", [True, False])
def test_offline(server: FileServer, get: Get, monkeypatch: pytest.MonkeyPatch, by_variable: bool) -> None:
    first = get()
    server.log.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1" if by_variable else "0")
    policy = replace(POLICY, offline=not by_variable)
    assert get(policy=policy) == first
    with pytest.raises(SourceError, match=r"`data/notes.txt`: offline, and not all of it is on this disk; run once"):
        get("notes.txt", policy=policy)
    with pytest.raises(SourceError, match=r"`data/big.bin`: offline"):
        get(policy=policy, update=True)
    assert not server.log


def test_one_failure_stops_the_other_files(server: FileServer, get: Get, tmp_path: Path) -> None:
    server.fail("big.bin", Fault(drip=1000, pause=0.01))
    with pytest.raises(SourceError, match=r"none.bin`: HTTP 404"):
        get("big.bin", "none.bin")
    assert kept(tmp_path) == {}


def test_too_little_space_is_said_before(server: FileServer, get: Get) -> None:
    server.fail("notes.txt", Fault(extra={"Content-Length": str(1 << 60)}, length="none"))
    with pytest.raises(StoreError, match=rf"cannot write to .*: {1 << 60} bytes to come, \d+ bytes free; free space"):
        get("notes.txt")


@pytest.mark.parametrize("text", ["{", "[]", '{"downloads": {"http://a.test/x": {"sha256": "0"}}}'])
def test_a_damaged_lock_stops(get: Get, tmp_path: Path, text: str) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "sources.lock").write_text(text)
    with pytest.raises(StoreError, match=r"sources.lock`: .*; restore it from a copy, or delete it") as found:
        get()
    assert "\n" not in str(found.value)


CHILD = """
import json, sys
from pathlib import Path
from sources.direct import download
from sources.download import Download
url, folder, lock = sys.argv[1:]
download("mine", files=(Download(url=url, path="data/big.bin"),), folder=Path(folder), lock=Path(lock),
         private=("127.0.0.1",))
"""


@pytest.mark.integration
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_killed_run_goes_on(server: FileServer, get: Get, tmp_path: Path, share: float) -> None:
    store = tmp_path / "store"
    server.fail("big.bin", Fault(drip=4000, pause=0.005))
    command = [sys.executable, "-c", CHILD, server.url("big.bin"), str(store / "mine"), str(store / "sources.lock")]
    with subprocess.Popen(command, cwd=ROOT) as child:
        folder = store / "mine" / ".downloads"
        while child.poll() is None and sum(part.stat().st_size for part in folder.glob("*.part")) < share * len(BIG):
            time.sleep(0.005)
        os.kill(child.pid, signal.SIGKILL)
    assert kept(tmp_path) == {}
    server.log.clear()
    get()
    assert kept(tmp_path) == {"big.bin": BIG}
    assert sum(hit.sent for hit in server.log) <= (1.01 - share) * len(BIG)


@pytest.mark.parametrize("step", ["whole", "checked", "locked", "moved"])
def test_a_kill_between_the_last_steps(server: FileServer, get: Get, tmp_path: Path, step: str) -> None:
    get()
    folder, url = tmp_path / "store" / "mine", server.url("big.bin")
    entry = locked(tmp_path)[url]
    begun = {"size": len(BIG), "etag": entry["etag"], "modified": entry["modified"], "strong": entry["etag"]}
    server.fail("big.bin", Fault(cut=1), Fault(status=404))
    (folder / "data" / "big.bin").rename(tmp_path / "big.bin")
    with pytest.raises(SourceError):
        get()
    (state,) = (folder / ".downloads").glob("*.json")
    state.write_text(json.dumps(begun if step == "whole" else {**begun, "sha256": sha256(BIG)}))
    (tmp_path / "big.bin").rename(folder / "data" / "big.bin" if step == "moved" else state.with_suffix(".part"))
    if step == "moved":
        state.with_suffix(".part").unlink()
    if step in {"whole", "checked"}:
        (tmp_path / "store" / "sources.lock").unlink()
    server.log.clear()
    get()
    assert kept(tmp_path) == {"big.bin": BIG} and locked(tmp_path)[url] == entry
    assert not server.log and not list((folder / ".downloads").iterdir())
