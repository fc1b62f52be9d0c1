"""What steps cost: counted where the work is done, once, and for the right step and source."""

import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from filters.judges.usage import note, note_failure
from flows.attempt import attempt
from flows.executor import LocalRunner
from flows.measured import Measured, MeasuredRunner, in_process
from flows.metering import Spent, Work, add, begin, counted, elapsing, measured, place_of, run_name, taken, tally
from flows.workers import WorkerPool


class Named(NamedTuple):
    name: str


class Job(NamedTuple):
    source: Named
    number: int
    rows: int = 1


@pytest.fixture(autouse=True)
def nothing_counted() -> Iterator[None]:
    begin()
    yield
    taken()


def test_both_add_up_but_the_peak_is_the_higher() -> None:
    one, two = Spent(1, 2, rows=3, cpu_s=0.5, peak_bytes=70), Spent(10, 20, rows=30, cpu_s=0.25, peak_bytes=50)
    assert one.plus(two) == Spent(11, 22, rows=33, cpu_s=0.75, peak_bytes=70)


def test_inner_blocks_are_left_out_of_outer_ones() -> None:
    began = time.monotonic()
    with measured("mix", main=True), elapsing("compare"):
        time.sleep(0.05)
    whole = time.monotonic() - began
    found = counted()
    assert found[Work("compare")].elapsed_s + found[Work("mix")].busy_s <= whole
    assert found[Work("mix")].busy_s == found[Work("mix")].elapsed_s and found[Work("compare")].busy_s == 0


def test_a_tally_counts_for_the_innermost_block_or_for_nothing() -> None:
    tally(Spent(rows=99))
    with measured("convert", "pets"):
        tally(Spent(rows=2))
        with measured("scan", "pets"):
            tally(Spent(rows=3))
        tally(Spent(rows=4))
    found = counted()
    assert {work: spent.rows for work, spent in found.items()} == {Work("convert", "pets"): 6, Work("scan", "pets"): 3}


def test_a_run_begins_with_nothing_and_a_name_of_its_own() -> None:
    first = run_name()
    add(Work("mix"), Spent(rows=1))
    assert begin() == run_name() != first and not counted()


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        (Job(Named("pets"), 3), ("pets", 3)),
        (Named("pets"), ("", None)),
        ("text", ("", None)),
    ],
)
def test_a_job_says_where_it_is(job, expected) -> None:
    assert place_of(job) == expected


def ask(job: Job) -> int:
    """A job as a judge's: prompts and failures are counted by the process."""
    for _ in range(job.rows):
        note(100, 64)
    note_failure()
    tally(Spent(rows=job.rows))
    return job.rows


JOBS = [Job(Named("pets"), 0, 3), Job(Named("cars"), 0, 1), Job(Named("pets"), 1, 2)]
EXPECTED = {
    ("judge", "cars"): (1, 1, 100, 64, 1, 1),
    ("judge", "pets"): (5, 5, 500, 320, 5, 2),
}


def numbers() -> dict[tuple[str, str], tuple[int, ...]]:
    return {
        work: (each.rows, each.calls, each.prompt_tokens, each.cached_tokens, each.completion_tokens, each.retries)
        for work, each in counted().items()
        if work.source
    }


def test_jobs_in_this_process_are_measured() -> None:
    runner = in_process(MeasuredRunner(LocalRunner(None)))
    assert runner.map("judge", ask, JOBS) == [3, 1, 2]
    assert numbers() == EXPECTED
    assert counted()[Work("judge")].elapsed_s > 0 and counted()[Work("judge", "pets")].peak_bytes > 1_000_000


def test_a_runner_that_does_not_measure_stays_so() -> None:
    assert in_process(LocalRunner(None)).map("judge", ask, JOBS) == [3, 1, 2]
    assert not counted()


@pytest.mark.integration
def test_workers_count_the_same() -> None:
    with WorkerPool(2, 2_000_000_000) as pool:
        assert MeasuredRunner(LocalRunner(pool)).map("judge", ask, JOBS) == [3, 1, 2]
    assert numbers() == EXPECTED


def test_threads_of_a_pool_count_for_their_own_jobs() -> None:
    """As under Prefect with one worker: threads begin within the block of the step that waits for them."""
    with elapsing("judge"):
        threads = [threading.Thread(target=Measured("judge", ask, 30), args=(job,)) for job in JOBS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {work: spent.rows for work, spent in counted().items() if work.source} == {
        Work("judge", "pets"): 5,
        Work("judge", "cars"): 1,
    }


def fail(job: Job) -> int:
    tally(Spent(rows=job.rows))
    raise ValueError("no")


def test_what_an_attempt_counts_travels_with_it_once() -> None:
    done = attempt(Measured("judge", ask, 30), JOBS[0])
    assert done.value() == 3 and not counted()
    done.told.arrive()
    assert numbers() == {("judge", "pets"): (3, 3, 300, 192, 3, 1)}


def test_a_job_that_fails_gives_back_what_it_counted() -> None:
    done = attempt(Measured("convert", fail, 30), JOBS[0])
    assert isinstance(done.error, ValueError)
    assert done.told.spent == {Work("convert", "pets"): Spent(rows=3)}
