"""What engines say that judging cost them: prompts, tokens, and tokens that they had in their cache, per process."""

import threading
from collections import Counter
from dataclasses import dataclass, fields
from typing import Final


@dataclass(frozen=True, slots=True)
class Usage:
    """Prompts that were answered.

    Attributes:
        prompts: number of them.
        tokens: in all of them.
        told: number of those whose cached tokens the engine named; servers do so when they are started to.
        computed: tokens of these that were not found in the cache.
        cached: tokens of these that were.
        written: tokens of all answers.
        failed: requests that got no answer, or a wrong one; most were sent again.
    """

    prompts: int
    tokens: int
    told: int
    computed: int
    cached: int = 0
    written: int = 0
    failed: int = 0

    def since(self, earlier: "Usage") -> "Usage":
        """What came after an earlier count."""
        return Usage(**{each.name: getattr(self, each.name) - getattr(earlier, each.name) for each in fields(Usage)})


_COUNTS: Final[Counter[str]] = Counter()
_COUNTING: Final = threading.Lock()


def note(tokens: int, cached: int | None, written: int = 1) -> None:
    """Count one prompt and the tokens of its answer; `cached` is None where the engine does not say."""
    told = {} if cached is None else {"told": 1, "computed": tokens - cached, "cached": cached}
    with _COUNTING:
        _COUNTS.update({"prompts": 1, "tokens": tokens, "written": written, **told})


def note_failure() -> None:
    """Count one request that got no answer that is of use."""
    with _COUNTING:
        _COUNTS["failed"] += 1


def usage() -> Usage:
    """What the engines of this process did so far."""
    with _COUNTING:
        return Usage(**{each.name: _COUNTS[each.name] for each in fields(Usage)})
