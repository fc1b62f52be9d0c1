"""The page that needs no server, opened from the disk in a real browser: by keyboard, with hostile samples, twice."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from test_export import HOSTILE, item

from review.export import export
from review.given import read_given
from review.item import ReviewItem, shown

pytestmark = pytest.mark.integration

PATIENCE = 120_000  # milliseconds that a busy machine may take for one step
KEYS = {"keep": "k", "drop": "d", "skip": "s"}
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8ffff3f00050"
    "0fe02fea7a6050d0000000049454e44ae426082"
)
SHA = "ab" * 32


def written(folder: Path, items: list[ReviewItem]) -> str:
    export(items, {SHA: PNG}.__getitem__, to="html", out=folder)
    return (folder / "index.html").as_uri()


def opened(browser: Browser, url: str) -> Page:
    """The page; an error, a dialog, a refused script or a request to anywhere but the disk fails the test."""
    context = browser.new_context(accept_downloads=True)
    context.route(
        "**/*",
        lambda route: (
            route.continue_() if route.request.url.startswith(("file:", "blob:")) else fail(route.request.url)
        ),
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.on("dialog", lambda dialog: fail(f"dialog: {dialog.message}"))
    page.on("pageerror", lambda error: fail(f"error: {error}"))
    page.on("console", lambda message: fail(message.text) if message.type in {"error", "warning"} else None)
    page.goto(url)
    return page


def fail(words: str) -> None:
    pytest.fail(words)


def test_fifty_answers_by_keyboard_come_back_from_the_saved_file(browser: Browser, tmp_path: Path) -> None:
    items = [item(number, f"question {number}", (SHA,)) for number in range(120)]
    page = opened(browser, written(tmp_path / "out", items))
    page.get_by_label("Your name").fill("ann")
    page.locator("#item").click()
    choices = (["keep", "drop", "drop", "skip", "keep"] * 11)[:52]
    for number, choice in enumerate(choices):
        expect(page.locator("#place")).to_have_value(str(number + 1), timeout=PATIENCE)
        expect(page.locator("#item")).to_contain_text(f"question {number}")
        page.keyboard.press(KEYS[choice])
    page.keyboard.press("u")
    page.keyboard.press("u")
    expect(page.locator("#progress")).to_have_text("50 of 120 answered")
    expect(page.locator("#item img")).to_have_js_property("naturalWidth", 1)
    page.reload()
    expect(page.locator("#progress")).to_have_text("50 of 120 answered")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save answers.json").click()
    download.value.save_as(tmp_path / "answers.json")
    sheet = read_given(tmp_path / "answers.json")
    assert (sheet.via, sheet.refused, sheet.open) == ("html", (), 0)
    told = [(given.key, given.entry, given.item, given.seen, given.choice, given.reviewer) for given in sheet.given]
    assert told == [
        (each.key, each.entry, each.id, shown(each), choice, "ann")
        for each, choice in zip(items, choices[:50], strict=False)
    ]
    assert all(given.at is not None for given in sheet.given)

    other = opened(browser, (tmp_path / "out" / "index.html").as_uri())  # a browser that knows nothing of it
    other.get_by_label("Load answers").set_input_files(tmp_path / "answers.json")
    expect(other.locator("#progress")).to_have_text("50 of 120 answered")
    expect(other.get_by_label("Your name")).to_have_value("ann")


def test_nobody_answers_without_a_name(browser: Browser, tmp_path: Path) -> None:
    page = opened(browser, written(tmp_path / "out", [item(1)]))
    expect(page.locator("#item")).to_contain_text("text")
    page.locator("#item").click()
    page.keyboard.press("d")
    expect(page.locator("#progress")).to_contain_text("write your name first")
    expect(page.get_by_label("Your name")).to_be_focused()


def test_hostile_samples_are_text(browser: Browser, tmp_path: Path) -> None:
    attacks = [
        *HOSTILE,
        "<img src=x onerror=\"document.title='hit'\">",
        "<script>document.title='hit'</script>",
        "</script><script>document.title='hit'</script>",
        "]);document.title='hit';([",
        "<svg onload=\"document.title='hit'\"><a href=\"javascript:document.title='hit'\">x</a></svg>",
        "${document.title='hit'} {{7*7}} <!-- --> \u202e\u2066\u200b\u2028",
        "y" * 2_000_000,
    ]
    items = [item(number, text) for number, text in enumerate(attacks)]
    page = opened(browser, written(tmp_path / "out", items))
    for number, text in enumerate(attacks):
        expect(page.locator("#place")).to_have_value(str(number + 1), timeout=PATIENCE)
        box = page.locator(".text").first
        if len(text) > 20_000:
            expect(page.get_by_role("button", name="Show all").first).to_be_visible()
        elif text.isprintable():
            assert box.evaluate("each => each.textContent") == text
        assert page.title() == "vlmix review"
        assert page.locator("#item script, #item svg, #item iframe, #item a, #item img").count() == 0
        page.keyboard.press("ArrowRight")


def test_an_empty_queue_says_so(browser: Browser, tmp_path: Path) -> None:
    page = opened(browser, written(tmp_path / "out", []))
    expect(page.locator("#item")).to_contain_text("Nothing waits for review.")
