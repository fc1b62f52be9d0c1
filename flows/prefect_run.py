"""The command behind `prefect run`; `flows.prefect_plugin` registers it."""

import sys
from typing import Annotated, Literal

from cyclopts import App, Parameter

from shards.errors import UsageError, VlmixError

app = App(name="run", help="Run a vlmix flow.")


@app.command(name="build-sft-mix")
def build_sft_mix(
    *,
    recipe: str = "demo",
    store: Annotated[
        str | None, Parameter(help="Folder of the store, or a URL [default: $VLMIX_STORE or .vlmix].")
    ] = None,
    stage: str | None = None,
    executor: str = "local",
    workers: int | None = None,
    scale: float | None = None,
    update: bool = False,
    review: Literal["continue", "pause", "suspend"] = "continue",
) -> None:
    """Build the mixture of a recipe as a Prefect flow run.

    Args:
        recipe: built-in name, or path of a .yaml file.
        store: folder of the store.
        stage: mix this stage only.
        executor: where work runs: local, ray, slurm, or a .yaml file with settings of one of them.
        workers: worker processes; default is one per core.
        scale: multiplies absolute takes, caps and targets, for a miniature run; above 0 and at most 1.
        update: look for newer commits of sources on the hub instead of the ones in sources.lock.
        review: what to do about rows in review: leave them, or stop the flow run until people have answered.
    """
    from prefect.exceptions import ParameterTypeError

    from flows.build_sft_mix import build_sft_mix as flow
    from flows.prefect_artifacts import AWAY

    try:
        flow(
            recipe=recipe,
            store=store,
            stage=stage,
            executor=executor,
            workers=workers,
            scale=scale,
            update=update,
            review=review,
        )
    except ParameterTypeError as error:
        sys.stderr.write(f"vlmix: {' '.join(str(error).split())}\n")
        sys.exit(UsageError.exit_code)
    except VlmixError as error:
        sys.stderr.write(f"vlmix: {error}\n")
        sys.exit(error.exit_code)
    except AWAY as error:
        sys.stderr.write(
            f"vlmix: the Prefect server does not answer ({error}), so it does not know how this run ended; what is "
            "finished is kept; run again when it answers, or without it: `vlmix run build-sft-mix`\n"
        )
        sys.exit(VlmixError.exit_code)
