"""A small mixture of one local file, built in this process: what tests of finished mixtures tamper with."""

import io
import json
from pathlib import Path

import yaml
from PIL import Image as PillowImage

from flows.executor import LocalRunner
from flows.mixes import Mix, find
from flows.run import checked, run_with
from shards.store import Store

ROWS = 400


def write_rows(folder: Path, *, changed: int | None = None) -> None:
    """Rows whose answers are 1 to 40 words long; every tenth has a picture, one may read otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, object]] = []
    for row in range(ROWS):
        answer = " ".join(f"word{row}x{place}" for place in range(1 + row % 40))
        picture = {"i": f"{row}.png"} if row % 10 == 0 else {}
        rows.append({"q": f"question {row}", "a": "changed" if row == changed else answer, **picture})
        if picture:
            buffer = io.BytesIO()
            PillowImage.new("RGB", (40, 40), (row % 256, 0, 0)).save(buffer, "PNG")
            (folder / f"{row}.png").write_bytes(buffer.getvalue())
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def build_small(
    root: Path, *, least: int = 40, rules: list[dict[str, object]] | None = None, take: object = None
) -> Mix:
    """Build the mixture of root/raw in root/store; `least` characters an answer must have."""
    if not (root / "raw").is_dir():
        write_rows(root / "raw")
    columns = {"user": ["q"], "assistant": ["a"], "images": ["i"]}
    source = {"layout": "table", "files": "*.jsonl", "root": ".", "columns": columns}
    short = {"name": "short", "when": f"answer_chars < {least}", "then": "drop"}
    entry = {"id": "mine", "source": source, "domain": "chat", "repeat": 1.5} | ({"take": take} if take else {})
    recipe = {"name": "small", "judge": "off", "rules": {"list": [short, *(rules or [])]}, "entries": [entry]}
    path = root / "raw" / "small.yaml"
    path.write_text(yaml.safe_dump(recipe))
    store = Store(root / "store")
    run_with(checked(str(path), store), store, LocalRunner(None), None, lambda *_: None)
    return find(store, "small")["sft"]
