"""Steps as array jobs of a Slurm cluster; flows/slurm_worker.py is what an element of the array runs."""

import logging
import math
import pickle
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from flows.attempt import Attempt, job_words
from flows.execution import SlurmSettings
from flows.installation import installed
from flows.slurm_worker import FAILED, Call, call_path, job_path, result_path
from flows.workers import TRIES
from shards.errors import UsageError, WorkerError
from shards.files import write_bytes, write_text
from shards.store import Store

if TYPE_CHECKING:
    from filters.judges.vllm import VllmJudge

Job = TypeVar("Job")
Result = TypeVar("Result")

ELEMENTS: Final = 1000
"""Most elements of an array; Slurm's `MaxArraySize` is 1001 unless a cluster says otherwise."""

_LOG: Final = logging.getLogger(__name__)
_MB: Final = 1_000_000
_PATIENCE_S: Final = 60.0
"""How long a file that another node wrote may take to be seen here: NFS looks at a folder again after 60 s at most."""


class SlurmRunner:
    """Submits each step as an array and waits for it; work folders lie in the store, which all nodes must see.

    A run that was killed leaves its arrays behind: the next one cancels them before its first step.
    """

    def __init__(self, store: Store, settings: SlurmSettings, memory: int | None) -> None:
        """Find the cluster.

        Raises:
            UsageError: this machine cannot submit jobs.
        """
        if shutil.which("sbatch") is None:
            raise UsageError("executor `slurm`: no `sbatch` here; run on a login node, or say --executor local")
        self._store, self._settings, self._memory = store, settings, memory
        self._lock = threading.Lock()
        self._cleared = False

    def map(self, step: str, function: Callable[[Job], Result], jobs: Sequence[Job]) -> list[Result]:
        """See `flows.executor.Runner.map`."""
        done = self._run(step, function, jobs, min(len(jobs), ELEMENTS), ())
        for place, each in enumerate(done):
            if each is None and not any(other and other.error for other in done):
                raise WorkerError(
                    f"step `{step}`, {job_words(jobs[place])}: its array element ended without a result, {TRIES} times;"
                    f" its last words are in `{self._store.root / 'work'}`; ask for more time or memory and run again"
                )
        for each in done:
            if each and each.error:
                raise each.error
        return [each.value() for each in done if each]

    def ask(self, judge: "VllmJudge", function: Callable[[Job], int], jobs: Sequence[Job]) -> None:
        """See `flows.executor.Runner.ask`; every replica is an element, with an engine that does its chunks in turn."""
        elements = min(judge.replicas, len(jobs))
        done = self._run("judge", function, jobs, elements, self._settings.judge_lines)
        for each in done:
            if each and each.error:
                raise each.error
        if given_up := done.count(None):
            _LOG.warning("judge: %d of %d chunks are given up, their rows have no answer", given_up, len(jobs))

    def _run(
        self, step: str, function: Callable[[Job], object], jobs: Sequence[Job], elements: int, lines: Sequence[str]
    ) -> list[Attempt | None]:
        """What every job gave; None where no element could say."""
        if not jobs:
            return []
        folder = self._folder(step)
        write_text(call_path(folder), Call(installed(), str(self._store.root), len(jobs), elements).dumps())
        for place, job in enumerate(jobs):
            write_bytes(job_path(folder, place), pickle.dumps((function, job)))
        missing: list[int] = list(range(len(jobs)))
        for _ in range(TRIES):
            wanted = sorted({place % elements for place in missing})
            script = folder / "submit.sh"
            write_text(script, script_text(folder, wanted, self._settings, self._memory, lines))
            code = submit(script, folder)
            missing = _missing(folder, len(jobs), wait=code == 0)
            if not missing or (folder / FAILED).exists():
                break
            words = "step `%s`: %d of %d jobs have no result, sbatch ended with %d"
            _LOG.warning(words, step, len(missing), len(jobs), code)
        done = [None if place in set(missing) else _result(folder, place) for place in range(len(jobs))]
        if not missing:
            shutil.rmtree(folder, ignore_errors=True)
        return done

    def _folder(self, step: str) -> Path:
        root = self._store.root / "work"
        with self._lock:
            if not self._cleared:
                clear(root)
                self._cleared = True
            root.mkdir(parents=True, exist_ok=True)
            return Path(tempfile.mkdtemp(prefix=_slug(step) + "-", dir=root))


def script_text(
    folder: Path,
    elements: Collection[int],
    settings: SlurmSettings,
    memory: int | None,
    lines: Sequence[str] = (),
) -> str:
    """The script that is handed to `sbatch`.

    Args:
        folder: of the step's work; its name names the job.
        elements: numbers of the array.
        settings: more options, and what is done before the work.
        memory: bytes for each element; None asks for nothing.
        lines: more options still.
    """
    numbers = sorted(elements)
    whole = numbers == list(range(numbers[0], numbers[-1] + 1))
    array = f"{numbers[0]}-{numbers[-1]}" if whole else ",".join(map(str, numbers))
    log = str(folder / "log-%a.txt").replace("%", "%%").replace("log-%%a", "log-%a")
    options = [
        f"--job-name={_name(folder)}",
        f"--array={array}%{settings.at_once}",
        f"--cpus-per-task={settings.cores}",
        *([f"--mem={math.ceil(memory / _MB)}M"] if memory else []),
        f'--output="{log}"',
        *settings.lines,
        *lines,
    ]
    command = shlex.join([sys.executable, "-m", "flows.slurm_worker", str(folder)])
    return "\n".join(
        [
            "#!/usr/bin/env bash",
            *(f"#SBATCH {option}" for option in options),
            "set -euo pipefail",
            *settings.setup,
            f'exec {command} "$SLURM_ARRAY_TASK_ID"',
            "",
        ]
    )


def submit(script: Path, folder: Path) -> int:
    """Submit a script and wait until its array is done; the number of the job is written down in `folder`.

    Returns:
        Exit code of `sbatch`: 0 where every element ended well.

    Raises:
        UsageError: Slurm refuses the script.
    """
    command = ["sbatch", "--wait", "--parsable", str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stderr, "both are pipes"
        number = process.stdout.readline().split(";")[0].strip()
        if not number:
            words = " ".join(process.stderr.read().split())
            raise UsageError(f"executor `slurm`: sbatch refused `{script}`: {words}; see `slurm.lines` of its settings")
        try:
            write_text(folder / "submitted", number)
            return process.wait()
        except BaseException:
            _cancel(number)
            raise


def clear(root: Path) -> None:
    """Cancel the arrays that killed runs left behind, and remove their folders. Call under the store's lock."""
    for folder in sorted(root.glob("*/")):
        with suppress(OSError):
            _cancel((folder / "submitted").read_text())
        # its number was not known yet when the run was killed, or when sbatch itself was
        _cancel("--me", f"--name={_name(folder)}")
        shutil.rmtree(folder, ignore_errors=True)


def _cancel(*which: str) -> None:
    with suppress(OSError):  # no scancel here: then nothing was submitted from here either
        subprocess.run(["scancel", *which], check=False, capture_output=True)


def _name(folder: Path) -> str:
    """Name of the job of a step: no other has it."""
    return f"vlmix-{_slug(folder.name)}"


def _missing(folder: Path, jobs: int, *, wait: bool) -> list[int]:
    """Places without a result; those of elements that ended well may take a moment to be seen."""
    deadline = time.monotonic() + (_PATIENCE_S if wait else 0.0)
    while missing := [place for place in range(jobs) if not result_path(folder, place).is_file()]:
        if time.monotonic() >= deadline or (folder / FAILED).exists():
            break
        time.sleep(1)
    return missing


def _result(folder: Path, place: int) -> Attempt:
    done: Attempt = pickle.loads(result_path(folder, place).read_bytes())
    done.told.arrive()
    return done


def _slug(step: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in step.lower())
