"""What the allocators of libraries are told: to keep no memory for later that other processes of a run could use."""

import ctypes
import os
import sys
from collections.abc import Mapping
from typing import Final

_SETTINGS: Final[Mapping[str, str]] = {
    # Arrow's own allocator holds 25 MB from its first byte on
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    # polars takes an arena for each thread and, by default, leaves freed pages to a process until the system is short
    "_RJEM_MALLOC_CONF": "background_thread:true,narenas:2,dirty_decay_ms:500,muzzy_decay_ms:0",
}


def allocators() -> dict[str, str]:
    """Environment variables for a process that begins; those that this one has stay as they are."""
    return {name: os.environ.get(name, value) for name, value in _SETTINGS.items()}


def settle_allocators() -> None:
    """Tell the allocators of this process; call before pyarrow or polars is imported."""
    os.environ.update(allocators())


def release_memory() -> None:
    """Give back to the system what this process has freed; does nothing where its C library cannot."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim:
            trim(0)
