"""A machine of its own for tests: builds a recipe with a judge that writes down its calls, and may be held up.

`python machine.py RECIPE STORE LOG` writes what the build did. A sample that says "waits" holds up judge and filter,
after which there is a file `waiting` beside LOG, until there is a file `go`.
"""

import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import polars as pl
from judges import Scripted

from filters.base import Columns
from filters.judges.base import Reply, Request
from flows.console import where
from flows.executor import LocalRunner, Steps
from flows.run import checked, run_with
from shards.store import Store

FOLDER = "VLMIX_TEST_MACHINE"


def hold_up(folder: Path) -> None:
    """Wait for a file `go`."""
    (folder / "waiting").touch()
    while not (folder / "go").exists():
        time.sleep(0.02)


@dataclass(frozen=True, slots=True)
class Waiting(Scripted):
    """The judge of the tests; it is held up by samples that say so."""

    def __call__(self, requests: list[Request]) -> list[Reply]:
        if any("waits" in each.sample_text for each in requests):
            hold_up(Path(self.log).parent)
        return Scripted.__call__(self, requests)


@dataclass(frozen=True, slots=True)
class Waits:
    """Score `waits`: whether the sample says so; such a sample holds the filter up."""

    reads: ClassVar[tuple[str, ...]] = ("messages",)
    writes: ClassVar[Columns] = {"waits": pl.Boolean}
    version: ClassVar[int] = 1

    def __call__(self, batch: pl.DataFrame) -> pl.DataFrame:
        texts = batch["messages"].list.eval(pl.element().struct.field("text")).list.join(" ")
        found = texts.str.contains("waits").fill_null(False)
        if found.any():
            hold_up(Path(os.environ[FOLDER]))
        return pl.DataFrame({"waits": found})


def main(recipe: str, url: str, log: str) -> Mapping[str, object]:
    store = Store(where(url))
    prepared = replace(checked(recipe, store), judge=Waiting(log))
    told: dict[str, list[int]] = {}

    def tell(step: str, done: Steps) -> None:
        told[step] = list(done)

    return {"digest": run_with(prepared, store, LocalRunner(None), None, tell).built.manifest.digest(), "steps": told}


if __name__ == "__main__":
    # a recipe's filter is found by the name of this module, also where it is the one that runs
    sys.modules["machine"] = sys.modules["__main__"]
    sys.stdout.write(json.dumps(main(*sys.argv[1:])))
