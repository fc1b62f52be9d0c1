"""What a store holds, by kind: how much, how new, and how much of it no mixture needs."""

from pydantic import BaseModel

from flows.collecting import Census
from flows.inventory import Found, Held, beside, inventory
from flows.reachability import ORDER, Limits, needed
from shards.store import Store


class Stock(BaseModel):
    """Boxes of a kind, or files of a folder beside them (`boxes` 0).

    `idle` boxes were made for no mixture of the store, `half` ones have no index and do not grow; `boxes` counts both.
    """

    kind: str
    boxes: int
    files: int
    bytes: int
    changed: float
    """Seconds since 1970 of the newest change."""
    idle: int = 0
    idle_bytes: int = 0
    half: int = 0


class Stocks(BaseModel):
    """What `vlmix store ls --json` prints."""

    store: str
    kinds: list[Stock]
    boxes: int
    bytes: int
    idle_bytes: int


def take_stock(store: Store) -> Stocks:
    """Count what lies in a store; it is not held meanwhile, so a run may be at work."""
    census = Census(store, inventory(store))
    kept = needed(census.roots(Limits(), 0), census.graph)
    by_kind: dict[str, list[Held]] = {}
    for held in census.held.values():
        by_kind.setdefault(held.kind, []).append(held)
    kinds = [_boxes(kind, by_kind[kind], kept) for kind in reversed(ORDER) if kind in by_kind]
    kinds += [_files(name, list(files.values())) for name, files in sorted(beside(store).items())]
    return Stocks(
        store=str(store.root),
        kinds=kinds,
        boxes=len(census.held),
        bytes=sum(each.bytes for each in kinds),
        idle_bytes=sum(each.idle_bytes for each in kinds),
    )


def _boxes(kind: str, boxes: list[Held], kept: set[str]) -> Stock:
    idle = [held for held in boxes if held.name not in kept]
    return Stock(
        kind=kind,
        boxes=len(boxes),
        files=sum(len(held.files) for held in boxes),
        bytes=sum(held.size for held in boxes),
        changed=max(held.changed for held in boxes),
        idle=len(idle),
        idle_bytes=sum(held.size for held in idle),
        half=sum(not held.whole and not held.grows for held in boxes),
    )


def _files(name: str, files: list[Found]) -> Stock:
    newest = max(found.changed for found in files)
    return Stock(kind=name, boxes=0, files=len(files), bytes=sum(found.size for found in files), changed=newest)
