"""Adds `run` to the `prefect` command, so that `prefect run build-sft-mix` works.

Prefect has no public way for another package to add a command. Its command line app is a private name, so everything
here is guarded: if the name is gone, `prefect` works as before and `vlmix run build-sft-mix` is the command to use.
"""

import sys
from itertools import pairwise
from pathlib import Path

from prefect.plugins import register_hook


@register_hook
def setup_environment(*, ctx: object) -> None:
    """Register the command when, and only when, the `prefect` command line is what runs."""
    if not _is_command_line():
        return
    try:
        from prefect.cli._app import _app

        if "run" not in list(_app):
            _app.command("flows.prefect_run:app", name="run", help="Run a vlmix flow, such as build-sft-mix.")
    except (ImportError, AttributeError) as error:
        # Prefect swallows what plug-ins raise; a line on standard error says what to do instead
        sys.stderr.write(f"vlmix: cannot add `prefect run` to this Prefect ({error}); use `vlmix run build-sft-mix`\n")


def _is_command_line() -> bool:
    # under `python -m prefect` this runs before the name of the module is in argv[0]
    module = any(pair == ("-m", "prefect") for pair in pairwise(sys.orig_argv))
    return module or Path(sys.argv[0]).name == "prefect"
