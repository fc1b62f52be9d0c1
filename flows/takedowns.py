"""What may be emitted no more: the list in `takedown/` of the store.

    takedown/TIME-RANDOM.jsonl    what one command wrote, one act of a person a line

A file is written once and never again, so people on several machines take things down at the same moment and nobody
writes over anybody. The names give the order; each is later than those that its writer knew, whatever the clocks say.
"""

import fcntl
import re
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from shards.complaint import complaint
from shards.errors import StoreError, UsageError
from shards.files import fingerprint, json_lines, write_text
from shards.store import Store

TAKEDOWN_FOLDER: Final = "takedown"
_TIME: Final = "%Y%m%dT%H%M%S.%fZ"
_STAMP: Final = re.compile(r"\d{8}T\d{6}\.\d{6}Z")
_DIGITS: Final = 12
"""Hex digits behind the time in the name of a file: two machines may write in one microsecond."""
_LOCK: Final = ".takedown.lock"

Kind = Literal["source", "key", "url", "sha256", "pixels"]
KINDS: Final[tuple[Kind, ...]] = ("source", "key", "url", "sha256", "pixels")
"""What a take-down speaks of: a whole source, a sample, what an address gives, the bytes of a picture, its pixels."""

_FORMS: Final[dict[Kind, str]] = {
    "sha256": r"[0-9a-f]{64}",
    "pixels": r"[0-9a-f]{64}",
    "url": r"[a-z][a-z0-9+.-]*://\S+",
    "source": r"[a-z0-9_.-]+",
    "key": r"[^/\s]+/\S.*",
}
_MEANT: Final = {
    "sha256": "64 hex digits",
    "pixels": "64 hex digits",
    "url": "an address such as https://host/picture.jpg",
    "source": "the name of a source",
    "key": "source/split/row",
}


class Target(BaseModel):
    """What is taken down.

    Of `pixels` also what finds candidates: width, height, and the perceptual hash, 16 hex digits, empty where the
    picture is flat.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    value: str
    phash: Annotated[str, Field(pattern=r"^([0-9a-f]{16})?$")] = ""
    width: int = 0
    height: int = 0

    @model_validator(mode="after")
    def _of_its_form(self) -> "Target":
        if not re.fullmatch(_FORMS[self.kind], self.value):
            raise ValueError(f"expected {_MEANT[self.kind]}, found `{self.value}`")
        return self

    @property
    def words(self) -> str:
        """Kind and value, as the score says it."""
        return f"{self.kind} {self.value}"


class Act(BaseModel):
    """A line of the list: something is taken down, or a take-down is lifted. `of`: the target that led to this one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    act: Literal["take_down", "lift"] = "take_down"
    target: Target
    reason: Annotated[str, Field(min_length=1, max_length=4000)]
    by: Annotated[str, Field(min_length=1, max_length=200)]
    at: AwareDatetime
    of: str = ""


@dataclass(frozen=True, slots=True)
class Takedowns:
    """What is taken down at a moment. `digest` names it, whatever the order, the reasons and the times.

    `addressed` holds the SHA-256 of pictures that addresses gave or that have the pixels, see `flows.taken.with_found`.
    """

    targets: tuple[Target, ...]
    addressed: tuple[tuple[str, str], ...] = ()

    @property
    def digest(self) -> str:
        """64 hex digits."""
        return fingerprint("takedown", [each.model_dump(mode="json") for each in self.targets])

    def values(self, kind: Kind) -> frozenset[str]:
        """Values of one kind."""
        return frozenset(each.value for each in self.targets if each.kind == kind)

    @property
    def pictures(self) -> dict[str, str]:
        """SHA-256 of pictures that are taken down -> why, as `Target.words`."""
        return dict(self.addressed) | {each.value: each.words for each in self.targets if each.kind == "sha256"}


def acts(store: Store) -> list[Act]:
    """Every line of the list, the oldest first.

    Raises:
        StoreError: a line that is not understood; nothing is emitted while nobody knows what it takes down.
    """
    return [act for path in _files(store) for act in _read(path)]


def _files(store: Store) -> list[Path]:
    return sorted((store.root / TAKEDOWN_FOLDER).glob("*.jsonl"))


def _read(path: Path) -> Iterator[Act]:
    for number, line in enumerate(json_lines(path), 1):
        try:
            yield Act.model_validate_json(line)
        except ValidationError as error:
            raise StoreError(f"`{path}`, line {number}: no take-down ({complaint(error)}); mend the line") from error


def standing(store: Store) -> dict[tuple[Kind, str], Act]:
    """The acts that hold today, by kind and value."""
    found: dict[tuple[Kind, str], Act] = {}
    for act in acts(store):
        place = (act.target.kind, act.target.value)
        found.pop(place, None)
        if act.act == "take_down":
            found[place] = act
    return found


def takedowns(store: Store) -> Takedowns | None:
    """What is taken down in a store today; null where nothing is."""
    held = standing(store)
    order = {kind: place for place, kind in enumerate(KINDS)}
    targets = sorted((act.target for act in held.values()), key=lambda target: (order[target.kind], target.value))
    return Takedowns(tuple(targets)) if targets else None


def target(kind: Kind, value: str) -> Target:
    """A target as a person writes it.

    Raises:
        UsageError: it has not the form of its kind.
    """
    try:
        return Target(kind=kind, value=value.lower() if kind == "sha256" else value)
    except ValidationError as error:
        raise UsageError(f"--{kind}: {complaint(error)}") from error


def take_down(store: Store, targets: Iterable[tuple[Target, str]], *, reason: str, by: str, lift: bool = False) -> int:
    """Add targets, each with what led to it, to the list, or lift them; a run under way does not see it.

    Returns:
        Lines written: what holds already is not written again.

    Raises:
        UsageError: no reason or name, or a target to be lifted that is not taken down.
        StoreError: the list cannot be read or written.
    """
    with _alone(store):
        held = standing(store)
        now = datetime.now(UTC)
        fresh: dict[tuple[Kind, str], Act] = {}
        for each, of in targets:
            place = (each.kind, each.value)
            if lift and place not in held:
                raise UsageError(f"`{each.words}` is not taken down; see `vlmix store takedown`")
            if lift or place not in held:
                fresh.setdefault(place, _act(each, reason, by, now.replace(microsecond=0), of, lift=lift))
        if fresh:
            lines = [act.model_dump_json(exclude_defaults=True) + "\n" for act in fresh.values()]
            write_text(_next_file(store, now), "".join(lines))
    return len(fresh)


def _next_file(store: Store, now: datetime) -> Path:
    """Name of a file that stands behind all that are there: a lift is later than what it lifts."""
    named = [found.group() for path in _files(store) if (found := _STAMP.match(path.name))]
    last = [datetime.strptime(each, _TIME).replace(tzinfo=UTC) + timedelta(microseconds=1) for each in named[-1:]]
    stamp = max(now, *last, now).strftime(_TIME)
    return store.root / TAKEDOWN_FOLDER / f"{stamp}-{uuid.uuid4().hex[:_DIGITS]}.jsonl"


def _act(each: Target, reason: str, by: str, at: datetime, of: str, *, lift: bool) -> Act:
    try:
        return Act(act="lift" if lift else "take_down", target=each, reason=reason, by=by, at=at, of=of)
    except ValidationError as error:
        raise UsageError(f"take-down: {complaint(error)}") from error


@contextmanager
def _alone(store: Store) -> Iterator[None]:
    """One writer at a time; not the lock of the store, for a take-down does not wait for a run."""
    path: Path = store.root / _LOCK
    try:
        store.root.mkdir(parents=True, exist_ok=True)
        with path.open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise StoreError(f"cannot write `{path}`: {error.strerror or error}; nothing was taken down") from error
