"""The command `vlmix export`: a mixture in the format that a trainer loads."""

import sys
from pathlib import Path
from typing import Literal

from flows.console import JsonOption, StoreOption, messages, print_model, where
from shards.errors import GateError

Format = Literal[
    "llava-next",
    "instellavl",
    "instellavl-online",
    "internvl",
    "vila",
    "energon",
    "webdataset",
    "mds",
    "hf",
    "llamafactory",
]


def export(
    mix: str,
    *,
    to: Format,
    out: Path,
    native: bool = False,
    skip_unrepresentable: bool = False,
    option: list[str] | None = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a mixture in a trainer's format; exits 1 when some rows cannot be represented in it.

    Args:
        mix: folder of a mixture, recipe.stage, or recipe (each stage to a folder of its name).
        to: format.
        out: new folder.
        native: write all rows that survive filtering and let the trainer's own operators take and repeat them, instead
            of exactly the planned rows; what the trainer then sees differs from the manifest, and is told.
        skip_unrepresentable: exit 0 even when some rows are left out; they are counted either way.
        option: `name=value` for an option of the format; may stand several times, see docs/exports.md.
        store: folder of the store.
        as_json: print one JSON document.
    """
    with messages():
        from flows.exporting import ExportReports, export_all
        from flows.mixes import find
        from flows.summary import print_exported
        from shards.store import Store

        reports = export_all(find(Store(where(store)), mix), to=to, out=out, native=native, options=option or ())
        if as_json:
            print_model(ExportReports(exports=reports))
        else:
            print_exported(reports, out)
        _tell_unprepared(out)
        if any(report.not_representable for report in reports) and not skip_unrepresentable:
            sys.exit(GateError.exit_code)


def _tell_unprepared(out: Path) -> None:
    """Say what is left to do where the package that finishes an export is not installed."""
    from manifests.exports.energon import PREPARE

    for script in [*out.glob(PREPARE), *sorted(out.glob(f"*/{PREPARE}"))]:
        what = "megatron-energon (extra `energon`) is not installed, so the index that it reads is missing"
        sys.stderr.write(f"vlmix: {what}; run `sh {script}` where it is\n")
