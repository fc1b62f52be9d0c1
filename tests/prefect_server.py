"""The real Prefect: its command, and a server of its own for tests."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from commands import ROOT, environment

PATIENCE = 180.0
"""Seconds that a server may take to start on a busy machine."""


def prefect(*arguments: str, env: Mapping[str, str], cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run the `prefect` command."""
    command = [str(Path(sys.executable).with_name("prefect")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment(env), cwd=cwd, check=False)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and its children, if they are there."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def prefect_server(home: Path) -> Iterator[dict[str, str]]:
    """A server with its data in `home`, and its process group in `home/group`; gives the variables of its clients."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    variables = {"PREFECT_HOME": str(home), "VLMIX_ROOT": str(ROOT)}
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment(variables), cwd=ROOT, stdout=log, stderr=log, start_new_session=True
        )
        (home / "group").write_text(str(process.pid))
        try:
            api = f"http://127.0.0.1:{port}/api"
            _wait_until_healthy(process, api)
            yield {**variables, "PREFECT_API_URL": api}
        finally:
            stop(process)


def _wait_until_healthy(process: subprocess.Popen[bytes], api: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server ended"
        try:
            if httpx.get(f"{api}/health", timeout=2).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    pytest.fail("the server did not start")


def flow_runs(api: str) -> list[dict[str, str]]:
    """Flow runs that have begun, the latest first; a schedule makes others days ahead."""
    reply = httpx.post(f"{api}/flow_runs/filter", json={"sort": "START_TIME_DESC"}, timeout=30)
    reply.raise_for_status()
    runs: list[dict[str, str]] = reply.json()
    return [run for run in runs if run["start_time"]]
