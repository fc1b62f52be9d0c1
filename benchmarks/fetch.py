"""Downloads: ours against img2dataset, same list, same server process, same number of requests at a time, one run each.

    python -m benchmarks.fetch --theirs /path/to/python-with-img2dataset

Ours decodes every picture and keeps its bytes; img2dataset runs once without decoding (`disable_all_reencoding`) and
once as it is meant (resize to 256, JPEG). Seconds and the first rate are those of a whole process; the second rate
leaves out what the same process needs for one picture, which is start-up. Memory is the largest sum of resident sets
over all its processes.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
HOST = "bench.test"
AT_A_TIME = 64
DEAD_SHARE = 0.1
OURS = f"""
import sys
from pathlib import Path
from shards.store import Box
from sources.policy import FetchPolicy
from sources.fetch import download
from sources.spec import Source
urls, out, port = Path(sys.argv[1]).read_text().split(), Path(sys.argv[2]), sys.argv[3]
bounds = FetchPolicy(concurrency={AT_A_TIME}, per_host={AT_A_TIME}, resolve={{"{HOST}": f"127.0.0.1:{{port}}"}})
download(Box(out, "pictures/s/0"), Source(name="s", layout="pixmo_cap"), [(url, None) for url in urls], bounds)
"""
THEIRS = f"""
import sys
from img2dataset import download
if __name__ == "__main__":
    kept = sys.argv[4] == "kept"
    download(sys.argv[1], output_folder=sys.argv[2], output_format="webdataset", processes_count=1, retries=3,
             thread_count={AT_A_TIME}, number_sample_per_shard=512, extract_exif=False, timeout=20,
             disable_all_reencoding=kept, resize_mode="no" if kept else "border")
"""


class Run(NamedTuple):
    """Wall seconds and peak memory in MiB of one process and its children."""

    seconds: float
    mebibytes: float


def resident(session: int) -> float:
    """MiB in the resident sets of all processes of a session."""
    pages = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        pages += int(fields[21]) if int(fields[3]) == session else 0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure(command: list[str]) -> Run:
    """Run a command to its end."""
    peak, begin = 0.0, time.perf_counter()
    env = {**os.environ, "NO_ALBUMENTATIONS_UPDATE": "1"}
    with tempfile.TemporaryFile() as noise:
        child = subprocess.Popen(command, cwd=ROOT, env=env, stdout=noise, stderr=noise, start_new_session=True)
        while child.poll() is None:
            peak = max(peak, resident(child.pid))
            time.sleep(0.05)
        if child.returncode:
            noise.seek(0)
            sys.exit(noise.read().decode(errors="replace"))
    return Run(time.perf_counter() - begin, peak)


def compare(theirs: str | None, port: str, number: int, dead: float) -> None:
    """Print the rows of one list."""
    every = round(1 / dead) if dead else number + 1
    paths = [f"/missing/{n}" if n % every == every - 1 else f"/ok/{n}" for n in range(number)]
    rates: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        script = folder / "theirs.py"  # its workers import it again
        script.write_text(THEIRS)
        for way in ("ours", "img2dataset, kept", "img2dataset, resized") if theirs else ("ours",):
            start = [sys.executable, "-c", OURS] if way == "ours" else [str(theirs), str(script)]
            host = HOST if way == "ours" else f"127.0.0.1:{port}"
            runs = []
            for part in (paths[:1], paths):
                urls = folder / f"{len(part)}.txt"
                urls.write_text("\n".join(f"http://{host}{path}" for path in part))
                runs.append(measure([*start, str(urls), str(folder / f"{way}-{len(part)}"), port, way.split()[-1]]))
            rates[way] = number / runs[1].seconds, (number - 1) / (runs[1].seconds - runs[0].seconds)
            print(
                f"{way:<20} {number:,} URLs {dead:>4.0%} dead {runs[1].seconds:>7.1f} s ({runs[0].seconds:.1f} start) "
                f"{rates[way][0]:>6,.0f} URLs/s, {rates[way][1]:>6,.0f} after start, {runs[1].mebibytes:,.0f} MiB"
            )
    for way, rate in rates.items():
        if way != "ours":
            whole, net = (ours / other for ours, other in zip(rates["ours"], rate, strict=True))
            print(f"URLs/s of ours / {way}: {whole:.2f}, after start {net:.2f}")


def main() -> None:
    """Serve from a process of its own and run every way over both lists."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--theirs", help="Python interpreter that has img2dataset")
    parser.add_argument("--urls", type=int, default=4000)
    options = parser.parse_args()
    if not options.theirs:
        print("img2dataset is left out: name an interpreter that has it with --theirs")
    command = [sys.executable, str(ROOT / "tests" / "picture_server.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin and server.stdout
        port = server.stdout.readline().strip()
        for dead in (0.0, DEAD_SHARE):
            compare(options.theirs, port, options.urls, dead)
        server.stdin.close()


if __name__ == "__main__":
    main()
