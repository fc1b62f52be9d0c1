"""The review queue as a folder with a page that needs no server and no tool: open `index.html`.

The page keeps answers in the browser and saves them as `answers.json`, which `vlmix review import` reads. It asks
nothing of the network: its Content-Security-Policy allows its own files only, and no script inside a page. Items lie in
scripts beside it (a page opened from a disk may load scripts, and nothing else), as JSON in which no character can end
or change a script; the page puts texts into the document as text.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from html import escape
from itertools import islice
from pathlib import Path
from typing import Final

from review.item import ReviewItem, shown
from shards.files import write_bytes, write_text

ANSWERS_FORMAT: Final = "vlmix review answers"

_PAGE: Final = Path(__file__).parent / "html"
_PER_FILE: Final = 50
"""Items in one script: those that the page holds at once are two or three of them."""
_DIGITS: Final = 20


def write_folder(path: Path, items: Iterable[ReviewItem], out: Path) -> None:
    """Write the page to `path` and what it reads to `out`; files of another queue there are left alone."""
    names: list[str] = []
    total = 0
    for part in _parts(iter(items)):
        lines = ",\n".join(_script(item) for item in part)
        data = f"vlmixItems({len(names)}, [\n{lines}\n]);\n".encode()
        names.append(hashlib.sha256(data).hexdigest()[:_DIGITS])
        total += len(part)
        write_bytes(out / "items" / f"{names[-1]}.js", data)
    for name in ("review.js", "review.css"):
        write_text(out / name, (_PAGE / name).read_text())
    queue = hashlib.sha256(" ".join(names).encode()).hexdigest()[:_DIGITS]
    facts = {"queue": queue, "total": total, "per_file": _PER_FILE, "files": names, "format": ANSWERS_FORMAT}
    page = (_PAGE / "index.html").read_text()
    path.write_text(page.replace("$FACTS", escape(json.dumps(facts))))


def _parts(items: Iterator[ReviewItem]) -> Iterator[list[ReviewItem]]:
    while part := list(islice(items, _PER_FILE)):
        yield part


def _script(item: ReviewItem) -> str:
    """JSON in ASCII, in which markup is escaped, too."""
    document = item.model_dump(mode="json", exclude={"verdict", "reviewer", "note"}) | {"seen": shown(item)}
    text = json.dumps(document, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
