"""What the allocators of libraries are told: to keep no memory for later that other processes of a run could use."""

import ctypes
import os
import sys


def allocators() -> dict[str, str]:
    """Environment variables for a process that begins; those that this one has stay as they are.

    Arrow's own allocator holds 25 MB from its first byte on. That of polars has four arenas for each core and, by
    default, leaves freed pages to the process until the system is short of memory.
    """
    arenas = max((os.cpu_count() or 1) // 2, 1)
    settings = {
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "_RJEM_MALLOC_CONF": f"background_thread:true,narenas:{arenas},dirty_decay_ms:100,muzzy_decay_ms:0",
    }
    return {name: os.environ.get(name, value) for name, value in settings.items()}


def settle_allocators() -> None:
    """Tell the allocators of this process; call before pyarrow or polars is imported."""
    os.environ.update(allocators())


def release_memory() -> None:
    """Give back to the system what this process has freed; does nothing where its C library cannot."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim:
            trim(0)
