"""The review queue as CSV for a spreadsheet program; `verdict`, `reviewer` and `note` are for people to fill in.

UTF-8 with a byte order mark, without which Excel reads another encoding; RFC 4180 quoting and line ends.
"""

import csv
from collections.abc import Iterable
from typing import Final, TextIO

from review.item import Reason, ReviewItem, shown

ENCODING: Final = "utf-8-sig"

COLUMNS: Final = (
    "id",
    "verdict",
    "reviewer",
    "note",
    "reasons",
    "unknown",
    "margin",
    "scores",
    "conversation",
    "pictures",
    "videos",
    "key",
    "entry",
    "source",
    "domain",
    "stage",
    "cluster",
    "template",
    "settles",
    "mates",
    "asked",
    "seen",
)

SEEN: Final = "s"
"""Stands before the digits of `seen`, so that no spreadsheet program takes them for a number."""

_GUARD: Final = "'"
_GUARDED: Final = tuple("=+-@\t\r\n'\uff1d\uff0b\uff0d\uff20")
"""First characters that make a spreadsheet program evaluate a cell (the last four are the full-width forms of the
first four), and the guard itself. Source: OWASP, CSV injection."""


_CELL_CHARS: Final = 16_000
"""Longest cell. A cell of Excel holds 32,767 UTF-16 units and a character is at most two; Python's `csv` reads 131,072
characters. The whole text is in the other formats."""


def write_sheet(handle: TextIO, items: Iterable[ReviewItem]) -> None:
    """Write a header and one row an item to a file opened with `newline=""`."""
    writer = csv.writer(handle, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for item in items:
        writer.writerow([guard(_fit(cell)) for cell in _cells(item)])


def guard(cell: str) -> str:
    """The cell with an apostrophe before it if a program might evaluate it, or if it starts with one already."""
    return _GUARD + cell if cell.startswith(_GUARDED) else cell


def unguard(cell: str) -> str:
    """The cell as it was before `guard`."""
    return cell.removeprefix(_GUARD)


def _fit(cell: str) -> str:
    more = len(cell) - _CELL_CHARS
    return cell if more <= 0 else f"{cell[:_CELL_CHARS]}\n[{more} more characters]"


def _cells(item: ReviewItem) -> tuple[str, ...]:
    return (
        item.id,
        item.verdict,
        item.reviewer,
        item.note,
        "\n".join(_reason(reason) for reason in item.reasons),
        "\n".join(_reason(reason) for reason in item.unknown),
        "" if item.margin is None else f"{item.margin:.6f}",
        "\n".join(f"{name}: {show(item, name)}" for name in item.scores),
        conversation(item),
        "\n".join(picture.file for picture in item.pictures),
        "\n".join(item.videos),
        item.key,
        item.entry,
        item.source,
        item.domain,
        item.stage,
        item.cluster or "",
        item.template or "",
        str(item.settles),
        "\n".join(item.mates),
        item.asked,
        SEEN + shown(item),
    )


def _reason(reason: Reason) -> str:
    return f"{reason.rule}: {reason.predicate}"


def conversation(item: ReviewItem) -> str:
    """All turns as text; the text is indented, so that no text can pass for the head of a turn."""
    return "\n".join(f"{turn.role}:\n  " + "\n  ".join(turn.text.splitlines()) for turn in item.messages)


def show(item: ReviewItem, name: str) -> str:
    """A score for human eyes: at most four digits after the point, or why it is null."""
    score = item.scores[name]
    if score is None:
        return f"null ({item.states.get(name, 'no value')})"
    if isinstance(score, float):
        return f"{score:.4f}".rstrip("0").rstrip(".")
    return str(score).lower() if isinstance(score, bool) else str(score)
