"""The real server, asked by a client that is no browser: what it refuses, what it keeps, what it survives."""

import io
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
from commands import ROOT, environment
from page_mix import HOSTILE, SHELL, Served, queue, serving, start
from PIL import Image

from review.answer import Journal
from review.page_guard import HEADERS, MAX_BODY
from review.page_told import MAX_BULK
from shards.store import Store

pytestmark = [pytest.mark.integration, pytest.mark.long]

TRUSTED_ONLY = re.compile(
    r"<(?:script>|style|iframe|object|base|form a|img(?! src=./pic| alt=\"\")|svg(?! viewBox)|details|a id)"
)
SECRET = re.compile(r'name="csrf" content="([0-9a-f]{64})"')


@dataclass(frozen=True)
class Visitor:
    """A browser's worth of cookies, and the secret of its page."""

    client: httpx.Client
    secret: str

    @property
    def base(self) -> str:
        return str(self.client.base_url).rstrip("/")

    def post(self, path: str, body: object, **headers: str) -> httpx.Response:
        own = {"origin": self.base, "x-csrf-token": self.secret}
        return self.client.post(path, json=body, headers={**own, **headers})

    def answer(self, item: str, seen: str, choice: str, **more: object) -> httpx.Response:
        return self.post(
            "/answer", {"answer_id": os.urandom(16).hex(), "item": item, "seen": seen, "choice": choice, **more}
        )


@contextmanager
def visiting(served: Served, name: str = "ann") -> Iterator[Visitor]:
    with httpx.Client(base_url="/".join(served.url.split("/")[:3]), timeout=60) as client:
        if served.token:
            assert client.get("/enter", params={"token": served.token}).status_code == 303
        found = SECRET.search(client.get("/").text)
        assert found
        visitor = Visitor(client, found[1])
        visitor.post("/name", {"name": name}).raise_for_status()
        yield visitor


@pytest.fixture(scope="module")
def plain(built_store: Path) -> Iterator[Served]:
    """A server that no test answers."""
    with serving(built_store, "plain") as served:
        yield served


@pytest.fixture(scope="module")
def hostile(built_store: Path) -> Iterator[Served]:
    with serving(built_store, "hostile") as served:
        yield served


@pytest.fixture(scope="module")
def visitor(plain: Served) -> Iterator[Visitor]:
    with visiting(plain) as found:
        yield found


@pytest.fixture(scope="module")
def rows(built_store: Path) -> list[dict[str, Any]]:
    return list(queue(Store(built_store), "plain").table.iter_rows(named=True))


@pytest.mark.parametrize("path", ["/", "/item", "/static/page.js", "/nowhere", "/who", "/text/r0/0", "/picture/x/y"])
def test_every_answer_has_the_headers(plain: Served, path: str) -> None:
    reply = httpx.get(plain.url + path.lstrip("/"), timeout=60)
    assert {name: reply.headers.get(name) for name in HEADERS} == HEADERS
    assert "unsafe" not in reply.headers["content-security-policy"]
    assert "server" not in reply.headers


def test_pages_have_no_inline_script_or_style(plain: Served, visitor: Visitor) -> None:
    for text in (httpx.get(plain.url).text, visitor.client.get("/").text, visitor.client.get("/item").json()["html"]):
        assert not re.search(r"<style|\sstyle=|<script(?! src=\"/static/page\.js\")|\son\w+=|javascript:", text)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"host": "evil.invalid"}, 421),
        ({"host": "evil.invalid:8765"}, 421),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}, 403),
        ({}, 200),
    ],
)
def test_visits_that_are_refused(plain: Served, headers: dict[str, str], expected: int) -> None:
    reply = httpx.get(plain.url, headers=headers, timeout=60)
    assert reply.status_code == expected
    assert expected == 200 or "set-cookie" not in reply.headers or "session" in reply.headers["set-cookie"]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"host": "evil.invalid", "origin": "http://evil.invalid"}, 421),
        ({"origin": "http://evil.invalid"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"x-csrf-token": "0" * 64}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
    ],
)
def test_answers_of_other_sites_are_refused(
    visitor: Visitor, built_store: Path, rows: list[dict[str, Any]], headers: dict[str, str], expected: int
) -> None:
    body = {"answer_id": "0" * 32, "item": rows[0]["item"], "seen": rows[0]["seen"], "choice": "keep"}
    assert visitor.post("/answer", body, **headers).status_code == expected
    assert Journal(built_store / "review").read() == []


def test_bodies_are_bounded(visitor: Visitor, rows: list[dict[str, Any]]) -> None:
    body = {"answer_id": "0" * 32, "item": rows[0]["item"], "seen": rows[0]["seen"], "choice": "keep"}
    assert visitor.post("/answer", {**body, "note": "x" * 4001}).status_code == 422
    assert visitor.post("/answer", {**body, "note": "x" * MAX_BODY}).status_code == 413
    own = {"origin": visitor.base, "x-csrf-token": visitor.secret, "content-type": "application/json"}
    chunks = (b" " * 1000 for _ in range(100))  # a body that does not say its length
    assert visitor.client.post("/answer", content=chunks, headers=own).status_code == 413
    group = {"answer_id": "0" * 32, "item": rows[0]["item"], "by": "template", "choice": "drop"}
    assert visitor.post("/answer-group", {**group, "items": [rows[0]["item"]] * (MAX_BULK + 1)}).status_code == 422


@pytest.mark.parametrize(
    "change",
    [
        {"choice": "undo"},
        {"choice": "<script>"},
        {"item": "r1"},
        {"item": "r" + "0" * 20},
        {"seen": "0" * 20},
        {"answer_id": ""},
        {"answer_id": "../../x"},
        {"reviewer": "bob"},
        {"wanted": {"status": "x"}},
    ],
)
def test_answers_that_make_no_sense_are_refused(
    visitor: Visitor, rows: list[dict[str, Any]], built_store: Path, change: dict[str, object]
) -> None:
    body = {"answer_id": "0" * 32, "item": rows[0]["item"], "seen": rows[0]["seen"], "choice": "keep"}
    assert visitor.post("/answer", {**body, **change}).status_code in {404, 409, 422}
    assert Journal(built_store / "review").read() == []


@pytest.mark.parametrize("name", ["", "  ", "x" * 81, "a\u202eb", "a\nb", "\x00"])
def test_names_are_readable(visitor: Visitor, name: str) -> None:
    assert visitor.post("/name", {"name": name}).status_code == 422


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py",
        "/static/..%2fserver.py",
        "/static/%2e%2e/server.py",
        "/static/page.py",
        "/static//etc/passwd",
        "/templates/page.html",
        "/text/{item}/../../../../etc/passwd",
        "/text/{item}/-1",
        "/text/{item}/99",
        "/text/..%2f..%2fetc%2fpasswd/0",
        "/picture/{item}/..%2f..%2f..%2fetc%2fpasswd",
        "/picture/{item}/%00",
        "/picture/{item}/" + "0" * 64,
        "/picture/{item}/{other}",
        "/picture/{item}/{own}?size=../x",
        "/part?item={item}&turn=0&start=9999&end=99999999",
        "/part?item={item}&turn=9&start=0&end=1",
        "/part?item={item}&turn=-1&start=0&end=1",
        "/part?item={item}&turn=0&start=-5&end=1",
        "/part?item=../x&turn=0&start=0&end=1",
        "/group?item={item}&by=key",
        "/enter?token=x",
        "/docs",
        "/openapi.json",
    ],
)
def test_paths_lead_nowhere_else(visitor: Visitor, built_store: Path, rows: list[dict[str, Any]], path: str) -> None:
    found = queue(Store(built_store), "plain")
    with_pictures = [found.item(place) for place in range(len(found)) if found.item(place).pictures]
    item = with_pictures[0]
    own = item.pictures[0].sha256
    other = next(each.pictures[0].sha256 for each in with_pictures if each.pictures[0].sha256 != own)
    asked = path.format(item=item.id, own=own, other=other)
    reply = visitor.client.get(httpx.URL(visitor.base).copy_with(raw_path=asked.encode()))
    assert reply.status_code in {404, 422}
    assert "root:" not in reply.text and "import" not in reply.text


def test_pictures_are_encoded_anew(built_store: Path, hostile: Served) -> None:
    found = queue(Store(built_store), "hostile")
    item = found.item(0)
    original = found.picture(item.pictures[0].sha256)
    assert SHELL.encode() in original
    with visiting(hostile) as visitor:
        for size in ("fit", "full"):
            reply = visitor.client.get(f"/picture/{item.id}/{item.pictures[0].sha256}", params={"size": size})
            assert reply.headers["content-type"] == "image/png"
            assert b"script" not in reply.content
            assert Image.open(io.BytesIO(reply.content)).size == (640, 480)


@pytest.mark.parametrize("name", [*HOSTILE])
def test_hostile_texts_come_back_as_texts(built_store: Path, hostile: Served, name: str) -> None:
    found = queue(Store(built_store), "hostile")
    item = next(item for item in found if f"/{name} <b>" in item.key)
    with visiting(hostile, f"<b>{name}") as visitor:
        whole = visitor.client.get(f"/text/{item.id}/1")
        assert whole.headers["content-type"] == "text/plain; charset=utf-8"
        assert whole.content.decode() == item.messages[1].text
        for html in (
            visitor.client.get("/", params={"item": item.id}).text,
            visitor.client.get("/group", params={"item": item.id, "by": "template"}).text,
        ):
            assert len(html) < 400_000
            assert not TRUSTED_ONLY.search(html)
            assert "\u202e" not in html and str(7 * 191) not in html.replace(item.id, "")


def test_a_token_is_needed_elsewhere_and_works_once_it_is_a_cookie(built_store: Path) -> None:
    with serving(built_store, "plain", "--host", "0.0.0.0") as served:
        assert served.token and len(served.token) >= 40
        port = served.port
        base = f"http://127.0.0.1:{port}"
        for path in ("/", "/item", "/static/page.js", "/who", f"/?token={served.token}"):
            assert httpx.get(base + path, timeout=60).status_code == 401
        assert httpx.get(f"{base}/enter", params={"token": served.token[:-1]}, timeout=60).status_code == 401
        assert httpx.get(base, headers={"host": "evil.invalid"}, timeout=60).status_code == 421
        with httpx.Client(base_url=base, timeout=60) as client:
            entered = client.get("/enter", params={"token": served.token})
            assert (entered.status_code, entered.headers["location"]) == (303, "/")
            assert "httponly" in entered.headers["set-cookie"].lower()
            assert client.get("/").status_code == 200


def test_an_own_token_is_taken_and_a_short_one_is_not(built_store: Path) -> None:
    with serving(built_store, "plain", "--token", "0123456789abcdef") as served:
        assert served.token == "0123456789abcdef"
        assert httpx.get(served.url.split("?")[0], timeout=60).status_code == 401
        with visiting(served) as visitor:
            assert visitor.client.get("/item").status_code == 200
        command = [sys.executable, "-m", "flows.cli", "review", "serve", "plain", "--store", str(built_store)]
        for options, message in (
            (["--token", "short"], "at least 16 characters"),
            (["--port", str(served.port)], "choose another --port"),
            (["--host", "192.0.2.1"], "choose another --host"),
        ):
            done = subprocess.run(
                [*command, *options], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
            )
            assert (done.returncode, message in done.stderr) == (2, True), done.stderr


def test_an_answer_sent_twice_is_written_once_and_undo_takes_it_back(
    page_store: Store, rows: list[dict[str, Any]]
) -> None:
    members = [row["item"] for row in rows if row["cluster"]]
    alone = next(row for row in rows if not row["cluster"])
    body = {"answer_id": "a" * 32, "item": alone["item"], "seen": alone["seen"], "choice": "keep", "note": " n "}
    group = {"answer_id": "b" * 32, "item": members[0], "by": "cluster", "items": members, "choice": "drop"}
    with serving(page_store.root, "plain") as served, visiting(served) as ann, visiting(served, "bob") as bob:
        for _ in range(3):
            assert ann.post("/answer", body).json()["said"].startswith("Kept. Item")
        assert bob.answer(alone["item"], alone["seen"], "drop").status_code == 200
        for _ in range(2):
            assert f"Dropped {len(members)} items." in ann.post("/answer-group", group).json()["said"]
        stranger = {**group, "answer_id": "c" * 32, "items": [alone["item"], *members]}
        assert ann.post("/answer-group", stranger).status_code == 404
        for _ in range(2):
            undone = ann.post("/undo", {"answer_id": "d" * 32, "act": "b" * 32}).json()["said"]
            assert undone.startswith(f"Taken back for {len(members)} items.")
    told = Journal(page_store.root / "review").read()
    assert len(members) == 6
    assert Counter((each.reviewer, each.choice) for each in told) == {
        ("ann", "keep"): 1,
        ("bob", "drop"): 1,
        ("ann", "drop"): 6,
        ("ann", "undo"): 6,
    }
    assert {each.note for each in told} == {"", "n"}
    assert [each.bulk for each in told if each.reviewer == "ann" and each.choice == "drop"] == ["b" * 32] * 6


Given = dict[tuple[str, str], str]
"""Reviewer and act -> choice."""


def go_on(visitor: Visitor, name: str, rows: list[dict[str, Any]], given: Given, stop: Event) -> None:
    """Answer until told to stop; each answer is sent until it is taken."""
    draw = random.Random(name)
    while not stop.is_set():
        row = draw.choice(rows)
        choice, answer_id = draw.choice(["keep", "drop", "skip"]), draw.randbytes(16).hex()
        body = {"answer_id": answer_id, "item": row["item"], "seen": row["seen"], "choice": choice}
        while (name, answer_id) not in given:
            try:
                visitor.post("/answer", body).raise_for_status()
                given[name, answer_id] = choice
            except httpx.TransportError:
                time.sleep(0.01)


def test_killed_twenty_times_no_answer_is_lost_or_doubled(page_store: Store, rows: list[dict[str, Any]]) -> None:
    served = start(page_store.root, "plain", "--port", "0")
    given: Given = {}
    stop, draw = Event(), random.Random(20)
    with visiting(served) as ann, visiting(served, "bob") as bob, ThreadPoolExecutor() as pool:
        going = [pool.submit(go_on, who, name, rows, given, stop) for who, name in ((ann, "ann"), (bob, "bob"))]
        try:
            for _ in range(20):
                before = len(given)
                while len(given) == before:
                    assert not any(each.done() for each in going)
                    time.sleep(0.001)
                time.sleep(draw.uniform(0, 0.03))
                served.kill()
                served = start(page_store.root, "plain", "--port", str(served.port))
        finally:
            stop.set()
            for each in going:
                each.result()
            served.kill()
    told = Journal(page_store.root / "review").read()
    assert len(given) >= 20
    assert {(each.reviewer, each.answer_id): each.choice for each in told} == given
    assert len(told) == len(given)
