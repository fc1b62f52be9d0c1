"""`vlmix check`: what an operator runs first on a new machine."""

import sys
from typing import Annotated

from cyclopts import Parameter

from flows.console import JsonOption, StoreOption, messages, print_model
from flows.settings import default_store
from shards.errors import DataError


def check(
    *,
    recipe: str | None = None,
    store: StoreOption = None,
    executor: str = "local",
    workers: int | None = None,
    torch: Annotated[bool, Parameter(negative=())] = False,
    as_json: JsonOption = False,
) -> None:
    """Look whether this machine can run: packages, room, store, accelerators, judge, hub, Prefect; exit code 1 if not.

    Args:
        recipe: whose judge and gated sources are looked at, too: built-in name, or path of a .yaml file.
        store: folder of the store.
        executor: where work is to run: local, ray, slurm, or a .yaml file with settings of one of them.
        workers: worker processes that are to run.
        torch: import torch, in a process of its own, and say what it sees.
        as_json: print one JSON document.
    """
    with messages():
        from flows.doctor import Asked, Checkup, check_all

        asked = Asked(str(store or default_store()), recipe, executor, workers, torch)
        findings = []
        for finding in check_all(asked):
            findings.append(finding)
            if not as_json:
                remedy = f"; {finding.remedy}" if finding.remedy else ""
                sys.stdout.write(f"{finding.state:<5} {finding.check:<12} {finding.found}{remedy}\n")
                sys.stdout.flush()
        well = all(finding.state != "fail" for finding in findings)
        if as_json:
            print_model(Checkup(ok=well, findings=findings))
        if not well:
            sys.exit(DataError.exit_code)
