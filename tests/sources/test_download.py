"""Which addresses and paths a declaration may hold."""

import pytest
from pydantic import ValidationError

from sources.download import Download
from sources.spec import Source

RAW = "https://raw.githubusercontent.com/owner/name"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"url": "ftp://a.test/x"}, "expected an http or https address"),
        ({"url": "https:///x"}, "expected an http or https address"),
        ({"url": "https://me:secret@a.test/x"}, "without user or password"),
        ({"url": f"{RAW}/main/x.json"}, "pin a commit of 40 hex digits"),
        ({"url": "https://github.com/owner/name/blob/main/x.json"}, "`/blob/` gives a web page"),
        ({"path": "/etc/passwd"}, "expected a path below"),
        ({"path": "../x"}, "expected a path below"),
        ({"path": "a/../../x"}, "expected a path below"),
        ({"path": "a//x"}, "expected a path below"),
        ({"path": ".hidden/x"}, "expected a path below"),
        ({"path": "a\\x"}, "expected a path below"),
        ({"path": ""}, "expected a path below"),
        ({"sha256": "abc"}, "pattern"),
        ({"size": -1}, "greater than or equal"),
        ({"digest": "abc"}, "not permitted"),
    ],
)
def test_refused(body: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Download.model_validate({"url": "https://a.test/x", "path": "x", **body})


def test_accepted() -> None:
    for url in (
        "http://a.test:8080/x?y=1",
        f"{RAW}/{'0' * 40}/a/b.json",
        "https://github.com/o/n/releases/download/v/x",
    ):
        assert Download(url=url, path="a/b (1).json").url == url


@pytest.mark.parametrize("paths", [("a", "a"), ("a", "a/b"), ("a/b/c", "a")])
def test_each_file_has_its_own_place(paths: tuple[str, str]) -> None:
    downloads = [{"url": f"https://a.test/{number}", "path": path} for number, path in enumerate(paths)]
    with pytest.raises(ValidationError, match="is the path of two downloads, or of a file and a folder"):
        Source.model_validate({"name": "s", "layout": "llava", "downloads": downloads})
