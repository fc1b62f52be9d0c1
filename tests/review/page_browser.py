"""A reviewer in a real browser."""

import pytest
from playwright.sync_api import Browser, Page, expect

PATIENCE = 120_000
"""Milliseconds that a busy machine may take for one step."""


def enter(browser: Browser, url: str, name: str, **options: object) -> Page:
    """A reviewer in a browser of their own, who has told the name; a problem of the page fails the test."""
    page = browser.new_context(**options).new_page()  # type: ignore[arg-type]  # options of new_context by name
    page.set_default_timeout(PATIENCE)
    page.on("dialog", lambda dialog: pytest.fail(f"dialog: {dialog.message}"))
    page.on("pageerror", lambda error: pytest.fail(f"error in page.js: {error}"))
    page.goto(url)
    page.get_by_label("Your name").fill(name)
    page.keyboard.press("Enter")
    expect(page.locator("#item")).to_be_visible(timeout=PATIENCE)
    page.wait_for_load_state()  # style and script, too
    return page


def current(page: Page) -> str:
    """Id of the item that is shown."""
    found = page.locator("#item").get_attribute("data-item")
    assert found
    return found


def press(page: Page, key: str) -> None:
    """Press a key and wait until the page shows another item."""
    before = current(page)
    page.keyboard.press(key)
    expect(page.locator("#item")).not_to_have_attribute("data-item", before, timeout=PATIENCE)
