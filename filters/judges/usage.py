"""What engines say that judging cost them: prompts, tokens, and tokens that they had in their cache, per process."""

import threading
from collections import Counter
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Usage:
    """Prompts that were answered.

    Attributes:
        prompts: number of them.
        tokens: in all of them.
        told: number of those whose cached tokens the engine named; servers do so when they are started to.
        computed: tokens of these that were not found in the cache.
    """

    prompts: int
    tokens: int
    told: int
    computed: int

    def since(self, earlier: "Usage") -> "Usage":
        """What came after an earlier count."""
        return Usage(
            self.prompts - earlier.prompts,
            self.tokens - earlier.tokens,
            self.told - earlier.told,
            self.computed - earlier.computed,
        )


_COUNTS: Final[Counter[str]] = Counter()
_COUNTING: Final = threading.Lock()


def note(tokens: int, cached: int | None) -> None:
    """Count one prompt; `cached` is None where the engine does not say."""
    told = {} if cached is None else {"told": 1, "computed": tokens - cached}
    with _COUNTING:
        _COUNTS.update({"prompts": 1, "tokens": tokens, **told})


def usage() -> Usage:
    """What the engines of this process did so far."""
    with _COUNTING:
        return Usage(_COUNTS["prompts"], _COUNTS["tokens"], _COUNTS["told"], _COUNTS["computed"])
