"""Large files over a network, in pieces: counted, watched, gone on with after a cut, asked for again."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, CancelledError, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from shards.errors import SourceError, StoreError

PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses after which the same request may succeed."""
_LONGEST_BACKOFF: Final = 60.0

Result = TypeVar("Result")
Progress = Callable[[int, int], None]
"""Hears of (bytes on disk, bytes in all), from several threads, one at a time. The first falls when bytes are wrong."""


@dataclass(frozen=True, slots=True)
class TransferPolicy:
    """Bounds of a download; times in seconds.

    A connection that brings less than `slowest` bytes a second over `patience` seconds is given up and made anew. The
    n-th wait is `backoff * 2 ** (n - 1)`, at most a minute, or what `Retry-After` says; above `longest_wait` that is an
    error, as are more than `retries` failures in a row; a cut after new bytes starts the count again.
    """

    parallel: int = 4
    timeout: float = 20.0
    slowest: float = 1000.0
    patience: float = 60.0
    retries: int = 5
    backoff: float = 1.0
    longest_wait: float = 300.0
    offline: bool = False


class Failed(Exception):  # noqa: N818 -- control flow between a request and its repetition, not an error for users
    """A request without a useful answer; the text says why and what to do.

    Another try may help where `passing`, after `pause` seconds at least.
    """

    def __init__(self, message: str, *, passing: bool = True, pause: float = 0.0) -> None:
        super().__init__(message)
        self.passing, self.pause = passing, pause


class Broken(Failed):
    """An answer that came and is no use; the bytes it brought are no progress."""

    def __init__(self, message: str) -> None:
        super().__init__(f"{message}; run again, what has come is kept")


class Transfer:
    """What the files of one source share while they come: bounds, a count of bytes, and the sign to stop."""

    def __init__(self, name: str, policy: TransferPolicy, progress: Progress) -> None:
        self.name, self.policy = name, policy
        self._progress, self._lock = progress, threading.Lock()
        self._stop, self._done, self._total = threading.Event(), 0, 0

    def expect(self, number: int) -> None:
        """Bytes that will come, besides those expected so far."""
        with self._lock:
            self._total += number

    def count(self, number: int) -> None:
        """Bytes that came to the disk; negative where they are thrown away."""
        with self._lock:
            self._done += number
            self._progress(self._done, self._total)

    def check_space(self, folder: Path) -> None:
        """Stop before the bytes that are still to come fill the disk.

        Raises:
            OSError: fewer bytes are free.
        """
        missing, free = self._total - self._done, shutil.disk_usage(folder).free
        if missing > free:
            raise OSError(f"{missing} bytes to come, {free} bytes free")

    def patiently(self, place: str, ask: Callable[[], Result], have: Callable[[], int] = lambda: 0) -> Result:
        """Ask until there is an answer; what passes is waited for, what does not is one message.

        Args:
            place: what is asked for, for messages.
            ask: one request; raises `Failed`.
            have: bytes on the disk, by which a cut connection that brought some is told from one that did not.

        Raises:
            SourceError: no answer, or offline.
        """
        if self.policy.offline:
            remedy = "run once with the network"
            raise SourceError(f"{self.name}: {place}: offline, and not all of it is on this disk; {remedy}")
        failures = 0
        while True:
            before = have()
            try:
                return ask()
            except Failed as error:
                moved = have() > before and not isinstance(error, Broken)
                failures = 1 if moved else failures + 1
                pause = max(min(self.policy.backoff * 2 ** (failures - 1), _LONGEST_BACKOFF), error.pause)
                if not error.passing or failures > self.policy.retries or pause > self.policy.longest_wait:
                    raise SourceError(f"{self.name}: {place}: {error}") from error
            if self._stop.wait(pause):
                raise CancelledError

    def grow(self, part: Path, chunks: Iterator[bytes], have: int, size: int | None) -> None:
        """Write an answer behind the first `have` bytes of a file, on the disk when this returns.

        Args:
            part: the file; without `have` it begins again.
            chunks: bytes of the answer.
            have: bytes that are there.
            size: bytes of the whole file; None where nobody says.

        Raises:
            Broken: more than `size` bytes, or too few in too long a time.
        """
        since, number = time.monotonic(), 0
        with part.open("ab" if have else "wb") as handle:
            for chunk in chunks:
                if self._stop.is_set():
                    raise CancelledError
                if size is not None and have + len(chunk) > size:
                    self.count(-have)
                    handle.truncate(0)
                    raise Broken(f"the answer is longer than {size} bytes")
                handle.write(chunk)
                self.count(len(chunk))
                have, number = have + len(chunk), number + len(chunk)
                if (passed := time.monotonic() - since) >= self.policy.patience:
                    if number < self.policy.slowest * passed:
                        raise Broken(f"{number} bytes in {passed:.3g} s, less than {self.policy.slowest:g} a second")
                    since, number = time.monotonic(), 0
            handle.flush()
            os.fsync(handle.fileno())

    def run(self, jobs: Sequence[Callable[[], Result]]) -> list[Result]:
        """Results of the jobs, several at a time; the first failure stops the others and is raised."""
        with ThreadPoolExecutor(self.policy.parallel) as pool:
            futures = [pool.submit(job) for job in jobs]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                self._stop.set()
                pool.shutdown(cancel_futures=True)
        errors = [error for future in futures if not future.cancelled() and (error := future.exception())]
        for error in sorted(errors, key=lambda error: isinstance(error, CancelledError)):
            raise error
        return [future.result() for future in futures]

    @contextmanager
    def writing(self, folder: Path) -> Iterator[None]:
        """Say what a disk that takes no more means.

        Raises:
            StoreError: the folder cannot be written, or the disk is full.
        """
        try:
            yield
        except OSError as error:
            remedy = "free space or choose another store with --store; what is finished is kept"
            message = f"{self.name}: cannot write to `{folder}`: {error.strerror or error}; {remedy}"
            raise StoreError(message) from error


def size_of(path: Path) -> int:
    """Bytes of a file; -1 where there is none."""
    return path.stat().st_size if path.is_file() else -1


def seconds(retry_after: str) -> float:
    """What a `Retry-After` header asks to wait; 0 where it does not say, or gives a date."""
    return float(retry_after) if retry_after.isdecimal() else 0.0


def wished_offline() -> bool:
    """Whether `HF_HUB_OFFLINE` is set; it holds for files from everywhere."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
