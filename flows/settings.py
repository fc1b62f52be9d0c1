"""Where things are, when nobody says otherwise."""

import os
from pathlib import Path
from typing import Final

STORE_VARIABLE: Final = "VLMIX_STORE"


def default_store() -> Path:
    """The store named by `VLMIX_STORE`, or `.vlmix` in the current folder."""
    return Path(os.environ.get(STORE_VARIABLE, ".vlmix"))
