"""What Prefect costs: one job without it and with it, and empty tasks for the price of each; a real server beside.

    python -m benchmarks.prefect_overhead [--rows 10000] [--workers 2] [--folder DIR] [--rounds 3] [--beside]

The job is that of `benchmarks.scale`, once as `vlmix run build-sft-mix` and once as `prefect run build-sft-mix`, whose
states, logs and artifacts go to a server of its own (SQLite). Printed are CPU seconds of the main process, of its
workers and of the server, what an idle server takes in the same time taken off; requests are counted in its log. Empty
tasks go through the same runner: `STEPS` steps of `BATCHES` tasks that do nothing.

The number of tasks does not grow with the rows: a step has at most `BATCHES`. So the whole is a fixed part and a price
for each task, and the last line says what they come to in a run of ten minutes.

`--beside` runs both ways at the same time instead, with one worker and one core each, the server on the core of its
run, and compares their wall time; cores change places each round. 1,000,000 rows take about ten minutes (Linux).
"""

import argparse
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import httpx

from benchmarks.processes import ROOT, Taken, cpu_seconds, family, watched
from benchmarks.scale import write_recipe
from benchmarks.scale_data import write_sources

STEPS: Final = (0, 40)
"""Steps of empty tasks; the difference is their price."""
PATIENCE_S: Final = 300.0
IDLE_S: Final = 20.0
TEN_MINUTES: Final = 600.0

_REQUEST: Final = re.compile(r'"(GET|POST|PATCH|PUT|DELETE) (/api/[^ ?"]*)')
_NAMED: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")


class Run(NamedTuple):
    """CPU seconds of one run, and what its server was asked."""

    main: float
    workers: float
    server: float
    wall: float
    requests: Counter[str]


class Server:
    """A Prefect server of its own, with its data in a folder."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, variables: Mapping[str, str]) -> None:
        self.process, self.log, self.variables = process, log, variables
        self.idle = 0.0
        """CPU seconds a second when nobody asks it anything."""

    def cpu(self) -> float:
        """Seconds it has taken."""
        return sum(map(cpu_seconds, family(self.process.pid)))

    def requests(self) -> Counter[str]:
        """What it was asked so far, with identifiers left out."""
        found = _REQUEST.findall(self.log.read_text(errors="replace"))
        return Counter(f"{method} {_NAMED.sub('ID', path)}" for method, path in found)


@contextmanager
def prefect_server(home: Path, *prefix: str) -> Iterator[Server]:
    """Start one, wait until it answers, and see what it takes when it has nothing to do."""
    home.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    variables = {**os.environ, "PREFECT_HOME": str(home), "VLMIX_ROOT": str(ROOT), "DO_NOT_TRACK": "1"}
    command = [*prefix, sys.executable, "-m", "prefect", "server", "start", "--port", str(port), "--log-level", "INFO"]
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=variables, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
        try:
            api = f"http://127.0.0.1:{port}/api"
            server = Server(process, home / "server.log", {**variables, "PREFECT_API_URL": api})
            _wait(process, api)
            begin, cpu = time.monotonic(), server.cpu()
            time.sleep(IDLE_S)
            server.idle = (server.cpu() - cpu) / (time.monotonic() - begin)
            yield server
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def _wait(process: subprocess.Popen[bytes], api: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{api}/health", timeout=2).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.5)
    sys.exit("the Prefect server did not start")


def asked(server: Server, command: Sequence[str]) -> Run:
    """Run a command that speaks to a server."""
    before, cpu, begin = server.requests(), server.cpu(), time.monotonic()
    taken, _ = watched(command, env=server.variables)
    wall = time.monotonic() - begin
    time.sleep(1)  # what is sent last is worked on
    spent = max(server.cpu() - cpu - server.idle * (time.monotonic() - begin), 0.0)
    return _run(taken, spent, wall, server.requests() - before)


def _run(taken: Taken, server: float, wall: float, requests: Counter[str]) -> Run:
    main = sum(process.cpu for process in taken.processes.values() if process.name == "main")
    return Run(main, taken.cpu - main, server, wall, requests)


def job(folder: Path, name: str, workers: int) -> list[str]:
    """Arguments of one of the two commands, with a store of its own."""
    words = ["build-sft-mix", "--recipe", str(folder / "scale.yaml"), "--store", str(folder / name)]
    return [*words, "--workers", str(workers)]


def empty_steps(steps: int) -> None:
    """A flow of steps of tasks that do nothing, through the runner that builds use."""
    from prefect import flow

    from flows.build_sft_mix import _THREADS, BATCHES, PrefectRunner
    from flows.executor import LocalRunner

    @flow(name="empty", task_runner=_THREADS)
    def empty() -> int:
        runner = PrefectRunner(LocalRunner(None))
        return sum(sum(runner.map("nothing", _nothing, range(BATCHES))) for _ in range(steps))

    print(json.dumps({"tasks": steps * BATCHES, "sum": empty()}))


def _nothing(number: int) -> int:
    return number


def compare(folder: Path, rows: int, workers: int, rounds: int) -> None:
    """Print what both ways take, and what tasks cost."""
    write_sources(folder, rows)
    write_recipe(folder, rows)
    plain, with_prefect, empty = list[Run](), list[Run](), {steps: list[Run]() for steps in STEPS}
    with prefect_server(folder / "prefect") as server:
        print(f"idle server: {server.idle:.3f} CPU seconds a second", flush=True)
        for number in range(rounds):
            taken, _ = watched([sys.executable, "-m", "flows.cli", "run", *job(folder, f"plain-{number}", workers)])
            plain.append(_run(taken, 0, taken.wall, Counter()))
            _say("vlmix run", plain[-1])
            command = [sys.executable, "-m", "prefect", "run", *job(folder, f"prefect-{number}", workers)]
            with_prefect.append(asked(server, command))
            _say("prefect run", with_prefect[-1])
            for steps, runs in empty.items():
                side = [sys.executable, "-m", "benchmarks.prefect_overhead", "--empty", str(steps)]
                runs.append(asked(server, side))
                _say(f"{steps} empty steps", runs[-1])
    _conclude(plain, with_prefect, empty)


def compare_beside(folder: Path, rows: int, rounds: int) -> None:
    """Print the wall time of both ways, run at the same time, a core each."""
    write_sources(folder, rows)
    write_recipe(folder, rows)
    first, second, *_ = sorted(os.sched_getaffinity(0))
    for number in range(rounds):
        mine, other = (["taskset", "-c", str(core)] for core in ((second, first) if number % 2 else (first, second)))
        command = [*mine, sys.executable, "-m", "prefect", "run", *job(folder, f"prefect-{number}", 1)]
        plain = [*other, sys.executable, "-m", "flows.cli", "run", *job(folder, f"plain-{number}", 1)]
        with prefect_server(folder / f"server-{number}", *mine) as server, ThreadPoolExecutor(1) as threads:
            beside = threads.submit(watched, plain)
            with_prefect = asked(server, command)
            taken, _ = beside.result()
        without = _run(taken, 0, taken.wall, Counter())
        _say("vlmix run", without)
        _say("prefect run", with_prefect)
        print(
            f"wall: {with_prefect.wall / without.wall - 1:+.1%}, {with_prefect.wall - without.wall:+.1f} s", flush=True
        )


def _say(name: str, run: Run) -> None:
    print(
        f"{name:<16} main {run.main:>6.2f}  workers {run.workers:>6.2f}  server {run.server:>6.2f} CPU s  "
        f"wall {run.wall:>6.1f} s  {run.requests.total():>5} requests",
        flush=True,
    )


def _conclude(plain: Sequence[Run], with_prefect: Sequence[Run], empty: Mapping[int, Sequence[Run]]) -> None:
    from flows.build_sft_mix import BATCHES

    least = {steps: (_least(runs, "main"), _least(runs, "server")) for steps, runs in empty.items()}
    first, last = STEPS
    tasks = (last - first) * BATCHES
    main, server = ((least[last][place] - least[first][place]) / tasks for place in range(2))
    own = _least(with_prefect, "main") - _least(plain, "main")
    served = statistics.median(run.server for run in with_prefect)
    print(f"a task: {1000 * main:.1f} CPU ms in the main process, {1000 * server:.1f} in the server")
    print(f"the job: {own:.1f} CPU s more in the main process, {served:.1f} in the server")
    print(
        f"that is {(own + served) / TEN_MINUTES:.2%} of one core in ten minutes, {own / TEN_MINUTES:.2%} without server"
    )
    slow, fast = (statistics.median(run.wall for run in runs) for runs in (with_prefect, plain))
    print(f"wall: {slow / fast - 1:+.1%}, {slow - fast:+.1f} s")
    for request, number in with_prefect[-1].requests.most_common():
        print(f"  {number:>5} {request}")


def _least(runs: Sequence[Run], what: str) -> float:
    return min(float(getattr(run, what)) for run in runs)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--beside", action="store_true")
    parser.add_argument("--empty", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.empty is not None:
        empty_steps(options.empty)
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        if options.beside:
            compare_beside(Path(name), options.rows, options.rounds)
        else:
            compare(Path(name), options.rows, options.workers, options.rounds)


if __name__ == "__main__":
    main()
