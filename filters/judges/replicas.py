"""Which server gets the next request: the least loaded of those that are not resting after a failure. No network."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_FIRST_REST: Final = 0.5
_LONGEST_REST: Final = 30.0
_LONGEST_WISH: Final = 300.0
_TRIP: Final = 3
"""Failures in a row after which a server gets one request at a time until one succeeds."""


@dataclass(slots=True)
class Replica:
    """One server; times in seconds of a clock that only goes forward."""

    url: str
    in_flight: int = 0
    failures: int = 0
    failed_at: float = float("-inf")
    rests_until: float = float("-inf")


class Replicas:
    """Servers of one model. Safe in threads; each server chosen is given back once: done, failed or released.

    A server that fails rests for 0.5 s, twice as long after each further failure, 30 s at most, or for as long as it
    asks, 300 s at most.
    """

    def __init__(self, urls: Sequence[str], in_flight: int) -> None:
        self._all = [Replica(url) for url in urls]
        self._bound = in_flight
        self._lock = threading.Lock()
        self._gave_up = False

    def choose(self, now: float) -> Replica | None:
        """The server for a request, or None while all are busy or resting; the first of several equal ones."""
        with self._lock:
            free = [each for each in self._all if each.rests_until <= now and each.in_flight < self._limit(each)]
            if not free:
                return None
            chosen = min(free, key=lambda each: each.in_flight)
            chosen.in_flight += 1
            return chosen

    def _limit(self, replica: Replica) -> int:
        return 1 if replica.failures >= _TRIP else self._bound

    def done(self, replica: Replica) -> None:
        """A request was answered: the server works."""
        with self._lock:
            replica.in_flight -= 1
            replica.failures = 0
            self._gave_up = False

    def released(self, replica: Replica) -> None:
        """A request was called off: nothing is known about the server."""
        with self._lock:
            replica.in_flight -= 1

    def all_fail(self) -> bool:
        """Whether every server has failed and none has answered since."""
        with self._lock:
            return all(each.failures > 0 for each in self._all)

    def failed(self, replica: Replica, *, asked_at: float, now: float, wish: float = 0.0) -> None:
        """A request failed; `wish` is how long the server asks to be left alone.

        Requests that were under way together when it failed count once.
        """
        with self._lock:
            replica.in_flight -= 1
            if asked_at > replica.failed_at:
                replica.failures += 1
                replica.failed_at = now
            rest = min(_LONGEST_REST, _FIRST_REST * 2.0 ** min(replica.failures - 1, 10))
            replica.rests_until = max(replica.rests_until, now + max(rest, min(wish, _LONGEST_WISH)))

    def patience(self, seconds: float) -> float:
        """How long to wait for an answer from anyone: not at all after a call that waited in vain."""
        with self._lock:
            return 0.0 if self._gave_up else seconds

    def give_up(self) -> None:
        """A call waited in vain for all servers."""
        with self._lock:
            self._gave_up = True
