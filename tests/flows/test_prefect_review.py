"""The review under the real Prefect: deployments that export and import, and a build that waits for people."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from commands import ROOT, environment
from mixture_store import build_small
from prefect_server import flow_runs, prefect, prefect_server, stop

from flows.mixes import Mix, find
from flows.review_scores import journal
from shards.store import Store

pytestmark = [pytest.mark.integration, pytest.mark.long]

RULES: list[dict[str, object]] = [{"name": "doubt", "when": "answer_chars < 100", "then": "review"}]
PATIENCE = 180.0
"""Seconds that anything here may take on a busy machine."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with prefect_server(tmp_path_factory.mktemp("prefect")) as variables:
        yield variables


@pytest.fixture
def mix(tmp_path: Path) -> Mix:
    return build_small(tmp_path, least=20, rules=RULES)


def wait_for(found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if result := found():
            return result
        time.sleep(0.2)
    pytest.fail("it did not happen")


def ready_events(api: str) -> list[dict[str, Any]]:
    asked = {"filter": {"event": {"name": ["review-queue.ready"]}}}
    reply = httpx.post(f"{api}/events/filter", json=asked, timeout=30)
    reply.raise_for_status()
    found: list[dict[str, Any]] = reply.json()["events"]
    return found


def test_deployments_export_the_queue_and_import_the_answers(mix: Mix, server: dict[str, str], tmp_path: Path) -> None:
    api, store = server["PREFECT_API_URL"], str(mix.store.root)
    assert prefect("work-pool", "create", "mix", "--type", "process", env=server).returncode == 0
    deployed = prefect("--no-prompt", "deploy", "--all", env=server)
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "mix"]
    out = tmp_path / "out"
    with (tmp_path / "worker.log").open("wb") as log:
        worker = subprocess.Popen(
            command, env=environment(server), cwd=ROOT, stdout=log, stderr=log, start_new_session=True
        )
        try:
            given = {"mix": "small", "out": str(out), "to": "csv", "store": store, "audit": "3"}
            exported = run("review-export", given, server)
            keys = pl.read_csv(out / "queue.csv", infer_schema=False)["key"].to_list()
            (tmp_path / "said.csv").write_text("\n".join(["key,verdict", *(f"{key},drop" for key in keys)]))
            imported = run("review-import", {"file": str(tmp_path / "said.csv"), "store": store}, server)
            refused = run("review-import", {"file": str(out / "none.csv"), "store": store}, server)
        finally:
            stop(worker)
    log_text = (tmp_path / "worker.log").read_text()
    assert (exported.returncode, imported.returncode) == (0, 0), exported.stdout + imported.stdout + log_text
    assert refused.returncode != 0 and "no file" in log_text
    assert {answer.key for answer in journal(mix.store).read()} == set(keys)
    (event,) = wait_for(lambda: ready_events(api))
    waiting = mix.manifest.totals.review
    assert event["resource"]["prefect.resource.id"] == "vlmix.review-queue.small"
    counts = {name: event["payload"][name] for name in ("review", "keep", "drop", "items", "out")}
    assert counts == {"review": waiting, "keep": 3, "drop": 3, "items": waiting + 6, "out": str(out)}


def run(flow: str, parameters: dict[str, str], env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    given = [word for name, value in parameters.items() for word in ("--param", f"{name}={value}")]
    return prefect("deployment", "run", f"{flow}/review", *given, "--watch", env=env)


def test_a_build_waits_for_people_and_goes_on_with_their_answers(
    mix: Mix, server: dict[str, str], tmp_path: Path
) -> None:
    api, recipe = server["PREFECT_API_URL"], str(tmp_path / "raw" / "small.yaml")
    command = [str(Path(sys.executable).with_name("prefect")), "run", "build-sft-mix", "--review", "pause"]
    waiting = mix.decisions.filter(pl.col("verdict") == "review")["key"].to_list()
    said = [f"{key},{'keep' if place % 2 else 'drop'}" for place, key in enumerate(waiting[:-1])]
    (tmp_path / "said.csv").write_text("\n".join(["key,verdict", *said]))
    with (tmp_path / "run.log").open("wb") as log:
        build = subprocess.Popen(
            [*command, "--recipe", recipe, "--store", str(mix.store.root)],
            env=environment(server),
            cwd=ROOT,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            paused = wait_for(lambda: [each for each in flow_runs(api) if each["state_type"] == "PAUSED"])[0]
            wrong = resume(api, paused["id"], {"file": 7})
            assert wrong["status"] == "REJECT", wrong
            assert (
                resume(api, paused["id"], {"file": str(tmp_path / "said.csv"), "reviewer": "ann"})["status"] == "ACCEPT"
            )
            assert build.wait(PATIENCE) == 0, (tmp_path / "run.log").read_text()
        finally:
            if build.poll() is None:
                stop(build)
    made = find(Store(mix.store.root), "small")["sft"]
    assert made.manifest.totals.review == 1
    verdicts = dict(made.decisions.select("key", "verdict").iter_rows())
    assert [f"{key},{verdicts[key]}" for key in waiting[:-1]] == said
    assert {answer.reviewer for answer in journal(mix.store).read()} == {"ann"}


def resume(api: str, flow_run: str, given: dict[str, object]) -> dict[str, Any]:
    reply = httpx.post(f"{api}/flow_runs/{flow_run}/resume", json={"run_input": given}, timeout=30)
    reply.raise_for_status()
    found: dict[str, Any] = reply.json()
    return found
