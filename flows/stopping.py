"""Ctrl-C and SIGTERM: the first ends a command in order, the second at once."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """Somebody wants the command to end; what is being written goes, what is finished stays."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = 128 + number
        """As a shell would say it: 130 after Ctrl-C, 143 after SIGTERM."""


@contextmanager
def stopping() -> Iterator[None]:
    """Raise `Stopped` at the first Ctrl-C or SIGTERM; the next one ends the process where it stands.

    Temporary files that the second one leaves are removed by the next run, and workers end with their parent.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _stop) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, _frame: FrameType | None) -> None:
    for each in SIGNALS:
        signal.signal(each, _leave)
    raise Stopped(number)


def _leave(number: int, _frame: FrameType | None) -> None:
    os._exit(128 + number)
