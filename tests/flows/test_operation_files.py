"""The files of an operator: what units, environments and Compose name exists in Prefect's command and settings."""

import configparser
import fnmatch
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import ROOT, environment

from flows import settings
from shards.store import Store

DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
ENVIRONMENTS = sorted((DEPLOY / "systemd").glob("*.env"))
OURS = {value for name, value in vars(settings).items() if name.endswith("_VARIABLE")}
AWS = {
    f"AWS_{name}" for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "DEFAULT_REGION", "ENDPOINT_URL")
}
OTHERS = {"DO_NOT_TRACK", "HF_TOKEN", "NUMBA_CACHE_DIR", "VLMIX_JUDGE_API_KEY", "VLMIX_ROOT"} | AWS
PAGE = "PREFECT_SERVER_UI_STATIC_DIRECTORY"


def unit(path: Path) -> configparser.ConfigParser:
    read = configparser.ConfigParser(interpolation=None, strict=True)
    read.optionxform = str  # type: ignore[assignment,method-assign]  # as configparser's own page says
    read.read_string(path.read_text())
    return read


def compose(file: str = "compose.prefect.yaml") -> dict[str, Any]:
    """The file with variables replaced as Compose does."""
    text = (DEPLOY / file).read_text()
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
    """The help of a command, of Prefect or ours, without its options."""
    words = [word for word in command[1:] if not word.startswith("-")]
    shown = [words[0], words[1], "--help"]
    env = {**environment(), "COLUMNS": "200"}
    program = str(Path(sys.executable).with_name(Path(command[0]).name))
    return subprocess.run([program, *shown], env=env, capture_output=True, text=True, check=True, cwd=os.sep).stdout


def commands() -> list[list[str]]:
    started = [unit(path)["Service"]["ExecStart"].split() for path in UNITS]
    services = compose()["services"].values()
    return started + [service["command"] for service in services if "prefect" in service.get("command", [])]


@pytest.mark.integration
@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_the_command_is_there_and_has_its_options(command) -> None:
    assert Path(command[0]).name in {"prefect", "vlmix"}
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


def test_room_is_made_by_the_service_user_while_no_run_holds_the_store(tmp_path) -> None:
    gc, worker = (unit(DEPLOY / "systemd" / f"vlmix-{name}.service")["Service"] for name in ("gc", "worker"))
    same = ("User", "EnvironmentFile", "WorkingDirectory", "ReadWritePaths")
    assert {name: gc[name] for name in same} == {name: worker[name] for name in same}
    timer = unit(DEPLOY / "systemd" / "vlmix-gc.timer")
    assert timer["Timer"]["OnCalendar"] and timer["Install"]["WantedBy"] == "timers.target"
    condition = gc["ExecCondition"].replace("${VLMIX_STORE}", str(tmp_path)).split()
    assert Path(condition[0]).is_absolute() and subprocess.run(condition, check=False).returncode == 0
    with Store(tmp_path).lock():
        assert subprocess.run(condition, check=False).returncode == 1


@pytest.mark.parametrize("path", [*ENVIRONMENTS, DEPLOY / "vlmix.env"], ids=lambda path: path.name)
def test_what_is_commented_out_may_be_used_as_it_stands(path) -> None:
    # systemd and Compose take all that stands behind the sign for the value
    lines = [line.removeprefix("# ") for line in path.read_text().splitlines()]
    assert not [line for line in lines if re.match(r"[A-Z_]+=.*\s", line)]


def test_the_page_is_written_where_the_service_may_write() -> None:
    server = written_variables((DEPLOY / "systemd" / "server.env").read_text())
    service = unit(DEPLOY / "systemd" / "vlmix-server.service")["Service"]
    assert Path(server[PAGE]).is_relative_to(service["ReadWritePaths"])
    environment = compose()["services"]["server"]["environment"]
    assert environment[PAGE].startswith("/home/vlmix/") and "USER vlmix" in (DEPLOY / "Dockerfile").read_text()
    assert environment["PREFECT_SERVER_UI_API_URL"] == "http://127.0.0.1:4200/api"


def test_no_worker_holds_back_triggers_that_are_to_be_cancelled() -> None:
    strategies = [
        each["concurrency_limit"]["collision_strategy"] for each in deployments() if "concurrency_limit" in each
    ]
    assert strategies == ["CANCEL_NEW"]
    workers = [command for command in commands() if "worker" in command]
    assert len(workers) == 2 and all("--limit" not in command for command in workers)


def test_a_wait_for_a_retry_is_not_taken_for_death() -> None:
    trigger = yaml.safe_load((DEPLOY / "prefect" / "zombies.yaml").read_text())["trigger"]
    (nightly,) = (each for each in deployments() if each["name"] == "nightly")
    delay = int(nightly["work_pool"]["job_variables"]["env"]["PREFECT_FLOWS_DEFAULT_RETRY_DELAY_SECONDS"])
    # the run has time to begin again
    assert delay + 120 <= trigger["within"] and "prefect.flow-run.Suspended" in trigger["expect"]


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
        assert {*service.get("networks", [])} <= set(read["networks"])
    named = {volume.split(":")[0] for each in read["services"].values() for volume in each.get("volumes", [])}
    assert {name for name in named if not name.startswith("given-")} == set(read["volumes"])


def test_the_file_of_variables_has_what_compose_asks_for() -> None:
    text = (DEPLOY / "compose.prefect.yaml").read_text()
    template = (DEPLOY / "vlmix.env").read_text()
    must, may = set(re.findall(r"\$\{(\w+):\?", text)), set(re.findall(r"\$\{(\w+):-", text))
    assert must == set(written_variables(template))
    offered = set(re.findall(r"^# (\w+)=", template, re.MULTILINE))
    passed_on = {name for name, value in compose()["services"]["worker"]["environment"].items() if value is None}
    assert offered <= may | passed_on and may - offered == {"POSTGRES_IMAGE"}


@pytest.mark.parametrize("file", ["compose.cuda.yaml", "compose.rocm.yaml"])
def test_the_worker_reaches_the_judge(file) -> None:
    judges, ours = compose(file), compose()
    assert judges["networks"]["judges"] == ours["networks"]["judges"]
    assert ours["networks"]["judges"]["external"] is True
    assert judges["services"]["judge"]["networks"]["judges"]["aliases"] == ["judge"]
    assert "judges" in ours["services"]["worker"]["networks"]


def test_an_install_has_what_judges_and_stores_need() -> None:
    extras = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    (named,) = re.findall(r"^ARG EXTRAS=(.*)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert {"tokenizer", "s3"} <= set(named.split(",")) <= extras
    told = (ROOT / "docs" / "operations.md").read_text()
    installs = re.findall(r"pip install .*--editable (\S+)", told)
    assert installs and set(installs) == {f"'.[{named}]'"}


def test_an_image_holds_the_project_and_nothing_else() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    kept = {line[1:] for line in lines if line.startswith("!")}
    assert lines[0] == "*" and all((ROOT / name).exists() for name in kept)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {*packages, project["project"]["readme"], *project["project"]["license-files"]} <= kept
    assert {"pyproject.toml", "constraints.txt", "prefect.yaml", "prefect.toml", "deploy/prefect"} <= kept
    secret = (".venv", ".git", ".vlmix", "vlmix.env", "deploy/vlmix.env", "deploy/systemd/server.env")
    assert not [name for name in secret for pattern in kept if fnmatch.fnmatch(name, pattern)]


def test_deployments_write_to_no_folder_of_the_project() -> None:
    # it is read-only for the service, and our own packages lie there in an image
    (export,) = (each for each in deployments() if each["entrypoint"].endswith("review_export"))
    assert "out" not in export["parameters"]


def test_deployments_name_flows_that_exist_and_their_parameters() -> None:
    import importlib

    for deployment in deployments():
        module, name = deployment["entrypoint"].rsplit(".", 1)
        flow = getattr(importlib.import_module(module), name)
        assert set(deployment.get("parameters", {})) <= set(flow.parameters.properties), deployment["name"]
        assert deployment["work_pool"]["name"] == "mix"
