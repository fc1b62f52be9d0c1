"""Every executor gives the same bytes: in other folders, with other hash seeds, and when bodies run twice."""

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import pytest
from commands import Vlmix

from benchmarks.kill import write_recipe
from flows.execution import Execution, execution
from flows.executor import LocalRunner
from flows.run import checked, run_with
from flows.workers import WorkerPool
from shards.errors import UsageError
from shards.store import Store

integration = pytest.mark.integration
without_ray = pytest.mark.skipif(find_spec("ray") is None, reason="the extra `ray` is not installed")

Job = TypeVar("Job")
Result = TypeVar("Result")
Counters = dict[str, tuple[int, ...]]
ROWS = 2200
"""Two shards of chats."""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recipe(tmp_path_factory.mktemp("executors") / "raw", ROWS)


@pytest.fixture(scope="module")
def quiet(recipe: Path, vlmix: Vlmix) -> tuple[str, dict[str, bytes], Counters]:
    """Digest, files and counters of a run in one process."""
    done = vlmix(
        "run", "build-sft-mix", "--recipe", recipe, "--store", recipe.parent / "one", "--workers", "1", "--json"
    )
    assert done.code == 0, done.err
    return done.document["digest"], files(recipe.parent / "one"), counters(done.document)


def counters(document: dict[str, Any]) -> Counters:
    """What every executor counts alike; seconds and memory are its own."""
    names = ("executed", "cached", "rows", "bytes", "quarantined", "calls", "retries")
    steps = {line["step"]: tuple(line[name] for name in names) for line in document["counters"]}
    return {step: counts for step, counts in steps.items() if any(counts)}


def files(store: Path) -> dict[str, bytes]:
    """Every file of a store that is not a cache or a work folder, with its bytes; pages say how long a run took."""
    kinds = ("scans", "shards", "scores", "likeness", "mixtures", "runs")
    found = [path for kind in kinds for path in (store / kind).rglob("*") if path.is_file()]
    return {path.relative_to(store).as_posix(): path.read_bytes() for path in found if path.suffix != ".html"}


@integration
@pytest.mark.parametrize("how", ["local", pytest.param("ray", marks=without_ray), "slurm"])
def test_the_same_bytes_everywhere(how, recipe, quiet, vlmix, tmp_path) -> None:
    shutil.copy(Path(__file__).with_name("sbatch.py"), tmp_path / "sbatch")
    env = {"PYTHONHASHSEED": "99", "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    command = ("run", "build-sft-mix", "--recipe", os.path.relpath(recipe, tmp_path), "--store", "store", "--json")
    done = vlmix(*command, "--executor", how, "--workers", "2", cwd=tmp_path, env=env)
    assert done.code == 0, done.err
    assert done.document["digest"] == quiet[0]
    assert files(tmp_path / "store") == quiet[1]
    assert counters(done.document) == quiet[2]
    assert not list((tmp_path / "store").rglob("*.tmp"))


class Twice:
    """Runs every job twice, in two processes: what a cluster does that loses sight of a worker."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool

    def map(self, step: str, function: Callable[[Job], Result], jobs: Sequence[Job]) -> list[Result]:
        first = self._pool.map(step, function, jobs)
        self._pool.map(step, function, jobs)
        return first

    def ask(self, judge: Any, function: Callable[[Job], int], jobs: Sequence[Job]) -> None:
        raise AssertionError("no model in this recipe")


@integration
def test_bodies_may_run_twice(recipe, quiet, tmp_path) -> None:
    store = Store(tmp_path / "store")
    with WorkerPool(2, 2_000_000_000) as pool:
        done = run_with(checked(str(recipe), store), store, Twice(pool), None, lambda *_: None)
    assert done.summary.digest == quiet[0]
    assert files(store.root) == quiet[1]


def test_a_recipe_without_ray_says_what_to_install(monkeypatch, tmp_path) -> None:
    from flows.execution import open_runner

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"needs the extra `ray`"), open_runner(Execution(kind="ray"), Store(tmp_path)):
        pass


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kind: local\nworkers: 3\nmemory_gb: 1.5\n", Execution(kind="local", workers=3, memory_gb=1.5)),
        ("kind: ray\nray: {address: auto, judge_gpus: 0.5}\n", {"address": "auto", "judge_gpus": 0.5}),
    ],
)
def test_settings_are_read(text, expected, tmp_path) -> None:
    (tmp_path / "how.yaml").write_text(text)
    read = execution(str(tmp_path / "how.yaml"))
    assert read == expected or read.ray.model_dump(exclude_defaults=True) == expected


def test_workers_of_the_command_line_go_first(tmp_path) -> None:
    (tmp_path / "how.yaml").write_text("workers: 3\nmemory_gb: 2\n")
    assert execution(str(tmp_path / "how.yaml"), workers=5).workers == 5
    assert execution(str(tmp_path / "how.yaml")).memory == 2_000_000_000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind: dask\n", "kind"),
        ("workers: 0\n", "workers"),
        ("memory_gb: -1\n", "memory_gb"),
        ("ray: {adress: auto}\n", "adress"),
        ("a: [\n", "executor"),
        ("", "executor"),
    ],
)
def test_wrong_settings_are_refused(text, words, tmp_path) -> None:
    (tmp_path / "how.yaml").write_text(text)
    with pytest.raises(UsageError, match=words):
        execution(str(tmp_path / "how.yaml"))


@pytest.mark.parametrize("name", ["dask", "nowhere.yaml"])
def test_an_executor_that_does_not_exist(name) -> None:
    with pytest.raises(UsageError, match=f"executor `{name}`"):
        execution(name)


def test_one_worker_is_this_process(tmp_path) -> None:
    from flows.execution import open_runner

    with open_runner(Execution(workers=1), Store(tmp_path)) as runner:
        assert isinstance(runner, LocalRunner) and runner.map("pid", _pid, [0]) == [os.getpid()]


@integration
def test_a_limit_of_memory_needs_a_process(tmp_path) -> None:
    from flows.execution import open_runner

    with open_runner(Execution(workers=1, memory_gb=2), Store(tmp_path)) as runner:
        assert runner.map("pid", _pid, [0]) != [os.getpid()]


def _pid(_: int) -> int:
    return os.getpid()
