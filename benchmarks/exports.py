"""Exports of a small and a large mixture: rows a second and peak memory, which must not grow with the rows.

    python -m benchmarks.exports --rows 200000 --folder SCRATCH

The mixture is dialogues of some 400 characters, a third of them about one of 2,000 pictures. Each build and each export
is a process of its own.
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image

PICTURES = 2_000
FORMATS = ("llava-next", "instellavl", "internvl", "vila", "llamafactory", "webdataset", "hf", "mds", "energon")
TEXT = "the chart shows a red bar beside two blue ones and their sum is larger than last year in every town"
RECIPE = """
name: exports
judge: "off"
rules: {}
dedup: {level: "off"}
entries:
  - {id: talk, source: {layout: llava, files: "rows.json", root: pictures}, domain: general, repeat: 1.5}
"""


def write(folder: Path, rows: int) -> None:
    """Raw files of one source, and a recipe beside them."""
    rng = random.Random(0)
    (folder / "pictures").mkdir(parents=True)
    for number in range(PICTURES):
        color = tuple(rng.randrange(256) for _ in range(3))
        Image.new("RGB", (32, 32), color).save(folder / "pictures" / f"{number}.png")
    with (folder / "rows.json").open("w") as handle:
        handle.write("[")
        for number in range(rows):
            text = " ".join(rng.choices(TEXT.split(), k=60)).capitalize() + "."
            row: dict[str, object] = {"id": str(number)}
            question = f"What is said in number {number}?"
            if number % 3 == 0:
                row["image"] = f"{rng.randrange(PICTURES)}.png"
                question = f"<image>\n{question}"
            row["conversations"] = [{"from": "human", "value": question}, {"from": "gpt", "value": text}]
            handle.write(("," if number else "") + json.dumps(row))
        handle.write("]")
    (folder / "recipe.yaml").write_text(RECIPE)


def measured(*arguments: str | Path) -> tuple[float, float]:
    """Seconds and peak resident MiB of one `vlmix` command."""
    code = (
        "import re, sys; from pathlib import Path; from flows.cli import app\n"
        "try: app(sys.argv[1:], exit_on_error=False, result_action='return_value')\n"
        "finally: print(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1], file=sys.stderr)"
    )
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    took = time.perf_counter() - begin
    if done.returncode:
        raise SystemExit(done.stderr)
    return took, int(done.stderr.split()[-1]) / 1024


def main() -> None:
    """Build two mixtures, a quarter of the rows and all of them, and export each in every format."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    for rows in (options.rows // 4, options.rows):
        folder = options.folder / str(rows)
        write(folder, rows)
        store = folder / "store"
        took, peak = measured("run", "build-sft-mix", "--recipe", folder / "recipe.yaml", "--store", store)
        print(f"{rows:,} rows: built in {took:.0f} s, peak of the main process {peak:,.0f} MiB", flush=True)
        for name in FORMATS:
            out = folder / name
            took, peak = measured("export", "exports.sft", "--to", name, "--out", out, "--store", store)
            print(f"  {name:<18} {1.5 * rows / took:>9,.0f} rows/s {peak:>8,.0f} MiB", flush=True)
            shutil.rmtree(out)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
