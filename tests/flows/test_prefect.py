"""The flow under the real Prefect: its own command, its server, its process worker."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from commands import ROOT, DemoBuild, environment
from prefect_server import PATIENCE, flow_runs, prefect, prefect_server, stop

pytestmark = [pytest.mark.integration, pytest.mark.long]


@pytest.fixture(scope="module")
def demo(demo: DemoBuild, tmp_path_factory: pytest.TempPathFactory) -> DemoBuild:
    """A copy of the finished demo for this module, which runs on it."""
    return demo.copy(tmp_path_factory.mktemp("own") / "store")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A real Prefect server; gives the variables that point a client to it."""
    with prefect_server(tmp_path_factory.mktemp("prefect")) as variables:
        yield variables


def until(condition: Callable[[], Any]) -> Any:
    """What a condition gives once it is true; the server stores events and logs some time after they are sent."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    return found


def test_prefect_run_without_a_server(demo: DemoBuild, tmp_path: Path) -> None:
    done = prefect("run", "build-sft-mix", "--store", str(demo.store), env={"PREFECT_HOME": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert "Completed()" in done.stdout + done.stderr


@pytest.fixture(scope="module")
def flow_run(demo: DemoBuild, server: dict[str, str]) -> dict[str, str]:
    """One run that reports to the server, as the server knows it right after."""
    done = prefect("run", "build-sft-mix", "--store", str(demo.store), env=server)
    assert done.returncode == 0, done.stderr
    return flow_runs(server["PREFECT_API_URL"])[0]


def test_prefect_run_with_a_server(flow_run: dict[str, str]) -> None:
    assert (flow_run["name"], flow_run["state_type"]) == ("demo", "COMPLETED")


def test_a_deployment_run_by_a_process_worker(demo: DemoBuild, server: dict[str, str], tmp_path: Path) -> None:
    assert prefect("work-pool", "create", "mix", "--type", "process", env=server).returncode == 0
    deployed = prefect("--no-prompt", "deploy", "--all", env=server)
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "mix"]
    with (tmp_path / "worker.log").open("wb") as log:
        worker = subprocess.Popen(
            command, env=environment(server), cwd=ROOT, stdout=log, stderr=log, start_new_session=True
        )
        try:
            run = ("deployment", "run", "build-sft-mix/nightly", "--param", f"store={demo.store}", "--watch")
            done = prefect(*run, env=server)
        finally:
            stop(worker)
    assert done.returncode == 0, done.stdout + done.stderr + (tmp_path / "worker.log").read_text()
    latest = flow_runs(server["PREFECT_API_URL"])[0]
    assert latest["state_type"] == "COMPLETED" and latest["deployment_id"]


def test_the_artifacts_hold_the_counts_and_the_report(
    demo: DemoBuild, server: dict[str, str], flow_run: dict[str, str]
) -> None:
    asked = {"flow_runs": {"id": {"any_": [flow_run["id"]]}}}
    reply = httpx.post(f"{server['PREFECT_API_URL']}/artifacts/filter", json=asked, timeout=30)
    artifacts = {artifact["key"]: artifact["data"] for artifact in reply.json()}
    for stage in demo.document["stages"]:
        assert f'"emitted": {stage["totals"]["emitted"]}' in artifacts["demo-counts"]
    assert Path(demo.document["report"]).as_uri() in artifacts["demo-report"]
    assert '"step": "score text"' in artifacts["demo-steps"] and artifacts["demo-progress"] == 100.0
    described = {artifact["key"]: artifact["description"] for artifact in reply.json()}
    assert described["demo-new"] == f"no change since {demo.document['digest'][:12]}"


def test_a_finished_build_tells_automations_and_logs_its_steps(
    demo: DemoBuild, server: dict[str, str], flow_run: dict[str, str]
) -> None:
    api = server["PREFECT_API_URL"]
    wanted = {"filter": {"event": {"prefix": ["build-sft-mix."]}}}

    def told() -> dict[str, dict[str, object]]:
        reply = httpx.post(f"{api}/events/filter", json=wanted, timeout=30)
        return {event["event"]: event for event in reply.json()["events"]}

    found = until(lambda: {"build-sft-mix.finished", "build-sft-mix.review"} <= told().keys() and told())
    finished = found["build-sft-mix.finished"]
    assert finished["resource"]["prefect.resource.id"] == "vlmix.recipe.demo"
    assert finished["payload"]["digest"] == demo.document["digest"] and finished["payload"]["executed"] == 0
    waiting = {stage["stage"]: stage["totals"]["review"] for stage in demo.document["stages"]}
    assert found["build-sft-mix.review"]["payload"]["rows"] == waiting
    assert "build-sft-mix.changed" not in found
    asked = {"logs": {"flow_run_id": {"any_": [flow_run["id"]]}}, "limit": 200}
    logs = until(
        lambda: (
            (said := [each["message"] for each in httpx.post(f"{api}/logs/filter", json=asked, timeout=30).json()])
            and any("ends after" in message for message in said)
            and said
        )
    )
    assert "scan: 0 executed, 12 cached" in logs


def test_the_nightly_schedule_is_cron_with_a_timezone(server: dict[str, str]) -> None:
    reply = httpx.get(f"{server['PREFECT_API_URL']}/deployments/name/build-sft-mix/nightly", timeout=30)
    deployment = reply.json()
    assert deployment["schedules"][0]["schedule"]["cron"] == "30 2 * * *"
    assert deployment["schedules"][0]["schedule"]["timezone"] == "UTC"
    assert deployment["parameter_openapi_schema"]["properties"]["workers"]["title"] == "workers"


def test_python_m_prefect_knows_the_command_too(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "prefect", "run", "build-sft-mix", "--help"]
    env = environment({"PREFECT_HOME": str(tmp_path)})
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT, check=False)
    assert done.returncode == 0 and "--recipe" in done.stdout


def test_prefect_run_tells_usage_errors(server: dict[str, str]) -> None:
    done = prefect("run", "build-sft-mix", "--recipe", "nope", env=server)
    assert done.returncode == 2
    assert "no recipe `nope`" in done.stderr
