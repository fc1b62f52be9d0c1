"""Mixtures whose rows all wait for a person, and the real server that shows them."""

import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import yaml
from commands import ROOT, environment
from PIL import Image, PngImagePlugin

from flows.executor import LocalRunner
from flows.mixes import find
from flows.reviewing import queue_items
from flows.run import checked, run_with
from review.stored import StoredQueue
from shards.store import Store

PATIENCE = 120.0
"""Seconds that a server may take to start on a busy machine."""

WORDS = (
    "apple",
    "river",
    "stone",
    "cloud",
    "window",
    "garden",
    "paper",
    "silver",
    "lantern",
    "bridge",
    "forest",
    "mirror",
)
SHELL = "<script>window.hit = 'shell'; alert(1)</script>"

HOSTILE = {
    "script": "<script>window.hit = 1; alert(document.cookie)</script>",
    "closing": "</script></title></textarea></style></div></main><script>window.hit = 2</script>",
    "handlers": "<img src=x onerror='window.hit = 3'><body onload=alert(3)><details open ontoggle=alert(3)>",
    "svg": "<svg onload=alert(4)><script>window.hit = 4</script><animate onbegin=alert(4)></svg>",
    "attributes": "\" onmouseover=\"window.hit = 5\" x=\"' onfocus='window.hit = 5' autofocus tabindex=1 '",
    "comment": "<!-- --!><img src=x onerror=alert(6)> ]]> <![CDATA[ <script>window.hit = 6</script> ]]>",
    "template": "{{ 7 * 191 }} {% raw %} ${7 * 191} #{7 * 191} <%= 7 * 191 %> {{ self.__init__.__globals__ }}",
    "links": "[x](javascript:window.hit=7) <a href='javascript:window.hit = 7'>x</a> data:text/html,<script>7</script>",
    "frames": "<iframe src='javascript:parent.hit = 8'></iframe><object data='data:text/html,x'></object>",
    "elsewhere": "<base href=//evil.invalid><meta http-equiv=refresh content=0><img src=//evil.invalid/x.png>",
    "styles": "<style>*{display:none}</style><link rel=stylesheet href=//evil.invalid/x.css><p style='inset:0'>",
    "forms": "<form action=//evil.invalid><input id=note name=x><button data-key=d>Keep</button></form>",
    "clobber": "<a id=main></a><img name=querySelector><form id=filters></form><div id=item data-item=r0></div>",
    "bidi": "\u202egnp.exe\u2066 abc \u2069\u200b\u200b\u200d\ufeff\u00ad \u061c \U000e0041\U000e0042 end",
    "controls": "bell \x07 escape \x1b[31m backspace \x08 separator \u2028 next \x85 end",
    "marks": "a" + "\u0300" * 3000 + " end",
    "paths": "../../../../etc/passwd file:///etc/passwd %2e%2e%2fetc/passwd ..\\..\\x <img src=/static/../server.py>",
    "entities": "&lt;script&gt;window.hit = 9&lt;/script&gt; &#60;img src=x onerror=alert(9)&#62; &amp;",
    "line": "<b>x</b>\u202e" * 170_000,
    "words": "word " * 400_000 + "<script>window.hit = 10</script>",
}
"""Texts that nobody should trust, by what they try; the last two are 2 MB long."""


def png(colour: int, *, text: str = "", tail: bytes = b"") -> bytes:
    """A picture, perhaps with a comment, and with something behind its end."""
    buffer = io.BytesIO()
    comment = PngImagePlugin.PngInfo()
    if text:
        comment.add_text("Comment", text)
    Image.new("RGB", (640, 480), (colour % 256, 90, 160)).save(buffer, "PNG", pnginfo=comment)
    return buffer.getvalue() + tail


def plain_rows(folder: Path, rows: int = 40) -> list[dict[str, str]]:
    """Rows that differ but for six of one cluster (one question and picture) and eight of one template."""
    draw = random.Random(7)
    told = []
    for row in range(rows):
        words = " ".join(draw.choices(WORDS, k=30 + row))
        alike = row >= rows - 8
        asked, said = f"What is in scene {row}?", f"{words}."
        if alike:
            asked, said = "How many are there?", f"There are {row} apples in the basket, and {row * 7} pears beside it."
        if row < 6:
            asked = "What is this?"
        told.append({"k": str(row), "q": asked, "a": said})
        if row < 6 or row % 4 == 0:
            picture = max(row, 5)
            (folder / f"{picture}.png").write_bytes(png(picture * 5))
            told[-1]["i"] = f"{picture}.png"
    return told


def hostile_rows(folder: Path) -> list[dict[str, str]]:
    """One row for each hostile text, in question, answer and key, with pictures that hold text."""
    (folder / "comment.png").write_bytes(png(1, text=SHELL, tail=SHELL.encode() * 20))
    told = []
    for name, text in HOSTILE.items():
        told.append({"k": f"{name} <b>{SHELL}\u202e", "q": f"{text[:5000]} ?", "a": f"{text} end", "i": "comment.png"})
    return told


def build(root: Path, name: str, rows: Sequence[Mapping[str, str]]) -> Store:
    """Build a mixture of rows in root/store; all are in review, and so is what loops."""
    raw = root / name
    raw.mkdir(parents=True, exist_ok=True)
    (raw / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    columns = {"key": "k", "user": ["q"], "assistant": ["a"], "images": ["i"]}
    source = {"layout": "table", "files": "*.jsonl", "root": ".", "columns": columns}
    rules = [
        {"name": "loops", "when": "loop >= 0.5", "then": "review"},
        {"name": "long", "when": "answer_chars > 300", "then": "review"},
        {"name": "look", "when": "answer_chars >= 0", "then": "review"},
    ]
    entry = {"id": "mine", "source": source, "domain": "chat"}
    recipe = {"name": name, "judge": "off", "rules": {"list": rules}, "entries": [entry]}
    path = raw / f"{name}.yaml"
    path.write_text(yaml.safe_dump(recipe))
    store = Store(root / "store")
    run_with(checked(str(path), store), store, LocalRunner(None), None, lambda *_: None)
    assert find(store, name)
    return store


def queue(store: Store, name: str) -> StoredQueue:
    """The queue as the server reads it."""
    return queue_items(store, name)


@dataclass(frozen=True)
class Served:
    """A running server: where it is, what it printed, and its process."""

    url: str
    token: str | None
    process: subprocess.Popen[bytes]

    @property
    def port(self) -> int:
        """What a second server takes that follows this one."""
        return int(self.url.split(":")[2].split("/")[0])

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def start(store: Path, name: str, *options: str) -> Served:
    """Start `vlmix review serve` and wait until it can be opened."""
    said = store.parent / f"served-{os.urandom(4).hex()}.json"
    command = [sys.executable, "-m", "flows.cli", "review", "serve", name, "--store", str(store), "--json", *options]
    with said.open("wb") as out, said.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=out, stderr=log)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            told = json.loads(said.read_text())
            httpx.get(f"{told['url'].split('?')[0]}", timeout=PATIENCE)
            return Served(told["url"], told["token"], process)
        except (json.JSONDecodeError, httpx.TransportError):
            assert process.poll() is None, said.with_suffix(".log").read_text()
            time.sleep(0.02)
    process.kill()
    raise AssertionError("the server did not start")


@contextmanager
def serving(store: Path, name: str, *options: str) -> Iterator[Served]:
    """A server for the time of a test; on a port of its own unless one is named."""
    served = start(store, name, *([] if "--port" in options else ["--port", "0"]), *options)
    try:
        yield served
    finally:
        served.process.terminate()
        served.process.wait(PATIENCE)
