"""The command behind `prefect run`; `flows.prefect_plugin` registers it."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from shards.errors import VlmixError

app = App(name="run", help="Run a vlmix flow.")


@app.command(name="build-sft-mix")
def build_sft_mix(
    *,
    recipe: str = "demo",
    store: Annotated[Path | None, Parameter(help="Folder of the store [default: $VLMIX_STORE or .vlmix].")] = None,
    stage: str | None = None,
    workers: int | None = None,
    scale: float | None = None,
) -> None:
    """Build the mixture of a recipe as a Prefect flow run.

    Args:
        recipe: built-in name, or path of a .yaml file.
        store: folder of the store.
        stage: mix this stage only.
        workers: worker processes; default is one per core.
        scale: multiplies absolute takes, caps and targets, for a miniature run; above 0 and at most 1.
    """
    from flows.build_sft_mix import build_sft_mix as flow

    try:
        flow(recipe=recipe, store=str(store) if store else None, stage=stage, workers=workers, scale=scale)
    except VlmixError as error:
        sys.stderr.write(f"vlmix: {error}\n")
        sys.exit(error.exit_code)
