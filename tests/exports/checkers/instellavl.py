"""InstellaVL's offline loader: as LLaVA-NeXT's, with turns asserted to alternate and `repeat:k` not implemented."""

from pathlib import Path

from checkers import llava_next
from checkers.row import Seen


def check(folder: Path) -> list[Seen]:
    """Sets in the order of the YAML. Alternation, order and empty values are part of the strict row."""
    return llava_next.check(folder)
