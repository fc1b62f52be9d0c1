"""The real page in a real browser: keyboard, undo, reload, many at once, two reviewers, a dead server, tablets."""

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from page_browser import PATIENCE, current, enter, press
from page_mix import Served, queue, serving, start
from playwright.sync_api import Browser, Page, expect

from review.answer import Answer, Journal, latest
from shards.store import Store

pytestmark = pytest.mark.integration

KEYS = {"keep": "k", "drop": "d", "skip": "s"}

CONTRAST = """() => {
  const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const found = rgb(getComputedStyle(at).backgroundColor);
      if (found.length < 4 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const ratio = each => {
    const [a, b] = [light(rgb(getComputedStyle(each).color)), light(behind(each))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  };
  return [...document.querySelectorAll("h1, h2, p, dt, dd, td, th, label, button:enabled, mark, .text, span, b, code")]
    .filter(each => each.innerText && each.getClientRects().length)
    .map(each => [ratio(each), each.outerHTML.slice(0, 80)]).sort((x, y) => x[0] - y[0])[0];
}"""
"""The least contrast of any text with what is behind it, as WCAG 2 has it, and where it is."""

SMALL = """() => [...document.querySelectorAll("button, select, input, a.button")]
  .filter(each => each.getClientRects().length && each.type !== "checkbox")
  .map(each => [each.getBoundingClientRect(), each.outerHTML.slice(0, 80)])
  .filter(([box]) => Math.min(box.width, box.height) < 44)"""
"""What is too small for a finger."""

UNNAMED = """() => [...document.querySelectorAll("button, select, input, img")]
  .filter(each => each.getClientRects().length)
  .filter(each => !(each.innerText || each.alt || each.ariaLabel || each.labels?.length)).length"""
IDS = "[...document.querySelectorAll('[id]')].map(each => each.id)"


@pytest.fixture(scope="module")
def hostile(built_store: Path) -> Iterator[Served]:
    """A server that no test answers."""
    with serving(built_store, "hostile") as served:
        yield served


def said(journal: Journal, reviewer: str) -> dict[str, str]:
    """What stands of a reviewer's answers."""
    return {item: answer.choice for (name, item), answer in latest(journal.read()).items() if name == reviewer}


def counts(page: Page) -> dict[str, int]:
    return {choice: int(page.locator(f"#{choice}").inner_text()) for choice in ("kept", "dropped", "skipped")}


def test_thirty_items_by_keyboard_beside_another_reviewer(browser: Browser, page_store: Store) -> None:
    table = queue(page_store, "plain").table
    members = set(table.filter(table["cluster"].is_not_null())["item"])
    draw = random.Random(3)
    with serving(page_store.root, "plain") as served:
        ann, bob = enter(browser, served.url, "ann"), enter(browser, served.url, "bob")
        given: dict[str, dict[str, str]] = {"ann": {}, "bob": {}}
        bulk = ""
        for turn in range(30):
            item, choice = current(ann), draw.choice(["keep", "drop", "skip"])
            if item in members and not bulk:
                bulk = item
                ann.keyboard.press("c")
                expect(ann.locator("#group tr[data-item]")).to_have_count(len(members), timeout=PATIENCE)
                press(ann, "d")
                given["ann"] |= dict.fromkeys(members, "drop")
                expect(ann.get_by_role("status")).to_contain_text(f"Dropped {len(members)} items")
                item = current(ann)
            press(ann, KEYS[choice])
            given["ann"][item] = choice
            if turn == 10:
                ann.keyboard.press("u")
                expect(ann.locator("#item")).to_have_attribute("data-item", item, timeout=PATIENCE)
                assert item not in said(Journal(page_store.root / "review"), "ann")
                press(ann, "k")
                given["ann"][item] = "keep"
            if turn in (5, 20):
                here = current(ann)
                ann.reload()
                assert current(ann) == here
            if turn % 2:
                mine, name = current(bob), draw.choice(["Keep", "Drop"])
                bob.get_by_role("button", name=f"{name} {name[0].lower()}", exact=True).click()
                expect(bob.locator("#item")).not_to_have_attribute("data-item", mine, timeout=PATIENCE)
                given["bob"][mine] = name.lower()
        journal = Journal(page_store.root / "review")
        assert {name: said(journal, name) for name in given} == given
        assert bulk and len(given["ann"]) == 30 + len(members) and len(given["bob"]) == 15
        for name, page in (("ann", ann), ("bob", bob)):
            page.reload()
            number = Counter(given[name].values())
            assert counts(page) == {"kept": number["keep"], "dropped": number["drop"], "skipped": number["skip"]}
        assert "You agree with" in ann.locator(".progress").inner_text()
        ann.keyboard.press("u")  # undo works after a reload
        expect(ann.get_by_role("status")).to_contain_text("Taken back", timeout=PATIENCE)


def test_an_answer_to_a_dead_server_is_kept_until_it_lives(browser: Browser, page_store: Store) -> None:
    served = start(page_store.root, "plain", "--port", "0")
    journal = Journal(page_store.root / "review")
    page = enter(browser, served.url, "ann")
    first = current(page)
    served.kill()
    page.keyboard.press("d")
    expect(page.get_by_role("alert")).to_contain_text("Not saved yet", timeout=PATIENCE)
    page.keyboard.press("k")  # waits for nobody: one answer at a time
    with serving(page_store.root, "plain", "--port", str(served.port)) as again:
        expect(page.locator("#item")).not_to_have_attribute("data-item", first, timeout=PATIENCE)
        second = current(page)
        expect(page.get_by_role("alert")).to_be_hidden()
        again.kill()
        page.keyboard.press("k")
        expect(page.get_by_role("alert")).to_contain_text("Not saved yet", timeout=PATIENCE)
    with serving(page_store.root, "plain", "--port", str(served.port)):
        page.goto(served.url)  # the tab is loaded anew before its answer got through
        expect(page.locator("#kept")).to_have_text("1", timeout=PATIENCE)
    assert [(each.item, each.choice) for each in journal.read()] == [(first, "drop"), (second, "keep")]


def test_filters_and_moves(browser: Browser, page_store: Store) -> None:
    found = queue(page_store, "plain")
    long = {item.id for item in found if "long" in {reason.rule for reason in item.reasons}}
    with serving(page_store.root, "plain") as served:
        page = enter(browser, served.url, "ann")
        start_item = current(page)
        press(page, "j")
        press(page, "p")
        assert current(page) == start_item
        page.get_by_label("rule").select_option("long")
        expect(page.locator("#heading")).to_have_text(f"Item 1 of {len(long)}", timeout=PATIENCE)
        press(page, "d")
        assert current(page) in long and "rule=long" in page.url
        page.get_by_label("status").select_option("done")
        expect(page.locator(".mine")).to_have_text("You said drop", timeout=PATIENCE)
        page.go_back()
        page.get_by_label("status").select_option("all")
        page.get_by_label("rule").select_option("")
        expect(page.locator("#heading")).to_have_text(f"Item 1 of {len(found)}", timeout=PATIENCE)
        group = page.locator("#item").get_attribute("data-item")
        press(page, "n")
        assert current(page) != group


def test_a_dispute_is_settled(browser: Browser, page_store: Store) -> None:
    with serving(page_store.root, "plain") as served:
        ann, bob = enter(browser, served.url, "ann"), enter(browser, served.url, "bob")
        item = current(ann)
        press(ann, "k")
        press(bob, "d")
        page = enter(browser, f"{served.url}?status=split", "eve")
        assert current(page) == item
        expect(page.locator(".mine")).to_have_count(2)
        page.get_by_label("my answer settles the dispute").check()
        page.get_by_label("note").fill("seen by eve")
        page.keyboard.press("Enter")
        page.keyboard.press("k")
        expect(page.locator("#heading")).to_have_text("Nothing left here", timeout=PATIENCE)
    last: Answer = Journal(page_store.root / "review").read()[-1]
    assert (last.reviewer, last.choice, last.settles, last.note) == ("eve", "keep", True, "seen by eve")


def test_pictures_zoom_by_click_and_keys(browser: Browser, built_store: Path) -> None:
    found = queue(Store(built_store), "plain")
    item = next(item for item in found if item.pictures)
    with serving(built_store, "plain") as served:
        page = enter(browser, f"{served.url}?item={item.id}", "ann")
        picture, zoom = page.locator("button.picture"), page.locator("#zoom")
        assert page.locator("button.picture img").evaluate("each => each.decode().then(() => each.naturalWidth)") == 640
        for opened in (picture.click, lambda: page.keyboard.press("z")):
            opened()
            expect(zoom).to_be_visible()
            expect(page.locator("#zoomed")).to_contain_text("of 640 x 480", timeout=PATIENCE)
            width = zoom.locator("img").evaluate("each => each.clientWidth")
            page.keyboard.press("+")
            assert zoom.locator("img").evaluate("each => each.clientWidth") > width
            page.keyboard.press("0")
            assert zoom.locator("img").evaluate("each => each.clientWidth") == width
            page.keyboard.press("Escape")
            expect(zoom).to_be_hidden()
        assert current(page) == item.id


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (768, 1024), (390, 800)])
def test_looks_on_screens(browser: Browser, hostile: Served, scheme: str, width: int, height: int) -> None:
    viewport = {"width": width, "height": height}
    page = enter(browser, hostile.url, "ann", color_scheme=scheme, viewport=viewport, has_touch=True)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (int(ground.split("(")[1].split(",")[0]) < 60) == (scheme == "dark")
    for _ in range(4):
        assert page.evaluate(SMALL) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        contrast, where = page.evaluate(CONTRAST)
        assert contrast >= 4.5, where
        before = current(page)
        page.locator("button[data-key=j]").tap()
        expect(page.locator("#item")).not_to_have_attribute("data-item", before, timeout=PATIENCE)


def test_what_a_screen_reader_meets(browser: Browser, built_store: Path) -> None:
    with serving(built_store, "plain") as served:
        page = enter(browser, served.url, "ann")
        for role in ("banner", "main", "complementary", "status", "article"):
            expect(page.get_by_role(role)).to_have_count(1)  # type: ignore[arg-type]  # names of roles
        for name in ("Filters", "Your answer", "Progress", "Conversation"):
            assert page.get_by_label(name, exact=True).count() == 1
        assert page.evaluate("document.activeElement.id") == "heading"
        press(page, "j")
        assert page.evaluate("document.activeElement.id") == "heading"
        expect(page.get_by_role("status")).to_contain_text("Item 2 of 40")
        assert page.evaluate(UNNAMED) == 0
        assert max(Counter(page.evaluate(IDS)).values()) == 1
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
        page.keyboard.press("k")  # an answer behind an open dialog is none
        page.keyboard.press("Escape")
        page.keyboard.press("e")
        page.keyboard.type("kds")  # letters of a note are no answers
        page.keyboard.press("Escape")
        expect(page.locator("#note")).to_have_value("kds")
        assert counts(page) == {"kept": 0, "dropped": 0, "skipped": 0}
