"""What a layout makes of one raw row, before its pictures are looked up."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final, NamedTuple, Protocol

from pydantic import JsonValue

from shards.schema import Role
from sources.spec import Source


class Message(NamedTuple):
    """One turn; pictures stand in `text` as `<image>`, videos as `<video>`."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Embedded:
    """A picture whose bytes lie in the record."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Member:
    """A picture that lies in the source's picture folder or archive.

    `path` is relative with `/`; a layout passes on what the record says apart from a leading `./`. Absolute paths and
    `..` are refused later, in one place.
    """

    path: str


@dataclass(frozen=True, slots=True)
class Url:
    """A picture to download; `sha256` (hex) where the list has one."""

    url: str
    sha256: str | None = None


PictureRef = Embedded | Member | Url


@dataclass(frozen=True, slots=True)
class Record:
    """One sample as the raw row states it.

    `row` counts from 0 in its file; `name` replaces it in the sample key where the layout has a key of its own.
    `part` is set where one raw row makes several samples. `native` holds published numeric columns as they were
    written; `repairs` names what the layout mended (they are counted per source).
    """

    row: int
    messages: tuple[Message, ...]
    pictures: tuple[PictureRef, ...] = ()
    videos: tuple[str, ...] = ()
    part: str = ""
    name: str = ""
    meta: Mapping[str, JsonValue] = field(default_factory=dict)
    native: Mapping[str, JsonValue] = field(default_factory=dict)
    repairs: tuple[str, ...] = ()


NOT_OF_SOURCE: Final = "not_of_source"
"""Reason of a row that belongs to another source of the same file (`only`); it is counted, and is no item."""


@dataclass(frozen=True, slots=True)
class Defect:
    """A raw row (or part) that cannot be represented; it goes to quarantine under `reason`.

    Reasons are lower-case words joined by `_`: `broken_record` (not parsable), `wrong_type`, `missing_field`,
    `marker_mismatch`, `mixed_media`, `unsafe_path`, `picture_missing`, `picture_*` (see shards/picture.py),
    `nothing_legible`, `not_parsed`, `caption_missing` (what a layout needs is not in the record).
    """

    row: int
    reason: str
    message: str
    part: str = ""


class Layout(Protocol):
    """Reads one raw file of a source in one on-disk shape.

    A layout parses and maps; it opens no picture, drops no row and raises only for a file that cannot be read as a
    whole (`SourceError`). Markers are left as the record has them, translated to `<image>` / `<video>`; the caller
    counts and quarantines.
    """

    version: ClassVar[int]
    evidence: ClassVar[str]
    """What the shape was read from: `real rows`, `upstream code`, `card` or `remembered`."""

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """Yield one or more items for every raw row of the file, in file order."""
        ...
