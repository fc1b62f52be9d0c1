"""A take-down as a person asks for it: what is meant is looked for first, so that copies go with it."""

from collections.abc import Iterable
from typing import Final

from pydantic import BaseModel

from flows.takedowns import Act, Target, standing, take_down
from flows.tracing import Traced, trace
from shards.store import Store

_PICTURED: Final = ("sha256", "url", "pixels")


class Withdrawn(BaseModel):
    """What a take-down wrote to the list, and where it was found."""

    written: int
    """Lines; what held already is not written again."""
    lifted: bool
    targets: list[str]
    found: Traced


class Listed(BaseModel):
    """What is taken down today."""

    takedowns: list[Act]


def withdraw(
    store: Store, targets: tuple[Target, ...], *, reason: str, by: str, copies: bool = False, lift: bool = False
) -> Withdrawn:
    """Take something down, or lift it.

    What an address gave, and what has the pixels of a picture, is taken down by its bytes too, so that the same bytes
    of another source go with it.

    Args:
        store: whose list it is; later runs go by it.
        targets: what a person means.
        reason: why.
        by: who asks.
        copies: also pictures that comparisons and clusters hold for copies.
        lift: take it back, with what came with it.

    Raises:
        UsageError: no reason, or nothing to be lifted.
        StoreError: the list cannot be read or written.
    """
    found = trace(store, targets)
    wanted = [(each, "") for each in targets]
    if lift:
        own, held = {each.words for each in targets}, standing(store)
        wanted += [(act.target, act.of) for act in held.values() if act.of in own]
        wanted = [(each, of) for each, of in wanted if (each.kind, each.value) in held] or wanted
    elif any(each.kind in _PICTURED for each in targets):
        wanted += list(_with_it(targets[0], found, copies=copies))
    written = take_down(store, wanted, reason=reason, by=by, lift=lift)
    return Withdrawn(written=written, lifted=lift, targets=[each.words for each, _ in wanted], found=found)


def _with_it(meant: Target, found: Traced, *, copies: bool) -> Iterable[tuple[Target, str]]:
    shas = [*found.pictures, *(each.sha256 for each in found.copies if copies)]
    for sha in shas:
        if sha != meant.value:
            yield Target(kind="sha256", value=sha), meant.words
    if copies:
        keys = {row.key for mixture in found.mixtures for row in mixture.rows if row.copied}
        yield from ((Target(kind="key", value=key), meant.words) for key in sorted(keys))


def listed(store: Store) -> Listed:
    """What is taken down today, the oldest first."""
    return Listed(takedowns=list(standing(store).values()))
