"""What every exporter shares: rows in, counts out, and what a row is to a trainer."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final, Literal, NamedTuple, Protocol

from manifests.exports.media import Media
from manifests.recipe import Entry
from shards.pack import Image
from shards.schema import Role

Kind = Literal["text", "single", "several", "interleaved", "document", "video"]
"""What a row is to a trainer: a dialogue without media; with one picture, or several next to each other in the first
question; with pictures anywhere in questions; a running text with or without pictures; a dialogue about videos."""

KINDS: Final[tuple[Kind, ...]] = ("text", "single", "several", "interleaved", "document", "video")

DIALOGUES: Final[frozenset[Kind]] = frozenset(KINDS) - {"document"}


class ExportRow(NamedTuple):
    """One sample as it is stored: `<image>` and `<video>` stand where media stand, literal ones are escaped.

    `tokens` of all text as the manifest counts them, and `tiles` of all pictures; both null where nobody counted.
    """

    key: str
    messages: tuple[tuple[Role, str], ...]
    images: tuple[Image, ...]
    videos: tuple[str, ...]
    tokens: int | None = None
    tiles: int | None = None


@dataclass(frozen=True, slots=True)
class Words:
    """What a trainer's own configuration says of a file, see manifests/exports/native.py.

    `excluded` holds the keys of rows that an exclusion list leaves out.
    """

    strategy: str
    value: str = ""
    excluded: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Part:
    """Rows that make one file.

    Of a planned export: rows of one entry that are emitted equally often. An entry whose repeat factor is no integer
    has two parts; `name` is the entry's id, and for its second part `ID.more`. Of a native export: all rows of a
    published file, with the `words` that take some of them. `read` streams the rows in published order, each time it
    is called. Names differ in more than case and hold letters, digits and `_ . -`.
    """

    name: str
    entry: Entry
    times: int
    rows: int
    read: Callable[[], Iterator[ExportRow]]
    words: Words | None = None


@dataclass(slots=True)
class Outcome:
    """What became of the rows of one part, each counted `times` times: the numbers that a trainer sees.

    `written` rows in files; `refused` by reason; `adapted` rows by what was changed in them, with no loss of content;
    `excluded` written rows that an exclusion list of the trainer leaves out.
    """

    part: Part
    written: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    adapted: Counter[str] = field(default_factory=Counter)
    excluded: int = 0

    def write(self, adapted: Sequence[str] = ()) -> None:
        """Count one row of the part that is in the files."""
        self.written += self.part.times
        self.adapted.update(dict.fromkeys(adapted, self.part.times))

    def refuse(self, reason: str) -> None:
        """Count one row of the part that the format cannot represent."""
        self.refused[reason] += self.part.times


class Exporter(Protocol):
    """Writes a mixture in one trainer's format. A frozen dataclass; its fields are options of the format.

    `kinds` says what the format can represent. A call writes every representable row of every part to files below
    `out` (new or empty), leaves out parts without any, and returns one outcome per part, in order.
    """

    kinds: ClassVar[frozenset[Kind]]

    def __call__(self, parts: Sequence[Part], media: Media, out: Path) -> list[Outcome]:
        """Write the mixture."""
        ...
