"""Hostile samples and hostile sites, in a real browser: nothing runs, nothing leaks, nothing breaks the page."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from page_browser import PATIENCE, current, enter, press
from page_mix import HOSTILE, queue, serving
from playwright.sync_api import Browser, Page, expect

from review.answer import Journal
from shards.store import Store

pytestmark = pytest.mark.integration

INTACT = """() => {
  const count = selector => document.querySelectorAll(selector).length;
  const odd = each => [...each.attributes].some(one => /^on|^style$/.test(one.name));
  return {
    hit: typeof window.hit, scripts: document.scripts.length, styles: document.styleSheets.length,
    frames: window.length, articles: count("article"), forms: document.forms.length, bases: count("base"),
    handlers: [...document.querySelectorAll("*:not(#zoom img)")].filter(odd).length,
    links: [...document.links].filter(each => each.origin !== location.origin).length,
    keep: document.querySelector("[data-key=k]").getBoundingClientRect().bottom <= innerHeight,
  };
}"""
AS_IT_IS = {
    "hit": "undefined",
    "scripts": 1,
    "styles": 1,
    "frames": 0,
    "articles": 1,
    "forms": 2,
    "bases": 0,
    "handlers": 0,
    "links": 0,
    "keep": True,
}


@contextmanager
def watched(page: Page, url: str) -> Iterator[list[str]]:
    """What a page complains of, and what it asks of others."""
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    page.on("request", lambda request: None if request.url.startswith(url) else told.append(request.url))
    page.on("popup", lambda popup: told.append(f"popup {popup.url}"))
    yield told


def test_hostile_samples_stay_text(browser: Browser, page_store: Store) -> None:
    found = queue(page_store, "hostile")
    with serving(page_store.root, "hostile") as served:
        page = enter(browser, served.url, "<img src=x onerror=alert(1)>")
        with watched(page, served.url) as told:
            for turn in range(len(HOSTILE)):
                item = found.item(found.place(current(page)))
                assert page.evaluate(INTACT) == AS_IT_IS, item.key
                assert page.evaluate("document.querySelector('button.picture img').decode().then(() => true)")
                shown = page.locator(".turn.assistant .text").first.text_content()
                assert "\u202e" not in (page.locator("body").text_content() or "")
                assert shown and (shown.startswith(item.messages[1].text[:3]) or shown.startswith("U+"))
                assert page.title() == f"Item {turn + 1} of {len(HOSTILE)} - vlmix review"
                page.keyboard.press("t" if turn % 2 else "z")
                page.keyboard.press("Escape")
                if turn < len(HOSTILE) - 1:
                    press(page, "k")
                else:
                    page.keyboard.press("k")
            expect(page.locator("#heading")).to_have_text("Nothing left here", timeout=PATIENCE)
            assert told == []
    answers = Journal(page_store.root / "review").read()
    assert [each.item for each in answers] == found.table["item"].to_list()


@pytest.mark.parametrize("name", ["line", "words"])
def test_two_megabytes_in_one_line_can_be_read_and_answered(browser: Browser, page_store: Store, name: str) -> None:
    found = queue(page_store, "hostile")
    item = next(item for item in found if f"/{name} <b>" in item.key)
    text = item.messages[1].text
    assert len(text) > 1_000_000
    with serving(page_store.root, "hostile") as served:
        page = enter(browser, f"{served.url}?item={item.id}", "ann")
        with watched(page, served.url) as told:
            answer = page.locator(".turn.assistant")
            before = answer.locator(".text").count()
            for more in (1, 2, 3):
                answer.locator(".fold button").last.click()
                page.wait_for_function(
                    "([more, least]) => document.querySelectorAll('.turn.assistant .text').length >= least + more",
                    arg=[more, before],
                )
            assert page.evaluate(INTACT) == AS_IT_IS
            whole = page.context.request.get(f"{served.url}text/{item.id}/1")
            assert whole.body().decode() == text
            press(page, "d")
            assert told == []
    assert [(each.item, each.choice) for each in Journal(page_store.root / "review").read()] == [(item.id, "drop")]


EVIL = """<!doctype html>
<title>evil</title>
<iframe name="inside"></iframe>
<iframe src="TARGET/"></iframe>
<img src="TARGET/picture/PICTURE">
<script src="TARGET/static/page.js"></script>
<form method="post" action="TARGET/answer" target="inside" enctype="text/plain">
  <input name='ANSWER, "note": "' value='"}'>
</form>
<script>
  document.forms[0].submit();
  const send = (mode, type) => fetch("TARGET/answer", {
    method: "POST", mode, credentials: "include", headers: { "content-type": type }, body: 'ANSWER}',
  }).then(reply => reply.type, () => "refused");
  const sent = ["no-cors", "cors"].flatMap(mode => ["text/plain", "application/json"].map(type => send(mode, type)));
  const read = fetch("TARGET/", { credentials: "include" }).then(reply => reply.text(), () => "refused");
  Promise.all([...sent, read]).then(done => { document.title = done.join(" "); });
</script>"""


@contextmanager
def evil_site(target: str, item: str, seen: str, picture: str) -> Iterator[str]:
    """Another site that does to the page what sites can."""
    answer = f'{{"answer_id": "{"0" * 32}", "item": "{item}", "seen": "{seen}", "choice": "drop"'
    html = EVIL.replace("TARGET/", target).replace("PICTURE", picture).replace("ANSWER", answer)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=web.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://localhost:{web.server_port}/"
    finally:
        web.shutdown()
        thread.join()
        web.server_close()


def test_another_site_gets_nothing_and_does_nothing(browser: Browser, built_store: Path) -> None:
    found = queue(Store(built_store), "plain")
    item = next(item for item in found if item.pictures)
    seen = found.table["seen"][found.place(item.id)]
    with serving(built_store, "plain") as served:
        page = enter(browser, served.url, "ann")
        picture = f"{item.id}/{item.pictures[0].sha256}"
        with evil_site(served.url, item.id, seen, picture) as site:
            page.goto(site)
            page.wait_for_function("document.title !== 'evil'")
            assert page.title().split()[-1] == "refused"
            assert page.evaluate("document.querySelector('img').naturalWidth") == 0
            framed = page.frame(url=served.url)
            assert framed is None or framed.locator("#item").count() == 0
    assert Journal(built_store / "review").read() == []
