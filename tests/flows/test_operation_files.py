"""The files of an operator: what units, environments and Compose name exists in Prefect's command and settings."""

import configparser
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import ROOT, environment

from flows import settings

DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
ENVIRONMENTS = sorted((DEPLOY / "systemd").glob("*.env"))
OURS = {value for name, value in vars(settings).items() if name.endswith("_VARIABLE")}
OTHERS = {"DO_NOT_TRACK", "HF_TOKEN", "NUMBA_CACHE_DIR", "VLMIX_JUDGE_API_KEY", "VLMIX_ROOT"}


def unit(path: Path) -> configparser.ConfigParser:
    read = configparser.ConfigParser(interpolation=None, strict=True)
    read.optionxform = str  # type: ignore[assignment,method-assign]  # as configparser's own page says
    read.read_string(path.read_text())
    return read


def compose() -> dict[str, Any]:
    """The file with variables replaced as Compose does."""
    text = (DEPLOY / "compose.prefect.yaml").read_text()
    needed = re.sub(r"\$\{(\w+)(:\?[^}]*)?\}", r"given-\1", text)
    read: dict[str, Any] = yaml.safe_load(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", needed))
    return read


def written_variables(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def known_to_prefect(name: str, value: str, tmp_path: Path) -> bool:
    """Whether Prefect takes a variable and its value."""
    code = "from prefect.settings import get_current_settings as s; print(sorted(s().to_environment_variables()))"
    env = environment({name: value, "PREFECT_HOME": str(tmp_path)})
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, cwd=tmp_path, check=False
    )
    names = {name, name.replace("PREFECT_SERVER_DATABASE_", "PREFECT_API_DATABASE_")}
    return done.returncode == 0 and any(f"'{each}'" in done.stdout for each in names)


def options(command: list[str]) -> str:
    """The help of a Prefect command, without its options."""
    words = [word for word in command[1:] if not word.startswith("-")]
    shown = [words[0], words[1], "--help"]
    env = {**environment(), "COLUMNS": "200"}
    prefect = str(Path(sys.executable).with_name("prefect"))
    return subprocess.run([prefect, *shown], env=env, capture_output=True, text=True, check=True, cwd=os.sep).stdout


def commands() -> list[list[str]]:
    started = [unit(path)["Service"]["ExecStart"].split() for path in UNITS]
    services = compose()["services"].values()
    return started + [service["command"] for service in services if "prefect" in service.get("command", [])]


@pytest.mark.integration
@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_prefect_has_the_command_and_its_options(command) -> None:
    assert Path(command[0]).name == "prefect"
    shown = options(command)
    named = [word for word in command if word.startswith("--")]
    assert named and all(re.search(rf"{word}\b", shown) for word in named)


def test_the_units_belong_together() -> None:
    server, worker = (unit(DEPLOY / "systemd" / f"vlmix-{name}.service") for name in ("server", "worker"))
    assert "vlmix-server.service" in worker["Unit"]["After"]
    for read, name in ((server, "server"), (worker, "worker")):
        assert read["Service"]["EnvironmentFile"] == f"/etc/vlmix/{name}.env"
        assert read["Service"]["ReadWritePaths"] == "/var/lib/vlmix" and read["Service"]["Restart"] == "always"
    written = written_variables((DEPLOY / "systemd" / "worker.env").read_text())
    assert all(
        written[name].startswith("/var/lib/vlmix/") for name in ("PREFECT_HOME", "VLMIX_STORE", "NUMBA_CACHE_DIR")
    )
    assert f":{server['Service']['ExecStart'].split()[-1]}/api" in written["PREFECT_API_URL"]


def all_variables() -> list[tuple[str, str]]:
    found = {name: value for path in ENVIRONMENTS for name, value in written_variables(path.read_text()).items()}
    for service in compose()["services"].values():
        found |= {name: value for name, value in service["environment"].items() if not name.startswith("POSTGRES_")}
    (nightly,) = (each for each in deployments() if each["name"] == "nightly")
    return sorted((found | nightly["work_pool"]["job_variables"]["env"]).items())


def deployments() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    return found


@pytest.mark.integration
@pytest.mark.parametrize(("name", "value"), [pair for pair in all_variables() if pair[0].startswith("PREFECT_")])
def test_prefect_knows_the_variable(name, value, tmp_path) -> None:
    assert known_to_prefect(name, value, tmp_path)


@pytest.mark.integration
def test_prefect_does_not_know_any_variable(tmp_path) -> None:
    assert not known_to_prefect("PREFECT_FLOWS_HEARTBEATS", "30", tmp_path)
    assert not known_to_prefect("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", "5", tmp_path)


def test_we_know_the_other_variables() -> None:
    assert {name for name, _ in all_variables() if not name.startswith("PREFECT_")} <= OURS | OTHERS


def test_compose_names_what_it_has() -> None:
    read = compose()
    for service in read["services"].values():
        assert set(service.get("depends_on", {})) <= set(read["services"])
        assert all(read["services"][name]["healthcheck"] for name in service.get("depends_on", {}))
    named = {volume.split(":")[0] for each in read["services"].values() for volume in each.get("volumes", [])}
    assert {name for name in named if not name.startswith("given-")} == set(read["volumes"])


def test_deployments_name_flows_that_exist_and_their_parameters() -> None:
    import importlib

    for deployment in deployments():
        module, name = deployment["entrypoint"].rsplit(".", 1)
        flow = getattr(importlib.import_module(module), name)
        assert set(deployment.get("parameters", {})) <= set(flow.parameters.properties), deployment["name"]
        assert deployment["work_pool"]["name"] == "mix"
