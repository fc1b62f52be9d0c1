"""Names that several tests share: where things are, a finished command, a finished demo build."""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
"""Real rows for development; tests that need them say so when the folder is not there."""


@dataclass(frozen=True)
class Done:
    """A finished command: exit code and output."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        return json.loads(self.out)


Vlmix = Callable[..., Done]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables of a process that a test starts: no settings of the user, and byte code is kept for the next one."""
    apart = ("PREFECT_", "VLMIX_", "PYTHONDONTWRITEBYTECODE")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(apart)}
    return {**clean, "DO_NOT_TRACK": "1", **(extra or {})}


@dataclass(frozen=True)
class DemoBuild:
    """A store with a finished demo build, and what the command said."""

    store: Path
    document: dict[str, Any]

    def copy(self, to: Path) -> "DemoBuild":
        """The same in another folder; the document names places there."""
        shutil.copytree(self.store, to)
        return DemoBuild(to, json.loads(json.dumps(self.document).replace(str(self.store), str(to))))
