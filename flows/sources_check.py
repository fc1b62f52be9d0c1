"""The Prefect flow that looks at publishers: a table as artifact, and an event when something changed."""

from typing import Annotated, Final

from prefect import flow, get_run_logger
from prefect.artifacts import create_table_artifact
from prefect.events import emit_event
from pydantic import Field

from flows.console import where
from flows.revisions import Looked, look_all, remote_sources
from shards.store import Store

CHANGED: Final = "sources-check.changed"
"""Event for automations, such as one that runs `build-sft-mix` with `update`."""


@flow(name="sources-check", flow_run_name="{recipe}")
def sources_check(
    recipe: Annotated[
        str | None,
        Field(description="Sources of this recipe: a built-in name, or path of a .yaml file; empty means all"),
    ] = None,
    store: Annotated[
        str | None, Field(description="Folder or URL of the store; empty means VLMIX_STORE or .vlmix")
    ] = None,
) -> int:
    """Look whether publishers have newer revisions than the store; fetches and changes nothing.

    Args:
        recipe: built-in recipe, or path of a .yaml file; empty for every source of the catalogue.
        store: folder of the store.

    Returns:
        Repositories and files that changed.
    """
    place = Store(where(store))
    looked = look_all(remote_sources(place, recipe), place)
    changed = [each for each in looked if each.state == "changed"]
    logger = get_run_logger()
    for each in looked:
        if each.state == "failed":
            logger.warning("%s: %s", each.place, each.message)
    logger.info("%d places looked at, %d changed", len(looked), len(changed))
    create_table_artifact(key="sources", table=[_row(each) for each in looked], description=_words(looked))
    if changed:
        names = sorted({name for each in changed for name in each.sources})
        payload = {"places": [each.place for each in changed], "sources": names}
        emit_event(CHANGED, resource={"prefect.resource.id": "vlmix.sources"}, payload=payload)
    return len(changed)


def _row(looked: Looked) -> dict[str, object]:
    return looked.model_dump() | {"sources": ", ".join(looked.sources)}


def _words(looked: list[Looked]) -> str:
    states = [each.state for each in looked]
    return ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states))) or "no source comes by network"
