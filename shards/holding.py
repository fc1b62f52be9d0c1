"""Who holds a store at a URL: files `lease/NUMBER.json` there, of which the highest number counts.

Each is made where none is, so that one of those who try has made it, and changed by its maker only. No number is used
twice: whoever wakes up with a lease of the past changes nothing that counts.

A working folder has the number of its run's lease in a file `.holding`, so every process of the run can look whether
the store is still held. Each looks before it writes, at most once a beat.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from shards.client import listed, read_small
from shards.errors import StoreError

LEASES: Final = "lease"
HOLDING: Final = ".holding"
FREE: Final = b"{}\n"
"""What is in a lease that was given back."""

_DIGITS: Final = 8
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Goes on while the machine sleeps, where there is such a clock."""


class Holder(NamedTuple):
    """Who made a lease. `machine` names the one that `process` is a number on, empty where the system tells none."""

    owner: str
    host: str
    process: int
    machine: str
    beat: int

    def data(self) -> bytes:
        """What is in the lease."""
        return json.dumps(self._asdict()).encode()


def read_holder(data: bytes | None) -> Holder | None:
    """Who made a lease; None where it does not say."""
    try:
        return None if data is None else Holder(**json.loads(data))
    except (ValueError, TypeError):
        return None


def holder_words(data: bytes | None) -> str:
    """Where a lease was made, as the end of a phrase; nothing where it does not say."""
    holder = read_holder(data)
    return f" on `{holder.host}`, process {holder.process}" if holder else ""


def lease_path(number: int) -> str:
    """Path of a lease, relative to the store."""
    return f"{LEASES}/{number:0{_DIGITS}}.json"


def leases(url: str) -> list[int]:
    """Numbers of the leases at a URL, the one that counts last.

    Raises:
        StoreError: the store cannot be listed.
    """
    names = (entry.path.rpartition("/")[2].removesuffix(".json") for entry in listed(url, LEASES))
    return sorted(int(name) for name in names if name.isdecimal())


def note_holding(root: Path, number: int, beat: float) -> None:
    """Tell the processes of a run its lease, and for how many seconds one look at it is good; before they begin."""
    # the same file each time: other nodes may hold on to the one that had the name before
    (root / HOLDING).write_text(f"{number} {beat}", "ascii")


@dataclass(slots=True)
class Watch:
    """What this process knows of the lease of the run that works in a folder."""

    _seen: str = ""
    _at: float = 0.0

    def check(self, root: Path, url: str) -> None:
        """Make sure that the run still holds the store; nothing where no run has said so.

        Raises:
            StoreError: another run took the store over, or it does not answer.
        """
        try:
            told = (root / HOLDING).read_text("ascii")
        except FileNotFoundError:
            return
        number, beat = told.split()
        now = time.clock_gettime(_CLOCK)  # before the look: what it says is as old as its question
        if told == self._seen and now - self._at < float(beat):
            return
        last = max(leases(url), default=0)
        if last != int(number):
            who = holder_words(read_small(url, lease_path(last)))
            raise StoreError(
                f"store `{url}` was taken over by another run{who}: this one gave no sign of life for a while; what it "
                "finished before is kept; wait until the other ends and run again"
            )
        self._seen, self._at = told, now
