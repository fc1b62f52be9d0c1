"""OpenCQA: open questions about charts, answered in prose."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from shards.markers import escape
from shards.schema import IMAGE_MARKER
from sources.layouts.media import picture_at
from sources.layouts.rows import Raw, convert
from sources.layouts.value import RowError, as_text, kind
from sources.record import Defect, Message, Record
from sources.spec import Source

_ITEMS: Final = ("image_file", "title", "summary", "question", "abstractive_answer", "extractive_answer")


@dataclass(frozen=True, slots=True)
class OpenCqa:
    """A JSON object id -> [image_file, title, summary, question, abstractive_answer, extractive_answer].

    `root` is the folder of the charts. The abstractive answer is the answer; the title goes to `meta`.
    """

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "real rows"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per question."""
        return convert(path, source, _record)


def _record(raw: Raw, source: Source) -> Record:
    items = raw.value
    if not isinstance(items, list) or len(items) != len(_ITEMS):
        found = f"{len(items)} items" if isinstance(items, list) else kind(items)
        raise RowError("wrong_type", f"expected a list of {', '.join(_ITEMS)}, found {found}")
    texts = {name: as_text(item, name) for name, item in zip(_ITEMS, items, strict=True)}
    return Record(
        row=raw.row,
        messages=(
            Message("user", f"{IMAGE_MARKER}\n{escape(texts['question'])}"),
            Message("assistant", escape(texts["abstractive_answer"])),
        ),
        pictures=(picture_at(texts["image_file"]),),
        name=raw.name,
        meta={"title": texts["title"]},
    )
