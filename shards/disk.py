"""What a disk that takes no more means to people: one message with the file, the room that is left, and what to do."""

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from shards.errors import StoreError

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_CLOSED: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
REFUSALS: Final = _FULL | {errno.EROFS, errno.EFBIG}
"""Numbers of errors that only writing has, whatever is written."""


def refused(path: Path, error: OSError, *, begun: Path | None = None) -> StoreError:
    """The error to raise where a file of a store cannot be written.

    Args:
        path: of the file.
        error: what the system said.
        begun: the same file under the name that it has while it is written, before that is removed; without it nobody
            knows how much room there was.
    """
    said = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in _CLOSED:
        remedy = "let it be written, or choose another store with --store"
    elif error.errno == errno.EFBIG:
        remedy = "raise the limit on the size of files (`ulimit -f`)"
    elif error.errno in _FULL:
        remedy = f"free space{_room(begun) if begun else ''} or choose another store with --store"
    else:
        remedy = "see to that, or choose another store with --store"
    return StoreError(f"cannot write `{path}`: {said}; {remedy}; what is finished is kept")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say what it means where the disk refuses what is written without a name of its own.

    Raises:
        StoreError: the disk is full, or `path` cannot be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in REFUSALS | _CLOSED:
            raise
        raise refused(path, error) from error


def _room(begun: Path) -> str:
    try:
        folder = next(parent for parent in begun.absolute().parents if parent.is_dir())
        left = f"{shutil.disk_usage(folder).free:,} bytes are left"
    except OSError:
        return ""
    # pyarrow removes a file that it cannot write to its end
    written = begun.stat().st_size if begun.is_file() else 0
    return f" ({left}, {written:,} of the file were written)" if written else f" ({left})"


def check_writable(root: Path, names: Iterable[str]) -> None:
    """Stop where a folder below `root`, or one in it, cannot be written: better now than after hours.

    Raises:
        StoreError: naming the first one.
    """
    for name in names:
        for folder in (root / name, *(root / name).glob("*/")):
            if folder.is_dir() and not os.access(folder, os.W_OK):
                remedy = "let it be written, or choose another store with --store"
                raise StoreError(f"store `{root}`: `{folder.relative_to(root)}` cannot be written; {remedy}")
