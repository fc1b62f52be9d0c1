"""Commands as copies of one process that has imported what they need: each saves a second, and is a process still.

`python -m tests.warm SOCKET` waits for commands. `runpy` runs each in a copy, with arguments, folder, variables and
files of its own, as `python -m flows.cli` would run it. The parent imports and does nothing else, as `flows.preload`
does, so no thread that matters is missing in a copy.
"""

import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
MODULES = (
    *("flows.exporting", "flows.finding", "flows.pricing", "flows.reporting", "flows.reviewing", "flows.run"),
    *("flows.preload", "flows.table", "flows.verifying", "review.export"),
)
"""What commands import; none of them reads a variable when it is imported, so Prefect is not among them."""
WANTS_A_START = ("PYTHON", "NUMBA_", "OMP_", "OPENBLAS_", "POLARS_")
"""Variables that are read when Python starts or a package is imported: such a command is started afresh."""
PATIENCE_S = 180.0


class Warm:
    """The process that commands are copies of."""

    def __init__(self, address: Path) -> None:
        self._address = str(address)

    def run(self, arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], out: Path, err: Path) -> int:
        """Run one command to its end; gives its exit code, negative for a signal."""
        wanted = {"arguments": list(arguments), "cwd": str(cwd), "env": dict(env), "out": str(out), "err": str(err)}
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self._address)
            connection.sendall(json.dumps(wanted).encode())
            connection.shutdown(socket.SHUT_WR)
            answer = connection.makefile().read()
        assert answer, f"the process that commands are copies of is gone: {arguments}"
        return int(answer)


@contextmanager
def warm(folder: Path, env: Mapping[str, str]) -> Iterator[Warm]:
    """Start it; `folder` takes its socket, whose path must be short."""
    address = folder / "warm"
    process = subprocess.Popen([sys.executable, "-m", "tests.warm", str(address)], cwd=ROOT, env=dict(env))
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not address.exists():
            assert process.poll() is None and time.monotonic() < deadline, "it did not start"
            time.sleep(0.01)
        yield Warm(address)
    finally:
        process.kill()
        process.wait()


def serve(address: str) -> dict[str, Any]:
    """Wait for commands for ever; returns in each copy with the command that it is."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{address}.new")
        listening.listen(64)
        Path(f"{address}.new").rename(address)
        while True:
            connection, _ = listening.accept()
            if os.fork() == 0:
                # two generations: the first waits for the second and tells how it ended
                listening.close()
                return _hold(connection)
            connection.close()
            _reap()


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _hold(connection: socket.socket) -> dict[str, Any]:
    with connection:
        wanted: dict[str, Any] = json.loads(connection.makefile().read())
        copy = os.fork()
        if copy:
            code = os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])
            connection.sendall(str(code).encode())
            os._exit(0)
    return wanted


def become(wanted: Mapping[str, Any]) -> None:
    """Have the folder, the variables and the files of a command."""
    for number, path in ((1, wanted["out"]), (2, wanted["err"])):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        os.dup2(file, number)
        os.close(file)
    os.chdir(wanted["cwd"])
    os.environ.clear()
    os.environ.update(wanted["env"])
    sys.argv = ["vlmix", *wanted["arguments"]]
    sys.path[0] = wanted["cwd"]


if __name__ == "__main__":
    for name in MODULES:
        import_module(name)
    gc.collect()
    gc.freeze()
    # the session ends this process by a signal; Ctrl-C at a terminal is for the session
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    found = serve(sys.argv[1])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    become(found)
    runpy.run_module("flows.cli", run_name="__main__", alter_sys=True)
