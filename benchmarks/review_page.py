"""How long the review page of a large queue takes to answer, by the real server.

    python -m benchmarks.review_page --items 100000 --folder SCRATCH

Builds a mixture whose rows all wait for a person, serves it, reviews as two people do, and prints milliseconds (median,
95 %) of each kind of request, CPU milliseconds of the server for one, and its memory.
"""

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import httpx
import yaml

from flows.executor import LocalRunner
from flows.run import checked, run_with
from flows.serving import queue_items
from shards.store import Store

LETTERS = "abcdefghijklmnopqrst"
WORDS = [a + b + c for a in LETTERS for b in LETTERS for c in LETTERS]
SECRET = re.compile(r'name="csrf" content="([0-9a-f]{64})"')


def build(folder: Path, items: int) -> Store:
    """A mixture of rows of some 900 characters; every tenth is of one of a thousand templates."""
    raw, store = folder / "raw", Store(folder / "store")
    raw.mkdir(parents=True, exist_ok=True)
    draw = random.Random(0)
    with (raw / "rows.jsonl").open("w") as handle:
        for row in range(items):
            alike = (
                f"The {WORDS[row % 1000]} has {row} parts." if row % 10 == 0 else " ".join(draw.choices(WORDS, k=110))
            )
            asked = "How many?" if row % 10 == 0 else f"What of {row}?"
            handle.write(json.dumps({"q": asked, "a": alike}) + "\n")
    source = {"layout": "table", "files": "*.jsonl", "root": ".", "columns": {"user": ["q"], "assistant": ["a"]}}
    rules = [{"name": "long", "when": "answer_chars > 900", "then": "review"}]
    rules.append({"name": "look", "when": "answer_chars >= 0", "then": "review"})
    entry = {"id": "mine", "source": source, "domain": "chat"}
    recipe = raw / "large.yaml"
    recipe.write_text(yaml.safe_dump({"name": "large", "judge": "off", "rules": {"list": rules}, "entries": [entry]}))
    run_with(checked(str(recipe), store), store, LocalRunner(None), None, lambda *_: None)
    return store


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> float:
    """Most MiB that a process had in memory."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) / 1024


class Reviewer:
    """A browser's worth of requests, each timed by kind."""

    def __init__(self, url: str, name: str, pid: int) -> None:
        self.client = httpx.Client(base_url=url, timeout=600)
        self.pid = pid
        self.wall: dict[str, list[float]] = defaultdict(list)
        self.cpu: dict[str, list[float]] = defaultdict(list)
        found = SECRET.search(self.client.get("/").text)
        assert found
        self.headers = {"origin": url.rstrip("/"), "x-csrf-token": found[1]}
        self.client.post("/name", json={"name": name}, headers=self.headers).raise_for_status()

    def ask(self, kind: str, method: str, path: str, **options: object) -> httpx.Response:
        """One request."""
        used, begun = cpu(self.pid), time.perf_counter()
        reply = self.client.request(method, path, **options)  # type: ignore[arg-type]  # options of httpx by name
        self.wall[kind].append(1000 * (time.perf_counter() - begun))
        self.cpu[kind].append(1000 * (cpu(self.pid) - used))
        return reply.raise_for_status()

    def post(self, kind: str, path: str, **body: object) -> httpx.Response:
        """One act."""
        told = {"answer_id": os.urandom(16).hex(), **body}
        return self.ask(kind, "POST", path, json=told, headers=self.headers)


def review(who: Reviewer, queue: list[dict[str, Any]], rounds: int, draw: random.Random) -> None:
    """As people do: answer, look back, filter, look at a group and answer for it, load the page again."""
    for _ in range(rounds):
        row = draw.choice(queue)
        reply = who.post("answer", "/answer", item=row["item"], seen=row["seen"], choice=draw.choice(["keep", "drop"]))
        shown = reply.json()["url"].partition("item=")[2].partition("&")[0]
        who.ask("next", "GET", "/item", params={"item": shown, "to": "next"})
        who.ask("next cluster", "GET", "/item", params={"item": shown, "to": "group"})
        who.ask("filter", "GET", "/item", params={"rule": "long", "status": draw.choice(["todo", "nobody", "split"])})
    for _ in range(max(1, rounds // 20)):
        row = draw.choice([row for row in queue if row["settles"] > 1])
        html = who.ask("preview of a group", "GET", "/group", params={"item": row["item"], "by": "template"}).text
        items = re.findall(r'data-item="(\w+)"', html)
        if items:
            act = {"item": row["item"], "by": "template", "choice": "drop", "items": items}
            who.post("answer for a group", "/answer-group", **act)
        who.ask("whole page", "GET", "/", params={"item": row["item"]})


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    store = build(given.folder, given.items)
    begun = time.process_time()
    table = queue_items(store, "large").table
    print(f"queue of {table.height:,} items made in {time.process_time() - begun:.1f} CPU s")
    command = [sys.executable, "-m", "flows.cli", "review", "serve", "large", "--store", str(store.root)]
    with subprocess.Popen([*command, "--port", "0", "--json"], stdout=subprocess.PIPE, text=True) as process:
        try:
            measure(process, table.select("item", "seen", "settles").to_dicts(), given.rounds)
        finally:
            process.terminate()


def measure(process: subprocess.Popen[str], queue: list[dict[str, Any]], rounds: int) -> None:
    """Review by two people, and print what each kind of request took."""
    assert process.stdout
    text = ""
    while not text.rstrip().endswith("}"):
        text += process.stdout.readline()
    url = json.loads(text)["url"]
    print(f"server ready after {cpu(process.pid):.1f} CPU s, {memory(process.pid):.0f} MiB")
    people = [Reviewer(url, name, process.pid) for name in ("ann", "bob")]
    for who in people:
        review(who, queue, rounds, random.Random(1))
    print(f"{'request':<20} {'n':>5} {'median ms':>10} {'95 % ms':>9} {'CPU ms':>8}")
    for kind in people[0].wall:
        wall = sorted(time for who in people for time in who.wall[kind])
        used = statistics.mean(time for who in people for time in who.cpu[kind])
        late = wall[int(0.95 * len(wall))]
        print(f"{kind:<20} {len(wall):>5} {statistics.median(wall):>10.1f} {late:>9.1f} {used:>8.1f}")
    print(f"memory at most {memory(process.pid):.0f} MiB")


if __name__ == "__main__":
    main()
