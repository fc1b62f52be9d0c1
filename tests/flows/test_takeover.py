"""A flow run takes a store over: one that died holding it is ended on the real server, and no other."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from commands import ROOT, environment
from prefect_server import PATIENCE, prefect, prefect_server

pytestmark = [pytest.mark.integration, pytest.mark.long]

HOLDER = """
import logging
import sys
from pathlib import Path
from uuid import UUID

from flows.takeover import taken_over

logging.basicConfig(level=logging.INFO, format="%(message)s")
with taken_over(Path(sys.argv[1]), UUID(sys.argv[2]), logging.getLogger("holder")):
    print("held", flush=True)
    if sys.stdin.read() == "fail":
        raise RuntimeError("it failed")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with prefect_server(tmp_path_factory.mktemp("prefect")) as variables:
        yield variables


def ask(server: Mapping[str, str], how: str, path: str, body: object = None) -> Any:
    """The answer; a server whose database is busy says 503, upon which Prefect's own client asks again, too."""
    deadline = time.monotonic() + PATIENCE
    while (
        reply := httpx.request(how, f"{server['PREFECT_API_URL']}/{path}", json=body, timeout=60)
    ).status_code == 503:
        assert time.monotonic() < deadline, reply.text
        time.sleep(0.5)
    assert reply.is_success, reply.text
    return reply.json()


def begun(server: Mapping[str, str], *states: str) -> str:
    """A flow run that the server takes for running, then for something else."""
    flow = ask(server, "POST", "flows/", {"name": "build-sft-mix"})["id"]
    run: str = ask(server, "POST", "flow_runs/", {"flow_id": flow, "state": {"type": "RUNNING"}})["id"]
    for state in states:
        assert ask(server, "POST", f"flow_runs/{run}/set_state", {"state": {"type": state}})["status"] == "ACCEPT"
    return run


def state_of(server: Mapping[str, str], run: str) -> str:
    found: str = ask(server, "GET", f"flow_runs/{run}")["state_type"]
    return found


def hold(store: Path, run: str, server: Mapping[str, str]) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", HOLDER, str(store), run]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, env=environment(server), stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def held_once(store: Path, run: str, server: Mapping[str, str], how: str = "") -> "subprocess.CompletedProcess[str]":
    """Hold the store for a moment; `how`: `fail` ends with an error, `kill` with SIGKILL."""
    with hold(store, run, server) as holder:
        assert holder.stdout
        line = holder.stdout.readline()
        if how == "kill":
            os.kill(holder.pid, signal.SIGKILL)
        out, err = holder.communicate(how)
    return subprocess.CompletedProcess(holder.args, holder.returncode, line + out, err)


@pytest.mark.parametrize(("states", "end"), [((), "CRASHED"), (("CANCELLING",), "CANCELLED")])
def test_a_run_that_died_holding_the_store_is_ended(states, end, server, tmp_path) -> None:
    dead = begun(server, *states)
    assert held_once(tmp_path, dead, server, "kill").returncode == -signal.SIGKILL
    after = held_once(tmp_path, str(uuid4()), server)
    assert (after.returncode, after.stdout) == (0, "held\n"), after.stderr
    assert f"flow run {dead} was left running by a dead process; it is set to {end.title()}" in after.stderr
    assert state_of(server, dead) == end


@pytest.mark.parametrize(("how", "code"), [("", 0), ("fail", 1)])
def test_a_run_that_gave_the_store_back_may_publish_or_wait_for_its_retry(how, code, server, tmp_path) -> None:
    before = begun(server)
    assert held_once(tmp_path, before, server, how).returncode == code
    after = held_once(tmp_path, str(uuid4()), server)
    assert (after.returncode, after.stdout) == (0, "held\n"), after.stderr
    assert state_of(server, before) == "RUNNING" and not list(tmp_path.iterdir())


def test_a_run_that_the_server_does_not_take_for_running_is_left_as_it_is(server, tmp_path) -> None:
    before = begun(server, "PAUSED")
    held_once(tmp_path, before, server, "kill")
    assert held_once(tmp_path, str(uuid4()), server).returncode == 0
    assert state_of(server, before) == "PAUSED"


def test_a_server_that_is_away_or_knows_no_such_run_does_not_stop_a_build(server, tmp_path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{probe.getsockname()[1]}/api"
    away = {**server, "PREFECT_API_URL": nobody, "PREFECT_CLIENT_MAX_RETRIES": "0"}
    for variables in (away, server):
        before = str(uuid4())
        held_once(tmp_path, before, variables, "kill")
        after = held_once(tmp_path, str(uuid4()), variables)
        assert (after.returncode, after.stdout) == (0, "held\n"), after.stderr
        assert f"flow run {before} that held the store before cannot be looked at" in after.stderr


def test_a_dead_run_that_waits_for_its_worker_is_ended_by_hand(server) -> None:
    # the command of docs/operations.md
    dead = begun(server)
    cancelled = prefect("flow-run", "cancel", dead, env=server)
    assert cancelled.returncode == 0 and state_of(server, dead) == "CANCELLING", cancelled.stderr
    data = '{"state": {"type": "CANCELLED"}}'
    done = prefect("api", "POST", f"/flow_runs/{dead}/set_state", "--data", data, env=server)
    assert done.returncode == 0 and state_of(server, dead) == "CANCELLED", done.stdout + done.stderr
