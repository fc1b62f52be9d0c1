"""A run that dies on one machine is taken up on another through a store at a URL; nothing finished is repeated."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import ROOT, environment
from judges import calls
from s3_server import S3, running

from shards.files import file_sha256
from shards.remote import SCORES_FILE
from sources.convert import SHARD_ITEMS

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with running(tmp_path_factory.mktemp("s3") / "port") as server:
        yield server


class Machine:
    """One that shares nothing with others but the store."""

    def __init__(self, folder: Path, s3: S3, store: str = "") -> None:
        folder.mkdir()
        self.folder, self.log = folder, folder / "log"
        self._store = s3.store(store) if store else str(folder / "store")
        self._environment = environment({**s3.environment(folder / "cache"), "VLMIX_TEST_MACHINE": str(folder)})

    def start(self, recipe: Path) -> subprocess.Popen[str]:
        command = [sys.executable, str(Path(__file__).with_name("machine.py")), str(recipe), self._store]
        return subprocess.Popen(
            [*command, str(self.log)], cwd=ROOT, env=self._environment, stdout=subprocess.PIPE, text=True
        )

    def build(self, recipe: Path) -> dict[str, Any]:
        (self.folder / "go").touch()
        run = self.start(recipe)
        out, _ = run.communicate(timeout=600)
        assert run.returncode == 0
        document: dict[str, Any] = json.loads(out)
        return document

    def dies(self, recipe: Path) -> None:
        """Work until a sample holds it up, and be killed."""
        run = self.start(recipe)
        until(run, (self.folder / "waiting").exists)
        run.kill()
        run.communicate()


def until(run: subprocess.Popen[Any], happened: Callable[[], bool]) -> None:
    while not happened():
        assert run.poll() is None, "the run ended before"
        time.sleep(0.02)


def recipe(folder: Path, texts: dict[str, list[str]], **more: Any) -> Path:
    """A source for each name, with these answers."""
    entries = []
    for name, answers in texts.items():
        rows = [{"q": f"Question {row} of {name}?", "a": answer} for row, answer in enumerate(answers)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        source = {"layout": "table", "files": f"{name}.jsonl", "columns": {"user": ["q"], "assistant": ["a"]}}
        entries.append({"id": name, "source": {**source, "root": "."}, "domain": "chat"})
    written = {"name": "moved", "rules": {"extends": ["default"]}, "dedup": {"level": "off"}, "entries": entries}
    path = folder / "moved.yaml"
    path.write_text(json.dumps({**written, **more}))  # JSON is YAML
    return path


TAKE_DOWN = """
import sys
from flows.console import where
from flows.takedowns import take_down, target
from shards.store import Store

url, name = sys.argv[1:]
store = Store(where(url))
print("ready", flush=True)
sys.stdin.readline()
for number in range(20):
    take_down(store, [(target("key", f"mine/train/{name}{number}"), "")], reason="asked", by=name)
"""
LISTED = """
import json, sys
from flows.console import where
from flows.takedowns import acts, standing
from shards.store import Store

store = Store(where(sys.argv[1]))
print(json.dumps([len(acts(store)), sorted(value for _, value in standing(store))]))
"""


def python(code: str, s3: S3, folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, s3.store("lists"), *words],
        cwd=ROOT,
        env=environment(s3.environment(folder)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_what_two_machines_take_down_at_the_same_moment_is_all_taken_down(s3: S3, tmp_path: Path) -> None:
    both = [python(TAKE_DOWN, s3, tmp_path / name, name) for name in ("a", "b")]
    for machine in both:
        assert machine.stdout and machine.stdout.readline() == "ready\n"
    for machine in both:
        assert machine.stdin
        machine.stdin.write("go\n")
        machine.stdin.flush()
    for machine in both:
        machine.communicate()
        assert machine.returncode == 0
    out, _ = python(LISTED, s3, tmp_path / "a").communicate()
    expected = sorted(f"mine/train/{name}{number}" for name in ("a", "b") for number in range(20))
    assert json.loads(out) == [40, expected]


def test_another_machine_asks_the_judge_only_for_what_is_missing(s3: S3, tmp_path: Path) -> None:
    texts = {name: [f"Answer {row} of {name}, some words." for row in range(40)] for name in ("first", "second")}
    texts["second"][7] += " It waits."
    path = recipe(tmp_path, texts)
    quiet = Machine(tmp_path / "quiet", s3)
    expected = quiet.build(path)
    lost, other = Machine(tmp_path / "lost", s3, "judged"), Machine(tmp_path / "other", s3, "judged")
    lost.dies(path)
    done, everything = calls(lost.log), calls(quiet.log)
    assert 0 < len(done) < len(everything)
    found = other.build(path)
    assert found["digest"] == expected["digest"]
    assert sorted(done + calls(other.log)) == sorted(everything)
    assert found["steps"]["judge"] == [len(everything) - len(done), len(done)]


def test_another_machine_goes_on_with_the_scored_shards(s3: S3, tmp_path: Path) -> None:
    answers = [f"Answer {row}, some words." for row in range(SHARD_ITEMS + 30)]
    answers[-1] += " It waits."
    path = recipe(tmp_path, {"long": answers}, filters=["machine:Waits"], judge="off", rules={"list": []})
    expected = Machine(tmp_path / "quiet", s3).build(path)
    lost, other = Machine(tmp_path / "lost", s3, "scored"), Machine(tmp_path / "other", s3, "scored")
    lost.dies(path)
    found = other.build(path)
    assert found["digest"] == expected["digest"]
    executed, cached = found["steps"]["score"]
    # all filters have done the first shard, and those before the one that was held up the second one, too
    assert cached > executed > 0
    assert executed + cached == sum(expected["steps"]["score"])
    assert not [name for name in s3.names("scored/scores/") if "/part-" in name]


def test_what_another_machine_completed_is_read_and_not_what_was_left_here(s3: S3, tmp_path: Path) -> None:
    """Here calls of the judge fail, so a mixture is written and not done; there they are answered."""
    answers = [f"Answer {row}, some words." for row in range(40)]
    answers[3] += " It fails."
    path = recipe(tmp_path, {"mine": answers})
    here, there = Machine(tmp_path / "here", s3, "rescued"), Machine(tmp_path / "there", s3, "rescued")
    run = here.start(path)
    run.communicate(timeout=600)
    assert run.returncode == 1, "calls of the judge failed"
    left = digests(here)
    for machine in (here, there):
        (machine.folder / "up").touch()
    rescued = there.build(path)
    found = here.build(path)
    assert found["digest"] == rescued["digest"]
    assert digests(here) == {name: digests(there)[name] for name in digests(here)} != left
    assert {"manifest.json", "ids.parquet", "decisions.parquet"} <= digests(here).keys() == left.keys()


def digests(machine: Machine) -> dict[str, str]:
    """Files of its mixture in a working folder, whole or not."""
    (folder,) = machine.folder.glob("cache/*/mixtures/*/*/")
    return {
        file.name: file_sha256(file) for file in folder.glob("[!.]*") if file.name not in ("index.json", SCORES_FILE)
    }
