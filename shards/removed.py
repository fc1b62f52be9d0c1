"""What was removed from a store on purpose: `removed.jsonl`, one JSON object a line, a box each.

It says of a mixture that is gone what it was, and tells the working folders of other machines which of their boxes the
store at the URL holds no more.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from shards.errors import StoreError
from shards.files import json_lines, write_text
from shards.remote import INDEX, SHARED, Remote, remote_of

REMOVED_FILE: Final = "removed.jsonl"

_BLOCK: Final = 512
"""Bytes that `st_blocks` counts in, whatever the disk's are: files with holes take less than their size.
Source: inode(7)."""


class Removed(BaseModel):
    """A box that was removed; of a mixture also what it was: digest, and the samples it read by source."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    box: str
    recipe: str = ""
    mixture: str = ""
    digest: str = ""
    shards: dict[str, str] = {}
    """Source -> fingerprint of its samples."""


def read_removed(root: Path) -> dict[str, Removed]:
    """What was removed from a store, by name of the box; some may have been made again since.

    Raises:
        StoreError: a line is not understood.
    """
    path = root / REMOVED_FILE
    found: dict[str, Removed] = {}
    for number, line in enumerate(json_lines(path) if path.is_file() else [], 1):
        try:
            each = Removed.model_validate_json(line)
        except ValidationError as error:
            raise StoreError(f"`{path}`, line {number}: not understood; mend or remove the line") from error
        found[each.box] = each
    return found


def note_removed(root: Path, boxes: Iterable[Removed]) -> None:
    """Write down boxes before they are removed; the store's lock must be held."""
    known = read_removed(root)
    fresh = {each.box: each for each in boxes}
    if fresh:
        lines = [each.model_dump_json(exclude_defaults=True) for each in (known | fresh).values()]
        write_text(root / REMOVED_FILE, "\n".join(lines) + "\n")


def remove_box(root: Path, remote: Remote | None, name: str, files: Iterable[str]) -> None:
    """Remove a box, its index first, so that a kill in between leaves it incomplete and not damaged.

    Args:
        root: folder of the store.
        remote: the place behind it, if it is a working folder.
        name: of the box.
        files: paths of its files at the URL, relative to the store.

    Raises:
        StoreError: the run does not hold the store any more, or it does not answer.
    """
    if remote:
        remote.check_held()
    (root / name / INDEX).unlink(missing_ok=True)
    if remote:
        remote.drop(f"{name}/{INDEX}")
        remote.drop_all([path for path in files if path != f"{name}/{INDEX}"])
    shutil.rmtree(root / name, ignore_errors=True)


def drop_removed(root: Path, remote: Remote) -> int:
    """Remove from a working folder what was removed at the URL, also where it was made again since.

    Its bytes may be others then: a judge was asked once more.

    Returns:
        How many boxes.
    """
    dropped = 0
    for name in read_removed(root):
        if (root / name).is_dir() and _is_of_the_past(root, remote, name):
            remove_box(root, None, name, ())
            dropped += 1
    return dropped


def _is_of_the_past(root: Path, remote: Remote, name: str) -> bool:
    """Whether what a working folder has of a removed box is not what the URL has of it, if it has any."""
    there = remote.entries(name.rpartition("/")[0])
    index = there.get(f"{name}/{INDEX}")
    if (root / name / INDEX).is_file():
        return index is None or not remote.is_same(index)
    return index is None and not any(path.startswith(f"{name}/") for path in there)


def cut_down(root: Path, limit: int) -> int:
    """Remove complete boxes from a working folder until they take no more than `limit` bytes.

    Those used longest ago go first; the store at the URL keeps them. A folder that is the store itself is left alone.

    Returns:
        Bytes removed.
    """
    remote = remote_of(root)
    if remote is None:
        return 0
    boxes = [path.parent for kind in SHARED for path in (root / kind).glob(f"*/*/{INDEX}")]
    sizes = {box: sum(map(_taken, box.iterdir())) for box in boxes}
    left, removed = sum(sizes.values()), 0
    for box in sorted(boxes, key=lambda box: ((box / INDEX).stat().st_atime_ns, box)):
        if left - removed <= limit:
            break
        remove_box(root, None, box.relative_to(root).as_posix(), ())
        removed += sizes[box]
    if removed:
        remote.forget()  # what was looked for once is to be brought again
    return removed


def _taken(file: Path) -> int:
    status = file.stat()
    return min(status.st_size, status.st_blocks * _BLOCK)
