"""How runs went: one record a run in `history/RECIPE` of the store, on the machine where it ran, and in no digest."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ValidationError

from flows.executor import Steps
from flows.logs import event, trimmed
from flows.metering import Spent, Work, begin, counted
from flows.since import Since
from shards.errors import StoreError, VlmixError
from shards.files import write_text
from shards.store import Store

FOLDER: Final = "history"
KEPT: Final = 100
"""Records of a recipe that are kept; the oldest go. Ours."""
_MEGA: Final = 1e6
_ORDER: Final = (
    *("publish", "fetch", "sources", "scan", "gather", "convert", "score text", "score pictures", "compact"),
    *("leaked texts", "near pictures", "leaked pictures"),
)
"""Steps in the order of a run; others stand behind, as they came."""
OTHER: Final = "other"
"""What the main process did beside all steps."""


class Line(BaseModel):
    """What a step took, of one source or of all; see `flows.metering.Spent`.

    `rows_per_s` and `mb_per_s` (MB are 10^6 bytes) are of the seconds that processes were busy, summed: what one
    process does. Null where nothing was done.
    """

    step: str
    source: str = ""
    executed: int
    cached: int
    rows: int
    bytes: int
    quarantined: int
    cpu_s: float
    busy_s: float
    elapsed_s: float
    rows_per_s: float | None
    mb_per_s: float | None
    calls: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    retries: int
    peak_bytes: int

    @classmethod
    def of(cls, work: Work, spent: Spent) -> "Line":
        """A line with its rates worked out."""
        rows = round(spent.rows / spent.busy_s, 1) if spent.rows and spent.busy_s else None
        mega = round(spent.bytes / _MEGA / spent.busy_s, 2) if spent.bytes and spent.busy_s else None
        spent = spent._replace(**{name: round(getattr(spent, name), 3) for name in ("cpu_s", "busy_s", "elapsed_s")})
        own = {"step": work.step, "source": work.source, "rows_per_s": rows, "mb_per_s": mega}
        return cls.model_validate(own | spent._asdict())


class RunRecord(BaseModel):
    """One run, whether it came to an end or not.

    `cpu_s` is of the main process; what workers took is in `steps`, but for their start. `sources` has the same numbers
    by step and source.
    """

    run: str
    recipe: str
    started: datetime
    """UTC."""
    seconds: float
    cpu_s: float
    outcome: Literal["running", "done", "failed", "stopped"]
    error: str | None = None
    digest: str | None = None
    executed: int = 0
    cached: int = 0
    steps: list[Line] = []
    sources: list[Line] = []
    since: Since | None = None


@dataclass(slots=True)
class Recorder:
    """Makes the record of a run that is under way."""

    recipe: str
    run: str
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    since: Since | None = None
    steps: dict[str, Steps] = field(default_factory=dict)
    _clock: float = field(default_factory=time.monotonic)
    _cpu: float = field(default_factory=time.process_time)

    def note(self, step: str, done: Steps) -> None:
        """Hear of a step."""
        self.steps[step] = self.steps.get(step, Steps()).plus(done)
        event("step", f"{done.executed:,} executed, {done.cached:,} cached", {"step": step, **done._asdict()})

    def record(self, outcome: Literal["running", "done", "failed", "stopped"], error: str | None = None) -> RunRecord:
        """The record as far as the run has come."""
        spent, seconds = counted(), time.monotonic() - self._clock
        done = Steps(*(sum(each[place] for each in self.steps.values()) for place in range(2)))
        return RunRecord(
            run=self.run,
            recipe=self.recipe,
            started=self.started,
            seconds=round(seconds, 3),
            cpu_s=round(time.process_time() - self._cpu, 3),
            outcome=outcome,
            error=error,
            digest=self.since.after if self.since else None,
            executed=done.executed,
            cached=done.cached,
            steps=[Line.of(Work(step), whole) for step, whole in _by_step(spent, seconds).items()],
            sources=[Line.of(work, each) for work, each in _sorted(spent) if work.source],
            since=self.since,
        )


@contextmanager
def recording(recipe: str, store: Store) -> Iterator[Recorder]:
    """Count for a run from here on, and write its record at the end, whatever that is. Call under the store's lock."""
    recorder = Recorder(recipe, begin())
    event("run.begin", f"run of recipe `{recipe}` begins", {"recipe": recipe})
    try:
        yield recorder
    except VlmixError as error:
        _write(store, recorder.record("failed", trimmed(str(error))))
        raise
    except BaseException as error:
        _write(store, recorder.record("stopped", type(error).__name__))
        raise
    record = recorder.record("done")
    _write(store, record)
    about = {"recipe": recipe, "digest": record.digest, "seconds": record.seconds, "executed": record.executed}
    event("run.end", f"run of recipe `{recipe}` ends after {record.seconds:.1f} s", {**about, "cached": record.cached})


def history(store: Store, recipe: str, most: int = KEPT) -> list[RunRecord]:
    """Records of the last runs of a recipe on this machine, the latest first; those of other versions are left out."""
    found: list[RunRecord] = []
    for path in sorted(_folder(store, recipe).glob("*.json"), reverse=True)[:most]:
        try:
            found.append(RunRecord.model_validate_json(path.read_bytes()))
        except (OSError, ValidationError):
            continue
    return found


def record_path(store: Store, record: RunRecord) -> Path:
    """Where the record of a run lies."""
    return _folder(store, record.recipe) / f"{record.started:%Y%m%dT%H%M%S.%fZ}-{record.run}.json"


def _write(store: Store, record: RunRecord) -> None:
    try:
        write_text(record_path(store, record), record.model_dump_json(indent=1) + "\n")
        for path in sorted(_folder(store, record.recipe).glob("*.json"), reverse=True)[KEPT:]:
            path.unlink(missing_ok=True)
    except (StoreError, OSError) as error:
        # the disk may be full: what the run itself says is what matters
        event("record.lost", f"the record of this run is not written: {error}")


def _folder(store: Store, recipe: str) -> Path:
    return store.root / FOLDER / recipe


def _by_step(spent: Mapping[Work, Spent], seconds: float) -> dict[str, Spent]:
    """What each step took; elapsed seconds add up to those of the run."""
    found: dict[str, Spent] = {}
    for work, each in _sorted(spent):
        found[work.step] = found.get(work.step, Spent()).plus(each)
    left = seconds - sum(each.elapsed_s for each in found.values())
    return {**found, OTHER: Spent(elapsed_s=max(left, 0.0))}


def _sorted(spent: Mapping[Work, Spent]) -> list[tuple[Work, Spent]]:
    known = list(spent)
    steps = [*_ORDER, *dict.fromkeys(work.step for work in known if work.step not in _ORDER)]
    return sorted(spent.items(), key=lambda item: (steps.index(item[0].step), item[0].source))
