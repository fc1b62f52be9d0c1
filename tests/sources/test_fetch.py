"""Downloads from a real server on this machine: every outcome, no way inside, no answer asked for twice."""

import gzip
import hashlib
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest

from shards.errors import SourceError
from shards.pack import PictureReader
from shards.store import Box
from sources.fetch import CHUNK_URLS, download
from sources.gather import Gathered, read_rows
from sources.policy import FetchPolicy
from sources.spec import Source

HOST = "pictures.test"
SOURCE = Source(name="s", layout="pixmo_cap")


class Answer(NamedTuple):
    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


def to(location: str, status: int = 302) -> Answer:
    return Answer(status, b"moved", (("Location", location),))


class Server(ThreadingHTTPServer):
    """Answers a path with the next of its answers, the last one for ever; an unknown path is 404."""

    daemon_threads = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, list[Answer]] = {}
        self.asked: Counter[str] = Counter()
        self.hosts: list[str] = []
        self.crowd: tuple[int, threading.Condition] = (0, threading.Condition())
        self.busy: Counter[str] = Counter()
        self.peak: Counter[str] = Counter()
        self.stop = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients hang up on purpose here."""

    def answer(self, path: str) -> Answer:
        with self.crowd[1]:
            self.asked[path] += 1
            answers = self.answers.get(path, [Answer(404)])
            return answers[min(self.asked[path], len(answers)) - 1]


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        host = self.headers["Host"]
        self.server.hosts.append(host)
        self._wait_in_crowd(host)
        answer = self.server.answer(self.path)
        self.send_response(answer.status)
        for name, value in (*answer.headers, ("Content-Length", str(len(answer.body)))):
            self.send_header(name, value)
        self.end_headers()
        if self.path.startswith("/slow"):
            self.wfile.write(answer.body[:5])
            self.wfile.flush()
            self.server.stop.wait(10)
        else:
            self.wfile.write(answer.body)

    def _wait_in_crowd(self, host: str) -> None:
        """Stay until as many requests are here as are expected, and a moment for one too many."""
        size, change = self.server.crowd
        if not size:
            return
        with change:
            for name in (host, "all"):
                self.server.busy[name] += 1
                self.server.peak[name] = max(self.server.peak[name], self.server.busy[name])
            change.notify_all()
            change.wait_for(lambda: self.server.peak["all"] >= size, 5)
            change.wait_for(lambda: self.server.peak["all"] > size, 0.05)
            for name in (host, "all"):
                self.server.busy[name] -= 1

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.stop.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def fetch(server: Server, tmp_path: Path):
    """Download paths of the server, or whole URLs, into the box of a store; gives what was gathered by path."""

    def run(*paths: str | tuple[str, str | None], store: str = "store", **policy: object) -> dict[str, Gathered]:
        pairs = [path if isinstance(path, tuple) else (path, None) for path in paths]
        refs = [(url_of(path), sha) for path, sha in pairs]
        bounds = {"backoff": 0.0, "retries": 1, "resolve": {HOST: f"127.0.0.1:{server.server_port}"}, **policy}
        box = Box(tmp_path / store, "pictures/s/0123")
        download(box, SOURCE, refs, FetchPolicy(**bounds))
        gathered = {row.ref: row for row in read_rows(box.path / "gathered.parquet")}
        return {path: gathered[url_of(path)] for path, _ in pairs}

    return run


def url_of(path: str) -> str:
    return f"http://{HOST}{path}" if path.startswith("/") and not path.startswith("//") else path


def files(folder: Path) -> dict[str, str]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def test_a_picture_arrives_as_it_was_sent(server: Server, fetch, png, tmp_path: Path) -> None:
    server.answers["/a.png?size=2&x=%20"] = [Answer(200, png(1), (("Content-Type", "text/html"),))]
    row = fetch("/a.png?size=2&x=%20")["/a.png?size=2&x=%20"]
    assert row.image is not None
    assert PictureReader(str(tmp_path / "store"))(row.image) == png(1)
    assert server.hosts == [HOST]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(404), "download_404"),
        (Answer(410), "download_410"),
        (Answer(403), "download_403"),
        (Answer(204), "download_204"),
        (Answer(302), "download_302"),
        (Answer(200, b"<!doctype html>gone"), "download_not_picture"),
        (Answer(200, b""), "picture_empty"),
        (Answer(200, b"no gzip", (("Content-Encoding", "gzip"),)), "download_undecodable"),
        (to("http://127.0.0.1:{port}/ok.png"), "download_refused"),
        (to("//127.0.0.1:{port}/ok.png"), "download_refused"),
        (to("http://localhost:{port}/ok.png"), "download_refused"),
        (to("http://169.254.169.254/latest/meta-data"), "download_refused"),
        (to("file:///etc/passwd"), "download_refused"),
        (to("ftp://127.0.0.1/ok.png"), "download_refused"),
        (to("http://a..b/ok.png"), "download_bad_url"),
    ],
)
def test_a_lasting_answer_is_asked_for_once(server: Server, fetch, png, answer: Answer, reason: str) -> None:
    headers = tuple((name, value.format(port=server.server_port)) for name, value in answer.headers)
    server.answers = {"/a.png": [answer._replace(headers=headers)], "/ok.png": [Answer(200, png())]}
    gathered = fetch("/a.png", "/ok.png")
    assert gathered["/a.png"].reason == reason
    assert gathered["/ok.png"].image
    assert server.asked == {"/a.png": 1, "/ok.png": 1}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(server: Server, fetch, png, status: int) -> None:
    server.answers = {
        "/a.png": [to("/b/c.png", status)],
        "/b/c.png": [to("../d.png", status)],
        "/d.png": [to(f"http://other.{HOST}:8080/e.png", status)],
        "/e.png": [Answer(200, png())],
    }
    here = f"127.0.0.1:{server.server_port}"
    gathered = fetch("/a.png", resolve={HOST: here, f"other.{HOST}": here}, max_redirects=3)
    assert gathered["/a.png"].image
    assert server.hosts == [HOST, HOST, HOST, f"other.{HOST}:8080"]


def test_endless_redirects_end(server: Server, fetch) -> None:
    server.answers["/a.png"] = [to("/a.png")]
    assert fetch("/a.png", max_redirects=4)["/a.png"].reason == "download_redirects"
    assert server.asked["/a.png"] == 5


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "2130706433", "127.1", "0x7f000001", "[::ffff:127.0.0.1]"],
)
def test_this_machine_is_refused_unless_it_is_named(server: Server, fetch, host: str) -> None:
    url = f"http://{host}:{server.server_port}/a.png"
    row = fetch(url)[url]
    assert row.reason == "download_refused"
    assert "an address that is not public" in row.message
    assert not server.asked


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "[fd00::1]", "100.64.0.1"]
)
def test_private_addresses_are_refused(fetch, host: str) -> None:
    url = f"https://{host}/a.png"
    assert fetch(url)[url].reason == "download_refused"


def test_a_server_of_ones_own_is_asked_when_it_is_named(server: Server, fetch, png) -> None:
    server.answers["/a.png"] = [Answer(200, png(1))]
    url = f"http://127.0.0.1:{server.server_port}/a.png"
    assert fetch(url, private=frozenset({"localhost"}))[url].reason == "download_refused"
    assert fetch(url, store="own", private=frozenset({"127.0.0.1"}))[url].image is not None


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://[::1", "download_bad_url"),
        ("http:///a.png", "download_bad_url"),
        ("http://host:port/a.png", "download_bad_url"),
        (f"http://{HOST}:99999/a.png", "download_bad_url"),
        ("http://a..b/a.png", "download_bad_url"),
        (f"http://{'a' * 64}.test/a.png", "download_bad_url"),
        ("http://xn--a/a.png", "download_bad_url"),
        ("http://host/\x00", "download_bad_url"),
        ("no scheme", "download_refused"),
        ("", "download_refused"),
    ],
)
def test_a_url_that_can_never_work_costs_its_row_only(server: Server, fetch, png, url: str, reason: str) -> None:
    server.answers["/ok.png"] = [Answer(200, png())]
    gathered = fetch(url, "/ok.png")
    assert gathered[url].reason == reason
    assert gathered["/ok.png"].image


def test_expected_bytes_are_compared(server: Server, fetch, png) -> None:
    sha256 = hashlib.sha256(png(1)).hexdigest()
    server.answers = {name: [Answer(200, png(seed))] for name, seed in (("/a", 1), ("/b", 1), ("/c", 2))}
    gathered = fetch(("/a", sha256), ("/b", sha256.upper()), ("/c", sha256))
    assert [row.reason for row in gathered.values()] == ["", "", "download_sha256"]
    assert gathered["/c"].message.startswith(f"expected sha256 {sha256[:12]}..")


@pytest.mark.parametrize("packed", [False, True])
def test_a_body_above_the_limit_is_refused(server: Server, fetch, png, packed: bool) -> None:
    small, large = png(1), png(2) + bytes(10_000)
    headers = (("Content-Encoding", "gzip"),) if packed else ()
    server.answers = {
        "/small": [Answer(200, small)],
        "/large": [Answer(200, gzip.compress(large) if packed else large, headers)],
    }
    gathered = fetch("/small", "/large", max_bytes=len(large) - 1)
    assert (gathered["/small"].reason, gathered["/large"].reason) == ("", "download_too_large")
    assert fetch("/large", store="other", max_bytes=len(large))["/large"].image


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_passing_failure_is_tried_again(server: Server, fetch, png, status: int) -> None:
    server.answers["/a.png"] = [Answer(status), Answer(status), Answer(200, png())]
    assert fetch("/a.png", retries=2)["/a.png"].image
    assert server.asked["/a.png"] == 3


def test_a_failure_for_ever_keeps_the_others_of_its_chunk(server: Server, fetch, png, tmp_path: Path) -> None:
    server.answers = {"/a.png": [Answer(500)], "/ok.png": [Answer(200, png())]}
    message = (
        r"^source `s`: 1 of 2 URLs gave no lasting answer, first `http://pictures.test/a.png`: HTTP 500; run again"
    )
    with pytest.raises(SourceError, match=message):
        fetch("/ok.png", "/a.png", retries=2)
    assert server.asked == {"/a.png": 3, "/ok.png": 1}
    body = f"0-{hashlib.sha256(png()).hexdigest()}"
    assert files(tmp_path / "store").keys() == {f"pictures/s/0123/spool/00000/{body}"}


def test_a_slow_body_is_a_passing_failure(server: Server, fetch, png) -> None:
    server.answers["/slow.png"] = [Answer(200, png())]
    with pytest.raises(SourceError, match="TimeoutError"):
        fetch("/slow.png", timeout=0.2, retries=1)
    assert server.asked["/slow.png"] == 2


def test_a_refused_connection_is_a_passing_failure(fetch) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as nobody:
        port = nobody.getsockname()[1]
    with pytest.raises(SourceError, match=r"1 of 1 URLs gave no lasting answer.*ConnectError"):
        fetch("/a.png", resolve={HOST: f"127.0.0.1:{port}"})


@pytest.mark.parametrize(
    ("bounds", "peaks"),
    [
        ({"concurrency": 64, "per_host": 3}, {HOST: 3, f"b.{HOST}": 3, "all": 6}),
        ({"concurrency": 4, "per_host": 64}, {"all": 4}),
    ],
)
def test_limits_of_requests_at_a_time_hold(
    server: Server, fetch, png, bounds: dict[str, int], peaks: dict[str, int]
) -> None:
    paths = [f"/{number}.png" for number in range(8)]
    server.answers = {path: [Answer(200, png())] for path in paths}
    server.crowd = (peaks["all"], server.crowd[1])
    here = f"127.0.0.1:{server.server_port}"
    fetch(*paths, *(f"http://b.{HOST}{path}" for path in paths), resolve={HOST: here, f"b.{HOST}": here}, **bounds)
    assert {name: server.peak[name] for name in peaks} == peaks


def test_two_runs_write_equal_bytes(server: Server, fetch, png, tmp_path: Path) -> None:
    paths = [f"/{number}.png" for number in range(30)]
    server.answers = {path: [Answer(200, png(number % 7))] for number, path in enumerate(paths) if number % 5}
    one, two = (fetch(*paths, store=store, concurrency=bound) for store, bound in (("one", 1), ("two", 30)))
    assert one == two
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert len({row.image for row in one.values() if row.image}) == 7


@pytest.mark.parametrize("broken", ["/first.png", "/last.png"])
def test_finished_chunks_are_not_asked_for_again(server: Server, fetch, png, broken: str, tmp_path: Path) -> None:
    # addresses without a host fill the first chunk, because nobody must be asked about them
    nowhere = [f"http:///{number}.png" for number in range(CHUNK_URLS - 2)]
    chunks = [{"/first.png", "/same.png"}, {"/last.png", "/same.png?2"}]
    paths = ["/same.png", "/first.png", *nowhere, "/last.png", "/same.png?2"]
    server.answers = {path: [Answer(200, png(1))] for path in ("/same.png", "/same.png?2")}
    fetch(*paths, store="undisturbed")
    server.asked.clear()
    server.answers[broken] = [Answer(500)]
    with pytest.raises(SourceError, match=f"1 of {len(paths)} URLs"):
        fetch(*paths, retries=0)
    finished = 1 if broken in chunks[0] else 0
    kept = {name: sha for name, sha in files(tmp_path / "store/pictures/s/0123").items() if "spool" not in name}
    assert kept.keys() == {f"log-{finished:05d}.parquet", f"pictures-{finished:05d}-00000.arrow"}

    server.answers[broken] = [Answer(404)]
    fetch(*paths)
    assert {path for path, times in server.asked.items() if times > 1} == {broken}
    # whichever chunk came first, the bytes are those of a run that nothing disturbed
    assert files(tmp_path / "store") == files(tmp_path / "undisturbed")
    server.asked.clear()
    fetch(*paths)
    assert not server.asked


def test_no_urls_are_a_finished_box(fetch) -> None:
    assert fetch() == {}
