"""LLaVA records: `conversations` with pictures or videos by path."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from shards.markers import escape_literals
from shards.schema import IMAGE_MARKER, VIDEO_MARKER
from sources.layouts.media import pictures_of, videos_of
from sources.layouts.rows import Raw, convert
from sources.layouts.turns import count, mended, read_turns, renamed
from sources.layouts.value import RowError, chosen, extras, need
from sources.record import Defect, Message, Record
from sources.spec import Source


@dataclass(frozen=True, slots=True)
class Llava:
    """Rows of {id, image or video: path or list of paths, conversations}; neither of them is a text-only row.

    LLaVA-Video marks a video by `<image>`; it becomes `<video>` where a row has videos and no `<video>` of its own.
    """

    version: ClassVar[int] = 2
    evidence: ClassVar[str] = "real rows"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per row."""
        return convert(path, source, _record)


def _record(raw: Raw, source: Source) -> Record:
    fields = raw.fields()
    pictures = pictures_of(fields.get("image"), "image")
    videos = videos_of(fields.get("video"), "video")
    if pictures and videos:
        raise RowError("mixed_media", f"expected pictures or videos, found {len(pictures)} and {len(videos)}")
    turns = read_turns(need(fields, "conversations"), "conversations", escape_literals)
    if videos and not count(turns, VIDEO_MARKER):
        turns = tuple(Message(role, text.replace(IMAGE_MARKER, VIDEO_MARKER)) for role, text in turns)
    marker = VIDEO_MARKER if videos else IMAGE_MARKER
    messages, repairs = mended(turns, marker=marker, media=len(pictures) + len(videos), prompt=source.prompt)
    return Record(
        row=raw.row,
        messages=messages,
        pictures=pictures,
        videos=videos,
        meta=extras(fields, ("image", "video", "conversations", *source.native)),
        native=chosen(fields, source.native),
        repairs=(*renamed(fields["conversations"]), *repairs),
    )
