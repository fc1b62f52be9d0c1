"""One element of an array job: `python -m flows.slurm_worker FOLDER NUMBER`."""

import json
import pickle
import signal
import sys
from pathlib import Path
from typing import Final, NamedTuple

from flows.attempt import Attempt, attempt
from flows.installation import check_worker
from shards.files import write_bytes

FAILED: Final = "failed"
"""File whose presence tells the other elements to begin no further job."""


class Call(NamedTuple):
    """What all elements of a step share: what must be installed, the store, how many jobs over how many elements."""

    installed: str
    store: str
    jobs: int
    elements: int

    def dumps(self) -> str:
        """One line of JSON."""
        return json.dumps(self._asdict()) + "\n"


def call_path(folder: Path) -> Path:
    """What the elements share."""
    return folder / "call.json"


def job_path(folder: Path, place: int) -> Path:
    """The function and its job, pickled."""
    return folder / f"job-{place:06d}.pickle"


def result_path(folder: Path, place: int) -> Path:
    """What the job gave: a pickled `Attempt`."""
    return folder / f"done-{place:06d}.pickle"


def run_element(folder: Path, number: int) -> bool:
    """Do every job of an element that has no result; returns whether all went well."""
    call = Call(**json.loads(call_path(folder).read_text()))
    well = True
    for place in range(number, call.jobs, call.elements):
        if (folder / FAILED).exists():
            break
        if not result_path(folder, place).is_file():
            done = _do(folder, place, call)
            write_bytes(result_path(folder, place), pickle.dumps(done))
            if done.error:
                (folder / FAILED).touch()
                well = False
    return well


def _do(folder: Path, place: int, call: Call) -> Attempt:
    checked = attempt(lambda _: check_worker(call.installed, Path(call.store)), None)
    if checked.error:
        return checked
    function, job = pickle.loads(job_path(folder, place).read_bytes())
    return attempt(function, job)


def main() -> None:
    """Run one element; exit code 1 where a job raised."""
    # Slurm ends an element with SIGTERM first: an exit takes temporary files along
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    folder, number = sys.argv[1:]
    sys.exit(0 if run_element(Path(folder), int(number)) else 1)


if __name__ == "__main__":
    main()
