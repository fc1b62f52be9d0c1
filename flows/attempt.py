"""One job done once, wherever it runs: its result or its error as a value that travels between processes."""

import pickle
import traceback
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from flows.logs import Said, listening, repeat
from flows.metering import Spent, Work, merge, place_of, taken
from shards.errors import VlmixError

Job = TypeVar("Job")


class Told(NamedTuple):
    """What a worker counted and said while it did a job."""

    spent: Mapping[Work, Spent] = {}
    said: tuple[Said, ...] = ()

    def arrive(self) -> None:
        """Count and say it in this process. Call once, as soon as it is here."""
        merge(self.spent)
        repeat(self.said)


class Attempt(NamedTuple):
    """What a job gave: its result, or its error; and what it counted and said."""

    result: Any = None
    error: Exception | None = None
    told: Told = Told()

    def value(self) -> Any:
        """The result.

        Raises:
            Exception: the one that the job raised.
        """
        if self.error is not None:
            raise self.error
        return self.result


def attempt(function: Callable[[Job], Any], job: Job) -> Attempt:
    """Do a job; what is given back can be pickled."""
    taken()
    with listening() as said:
        try:
            done = Attempt(function(job))
            pickle.dumps(done)
        except Exception as error:  # the edge of a process: everything is told to the one who asked
            done = Attempt(error=_told(error))
    return done._replace(told=Told(taken(), tuple(said)))


def _told(error: Exception) -> Exception:
    """The error, or where it does not survive pickling, one that says the same; a defect of ours with its traceback."""
    if not isinstance(error, VlmixError):
        error.add_note("in a worker: " + "".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # classes of others may raise anything there
        kind = next(kind for kind in type(error).__mro__ if kind in _SAFE)
        words = str(error) if isinstance(error, VlmixError) else repr(error)
        said: Exception = kind(words)
        for note in getattr(error, "__notes__", []):
            said.add_note(note)
        return said
    return error


_SAFE = (*VlmixError.__subclasses__(), VlmixError, Exception)


def job_words(job: object) -> str:
    """Source and shard of a job, for messages; what it does not say is left out."""
    source, number = place_of(job)
    words = [f"source `{source}`"] if source else []
    words += [f"shard {number}"] if number is not None else []
    return ", ".join(words) or type(job).__name__
