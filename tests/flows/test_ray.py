"""Steps on a real Ray cluster of this machine: order, deaths, versions, and a judge's replicas as actors."""

import logging
import os
import signal
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest
from commands import ROOT

from filters.judges.vllm import VllmJudge
from flows import ray_judges, ray_runner
from flows.execution import RaySettings
from shards.errors import StoreError, UsageError, WorkerError
from shards.store import Store

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore"),  # of Ray's own code
    pytest.mark.skipif(find_spec("ray") is None, reason="the extra `ray` is not installed"),
]


class Named(NamedTuple):
    """What a job's source is called."""

    name: str


class Chunk(NamedTuple):
    """A job of the tests: a number to be squared, after processes died of it."""

    folder: Path
    number: int
    deaths: int = 0
    how: str = "killed"
    source: Named = Named("pets")


def square(chunk: Chunk) -> int:
    """Do the job; a file says in which process, and what that sees."""
    died = len(list(chunk.folder.glob(f"died-{chunk.number}-*")))
    if died < chunk.deaths:
        (chunk.folder / f"died-{chunk.number}-{died}").touch()
        if chunk.how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if chunk.how == "full":
            raise StoreError("the disk is full")
        return 0
    (chunk.folder / f"did-{chunk.number}").write_text(f"{os.getpid()} {os.environ.get('CUDA_VISIBLE_DEVICES')}")
    return chunk.number**2


def meet(chunk: Chunk) -> int:
    """Do the job once two processes are at it, so that each gets something to do."""
    (chunk.folder / f"here-{os.getpid()}").touch()
    while len(list(chunk.folder.glob("here-*"))) < 2:
        time.sleep(0.01)
    return square(chunk)


def hold() -> None:
    """Keep what was given until somebody cancels it."""
    time.sleep(3600)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ray_runner.RayRunner]:
    """A cluster with two cores and, as far as Ray knows, one accelerator."""
    store = Store(tmp_path_factory.mktemp("ray"))
    (store.root / ".lock").touch()
    with pytest.MonkeyPatch.context() as patch:
        # workers import the jobs of this module
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), str(ROOT / "tests"), str(ROOT)]))
        patch.setenv("CUDA_VISIBLE_DEVICES", "0")
        with ray_runner.ray_runner(store, RaySettings(gpus=1, judge_gpus=0.5), 2, None) as runner:
            yield runner


def did(folder: Path) -> dict[str, list[str]]:
    """Job -> process and what it sees."""
    return {path.name: path.read_text().split() for path in folder.glob("did-*")}


def test_results_stand_in_the_order_of_the_jobs(cluster, tmp_path) -> None:
    assert cluster.map("square", square, [Chunk(tmp_path, number) for number in range(20)]) == [n**2 for n in range(20)]
    assert cluster.map("square", square, []) == []


def test_the_job_of_a_dead_worker_is_done_once_more(cluster, tmp_path) -> None:
    jobs = [Chunk(tmp_path, number, deaths=int(number == 3)) for number in range(6)]
    assert cluster.map("square", square, jobs) == [number**2 for number in range(6)]
    assert [path.name for path in tmp_path.glob("died-*")] == ["died-3-0"]


def test_a_job_that_kills_every_worker_stops_the_run(cluster, tmp_path) -> None:
    with pytest.raises(WorkerError, match=r"step `square`, source `pets`, shard 1: WorkerCrashedError"):
        cluster.map("square", square, [Chunk(tmp_path, number, deaths=9 * number) for number in range(2)])
    assert len(list(tmp_path.glob("died-1-*"))) == 2


def test_an_error_of_a_job_is_raised_here_and_no_other_is_begun(cluster, tmp_path) -> None:
    with pytest.raises(StoreError, match="the disk is full"):
        cluster.map("square", square, [Chunk(tmp_path, number, 9, "full") for number in range(100)])
    assert len(list(tmp_path.glob("died-*"))) < 20


def test_a_worker_with_another_version_is_refused(cluster, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(ray_runner, "installed", lambda: "3.9.1 polars 0.1 vlmix 0000")
    with pytest.raises(WorkerError, match=r"the run has .*polars 0\.1.*; install the same on every node"):
        cluster.map("square", square, [Chunk(tmp_path, 0)])
    assert not did(tmp_path)


def test_replicas_of_a_judge_are_actors_that_share_an_accelerator(cluster, tmp_path) -> None:
    judge = VllmJudge("model", replicas=2)
    cluster.ask(judge, meet, [Chunk(tmp_path, number) for number in range(1, 7)])
    first = did(tmp_path)
    assert len(first) == 6 and {seen for _, seen in first.values()} == {"0"}
    assert len({process for process, _ in first.values()}) == 2
    cluster.ask(judge, square, [Chunk(tmp_path, 9)])
    assert did(tmp_path)["did-9"] in first.values()


@pytest.mark.parametrize("how", ["killed", "empty"])
def test_a_lost_actor_is_replaced(cluster, tmp_path, caplog, how) -> None:
    with caplog.at_level(logging.WARNING):
        jobs = [Chunk(tmp_path, number, int(number == 2), how) for number in range(1, 5)]
        cluster.ask(VllmJudge(f"model-{how}", replicas=2), square, jobs)
    assert len(did(tmp_path)) == 4
    assert [record.getMessage().split("; ")[-1] for record in caplog.records] == ["another is started"]


def test_no_chunk_waits_for_an_actor_that_has_no_place(cluster, tmp_path) -> None:
    import ray

    judge = VllmJudge("model-placed", replicas=2)
    cluster.ask(judge, meet, [Chunk(tmp_path, number) for number in (1, 2)])
    # it waits until an actor is lost, and has its half of the accelerator from then on
    taken = ray.remote(hold).options(num_gpus=0.5, num_cpus=0).remote()
    try:
        cluster.ask(judge, square, [Chunk(tmp_path, number, int(number == 3)) for number in range(3, 9)])
    finally:
        ray.cancel(taken, force=True)
    assert did(tmp_path).keys() == {f"did-{number}" for number in range(1, 9)}


def test_a_chunk_that_takes_every_actor_down_is_given_up(cluster, tmp_path, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        jobs = [Chunk(tmp_path, number, 99 * (number == 1)) for number in range(1, 4)]
        cluster.ask(VllmJudge("model-bad", replicas=2), square, jobs)
    assert did(tmp_path).keys() == {"did-2", "did-3"} and len(list(tmp_path.glob("died-1-*"))) == 3
    assert caplog.records[-1].getMessage() == "judge: 1 of 3 chunks are given up, their rows have no answer"


def test_an_error_of_a_chunk_ends_the_call(cluster, tmp_path) -> None:
    with pytest.raises(StoreError, match="the disk is full"):
        cluster.ask(VllmJudge("model-full"), square, [Chunk(tmp_path, 1, 9, "full")])


def test_too_few_accelerators_are_told_before_any_work(cluster) -> None:
    with pytest.raises(UsageError, match=r"3 replicas with 0\.5 each need 1\.5 accelerators, the Ray cluster has 1"):
        cluster.ask(VllmJudge("model-wide", replicas=3), square, [])


def test_whole_accelerators_are_the_rule(cluster, tmp_path) -> None:
    with pytest.raises(UsageError, match="1 replicas with 2 each need 2 accelerators"):
        ray_judges.AskerPool(VllmJudge("model", tensor_parallel=2), None, tmp_path)


def test_a_cluster_that_runs_already_is_joined(cluster, tmp_path, vlmix) -> None:
    import ray

    from benchmarks.kill import write_recipe

    address = ray.get_runtime_context().gcs_address
    (tmp_path / "ray.yaml").write_text(f"kind: ray\nray: {{address: '{address}'}}\n")
    recipe = write_recipe(tmp_path / "raw", 60)
    command = ("run", "build-sft-mix", "--recipe", recipe, "--json", "--store")
    done = vlmix(*command, tmp_path / "ray", "--executor", tmp_path / "ray.yaml")
    assert done.code == 0, done.err
    here = vlmix(*command, tmp_path / "local", "--workers", "1")
    assert done.document["digest"] == here.document["digest"]


def test_a_cluster_that_is_not_there(tmp_path, vlmix) -> None:
    (tmp_path / "ray.yaml").write_text("kind: ray\nray: {address: '127.0.0.1:1'}\n")
    done = vlmix("run", "build-sft-mix", "--store", tmp_path / "store", "--executor", tmp_path / "ray.yaml")
    assert done.code == 2 and "executor `ray`: no cluster at `127.0.0.1:1`" in done.err
