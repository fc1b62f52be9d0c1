"""What a flow run does with the one before it that held the store: who has the lock knows that the other is dead."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from uuid import UUID

from flows.prefect_artifacts import AWAY, PrefectLogger
from shards.files import write_text

FILE: Final = "flow-run.json"
"""Name of the file in a store that says which flow run holds it; only one that was killed leaves it behind."""


@contextmanager
def taken_over(store: Path, run: UUID, logger: PrefectLogger) -> Iterator[None]:
    """Write down which flow run holds the store, and end one that died holding it if the server takes it for running.

    The kernel frees the lock of a store when its holder dies, so a run that holds it knows what a server cannot: that
    no other is at work. Prefect leaves a run whose worker died with it in `Running` for good. A run that gives the lock
    back is not over: it publishes, or waits for people or for its retry; so it removes the file. Use under the lock.

    Args:
        store: folder of the store.
        run: this flow run.
        logger: hears of what was found.
    """
    path = store / FILE
    before = _read(path)
    write_text(path, json.dumps({"flow_run": str(run)}) + "\n")
    if before is not None and before != run:
        _end(before, logger)
    try:
        yield
    finally:
        with suppress(OSError):  # what ended this run, a disk that is gone for one, is what people must hear of
            path.unlink()


def _read(path: Path) -> UUID | None:
    try:
        return UUID(json.loads(path.read_text())["flow_run"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # none before, or a file that somebody else wrote


def _end(run: UUID, logger: PrefectLogger) -> None:
    from prefect import get_client
    from prefect.client.schemas import State
    from prefect.exceptions import PrefectException
    from prefect.states import Cancelled, Crashed

    message = "its process is gone: another run has got the lock of the store"
    try:
        with get_client(sync_client=True) as client:
            state = client.read_flow_run(run).state
            if state is None or not (state.is_running() or state.is_cancelling()):
                return
            # the server refuses every other end to a run that somebody wants to cancel
            end: State[None] = (Cancelled if state.is_cancelling() else Crashed)(message=message)
            client.set_flow_run_state(run, end)
            logger.warning("flow run %s was left running by a dead process; it is set to %s", run, end.name)
    except (PrefectException, *AWAY) as error:
        # of another server, or a server that is away: no reason to stop a build
        logger.info("flow run %s that held the store before cannot be looked at: %s", run, error)
