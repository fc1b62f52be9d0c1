"""What a browser tells the review page, and what it is told."""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from review.page_filter import GroupKind, Status, Wanted
from review.visible import plain
from shards.errors import DataError, UsageError

MAX_BULK: Final = 500
"""Items that one act answers at most. Ours: as many as a person can look through before saying yes."""

_ItemId = Annotated[str, Field(pattern=r"^r[0-9a-f]{20}$")]
_Name = Annotated[str, Field(max_length=1000)]
_ActId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Move = Literal["next", "previous", "group"]


def _readable(name: str) -> str:
    if plain(name) != name or not name.strip().isprintable():
        raise ValueError("a name has letters that everybody sees")
    return name.strip()


class Asked(BaseModel):
    """Which item a browser asks for: the named one or one beside it, or the first that is wanted."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    item: _ItemId | None = None
    to: Move | None = None
    rule: _Name = ""
    source: _Name = ""
    domain: _Name = ""
    status: Status = "todo"

    @property
    def wanted(self) -> Wanted:
        """The filter alone."""
        return Wanted(rule=self.rule, source=self.source, domain=self.domain, status=self.status)


class Named(BaseModel):
    """What a reviewer is called."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=80), AfterValidator(_readable), Field(min_length=1)]


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    answer_id: _ActId
    wanted: Wanted = Wanted()


class Given(_Told):
    """An answer about one item. The browser makes `answer_id` and sends the same again until it knows of the reply."""

    item: _ItemId
    seen: Annotated[str, Field(pattern=r"^[0-9a-f]{20}$")]
    choice: Literal["keep", "drop", "skip"]
    note: Annotated[str, Field(max_length=4000)] = ""
    settles: bool = False


class GivenGroup(_Told):
    """One answer about the previewed `items` of the cluster or template of `item`."""

    item: _ItemId
    by: GroupKind
    items: Annotated[list[_ItemId], Field(min_length=1, max_length=MAX_BULK)]
    choice: Literal["keep", "drop"]


class TakenBack(_Told):
    """Takes back what stands of the act named `act`."""

    act: _ActId


class Reply(BaseModel):
    """What the browser shows next: HTML, its address and title, and what to tell a person who does not see it."""

    html: str
    url: str
    title: str
    said: str


class NotInQueueError(UsageError):
    """The queue has no such item, message, picture or group."""


class ChangedError(DataError):
    """The answer is about a row as it read before."""
