"""What a flow run does with the one before it that held the store: who has the lock knows that the other is dead."""

import json
import logging
from pathlib import Path
from uuid import UUID

from shards.files import write_text

_FILE = "flow-run.json"


def take_over(store: Path, run: UUID, logger: logging.Logger | logging.LoggerAdapter[logging.Logger]) -> None:
    """Write down which flow run holds the store, and end the one before it if the server still takes it for running.

    The kernel frees the lock of a store when its holder dies, so a run that holds it knows what a server cannot: that
    no other is at work. Prefect leaves a run whose worker died with it in `Running` for good. Call under the lock.

    Args:
        store: folder of the store.
        run: this flow run.
        logger: hears of what was found.
    """
    before = _read(store / _FILE)
    write_text(store / _FILE, json.dumps({"flow_run": str(run)}) + "\n")
    if before is not None and before != run:
        _end(before, logger)


def _read(path: Path) -> UUID | None:
    try:
        return UUID(json.loads(path.read_text())["flow_run"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # none before, or a file that somebody else wrote


def _end(run: UUID, logger: logging.Logger | logging.LoggerAdapter[logging.Logger]) -> None:
    from prefect import get_client
    from prefect.exceptions import ObjectNotFound, PrefectException
    from prefect.states import Crashed

    try:
        with get_client(sync_client=True) as client:
            state = client.read_flow_run(run).state
            if state and state.is_running():
                message = "its process is gone: another run has got the lock of the store"
                client.set_flow_run_state(run, Crashed(message=message))
                logger.warning("flow run %s was left running by a dead process; it is set to Crashed", run)
    except (ObjectNotFound, PrefectException) as error:
        # of another server, or a server that is away: no reason to stop a build
        logger.info("flow run %s that held the store before cannot be looked at: %s", run, error)
