"""A night in operation: real server, real process worker; schedules fire, runs do not overlap, the dead are found."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import pytest
import yaml
from commands import ROOT, Vlmix, environment
from prefect_server import prefect, prefect_server, stop

from benchmarks.kill import write_recipe

pytestmark = [pytest.mark.integration, pytest.mark.long]

PATIENCE_S = 600.0
NIGHTLY = "deployments/name/build-sft-mix/nightly"


class Server(NamedTuple):
    """A server with the project's deployments, and the variables that point a client to it."""

    variables: dict[str, str]

    def get(self, path: str) -> Any:
        return self._ask("GET", path, None)

    def post(self, path: str, body: object) -> Any:
        return self._ask("POST", path, body)

    def delete(self, path: str) -> None:
        reply = httpx.delete(f"{self.variables['PREFECT_API_URL']}/{path}", timeout=60)
        assert reply.is_success, reply.text

    def runs(self, deployment: str) -> list[dict[str, Any]]:
        body = {"deployments": {"id": {"any_": [deployment]}}, "sort": "EXPECTED_START_TIME_ASC"}
        runs: list[dict[str, Any]] = self.post("flow_runs/filter", body)
        return runs

    def _ask(self, how: str, path: str, body: object) -> Any:
        """The answer; a server whose database is busy says 503, upon which Prefect's own client asks again, too."""
        url = f"{self.variables['PREFECT_API_URL']}/{path}"
        reply = until(lambda: (got := httpx.request(how, url, json=body, timeout=60)).status_code != 503 and got)
        assert reply.is_success, reply.text
        return reply.json()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with prefect_server(tmp_path_factory.mktemp("prefect")) as variables:
        assert prefect("work-pool", "create", "mix", "--type", "process", env=variables).returncode == 0
        deployed = prefect("--no-prompt", "deploy", "--all", env=variables)
        assert deployed.returncode == 0, deployed.stdout + deployed.stderr
        yield Server(variables)


class Place(NamedTuple):
    """A recipe and where its store goes."""

    recipe: Path
    store: Path

    @property
    def parameters(self) -> dict[str, object]:
        return {"recipe": str(self.recipe), "store": str(self.store), "workers": 2}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(write_recipe(tmp_path / "raw", 300), tmp_path / "store")


@pytest.fixture
def worker(server: Server, tmp_path: Path) -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    """Starts workers; those that still live are stopped at the end."""
    started: list[subprocess.Popen[bytes]] = []

    def start(**more: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "mix"]
        env = environment(server.variables | more)
        with (tmp_path / "worker.log").open("ab") as log:
            process = subprocess.Popen(command, env=env, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            stop(process)


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    return found


def ended(server: Server, run: str) -> Mapping[str, Any]:
    final = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
    return until(lambda: (found := server.get(f"flow_runs/{run}")) and found["state_type"] in final and found)


def trigger(server: Server, deployment: str, parameters: Mapping[str, object]) -> str:
    run: str = server.post(f"deployments/{deployment}/create_flow_run", {"parameters": dict(parameters)})["id"]
    return run


def scheduled_for(server: Server, deployment: str, place: Place) -> list[dict[str, Any]]:
    """Runs that the server itself scheduled for a store."""
    runs = server.runs(deployment)
    return [run for run in runs if run["auto_scheduled"] and run["parameters"].get("store") == str(place.store)]


def digest_of(store: Path) -> str:
    (manifest,) = store.glob("runs/*/*/index.json")
    digest: str = json.loads(manifest.read_text())["digest"]
    return digest


def test_a_schedule_fires_by_itself(server, worker, place, vlmix: Vlmix) -> None:
    nightly = server.get(NIGHTLY)
    # every minute: a server may be busy when the first one comes
    soon = datetime.now(UTC) + timedelta(seconds=60)
    schedule = {"interval": 60, "anchor_date": soon.isoformat(), "timezone": "UTC"}
    body = [{"schedule": schedule, "active": True, "slug": "tonight", "parameters": place.parameters}]
    (made,) = server.post(f"deployments/{nightly['id']}/schedules", body)
    worker()
    try:
        first = until(lambda: scheduled_for(server, nightly["id"], place))[0]
        # the first run of a night may take longer than a minute: the next one then does not begin
        assert ended(server, first["id"])["state_type"] == "COMPLETED"
    finally:
        server.delete(f"deployments/{nightly['id']}/schedules/{made['id']}")
    again = vlmix("run", "build-sft-mix", "--recipe", place.recipe, "--store", place.store, "--json")
    assert again.document["steps"]["executed"] == 0 and again.document["digest"] == digest_of(place.store)


def test_triggers_that_overlap_do_not_run_at_once(server, worker, place) -> None:
    nightly = server.get(NIGHTLY)["id"]
    runs = [trigger(server, nightly, place.parameters) for _ in range(2)]
    worker()
    states = sorted(ended(server, run)["state_type"] for run in runs)
    assert states == ["CANCELLED", "COMPLETED"]


def test_the_doctor_sees_server_deployments_and_workers(server, worker, place, vlmix: Vlmix) -> None:
    def look() -> dict[str, Any]:
        done = vlmix("check", "--store", place.store, "--json", env=server.variables)
        return {each["check"]: each for each in done.document["findings"]}

    found = look()
    assert {found[name]["state"] for name in ("prefect", "clock", "deployment", "limit")} == {"ok"}
    assert "30 2 * * *" in found["deployment"]["found"]
    worker()
    alive = until(lambda: (seen := look()["worker"]) and seen["state"] == "ok" and seen)
    assert "in pool `mix`" in alive["found"]
    server.post(f"deployments/{server.get(NIGHTLY)['id']}/pause_deployment", {})
    paused = look()["deployment"]
    assert paused["state"] == "warn" and "is paused" in paused["found"]
    done = prefect(*paused["remedy"].split()[1:], env=server.variables)
    assert done.returncode == 0 and look()["deployment"]["state"] == "ok", done.stdout + done.stderr


HOLDER = """
import sys
from pathlib import Path
from shards.store import Store

with Store(Path(sys.argv[1])).lock():
    print(flush=True)
    sys.stdin.read()
"""


def test_a_store_in_use_stops_the_run_of_another_deployment(server, place) -> None:
    place.store.mkdir()
    command = [sys.executable, "-c", HOLDER, str(place.store)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin and holder.stdout
        holder.stdout.readline()
        run = ("run", "build-sft-mix", "--recipe", str(place.recipe), "--store", str(place.store))
        done = prefect(*run, env=server.variables)
        holder.stdin.close()
    assert done.returncode == 1 and "is in use by another run; wait until it ends" in done.stderr


def test_the_dead_are_found_by_the_next_run(server, worker, place) -> None:
    nightly = server.get(NIGHTLY)["id"]
    lost = trigger(server, nightly, place.parameters)
    first = worker()
    until(lambda: list(place.store.glob("shards/*/*/*")))
    for process in family(first.pid):
        os.kill(process, signal.SIGKILL)
    first.wait()
    assert server.get(f"flow_runs/{lost}")["state_type"] == "RUNNING"
    # not through the deployment: its slot stays taken until the lease ends, five minutes later
    done = prefect(
        "run", "build-sft-mix", "--recipe", str(place.recipe), "--store", str(place.store), env=server.variables
    )
    assert done.returncode == 0, done.stderr
    state = server.get(f"flow_runs/{lost}")["state"]
    assert (state["type"], state["message"]) == (
        "CRASHED",
        "its process is gone: another run has got the lock of the store",
    )
    assert digest_of(place.store) and not list(place.store.rglob("*.tmp"))
    # and the deployment is free again
    worker()
    assert ended(server, trigger(server, nightly, place.parameters))["state_type"] == "COMPLETED"


def family(root: int) -> list[int]:
    """A process and everything below it; flow runs are in groups of their own."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rsplit(")", 1)[1].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
    found = [root]
    for process in found:
        found += [child for child, parent in parents.items() if parent == process]
    return found


ZOMBIES = ROOT / "deploy" / "prefect" / "zombies.yaml"


def test_the_heartbeat_automation_is_understood(server) -> None:
    done = prefect("automation", "create", "--from-file", str(ZOMBIES), env=server.variables)
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = server.post("automations/filter", {})
    written = yaml.safe_load(ZOMBIES.read_text())
    assert made["name"] == written["name"] and made["enabled"]
    assert made["trigger"]["posture"] == "Proactive" and made["trigger"]["within"] == written["trigger"]["within"]
    assert made["actions"][0]["state"] == "CRASHED"
    server.delete(f"automations/{made['id']}")


SOON_S = 45
"""Seconds for the automation's minutes: Prefect allows a heartbeat every 30 seconds, no more."""


@pytest.fixture
def wait_s(server: Server, tmp_path: Path) -> Iterator[int]:
    """The automation on a smaller scale of time; gives the wait of `nightly` for a retry on the same scale."""
    written = yaml.safe_load(ZOMBIES.read_text())
    delay = server.get(NIGHTLY)["job_variables"]["env"]["PREFECT_FLOWS_DEFAULT_RETRY_DELAY_SECONDS"]
    scaled = int(delay) * SOON_S // written["trigger"]["within"]
    written["trigger"]["within"] = SOON_S
    (tmp_path / "soon.yaml").write_text(yaml.safe_dump(written))
    done = prefect("automation", "create", "--from-file", str(tmp_path / "soon.yaml"), env=server.variables)
    assert done.returncode == 0, done.stdout + done.stderr
    yield scaled
    for made in server.post("automations/filter", {}):
        server.delete(f"automations/{made['id']}")


def in_state(server: Server, state: str, name: str) -> list[str]:
    """Runs of this name that are in a state of that one."""
    body = {"flow_runs": {"state": {"name": {"any_": [state]}}, "name": {"any_": [name]}}}
    return [run["id"] for run in server.post("flow_runs/filter", body)]


def write_asking(folder: Path) -> Path:
    """A recipe whose every row waits for people."""
    path = write_recipe(folder, 60)
    recipe = json.loads(path.read_text())
    doubt = {"name": "doubt", "when": "answer_chars > 0", "then": "review"}
    path.write_text(json.dumps(recipe | {"rules": {"list": [doubt]}, "judge": "off", "dedup": {"level": "off"}}))
    return path


def test_heartbeats_tell_the_dead_from_those_who_wait(server, worker, place, tmp_path, wait_s) -> None:
    beats = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}
    nightly = server.get(NIGHTLY)["id"]
    first = worker(**beats)
    asking = Place(write_asking(tmp_path / "asked"), tmp_path / "asking")
    suspended = trigger(server, nightly, {**asking.parameters, "review": "suspend"})
    until(lambda: in_state(server, "Suspended", str(asking.recipe)))
    # a run that fails at once, time and again: it finds no recipe
    retries = {"PREFECT_FLOWS_DEFAULT_RETRIES": "100", "PREFECT_FLOWS_DEFAULT_RETRY_DELAY_SECONDS": str(wait_s)}
    command = [str(Path(sys.executable).with_name("prefect")), "run", "build-sft-mix", "--recipe", "nope"]
    env = environment(server.variables | beats | retries)
    with (tmp_path / "waits.log").open("wb") as log:
        waits = subprocess.Popen(command, env=env, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
    try:
        (patient,) = until(lambda: in_state(server, "AwaitingRetry", "nope"))
        # the one that dies begins last, so it is missed last
        lost = trigger(server, nightly, place.parameters)
        until(lambda: list(place.store.glob("shards/*/*/*")))
        for process in family(first.pid):
            os.kill(process, signal.SIGKILL)
        first.wait()
        state = ended(server, lost)["state"]
        assert (state["type"], state["message"]) == ("CRASHED", "no heartbeat for fifteen minutes")
        assert server.get(f"flow_runs/{suspended}")["state_name"] == "Suspended"
        assert server.get(f"flow_runs/{patient}")["state_name"] in {"AwaitingRetry", "Running"}
    finally:
        stop(waits)


def test_sources_are_looked_at(server, worker, tmp_path) -> None:
    weekly = server.get("deployments/name/sources-check/weekly")
    assert weekly["schedules"][0]["schedule"]["cron"] == "0 6 * * 1"
    worker()
    run = trigger(server, weekly["id"], {"recipe": "demo", "store": str(tmp_path / uuid4().hex)})
    assert ended(server, run)["state_type"] == "COMPLETED"
    artifacts = server.post("artifacts/filter", {"artifacts": {"key": {"any_": ["sources"]}}})
    assert artifacts[0]["description"] == "no source comes by network"
