"""One row of the review queue: what a person sees, and the three fields that the person fills in."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from shards.files import fingerprint
from shards.schema import NullState, Role

_ID_DIGITS: Final = 20  # 80 bits, as for the folders of the store

_EXTENSIONS: Final = {"JPEG": "jpg", "MPO": "jpg", "TIFF": "tif", "JPEG2000": "jp2"}
"""Where the usual file name differs from Pillow's format name in small letters."""

Score = bool | int | Annotated[float, Field(allow_inf_nan=False)] | str | None

HumanVerdict = Literal["", "keep", "drop"]

MOST_MATES: Final = 8


class _Written(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Comparison(_Written):
    """One `score < number` of a predicate.

    `distance` is score minus threshold in units of the score, so its sign says which side the row is on; null where
    the score is null.
    """

    score: str
    operator: Literal["<", "<=", ">", ">="]
    threshold: float
    distance: Annotated[float, Field(allow_inf_nan=False)] | None


class Reason(_Written):
    """A rule with its predicate; `comparisons` is empty where the predicate holds no simple comparison."""

    rule: str
    predicate: str
    comparisons: tuple[Comparison, ...]


class Message(_Written):
    """One turn of the conversation, with its `<image>` markers."""

    role: Role
    text: str


class ReviewPicture(_Written):
    """A picture of the sample; `file` is relative to the folder of the export."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    width: int
    height: int
    format: str
    file: Annotated[str, Field(pattern=r"^pictures/[0-9a-f]{64}\.[a-z0-9]+$")]


class Mark(_Written):
    """Characters of a message that a filter speaks of: from `start` up to but not with `end`.

    `period` is the length of one copy of a `loop`, in characters; 0 where it is not known.
    """

    turn: int
    start: int
    end: int
    what: str
    period: int = 0


class ReviewItem(_Written):
    """A sample that waits for a person.

    `scores` holds the scores that the reasons and unknown rules read, and `quality` and `repetition` where there are
    such; `states` says why a score is null. `margin` is the smallest distance to a threshold of a reason, as a share
    of that threshold; null without one. `asked` is what the rules say; rows that they keep or drop are looked at to
    learn how often they are wrong, and were drawn with `probability`. `cluster` and `template` name samples that are
    much the same (see review/likeness.py), `settles` counts those of the queue, `mates` are keys of up to `MOST_MATES`
    others. The reviewer fills in `verdict`, `reviewer` and `note`.
    """

    id: str
    key: str
    entry: str
    source: str
    domain: str
    stage: str
    reasons: tuple[Reason, ...]
    unknown: tuple[Reason, ...]
    scores: dict[str, Score]
    states: dict[str, NullState]
    margin: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None
    messages: tuple[Message, ...]
    pictures: tuple[ReviewPicture, ...]
    videos: tuple[str, ...]
    cluster: str | None
    template: str | None = None
    settles: Annotated[int, Field(ge=1)] = 1
    mates: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()
    asked: Literal["review", "keep", "drop"] = "review"
    rule: str | None = None
    probability: Annotated[float, Field(gt=0, le=1)] = 1.0
    verdict: HumanVerdict = ""
    reviewer: str = ""
    note: str = ""


def item_id(entry: str, key: str) -> str:
    """Name of a sample of an entry, whatever mixture asks about it: `r` and 20 hex digits.

    The letter keeps spreadsheet programs from reading `12e4...` as a number and writing another one back.
    """
    return "r" + fingerprint("review", entry, key)[:_ID_DIGITS]


def shown(item: ReviewItem) -> str:
    """20 hex digits that name what a person judges: messages, pictures and videos; scores and rules may change."""
    content = item.model_dump(mode="json", include={"messages", "pictures", "videos"})
    return shown_sample(content["messages"], content["pictures"], content["videos"])


def shown_sample(
    messages: Sequence[Mapping[str, str]], images: Sequence[Mapping[str, object]], videos: Sequence[str]
) -> str:
    """The same of a sample as shards hold it."""
    pictures = [
        {
            **{name: image[name] for name in ("sha256", "width", "height", "format")},
            "file": picture_file(str(image["sha256"]), str(image["format"])),
        }
        for image in images
    ]
    return fingerprint("shown", {"messages": messages, "pictures": pictures, "videos": videos})[:_ID_DIGITS]


def picture_file(sha256: str, format: str) -> str:
    """Where an export keeps a picture: `pictures/SHA256.EXTENSION`."""
    return f"pictures/{sha256}.{_EXTENSIONS.get(format, format.lower())}"
