"""The review queue as files for people: a folder with the queue in one of five formats, and its pictures.

    csv            queue.csv
    jsonl          queue.jsonl              one ReviewItem a line
    parquet        queue.parquet            see review/parquet.py
    label-studio   tasks.json, config.xml   see review/label_studio.py
    html           index.html, items/       a page that needs no tool, see review/folder.py
    all            pictures/SHA256.EXT      original bytes, each picture once

The queue file appears last, so its existence means that the export is complete.
"""

import filecmp
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from review.folder import write_folder
from review.item import ReviewItem
from review.label_studio import PICTURE_SLOTS, configuration, write_tasks
from review.parquet import write_parquet
from review.sheet import ENCODING, write_sheet
from shards.errors import ConservationError, UsageError
from shards.files import replacing, write_bytes, write_text

Format = Literal["csv", "jsonl", "parquet", "label-studio", "html"]

QUEUE_FILES: Final[dict[Format, str]] = {
    "csv": "queue.csv",
    "jsonl": "queue.jsonl",
    "parquet": "queue.parquet",
    "label-studio": "tasks.json",
    "html": "index.html",
}

Pictures = Callable[[str], bytes]
"""SHA-256 of a picture -> its original bytes."""


@dataclass(frozen=True, slots=True)
class ExportCounts:
    """What an export holds; `pictures` are distinct files, `not_shown` are beyond the slots of a Label Studio task."""

    items: int
    pictures: int
    picture_bytes: int
    not_shown: int


def export(items: Iterable[ReviewItem], pictures: Pictures, *, to: Format, out: Path, prefix: str = "") -> ExportCounts:
    """Write a queue, item by item.

    Args:
        items: in the order in which they are to be reviewed.
        pictures: asked once for each distinct picture.
        to: format.
        out: folder, made if absent.
        prefix: for Label Studio, path of `out` relative to its local files document root.

    Raises:
        UsageError: the folder holds another queue in this format, which may contain verdicts.
        ConservationError: an item stands twice.
        StoreError: a file cannot be written, or a picture cannot be read.
    """
    path = out / QUEUE_FILES[to]
    passing = _Passing(out, pictures)
    with replacing(path) as temporary:
        slots = _write(temporary, passing(items), to, out, prefix)
        _spare_verdicts(path, temporary)
        if to == "label-studio":
            write_text(out / "config.xml", configuration(slots))
    not_shown = passing.not_shown if to == "label-studio" else 0
    return ExportCounts(len(passing.ids), len(passing.files), passing.picture_bytes, not_shown)


def _write(path: Path, items: Iterable[ReviewItem], to: Format, out: Path, prefix: str) -> int:
    """Write the queue file; returns how many pictures its fullest Label Studio task shows."""
    slots = 0
    if to == "parquet":
        write_parquet(path, items)
    elif to == "html":
        write_folder(path, items, out)
    else:
        with path.open("w", encoding=ENCODING if to == "csv" else "utf-8", newline="") as handle:
            if to == "label-studio":
                slots = write_tasks(handle, items, prefix)
            elif to == "csv":
                write_sheet(handle, items)
            else:
                handle.writelines(_json_line(item) for item in items)
    return slots


def _json_line(item: ReviewItem) -> str:
    # JSON leaves these line separators as they are, Python's `splitlines` and others break lines at them
    text = item.model_dump_json().replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").replace("\x85", "\\u0085")
    return text + "\n"


def _spare_verdicts(path: Path, temporary: Path) -> None:
    if path.is_file() and not filecmp.cmp(path, temporary, shallow=False):
        raise UsageError(f"`{path}` holds another queue, perhaps with verdicts; move it or choose another --out")


class _Passing:
    """Items on their way to the file: counted, their pictures saved."""

    def __init__(self, out: Path, pictures: Pictures) -> None:
        self._out = out
        self._pictures = pictures
        self.ids: set[str] = set()
        self.files: set[str] = set()
        self.picture_bytes = 0
        self.not_shown = 0

    def __call__(self, items: Iterable[ReviewItem]) -> Iterator[ReviewItem]:
        for item in items:
            if item.id in self.ids:
                raise ConservationError(f"review item `{item.id}` (`{item.entry}`, `{item.key}`) stands twice")
            self.ids.add(item.id)
            self.not_shown += max(0, len(item.pictures) - PICTURE_SLOTS)
            for picture in item.pictures:
                if picture.file not in self.files:
                    self._save(picture.sha256, picture.file)
            yield item

    def _save(self, sha256: str, file: str) -> None:
        data = self._pictures(sha256)
        write_bytes(self._out / file, data)
        self.files.add(file)
        self.picture_bytes += len(data)
