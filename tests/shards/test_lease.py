"""Who holds a store at a URL: on fsspec's file system in memory, and with real processes on a server that speaks S3."""

import itertools
import platform
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import ROOT, environment
from s3_server import S3, running

from shards.errors import StoreError
from shards.holding import FREE, HOLDING, Holder, lease_path, leases
from shards.lease import leased
from shards.remote import Remote, attach, remote_of

WORK = """
import sys
from pathlib import Path
from shards.errors import StoreError
from shards.files import write_bytes
from shards.lease import leased
from shards.remote import attach, remote_of, withdraw

root, url, beat, stale = Path(sys.argv[1]), sys.argv[2], *map(float, sys.argv[3:])

def does(act, name):
    try:
        write_bytes(root / name, b"rows") if act == "write" else withdraw([root / name])
        return "done"
    except StoreError as error:
        return str(error)

attach(root, url)
if not beat:  # another process of the run that works in this folder
    print(does("write", "scores/s/1/worker"))
    sys.exit()
print("ready", flush=True)
sys.stdin.readline()
try:
    with leased(remote_of(root), beat=beat, stale=stale):
        print("held", flush=True)
        for line in sys.stdin:
            print(does(*line.split()), flush=True)
except StoreError as error:
    print(error)
"""
ALIVE = 3_600.0
"""Seconds without a sign of life that no test waits for."""

PATIENCE = 300.0
"""Seconds after which machines that wait for what does not come are killed."""


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return working(tmp_path / "here", f"memory://{uuid.uuid4().hex}/store")


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    with running(tmp_path_factory.mktemp("s3") / "port") as server:
        yield server


def working(folder: Path, url: str) -> Remote:
    attach(folder, url)
    found = remote_of(folder)
    assert found
    return found


class Machine:
    """One that holds a store, or tries to."""

    def __init__(self, s3: S3, store: str, folder: Path, *, beat: float = 0.1, stale: float = ALIVE) -> None:
        self.store = s3.store(store)
        self.run = subprocess.Popen(
            [sys.executable, "-c", WORK, str(folder), self.store, str(beat), str(stale)],
            cwd=ROOT,
            env=environment(s3.environment(folder)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def says(self) -> str:
        assert self.run.stdout
        return self.run.stdout.readline().strip()

    def asked(self, act: str, name: str) -> str:
        assert self.run.stdin
        print(act, name, file=self.run.stdin, flush=True)
        return self.says()

    def tries(self) -> "Machine":
        """Try to hold the store, with everything loaded."""
        assert self.run.stdin and self.says() == "ready"
        print(file=self.run.stdin, flush=True)
        return self

    def ends(self) -> None:
        self.run.communicate(timeout=60)
        assert self.run.returncode == 0


Start = Callable[..., Machine]


@pytest.fixture
def start(s3: S3, tmp_path: Path) -> Iterator[Start]:
    """Start a machine of this name, or another process of it; those that are left at the end are killed."""
    store, begun = uuid.uuid4().hex, list[Machine]()

    def run(name: str, **times: float) -> Machine:
        begun.append(Machine(s3, store, tmp_path / name, **times))
        return begun[-1]

    def end() -> None:
        for each in begun:
            each.run.kill()

    late = threading.Timer(PATIENCE, end)  # what a killed one does not say fails the test
    late.start()
    yield run
    late.cancel()
    end()
    for each in begun:
        each.run.communicate()


def test_a_store_in_use_is_not_shared(remote: Remote, tmp_path: Path) -> None:
    other = working(tmp_path / "there", remote.url)
    with (
        leased(remote, beat=0.05),
        pytest.raises(StoreError, match="in use by another run on"),
        leased(other, beat=0.05),
    ):
        pytest.fail("both hold the store")
    with leased(other):
        assert leases(remote.url) == [2]
        assert (other.root / HOLDING).is_file()
    assert not (other.root / HOLDING).exists()
    assert remote.read_all(lease_path(2)) == FREE


@pytest.mark.parametrize("left", [Holder("x", "elsewhere", 1, "", 7).data(), b"no lease"])
def test_a_lease_that_nobody_renews_is_taken_over(remote: Remote, left: bytes) -> None:
    remote.write(lease_path(7), left)
    with leased(remote, beat=0.02, stale=0.2):
        assert leases(remote.url) == [8]


@pytest.mark.parametrize("machine", ["another boot pid:[4026531836]", ""])
def test_the_number_of_a_process_means_nothing_elsewhere(remote: Remote, machine: str) -> None:
    """A container, or a copy of this machine, has the same name and lives; its process is not to be found here."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    there = Holder("x", platform.node(), ended.pid, machine, 0)
    remote.write(lease_path(1), there.data())
    done = threading.Event()

    def live() -> None:
        for beat in itertools.count(1):
            if done.wait(0.02):
                return
            remote.write(lease_path(1), there._replace(beat=beat).data())

    thread = threading.Thread(target=live)
    thread.start()
    try:
        with pytest.raises(StoreError, match="in use by another run on"), leased(remote, beat=0.04, stale=ALIVE):
            pytest.fail("a living run was taken over")
    finally:
        done.set()
        thread.join()


@pytest.mark.integration
def test_a_killed_process_of_this_machine_is_replaced_at_once(start: Start) -> None:
    killed = start("killed").tries()
    assert killed.says() == "held"
    killed.run.kill()
    killed.run.wait()
    following = start("following").tries()
    assert following.says() == "held"
    following.ends()


@pytest.mark.integration
def test_who_was_taken_over_writes_nothing_more(s3: S3, start: Start) -> None:
    slept = start("slept").tries()
    assert slept.says() == "held"
    assert slept.asked("write", "scores/s/1/before") == "done"
    slept.run.send_signal(signal.SIGSTOP)
    following = start("following", stale=0.5).tries()
    assert following.says() == "held"
    slept.run.send_signal(signal.SIGCONT)
    for act, name in (("write", "scores/s/1/after"), ("write", "scores/s/1/index.json"), ("drop", "scores/s/1/before")):
        said = slept.asked(act, name)
        assert "was taken over by another run on" in said and said.endswith("run again")
    worker = start("slept", beat=0)
    assert "was taken over by another run on" in worker.says()
    store = slept.store.removeprefix("s3://mixes/")
    assert s3.names(f"{store}/scores/") == [f"{store}/scores/s/1/before"]
    # what is no box is written beside a run, whoever holds the store
    assert slept.asked("write", "takedown/20260101T000000.000000Z-0.jsonl") == "done"
    slept.ends()
    assert following.asked("write", "scores/s/1/after") == "done"
    assert "is in use by another run on" in start("third").tries().says()
    following.ends()


@pytest.mark.integration
def test_of_many_who_wait_for_a_dead_one_one_gets_the_store(start: Start) -> None:
    dead = start("dead").tries()
    assert dead.says() == "held"
    dead.run.send_signal(signal.SIGSTOP)
    waiting = [start(f"waiting{number}", stale=1.0) for number in range(5)]
    for each in waiting:
        each.tries()
    told = [each.says() for each in waiting]
    assert all(said == "held" or "is in use by another run on" in said for said in told)
    holding = [each for each, said in zip(waiting, told, strict=True) if said == "held"]
    assert [each.asked("write", "scores/s/1/mine") for each in holding].count("done") == 1


@pytest.mark.integration
def test_who_comes_late_with_a_lease_of_the_past_gets_nothing(s3: S3, start: Start) -> None:
    """Two others hold the store one after the other, while the request for a lease is under way."""
    first = start("first").tries()
    assert first.says() == "held"
    first.ends()
    with s3.holding("put", lease_path(2)) as come:
        late = start("late").tries()
        come()
        second = start("second").tries()
        assert second.says() == "held"
        second.ends()
        third = start("third").tries()
        assert third.says() == "held"
    assert "is in use by another run on" in late.says()
    assert third.asked("write", "scores/s/1/mine") == "done"
    third.ends()
