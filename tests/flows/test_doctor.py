"""`vlmix check`: each check finds what it is for, and one line says what to do."""

import errno
import fcntl
import json
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import Vlmix
from s3_server import running

from filters.judges.http import HttpJudge
from filters.judges.tiny import TinyJudge
from flows import doctor_machine, doctor_prefect, doctor_recipe, doctor_store
from flows.doctor import Asked, Finding, State, check_all, good, within
from flows.execution import Execution
from shards.errors import StoreError


def states(findings: Iterator[Finding]) -> dict[str, State]:
    return {finding.check: finding.state for finding in findings}


@contextmanager
def serving(answers: dict[str, Any], *, key: str = "") -> Iterator[str]:
    """A real server of these paths; with `key` only for who has it."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            allowed = not key or self.headers.get("Authorization") == f"Bearer {key}"
            found = answers.get(self.path)
            code = 401 if not allowed else 404 if found is None else 200
            body = (json.dumps(found) if code == 200 else "").encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _answer  # noqa: N815  # names that the base class looks for

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def nobody() -> str:
    """An address where nobody answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_this_environment_is_as_declared() -> None:
    assert states(doctor_machine.packages()) == {"python": "ok", "packages": "ok"}


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        (["pydantic>=2", "polars>=1; python_version > '3'", "ray>=2; extra == 'ray'"], []),
        (["pydantic<1"], ["pydantic"]),
        (["SQLAlchemy<1"], ["SQLAlchemy"]),
        (["no-such-package>=1"], ["no-such-package is not installed, needed is >=1"]),
    ],
)
def test_packages_outside_of_what_is_declared_are_found(declared, words) -> None:
    wrong = [text for _, text in doctor_machine.wrong(declared)]
    assert len(wrong) == len(words) and all(text.startswith(word) for text, word in zip(wrong, words, strict=True))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Execution(workers=1), {"cores": "ok", "memory": "ok"}),
        (Execution(workers=10_000), {"cores": "warn", "memory": "warn"}),
        (Execution(workers=1, memory_gb=1e6), {"cores": "ok", "memory": "warn"}),
        (Execution(kind="slurm"), {"resources": "ok"}),
    ],
)
def test_workers_are_held_against_the_machine(settings, expected) -> None:
    assert states(doctor_machine.resources(settings)) == expected


def test_a_folder_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    assert set(states(doctor_store.store(str(tmp_path))).values()) == {"ok"}
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    found = list(doctor_store.store(f"file://{tmp_path / 'some' / 'store'}"))
    assert found[0].state == "ok" and "is not there yet" in found[0].found
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told() -> None:
    (found, _) = doctor_store.folder(Path("/proc/self"))
    assert (found.check, found.state) == ("store", "fail") and "--store" in found.remedy


def test_storage_without_locks_is_a_failure(tmp_path: Path, monkeypatch) -> None:
    def refuse(handle: object, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    (found,) = (each for each in doctor_store.folder(tmp_path) if each.check == "lock")
    assert (found.state, found.found) == ("fail", "no locks: No locks available")
    assert "no run starts there" in found.remedy and "--store" in found.remedy
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("free", "state"), [(10**8, "fail"), (5 * 10**9, "warn"), (10**12, "ok")])
def test_room_is_judged(free, state, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(2 * 10**12, 0, free))
    assert states(doctor_store.folder(tmp_path))["room"] == state


@pytest.mark.parametrize(("seconds", "state"), [(2.0, "ok"), (-29.0, "ok"), (31.0, "warn"), (-4000.0, "warn")])
def test_clocks_are_compared(seconds, state) -> None:
    found = doctor_store.clock("store", seconds)
    assert found.state == state and (state == "ok" or f"{abs(seconds):.0f} s" in found.found)


def judge(url: str, tokenizer: Path) -> HttpJudge:
    return HttpJudge("qwen", (url,), str(tokenizer))


@pytest.mark.parametrize(
    ("answers", "state", "words"),
    [
        ({"/v1/models": {"data": [{"id": "qwen"}, {"id": "other"}]}}, "ok", "serves `qwen`"),
        ({"/v1/models": {"data": [{"id": "other"}]}}, "fail", "serves other, not `qwen`"),
        ({"/v1/models": {"models": []}}, "fail", "no server of the OpenAI protocol"),
        ({}, "fail", "answers 404"),
    ],
)
def test_a_judge_must_serve_its_model(answers, state, words, tmp_path) -> None:
    with serving(answers) as url:
        (found,) = doctor_recipe.of_judge(judge(url, tmp_path))
    assert (found.check, found.state) == ("judge", state) and words in found.found


def test_a_judge_may_want_a_key(tmp_path, monkeypatch) -> None:
    with serving({"/v1/models": {"data": [{"id": "qwen"}]}}, key="sesame12") as url:
        (closed,) = doctor_recipe.of_judge(judge(url, tmp_path))
        monkeypatch.setenv("VLMIX_JUDGE_API_KEY", "sesame12")
        (open_,) = doctor_recipe.of_judge(judge(url, tmp_path))
    assert (closed.state, open_.state) == ("fail", "ok") and "VLMIX_JUDGE_API_KEY" in closed.remedy


def test_a_judge_that_is_away_and_its_tokenizer_are_told(nobody, tmp_path) -> None:
    tokenizer, server = doctor_recipe.of_judge(judge(nobody, tmp_path / "none"))
    assert tokenizer.state == server.state == "fail" and "tokenizer" in tokenizer.found
    assert "docs/deploy-judge.md" in server.remedy


def test_other_judges_need_nothing() -> None:
    assert [each.state for one in (TinyJudge(), None) for each in doctor_recipe.of_judge(one)] == ["ok", "ok"]


@pytest.mark.parametrize(
    ("token", "gated", "expected"),
    [
        ("", [], ["ok"]),
        ("", ["open/one"], ["warn"]),
        ("hf_right123", ["open/one"], ["ok", "ok"]),
        ("hf_right123", ["open/one", "closed/two"], ["ok", "ok", "fail"]),
        ("hf_wrong1234", ["open/one"], ["fail"]),
    ],
)
def test_gated_sources_need_an_account_with_access(token, gated, expected, monkeypatch) -> None:
    answers = {"/api/whoami-v2": {"name": "me"}, "/api/datasets/open/one/auth-check": {}}
    with serving(answers, key="hf_right123") as url:
        monkeypatch.setenv("HF_ENDPOINT", url)
        monkeypatch.setenv("HF_TOKEN", token)
        found = list(doctor_recipe.hub(sorted(gated, reverse=True)))
    assert [each.state for each in found] == expected
    assert not any(token and token in each.model_dump_json() for each in found)


@pytest.mark.integration
def test_a_prefect_server_that_is_away_is_told(nobody, vlmix: Vlmix, tmp_path) -> None:
    done = vlmix("check", "--store", tmp_path, "--json", env={"PREFECT_API_URL": f"{nobody}/api"})
    assert done.code == 1 and not done.document["ok"]
    (failed,) = [each for each in done.document["findings"] if each["state"] == "fail"]
    assert failed["check"] == "prefect" and "PREFECT_API_URL" in failed["remedy"]


def test_a_server_that_knows_no_deployment_is_told() -> None:
    version = {"/api/admin/version": "0.1.0", "/api/deployments/filter": []}
    import httpx

    with serving(version) as url, httpx.Client(base_url=f"{url}/api/") as client:
        found = states(doctor_prefect.server(client))
    assert found == {"prefect": "warn", "clock": "ok", "deployments": "warn"}


def test_a_check_that_hangs_or_breaks_is_a_finding() -> None:
    hanging = threading.Event()

    def hang() -> Iterator[Finding]:
        yield good("first", "came")
        hanging.wait()

    def break_down() -> Iterator[Finding]:
        raise RuntimeError("https://me:secret@host")
        yield

    def refuse() -> Iterator[Finding]:
        raise StoreError("no bucket")
        yield

    try:
        first, late = within("slow", 0.2, hang)
    finally:
        hanging.set()
    assert (first.check, late.check, late.state) == ("first", "slow", "fail")
    (broken,) = within("broken", 60, break_down)
    (refused,) = within("refused", 60, refuse)
    assert (broken.state, refused.state) == ("fail", "fail")
    assert "secret" not in broken.found and refused.found == "no bucket"


def test_a_recipe_that_is_wrong_is_a_finding(tmp_path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"name": "mine", "entries": [{"id": "a", "domain": "b", "source": "nowhere"}]}))
    (found,) = doctor_recipe.recipe(str(path), str(tmp_path / "store"))
    assert (found.check, found.state) == ("recipe", "fail") and "nowhere" in found.found


@pytest.mark.integration
def test_a_store_at_a_url_is_tried_and_left_as_it_was(vlmix: Vlmix, tmp_path) -> None:
    with running(tmp_path / "port") as s3:
        env = s3.environment(tmp_path / "cache") | {"PREFECT_HOME": str(tmp_path / "prefect")}
        well = vlmix("check", "--store", s3.store("one"), "--json", env=env)
        nowhere = vlmix("check", "--store", "s3://no-such-bucket/one", "--json", env=env)
        listed = [entry for entry in (tmp_path / "cache").rglob("*") if ".check" in entry.name]
    found = {each["check"]: each["state"] for each in well.document["findings"]}
    assert well.code == 0, well.document
    acts = {f"store {act}": "ok" for act in ("write", "list", "read", "remove")}
    assert acts.items() <= found.items() and found["clock"] == "ok" and not listed
    assert nowhere.code == 1
    (failed,) = [each for each in nowhere.document["findings"] if each["state"] == "fail"]
    assert failed["check"].startswith("store") and "make the bucket" in failed["found"]


@pytest.mark.integration
def test_everything_in_one_go(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    found = list(check_all(Asked(str(tmp_path), recipe="demo", executor="slurm")))
    assert {each.check for each in found} >= {
        "python",
        "packages",
        "accelerator",
        "executor",
        "store",
        "judge",
        "prefect",
    }
    (executor,) = [each for each in found if each.check == "executor"]
    assert executor.state == ("ok" if shutil.which("sbatch") else "fail")
