"""A folder of pictures without text."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from shards.schema import IMAGE_MARKER
from sources.record import Defect, Member, Message, Record
from sources.spec import Source


@dataclass(frozen=True, slots=True)
class PictureFolder:
    """Each file is one sample: a user turn that is nothing but the marker.

    The caller passes a path relative to the source's `root`; it names the sample and finds the picture. The file is
    not opened.
    """

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "real rows"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record."""
        name = path.as_posix()
        yield Record(row=0, messages=(Message("user", IMAGE_MARKER),), pictures=(Member(name),), name=name)
