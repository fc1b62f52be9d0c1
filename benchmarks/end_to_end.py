"""A whole job from raw files to an export: 5,000 LLaVA-style samples with a picture each, made up by this script.

    python -m benchmarks.end_to_end [--rows 5000] [--folder DIR] [--workers 2] [--peer PYTHON]

Load, text rules (set `data-juicer-default`), picture measures and hashes, dedup with comparisons, mixture, report, and
export to `llava-next`. Prints wall and CPU seconds after the imports, the whole process, and the largest memory of all
its processes together (PSS), sampled every 50 ms. `mix` holds rules, dedup and comparisons; `again` is the same command
once more: nothing is left to do but the export. One row in twenty repeats another byte by byte, one in twenty has its
picture encoded anew.

`--peer` is the interpreter of an environment with py-data-juicer; it gets the rows in its own format and eight text
filters, document deduplication and export. Its picture deduplication is left out where `imagededup` is not installed.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from benchmarks.processes import family, shared_memory

ROWS: Final = 5_000
SIZE: Final = (640, 480)
SCENES: Final = 64
WORDS: Final = """
a the of with person street table chart blue red green small large window near behind under sign tree house water boat
dog plate cup light shadow number line label title road sky wall door grass stone on at left right above
"""
EVERY: Final = 20
"""Rows of which one is a copy and one is encoded anew."""
QUESTIONS: Final = (
    "What is shown in the picture?",
    "Describe the scene.",
    "What stands out?",
    "Which things are there?",
)

RECIPE: Final = """\
name: whole
seed: 3
judge: 'off'
rules: {extends: [data-juicer-default]}
dedup: {level: pair, distance: 8}
entries:
  - {id: rows, domain: chat, source: {layout: llava, files: rows.json, root: .}}
"""

PEER: Final = """\
project_name: whole
dataset_path: rows.jsonl
export_path: out/rows.jsonl
np: %d
image_special_token: <image>
process:
  - character_repetition_filter:
  - word_repetition_filter:
  - special_characters_filter:
  - alphanumeric_filter:
  - average_line_length_filter:
  - maximum_line_length_filter:
  - text_length_filter:
  - words_num_filter:
%s"""


def write_job(folder: Path, rows: int) -> None:
    """Rows and pictures, in LLaVA's format and in data-juicer's."""
    rng = np.random.default_rng(5)
    (folder / "pictures").mkdir(parents=True)
    scenes = [_scene(rng) for _ in range(SCENES)]
    llava, juicer = [], []
    for row in range(rows):
        copied, encoded_anew = (row % EVERY == place for place in range(2))
        origin = max(row - 7, 2)
        name = f"pictures/{row:06}.jpg"
        text, question = _answer(rng), QUESTIONS[row % len(QUESTIONS)]
        if (copied or encoded_anew) and row > origin:
            text, question = llava[origin]["conversations"][1]["value"], llava[origin]["conversations"][0]["value"]
            question = str(question).removeprefix("<image>\n")
            data = (folder / f"pictures/{origin:06}.jpg").read_bytes()
            if encoded_anew:
                data = _encoded(PillowImage.open(io.BytesIO(data)), 60)
        else:
            data = _encoded(_picture(scenes[row % SCENES], row, rng), 85)
        (folder / name).write_bytes(data)
        turns = [{"from": "human", "value": f"<image>\n{question}"}, {"from": "gpt", "value": text}]
        llava.append({"id": str(row), "image": name, "conversations": turns})
        juicer.append({"text": f"<image> {question} {text}", "images": [str(folder / name)]})
    (folder / "rows.json").write_text(json.dumps(llava))
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in juicer))
    (folder / "whole.yaml").write_text(RECIPE)


def _scene(rng: np.random.Generator) -> PillowImage.Image:
    """Soft shapes under fine ones, larger than a picture."""
    width, height = SIZE[0] + 200, SIZE[1] + 200
    layers = [rng.normal(0, 1, (height // step, width // step, 3)) for step in (4, 12, 40, 140)]
    grown = []
    for layer in layers:
        channels = [PillowImage.fromarray(layer[..., channel]).resize((width, height)) for channel in range(3)]
        grown.append(np.stack([np.asarray(channel) for channel in channels], axis=2))
    mixed = sum(weight * layer for weight, layer in zip((6, 12, 22, 45), grown, strict=True))
    return PillowImage.fromarray(np.clip(128 + mixed, 0, 255).astype(np.uint8))


def _picture(scene: PillowImage.Image, row: int, rng: np.random.Generator) -> PillowImage.Image:
    """A part of a scene with a few boxes and a number on it."""
    left, top = (int(value) for value in rng.integers(0, 200, 2))
    picture = scene.crop((left, top, left + SIZE[0], top + SIZE[1]))
    draw = ImageDraw.Draw(picture)
    for _ in range(6):
        x, y, wide, high = (int(value) for value in rng.integers(20, 300, 4))
        draw.rectangle((x, y, x + wide, y + high), fill=tuple(int(value) for value in rng.integers(0, 255, 3)))
    draw.text((20, 420), f"No. {row}", font=ImageFont.load_default(40), fill=(255, 255, 255))
    return picture


def _encoded(picture: PillowImage.Image, quality: int) -> bytes:
    target = io.BytesIO()
    picture.save(target, "JPEG", quality=quality)
    return target.getvalue()


def _answer(rng: np.random.Generator) -> str:
    sentences = [
        " ".join(rng.choice(WORDS.split(), rng.integers(6, 16))).capitalize() + "." for _ in range(rng.integers(2, 9))
    ]
    return " ".join(sentences)


def ours(folder: Path, workers: int, out: str) -> None:
    """The job with vlmix; prints a line of JSON."""
    from flows.allocators import settle_allocators
    from flows.executor import make_ready

    settle_allocators()  # as the command does
    make_ready("local", workers)
    import flows.reporting  # what every run imports, so that the clock sees none of it
    from flows.exporting import export_all
    from flows.mixes import find
    from flows.run import run
    from shards.store import Store

    assert flows.reporting
    clock = _Clock()
    done = run(str(folder / "whole.yaml"), folder / "store", stage=None, workers=workers, tell=clock.tell)
    clock("rest")
    reports = export_all(find(Store(folder / "store"), "whole"), to="llava-next", out=folder / out)
    clock("export")
    totals = done.summary.totals
    counts = {"kept": totals.keep, "duplicates": totals.duplicates, "exported": sum(each.written for each in reports)}
    print(json.dumps({**clock.said(), "counts": counts}))


def peer(config: Path) -> None:
    """The job with data-juicer, in its own environment; writes a line of JSON beside the configuration."""
    from data_juicer.config import init_configs  # type: ignore[import-not-found]  # of the peer's environment
    from data_juicer.core import DefaultExecutor  # type: ignore[import-not-found]  # of the peer's environment

    clock = _Clock()
    os.chdir(config.parent)
    DefaultExecutor(init_configs(["--config", str(config)])).run()
    clock("all")
    rows = (config.parent / "out" / "rows.jsonl").read_text().count("\n")
    # standard output is its log's
    config.with_suffix(".json").write_text(json.dumps({**clock.said(), "counts": {"exported": rows}}))


class _Clock:
    """Wall and CPU seconds since it was made, and between calls, of this process and all below it, ended or not."""

    def __init__(self) -> None:
        self._begin = self._last = self._now()
        self.steps: dict[str, list[float]] = {}

    @staticmethod
    def _now() -> tuple[float, float]:
        return time.perf_counter(), sum(_cpu(each) for each in family(os.getpid()))

    def __call__(self, name: str) -> None:
        now = self._now()
        spent = [now[place] - self._last[place] for place in range(2)]
        self.steps[name] = [a + b for a, b in zip(self.steps.get(name, [0, 0]), spent, strict=True)]
        self._last = now

    def tell(self, step: str, _: object) -> None:
        """The end of a step of a build; rules, dedup and mixing are told of at once."""
        self({"judge": "mix", "compare": "mix"}.get(step, step))

    def said(self) -> dict[str, object]:
        """Steps, and all of them."""
        whole = [self._last[place] - self._begin[place] for place in range(2)]
        return {"steps": self.steps, "wall": whole[0], "cpu": whole[1]}


def measure(name: str, command: Sequence[str], said: Path | None = None) -> None:
    """Run one side and print what it took, as it prints in its last line of JSON, or says in a file."""
    begin = time.perf_counter()
    log = subprocess.DEVNULL if said else None
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    peak = [0.0]
    watch = threading.Thread(target=_watch, args=(child.pid, peak))
    watch.start()
    printed, _ = child.communicate()
    watch.join()
    if child.returncode:
        sys.exit(f"{name} failed with {child.returncode}")
    found = json.loads(said.read_text() if said else printed.strip().splitlines()[-1])
    steps = ", ".join(f"{step} {wall:.1f} s" for step, (wall, _) in found["steps"].items())
    print(
        f"{name:<12} {found['wall']:>6.1f} s after imports, {found['cpu']:.1f} CPU s; process "
        f"{time.perf_counter() - begin:.1f} s; peak {peak[0]:,.0f} MiB; {steps}; {found['counts']}",
        flush=True,
    )


def _watch(pid: int, peak: list[float]) -> None:
    """Keep the largest sum of memory (PSS: shared pages counted once) of a process and those below it."""
    while Path(f"/proc/{pid}").exists():
        sizes = [shared_memory(each) for each in family(pid)]
        peak[0] = max(peak[0], sum(sizes))
        if not any(sizes):
            return
        time.sleep(0.05)


def _cpu(pid: int) -> float:
    """Seconds of a process and of those below it that have ended. Source: proc_pid_stat(5), fields 14 to 17."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Make the job up and measure both sides."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--side", choices=("ours", "again", "peer"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side == "peer":
        peer(options.folder / "peer.yaml")
        return
    if options.side:
        ours(options.folder, options.workers, f"out-{options.side}")
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        write_job(folder / "job", options.rows)
        words = ["-m", "benchmarks.end_to_end", "--folder", str(folder / "job"), "--workers", str(options.workers)]
        measure("vlmix", [sys.executable, *words, "--side", "ours"])
        measure("vlmix again", [sys.executable, *words, "--side", "again"])
        if options.peer:
            pictures = subprocess.run(
                [options.peer, "-c", "import imagededup.methods"], check=False, capture_output=True
            )
            dedup = ["document_deduplicator", *(["image_deduplicator"] if not pictures.returncode else [])]
            (folder / "job" / "peer.yaml").write_text(
                PEER % (options.workers, "".join(f"  - {each}:\n" for each in dedup))
            )
            command = [str(options.peer), *words, "--side", "peer"]
            measure("data-juicer", command, folder / "job" / "peer.json")


if __name__ == "__main__":
    main()
