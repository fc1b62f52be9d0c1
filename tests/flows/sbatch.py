#!/usr/bin/env python3
"""Stands in for Slurm on a machine without it: runs the elements of an array, two at a time, by bash.

It reads the script's own options as sbatch does. Elements named in the file `kill` beside the script are killed once.
"""

import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def numbers(array: str) -> list[int]:
    found: list[int] = []
    for part in array.split("%", maxsplit=1)[0].split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def main() -> int:
    script = Path(sys.argv[-1])
    assert sys.argv[1:-1] == ["--wait", "--parsable"]
    words = [word for line in re.findall(r"^#SBATCH (.*)$", script.read_text(), re.M) for word in shlex.split(line)]
    options = dict(word.lstrip("-").split("=", 1) for word in words if "=" in word)
    if options.get("partition") == "nowhere":
        sys.stderr.write("sbatch: error: invalid partition specified: nowhere\n")
        return 1
    sys.stdout.write("77;cluster\n")
    sys.stdout.flush()
    with ThreadPoolExecutor(2) as pool:
        return max(pool.map(lambda number: run(script, options, number), numbers(options["array"])))


def run(script: Path, options: dict[str, str], number: int) -> int:
    """Exit code of an element."""
    log = Path(options["output"].replace("%a", str(number)).replace("%%", "%"))
    killed = log.with_name("killed")
    if options.get("comment") == f"kill-{number}" and not killed.exists():
        killed.touch()
        return 137
    with log.open("w") as out:
        env = {**os.environ, "SLURM_ARRAY_TASK_ID": str(number)}
        return subprocess.run(["bash", str(script)], env=env, stdout=out, stderr=out, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
