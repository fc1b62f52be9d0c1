"""How worker processes begin: on Linux as copies of one that has loaded what all of them need, elsewhere afresh.

The process that is copied is the standard library's fork server. It imports `flows.preload` and does nothing else, so
no thread that matters is lost by copying it; pages that nobody writes to exist once. To begin afresh takes each worker
a second, and 100 MB of its own.
"""

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Final

from flows.allocators import allocators

PRELOADED: Final = "flows.preload"

_NAME: Final = "vlmix worker"
_IS_LINUX: Final = sys.platform == "linux"  # system libraries of others break after a fork
_STARTING: Final = threading.Lock()
"""Held while a process starts: the list of children in `multiprocessing` is not made for several threads."""


def start_server() -> None:
    """Start the process that workers are copies of; returns at once, so that this process can load meanwhile."""
    if _IS_LINUX:
        with _STARTING:
            _run_server()


def start(serve: Callable[[Connection], None], theirs: Connection, defaults: Mapping[str, str]) -> BaseProcess:
    """A process in which `serve` uses this end of a pipe, with the environment that this process has.

    Args:
        serve: what the process does.
        theirs: its end of the pipe.
        defaults: environment variables for it, unless this process has them.

    Raises:
        OSError, EOFError: it did not start; another may.
    """
    arguments = (serve, theirs, {**defaults, **os.environ})
    process: BaseProcess
    with _STARTING:
        if _IS_LINUX:
            _run_server()
            process = multiprocessing.get_context("forkserver").Process(target=_begin, args=arguments, name=_NAME)
        else:
            process = multiprocessing.get_context("spawn").Process(target=_begin, args=arguments, name=_NAME)
        process.start()
    return process


def _begin(serve: Callable[[Connection], None], connection: Connection, environment: Mapping[str, str]) -> None:
    # the server has the environment of the moment at which it began
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)
    serve(connection)


def _run_server() -> None:
    from multiprocessing.forkserver import ensure_running, set_forkserver_preload

    set_forkserver_preload([PRELOADED])
    with _path_of_this_process():
        ensure_running()


@contextmanager
def _path_of_this_process() -> Iterator[None]:
    """Have an interpreter that starts look for modules where this one does, and not in the folder it stands in.

    A fork server of Python 3.11 looks there, so that it may take another package for ours.
    """
    wanted = {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONSAFEPATH": "1", "MALLOC_ARENA_MAX": "1", **allocators()}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
