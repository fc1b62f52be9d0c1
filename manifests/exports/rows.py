"""Rows of the JSON trainers: `id`, `image` or `video`, `conversations`, written as streams."""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path, PurePosixPath

from manifests.exports.base import ExportRow, Kind, Outcome, Part
from manifests.exports.media import Media
from manifests.exports.strict import RESERVED, Conversation, Refusal, Turn, converse
from shards.files import replacing

JsonRow = dict[str, object]


def row_id(part: Part, row: ExportRow, copy: int = 0) -> str:
    """Unique in the mixture: the entry, the key behind a colon, and for copies of a row `#2`, `#3` ..."""
    return f"{part.entry.id}:{row.key}" + (f"#{copy + 1}" if copy else "")


def turn_objects(turns: Iterable[Turn], system: str | None = None) -> list[dict[str, str]]:
    """Turns as objects of `from` and `value`, a system turn first where there is one."""
    first = [] if system is None else [{"from": "system", "value": system}]
    return first + [{"from": speaker, "value": text} for speaker, text in turns]


def strict_row(part: Part, row: ExportRow, turns: Iterable[Turn], images: Sequence[str]) -> JsonRow:
    """The strict row: keys that do not apply are absent, one picture is a string and several are a list.

    Args:
        part: gives the id its entry.
        row: the sample.
        turns: its conversation.
        images: paths of its pictures as the trainer joins them to its folder.
    """
    found: JsonRow = {"id": row_id(part, row)}
    if images:
        found["image"] = images[0] if len(images) == 1 else list(images)
    if row.videos:
        found["video"] = row.videos[0]
    found["conversations"] = turn_objects(turns)
    return found


def image_paths(row: ExportRow, media: Media, prefix: str = "") -> list[str]:
    """Paths of a row's pictures, which are there when this returns; `prefix` stands before each."""
    return [prefix + media.path(image) for image in row.images]


def representable(
    part: Part, kinds: frozenset[Kind], outcome: Outcome, reserved: tuple[str, ...] = RESERVED
) -> Iterator[tuple[ExportRow, Conversation]]:
    """Rows of a part that a format can hold; the others are counted in `outcome`, the caller counts those it writes.

    Reasons of refusal: those of `converse`, a kind that is not among `kinds`, `several_videos`, `video_path` (absolute,
    with `..`, or a URL: trainers join it to a folder).
    """
    for row in part.read():
        conversation = converse(row, reserved)
        if isinstance(conversation, Refusal):
            outcome.refuse(conversation.reason)
        elif conversation.kind not in kinds:
            outcome.refuse(conversation.kind)
        elif len(row.videos) > 1:
            outcome.refuse("several_videos")
        elif not all(_below(video) for video in row.videos):
            outcome.refuse("video_path")
        else:
            yield row, conversation


def _below(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and ".." not in parts and "://" not in path


def write_json_list(path: Path, rows: Iterable[JsonRow]) -> int:
    """Write a JSON list, a row a line, as a stream; returns the number of rows. Nothing is written of no rows."""
    return _write(path, rows, "[\n", ",\n", "\n]\n")


def write_json_lines(path: Path, rows: Iterable[JsonRow]) -> int:
    """Write one JSON object a line, without blank lines; returns the number. Nothing is written of no rows."""
    return _write(path, rows, "", "\n", "\n")


def _write(path: Path, rows: Iterable[JsonRow], begin: str, between: str, end: str) -> int:
    iterator = iter(rows)
    first = next(iterator, None)
    if first is None:
        return 0
    count = 0
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as handle:
        handle.write(begin)
        for row in chain([first], iterator):
            handle.write((between if count else "") + _dump(row))
            count += 1
        handle.write(end)
    return count


def _dump(row: JsonRow) -> str:
    # readers that split at Unicode line separators would cut a row in two
    text = json.dumps(row, ensure_ascii=False, allow_nan=False)
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").replace("\x85", "\\u0085")
