"""`vlmix check`: looks at everything that a run needs on this machine, one short check after the other."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Empty, Queue
from typing import Final, Literal

from pydantic import BaseModel

from flows.execution import Execution, execution
from flows.logs import trimmed
from shards.errors import VlmixError

State = Literal["ok", "warn", "fail"]

PATIENCE_S: Final = 20.0
"""Seconds that one check may take: who does not answer by then is as good as dead. Ours."""


class Finding(BaseModel):
    """What one check found; `remedy` says what to do, empty where all is well."""

    check: str
    state: State
    found: str
    remedy: str = ""


class Checkup(BaseModel):
    """All findings; `ok` where none of them is a failure."""

    ok: bool
    findings: list[Finding]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is looked at: a store, the recipe that is to be built, where it runs, and whether torch is imported."""

    store: str
    recipe: str | None = None
    executor: str = "local"
    workers: int | None = None
    torch: bool = False


Check = Callable[[], Iterator[Finding]]


def good(check: str, found: str) -> Finding:
    """All is well."""
    return Finding(check=check, state="ok", found=trimmed(found))


def doubtful(check: str, found: str, remedy: str) -> Finding:
    """A run can work and may be worse for it."""
    return Finding(check=check, state="warn", found=trimmed(found), remedy=trimmed(remedy))


def bad(check: str, found: str, remedy: str) -> Finding:
    """A run cannot work."""
    return Finding(check=check, state="fail", found=trimmed(found), remedy=trimmed(remedy))


def check_all(asked: Asked, patience: float = PATIENCE_S) -> Iterator[Finding]:
    """Look at the machine, the store, what the recipe needs, and Prefect; findings come as they are made.

    Raises:
        UsageError: no such executor.
    """
    from flows import doctor_machine, doctor_prefect, doctor_recipe, doctor_store

    settings = execution(asked.executor, workers=asked.workers)
    yield from doctor_machine.packages()
    yield from doctor_machine.resources(settings)
    yield from within("accelerator", patience, lambda: doctor_machine.accelerators(torch=asked.torch))
    yield from within("executor", patience, lambda: _executor(settings))
    yield from within("store", patience, lambda: doctor_store.store(asked.store))
    if asked.recipe:
        recipe = asked.recipe
        yield from within("recipe", patience, lambda: doctor_recipe.recipe(recipe, asked.store))
    yield from within("prefect", patience, doctor_prefect.prefect)


def within(name: str, patience: float, check: Check) -> Iterator[Finding]:
    """The findings of a check as they come; one that is late, or breaks down, is a finding, too."""
    said: Queue[Finding | None] = Queue()

    def work() -> None:
        try:
            for finding in check():
                said.put(finding)
        except VlmixError as error:
            said.put(bad(name, str(error), ""))
        except Exception as error:  # the edge of a check: its breakdown is what it found
            said.put(bad(name, f"{type(error).__name__}: {error}", "this is a defect of the check; report it"))
        said.put(None)

    # a thread that hangs in a dead connection must not keep the command from ending
    threading.Thread(target=work, daemon=True).start()
    deadline = time.monotonic() + patience
    while True:
        try:
            finding = said.get(timeout=max(deadline - time.monotonic(), 0.0))
        except Empty:
            yield bad(
                name, f"no answer within {patience:g} s", "see whether the other side is alive and can be reached"
            )
            return
        if finding is None:
            return
        yield finding


def _executor(settings: Execution) -> Iterator[Finding]:
    """Whether what an executor needs is there; nothing is started."""
    import shutil
    from importlib.util import find_spec

    if settings.kind == "ray" and find_spec("ray") is None:
        yield bad("executor", "`ray` is not installed", "pip install 'vlmix[ray]'")
    elif settings.kind == "slurm" and shutil.which("sbatch") is None:
        yield bad("executor", "no `sbatch` here", "run on a login node of the cluster, or use --executor local")
    else:
        yield good("executor", settings.kind)
