"""Which items of a queue a reviewer wants to see, and which of them comes next."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

Status = Literal["todo", "done", "nobody", "split", "all"]

STATUSES: Final[dict[Status, str]] = {
    "todo": "not reviewed by me",
    "done": "reviewed by me",
    "nobody": "reviewed by nobody",
    "split": "reviewers disagree",
    "all": "all",
}
"""Statuses in the words of the page."""

FacetKind = Literal["rule", "source", "domain"]
GroupKind = Literal["cluster", "template"]

_MOST_MASKS: Final = 100

Mask = npt.NDArray[np.bool_]
_Name = Annotated[str, Field(max_length=1000)]


class Wanted(BaseModel):
    """What a reviewer asked for; an empty text asks for nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: _Name = ""
    source: _Name = ""
    domain: _Name = ""
    status: Status = "todo"


@dataclass(frozen=True)
class Facets:
    """The table of a queue, ready to be filtered: see `StoredQueue.table`."""

    table: pl.DataFrame
    _masks: dict[tuple[str, str, str], Mask] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def _groups(self) -> npt.NDArray[np.uint32]:
        group = pl.coalesce("cluster", "template", "item").rank("dense").cast(pl.UInt32)
        return self.table.select(group).to_series().to_numpy()

    def options(self, kind: FacetKind) -> list[tuple[str, int]]:
        """Names to choose from with the number of items of each, the most first."""
        column = self.table.select(pl.col("rules").list.explode() if kind == "rule" else pl.col(kind)).to_series()
        counts = column.drop_nulls().value_counts().sort("count", column.name, descending=[True, False])
        return [(str(name), int(count)) for name, count in counts.iter_rows()]

    def mask(self, wanted: Wanted) -> Mask:
        """(n,) which items are of the wanted rule, source and domain, whatever their status; do not write to it."""
        place = (wanted.rule, wanted.source, wanted.domain)
        if place not in self._masks:
            asked = pl.lit(True)
            if wanted.rule:
                asked &= pl.col("rules").list.contains(wanted.rule)
            for name in ("source", "domain"):
                if value := getattr(wanted, name):
                    asked &= pl.col(name) == value
            if len(self._masks) >= _MOST_MASKS:
                self._masks.clear()
            self._masks[place] = self.table.select(pl.repeat(True, pl.len()) & asked).to_series().to_numpy()
        return self._masks[place]

    def members(self, place: int, kind: GroupKind) -> list[int]:
        """Places of all items of the same cluster or template, the asked one included; empty without a cluster."""
        name = self.table[kind][place]
        if name is None:
            return []
        return self.table.select((pl.col(kind) == name).arg_true()).to_series().to_list()

    def other_group(self, place: int) -> Mask:
        """(n,) which items are of another cluster, or of another template where they have none."""
        return np.asarray(self._groups != self._groups[place])


def following(mask: Mask, place: int) -> int | None:
    """The first place after `place` (-1: of all) where the mask is true, from the beginning if there is none."""
    for part, start in ((mask[place + 1 :], place + 1), (mask[: place + 1], 0)):
        first = int(part.argmax()) if part.size else 0
        if part.size and part[first]:
            return start + first
    return None


def preceding(mask: Mask, place: int) -> int | None:
    """The last place before `place` where the mask is true."""
    found = np.flatnonzero(mask[:place])
    return int(found[-1]) if found.size else None
