"""Prefect flows around the review: the queue out to people, their answers back, and a build that waits for them."""

from pathlib import Path
from typing import Annotated, Final, Literal

from prefect import flow, get_run_logger
from prefect.artifacts import create_table_artifact
from prefect.events import emit_event
from prefect.flow_runs import pause_flow_run, suspend_flow_run
from prefect.input import RunInput
from pydantic import Field

from flows.console import where
from flows.review_import import Imported, import_answers
from flows.reviewing import export_queue, queue_options
from review.export import Format
from shards.errors import DataError
from shards.store import Store

READY: Final = "review-queue.ready"
"""Name of the event that tells that people have something to look at."""

WEEKS: Final = 4 * 7 * 24 * 3600
"""Seconds that a build waits for people."""

Wait = Literal["continue", "pause", "suspend"]

_Place = Annotated[str | None, Field(description="Folder of the store; empty means VLMIX_STORE or .vlmix")]


class Reviewed(RunInput):
    """What a waiting build is told when it may go on.

    Answers given on the review page, or imported before, are in the store already; `file` names one to import first.
    """

    file: str | None = None
    reviewer: str | None = None


def tell_ready(mix: str, counts: dict[str, int], out: str | None = None) -> None:
    """Emit the event `review-queue.ready` for a mixture, with its counts."""
    payload = {"mix": mix, **counts, **({"out": out} if out else {})}
    emit_event(READY, resource={"prefect.resource.id": f"vlmix.review-queue.{mix}"}, payload=payload)


@flow(name="review-export", flow_run_name="{mix}")
def review_export(
    mix: Annotated[str, Field(description="Recipe, recipe.stage, or folder of a mixture")],
    out: Annotated[str, Field(description="Folder to write to")],
    to: Annotated[Format, Field(description="Format")] = "html",
    audit: Annotated[int, Field(ge=0, description="Rows drawn at random from every rule")] = 0,
    store: _Place = None,
) -> dict[str, int]:
    """Write the review queue of a mixture, and emit `review-queue.ready` with its counts.

    Args:
        mix: recipe, recipe.stage, or folder of a mixture.
        out: folder to write to.
        to: format.
        audit: rows drawn at random from every rule with what it says.
        store: folder of the store.

    Returns:
        Counts of the queue.
    """
    where = _store(store)
    done = export_queue(where, mix, to=to, out=Path(out), options=queue_options(audit=audit))
    counts = {str(name): int(value) for name, value in done.queue.model_dump().items()}
    create_table_artifact(key="review-queue", table=[{"mix": mix, **counts}], description=f"Review queue in {out}")
    tell_ready(mix, counts, out)
    get_run_logger().info("%d items in %s", counts["items"], out)
    return counts


@flow(name="review-import", flow_run_name="{file}")
def review_import(
    file: Annotated[str, Field(description="File that people have filled in")],
    mix: Annotated[
        str | None, Field(description="Mixture of the samples; empty means the last run of each recipe")
    ] = None,
    reviewer: Annotated[str | None, Field(description="Who gave verdicts of rows that name nobody")] = None,
    store: _Place = None,
) -> dict[str, int]:
    """Take verdicts from a file into the journal of the store; all, or none where a row is refused.

    Args:
        file: see `vlmix review import`.
        mix: mixture that the samples belong to.
        reviewer: who gave the verdicts of rows that name nobody.
        store: folder of the store.

    Returns:
        Counts of the import.

    Raises:
        DataError: rows were refused.
    """
    found = taken(_store(store), file, mix, reviewer)
    get_run_logger().info("%d new answers from %s", found.new, found.file)
    return {name: value for name, value in found.model_dump().items() if isinstance(value, int)}


def taken(store: Store, file: str, mix: str | None, reviewer: str | None) -> Imported:
    """What an import took.

    Raises:
        DataError: rows were refused.
    """
    found = import_answers(store, Path(file), mix=mix, reviewer=reviewer)
    if found.refused:
        first, more = found.refused[0], f" (and {len(found.refused) - 1} more)" if len(found.refused) > 1 else ""
        raise DataError(f"`{file}`, {first.row}: {first.message}{more}; nothing was imported")
    return found


def wait_for_people(mix: str, waiting: int, how: Wait, store: Store) -> None:
    """Emit the event, stop this flow run until somebody resumes it, and import the file that they name.

    Args:
        mix: name of the mixture.
        waiting: rows in review.
        how: `pause` keeps the process, `suspend` ends it, and the deployment starts it again.
        store: holds the journal.
    """
    tell_ready(mix, {"review": waiting})
    asked = f"{waiting:,} rows of `{mix}` wait for review: answer them, then resume this run"
    wanted = Reviewed.with_initial_data(description=asked)
    stop = suspend_flow_run if how == "suspend" else pause_flow_run
    said = stop(wait_for_input=wanted, timeout=WEEKS)
    assert isinstance(said, Reviewed)
    if said.file:
        taken(store, said.file, mix, said.reviewer)


def _store(store: str | None) -> Store:
    return Store(where(store))
