"""The `messages` column of chat data on the hub: strings with markers, or typed parts."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final, Generic, TypeVar

from shards.markers import escape, escape_literals
from shards.schema import IMAGE_MARKER, VIDEO_MARKER
from sources.layouts.media import pictures_of, videos_of
from sources.layouts.rows import Raw, convert
from sources.layouts.turns import read_parts, renamed
from sources.layouts.value import RowError, as_text, chosen, extras, kind, need, shown
from sources.record import Defect, PictureRef, Record
from sources.spec import Source

_TEXT_NAMES: Final = ("text", "value", "content")
_IMAGE_NAMES: Final = ("image", "image_url", "url", "path", "value")
_VIDEO_NAMES: Final = ("video", "video_url", "url", "path", "value")

T = TypeVar("T")


@dataclass(slots=True)
class _Media(Generic[T]):
    """Pictures or videos of one row: those of its column that wait for a marker, and those in order of markers."""

    waiting: list[T]
    placed: list[T] = field(default_factory=list)

    def place(self, *own: T, markers: int) -> None:
        """Give `markers` markers their media: their own where they bring some, else the next of the column."""
        self.placed += own or self.waiting[:markers]
        self.waiting = self.waiting if own else self.waiting[markers:]

    def all(self) -> tuple[T, ...]:
        """Those in order of markers, then those without one."""
        return (*self.placed, *self.waiting)


@dataclass(frozen=True, slots=True)
class Messages:
    """Rows of {messages, images, videos}: content is a string with markers or a list of typed parts.

    A part that brings its own picture stands for that one; every other marker stands for the next picture of the
    `images` column. Parts are joined without anything between them. In a text part `<image>` is literal.
    """

    version: ClassVar[int] = 2
    evidence: ClassVar[str] = "real rows"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per row."""
        return convert(path, source, _record)


def _record(raw: Raw, source: Source) -> Record:
    fields = raw.fields()
    pictures = _Media(list(pictures_of(fields.get("images"), "images")))
    videos = _Media(list(videos_of(fields.get("videos"), "videos")))
    messages = read_parts(need(fields, "messages"), "messages", lambda content: _text(content, pictures, videos))
    found, filmed = pictures.all(), videos.all()
    if found and filmed:
        raise RowError("mixed_media", f"expected pictures or videos, found {len(found)} and {len(filmed)}")
    return Record(
        row=raw.row,
        messages=messages,
        pictures=found,
        videos=filmed,
        meta=extras(fields, ("messages", "images", "videos", *source.native)),
        native=chosen(fields, source.native),
        repairs=renamed(fields["messages"]),
    )


def _text(content: object, pictures: _Media[PictureRef], videos: _Media[str]) -> str:
    if isinstance(content, list):
        return "".join(_part(part, pictures, videos) for part in content)
    text = as_text(content, "messages.content")
    pictures.place(markers=text.count(IMAGE_MARKER))
    videos.place(markers=text.count(VIDEO_MARKER))
    return escape_literals(text)


def _part(part: object, pictures: _Media[PictureRef], videos: _Media[str]) -> str:
    if not isinstance(part, dict):
        raise RowError("wrong_type", f"expected objects in `messages.content`, found {kind(part)}")
    match part.get("type"):
        case "text":
            return escape(as_text(_first(part, _TEXT_NAMES), "messages.content.text"))
        case "image" | "image_url":
            found = pictures_of(_first(part, _IMAGE_NAMES), "messages.content.image")
            pictures.place(*found, markers=1)
            return IMAGE_MARKER * max(1, len(found))
        case "video" | "video_url":
            filmed = videos_of(_first(part, _VIDEO_NAMES), "messages.content.video")
            videos.place(*filmed, markers=1)
            return VIDEO_MARKER * max(1, len(filmed))
        case other:
            raise RowError(
                "wrong_type", f"expected a part of type text, image, image_url or video, found {shown(other)}"
            )


def _first(part: dict[str, object], names: tuple[str, ...]) -> object:
    # Parquet gives every part every field, null where it has none; OpenAI wraps the address once more ({url: ...}).
    value = next((part[name] for name in names if part.get(name) is not None), None)
    return value["url"] if isinstance(value, dict) and "url" in value else value
