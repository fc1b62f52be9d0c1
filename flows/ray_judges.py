"""The replicas of a judge as Ray actors: whole or fractional accelerators, chunks handed out, dead actors replaced."""

import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from flows.attempt import Attempt, attempt
from flows.installation import check_worker, installed
from shards.errors import UsageError, VlmixError

if TYPE_CHECKING:
    from filters.judges.vllm import VllmJudge

Job = TypeVar("Job")

_LOG: Final = logging.getLogger(__name__)
_TRIES: Final = 3
"""Actors that a chunk may take down before it is given up, as in flows/judge_pool.py."""
_PLACED_S: Final = 600.0
"""How long a cluster may take to place an actor while no other works: one that grows needs minutes. Ours."""


class Asker:
    """A process of the cluster that holds one engine; Ray shows it its own accelerators only."""

    def __init__(self, expected: str, store: Path) -> None:
        self._checked = attempt(lambda _: check_worker(expected, store), None)

    def ready(self) -> None:
        """Answer as soon as the cluster has a place for this process."""

    def do(self, function: Callable[[Job], int], job: Job) -> Attempt:
        """Do a chunk."""
        return self._checked if self._checked.error else attempt(function, job)


@dataclass(frozen=True, slots=True)
class _Work:
    """Chunks of one call by place: `left` to be handed out; how often each was `lost`; errors that they raised."""

    left: deque[int]
    lost: Counter[int] = field(default_factory=Counter)
    failed: list[VlmixError] = field(default_factory=list)


class AskerPool:
    """Actors that do chunks, at most one each at a time; they stay until the pool is closed.

    An actor that dies, or comes back without a single answer, is replaced at most `judge.rebuilds` times for each
    replica; its chunk is done again. A chunk that takes down three is given up: its rows stay without an answer. No
    chunk waits for an actor that the cluster has no place for, as when a node with accelerators is gone.
    """

    def __init__(self, judge: "VllmJudge", gpus: float | None, store: Path) -> None:
        self.judge, self._store = judge, store
        self._gpus = float(judge.tensor_parallel) if gpus is None else gpus
        self._left = judge.rebuilds * judge.replicas
        self._check()
        self._idle: list[Any] = []
        self._coming: dict[Any, Any] = {}
        for _ in range(judge.replicas):
            self._start()

    def run(self, function: Callable[[Job], int], jobs: Sequence[Job]) -> None:
        """See `flows.judge_pool.ask_all`."""
        import ray

        work = _Work(deque(range(len(jobs))))
        under_way: dict[Any, tuple[Any, int]] = {}
        while self._hand_out(function, jobs, work, under_way) or (work.left and not work.failed and self._coming):
            said, _ = ray.wait([*under_way, *self._coming], timeout=None if under_way else _PLACED_S)
            if not said:
                _LOG.warning("judge: the Ray cluster has had no place for an actor for %.0f s", _PLACED_S)
                break
            for reference in said:
                if reference in under_way:
                    self._note(*under_way.pop(reference), _said(reference), work)
                else:
                    self._arrive(reference)
        if work.failed:
            raise work.failed[0]
        if given_up := len(work.left) + sum(times >= _TRIES for times in work.lost.values()):
            _LOG.warning("judge: %d of %d chunks are given up, their rows have no answer", given_up, len(jobs))

    def _hand_out(
        self, function: Callable[[Job], int], jobs: Sequence[Job], work: "_Work", under_way: dict[Any, tuple[Any, int]]
    ) -> bool:
        """Give idle actors chunks; whether any is under way then."""
        while self._idle and work.left and not work.failed:
            asker, place = self._idle.pop(), work.left.popleft()
            under_way[asker.do.remote(function, jobs[place])] = (asker, place)
        return bool(under_way)

    def _note(self, asker: Any, place: int, said: int | str | VlmixError, work: "_Work") -> None:
        if isinstance(said, VlmixError):
            work.failed.append(said)
        if isinstance(said, VlmixError) or (isinstance(said, int) and said > 0):
            self._idle.append(asker)
            return
        work.lost[place] += 1
        if work.lost[place] < _TRIES:
            work.left.append(place)
        self._replace(asker, str(said or "no row got an answer"))

    def close(self) -> None:
        """End the actors."""
        for asker in (*self._idle, *self._coming.values()):
            _end(asker)
        self._idle, self._coming = [], {}

    def _start(self) -> None:
        import ray

        actor = ray.remote(Asker).options(num_gpus=self._gpus, num_cpus=1, max_restarts=0)
        asker: Any = actor.remote(installed(), self._store)  # an actor carries no types
        self._coming[asker.ready.remote()] = asker

    def _arrive(self, reference: Any) -> None:
        """Take an actor that has a place; one that died before it had is replaced."""
        import ray

        asker = self._coming.pop(reference)
        try:
            ray.get(reference)
        except ray.exceptions.RayError as error:
            self._replace(asker, _first_line(error))
        else:
            self._idle.append(asker)

    def _replace(self, asker: Any, why: str) -> None:
        _end(asker)
        then = "another is started" if self._left else "no other is started"
        _LOG.warning("judge: an actor is lost: %s; %s", why, then)
        if self._left:
            self._left -= 1
            self._start()

    def _check(self) -> None:
        """Stop where the actors would wait for ever."""
        import ray

        needed, there = self._gpus * self.judge.replicas, ray.cluster_resources().get("GPU", 0.0)
        if needed > there:
            raise UsageError(
                f"judge `vllm`: {self.judge.replicas} replicas with {self._gpus:g} each need {needed:g} accelerators, "
                f"the Ray cluster has {there:g}; lower `replicas`, or set `judge_gpus` of the executor"
            )


def _said(reference: Any) -> int | str | VlmixError:
    """Rows answered, the chunk's error, or how the actor ended."""
    import ray

    try:
        done: Attempt = ray.get(reference)
    except ray.exceptions.RayError as error:
        return _first_line(error)
    done.told.arrive()
    if isinstance(done.error, VlmixError):
        return done.error
    return int(done.result) if done.error is None else f"{type(done.error).__name__}: {done.error}"


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


def _end(asker: Any) -> None:
    import ray

    with suppress(ray.exceptions.RayError):
        ray.kill(asker)
