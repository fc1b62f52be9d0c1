"""One file in an archive, and what its name and size must be like for it to be trusted."""

import re
from typing import Final, NamedTuple

MAX_PICTURE_BYTES: Final = 64 << 20
"""Bytes of one encoded picture above which it is refused. Ours: the largest honest page scan we met has 30 MB."""

MAX_NAME_BYTES: Final = 4096
"""Bytes of a member's name above which it is refused: PATH_MAX of Linux."""

_NESTED: Final = re.compile(r"\.(tar|tgz|tbz2?|txz|gz|bz2|xz|zst|zip|7z|rar)$", re.IGNORECASE)


class Member(NamedTuple):
    """One file in an archive: its bytes, or None and why they are refused.

    `name` has no leading `./`. `data` lies byte for byte in the raw file `file` from `offset`; None: it is compressed,
    or cut in two by the border of a piece.
    """

    name: str
    data: bytes | None
    file: str
    offset: int | None
    reason: str = ""
    message: str = ""


def leaves(path: str) -> bool:
    """Whether a path leads, on any system, out of the folder that it is relative to."""
    drive = path[:1].isalpha() and path[1:2] == ":"
    return drive or path.startswith("/") or "\\" in path or ".." in path.split("/")


def named(raw: bytes) -> tuple[str, tuple[str, str] | None]:
    """A name as text, and why the member is refused for it: reason and message, or None."""
    name = raw.decode("utf-8", "backslashreplace").removeprefix("./")
    try:
        raw.decode()
    except UnicodeDecodeError:
        return name, ("archive_member_name", f"member `{name}` of the archive has a name that is not UTF-8")
    if not name or "\0" in name or len(raw) > MAX_NAME_BYTES:
        return name, ("archive_member_name", f"member {name[:40]!r} of the archive has an impossible name")
    if leaves(name):
        return name, ("unsafe_path", f"member `{name}` leads out of the archive")
    if _NESTED.search(name):
        return name, ("nested_archive", f"member `{name}` is an archive in the archive, which is not opened")
    return name, None


def too_large(size: int) -> tuple[str, str] | None:
    """Why a member that says it has so many bytes is refused: reason and message, or None."""
    why = f"{size} bytes, limit {MAX_PICTURE_BYTES}"
    return ("picture_too_large", why) if size > MAX_PICTURE_BYTES else None
