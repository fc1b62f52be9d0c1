"""What tests of the review page share: a store with mixtures, built once, and a browser."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from shards.store import Store


@pytest.fixture(scope="session")
def built_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the mixtures `plain` and `hostile` and their queues; nobody writes to it."""
    from page_mix import build, hostile_rows, plain_rows, queue

    root = tmp_path_factory.mktemp("page")
    for name, rows in (("plain", plain_rows), ("hostile", hostile_rows)):
        (root / name).mkdir()
        assert len(queue(build(root, name, rows(root / name)), name)) >= 19
    return root / "store"


@pytest.fixture
def page_store(built_store: Path, tmp_path: Path) -> Store:
    """The same without an answer, for one test to answer."""
    shutil.copytree(built_store, tmp_path / "store")
    return Store(tmp_path / "store")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's chromium, or the one that playwright installs."""
    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
        path = shutil.which("chromium") or shutil.which("google-chrome") or (str(own) if own.is_file() else None)
        if path is None:
            pytest.skip("no chromium: `apt-get install chromium` or `playwright install chromium`")
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        chromium = playwright.chromium.launch(executable_path=path, args=sandbox)
        yield chromium
        chromium.close()
