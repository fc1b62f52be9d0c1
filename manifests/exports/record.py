"""A sample as a JSON record beside its pictures, for archives that any reader may open."""

from collections.abc import Mapping
from typing import Final

from manifests.exports.base import ExportRow
from manifests.exports.media import EXTENSIONS
from manifests.exports.strict import NEUTRALISED, neutralise
from shards.markers import unescape
from shards.pack import Image
from shards.schema import IMAGE_MARKER, VIDEO_MARKER

_MARKERS: Final = (IMAGE_MARKER, VIDEO_MARKER)


def readable(stored: str) -> tuple[str, bool]:
    """A stored text in which `<image>` and `<video>` are media and nothing else.

    Literal ones are broken by a space, `< image>`. Returns the text and whether that was done.
    """
    text = neutralise(stored, _MARKERS)
    return text, text != unescape(stored)


def record(row: ExportRow, entry: str) -> tuple[dict[str, object], tuple[str, ...]]:
    """What a sample says, for any kind of sample.

    Args:
        row: a sample.
        entry: id of its entry.

    Returns:
        `{key, entry, messages: [{role, content}], videos: [reference]}`, and what was changed in it. Roles are those of
        shards/schema.py: a running text is one message of role `document`, a picture without words a `user` message
        that is only the marker. Each `<image>` stands where its picture stands, in the order of the pictures;
        `videos` is absent where there are none.
    """
    said = [(role, *readable(text)) for role, text in row.messages]
    messages = [{"role": role, "content": text} for role, text, _ in said]
    found: dict[str, object] = {"key": row.key, "entry": entry, "messages": messages}
    if row.videos:
        found["videos"] = list(row.videos)
    return found, (NEUTRALISED,) * any(broken for _, _, broken in said)


def extension(image: Image) -> str:
    """File name extension of a picture, without a dot."""
    return EXTENSIONS.get(image.format, "bin")


def picture_suffixes(images: tuple[Image, ...]) -> list[str]:
    """Suffixes of a sample's pictures in a tar: `jpg` for one; `0.jpg`, `1.png` for several."""
    if len(images) == 1:
        return [extension(images[0])]
    return [f"{number}.{extension(image)}" for number, image in enumerate(images)]


def paths_by_times(shards: Mapping[str, int]) -> list[str]:
    """Every path as often as it is to be read, in rounds: all once, then those that are read again."""
    rounds = range(max(shards.values(), default=0))
    return [path for done in rounds for path, times in shards.items() if times > done]
