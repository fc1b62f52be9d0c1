"""M-Paper, which PaperOwl was trained on: dialogues about figures and tables of papers."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from shards.markers import escape_literals
from shards.schema import IMAGE_MARKER, Role
from sources.layouts.dialog import unpack
from sources.layouts.media import encoded_pictures, pictures_of
from sources.layouts.rows import Raw, convert
from sources.layouts.turns import count, read_turns, renamed
from sources.layouts.value import Fields, RowError, chosen, extras, shown, text_of
from sources.record import Defect, Message, PictureRef, Record
from sources.spec import Source

_BASE64: Final = ("/9j/", "iVBORw0KGgo", "R0lGOD", "UklGR")
"""How JPEG, PNG, GIF and WebP begin in base64."""


@dataclass(frozen=True, slots=True)
class PaperOwl:
    """Rows of {image: list of paths, text, prompt, task_type, conversations}, the files of `sft/`.

    `conversations` is read, its first item is a system turn; its texts carry no markers (they stand in `text`), so
    all pictures come before the first user turn. A row without it is read from `text`, `Human: ...` and `AI: ...`.
    The files of `meta/` hold parts of papers instead; each of their rows is a defect. A picture may be base64.
    """

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "upstream code"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per row."""
        return convert(path, source, _record)


def _record(raw: Raw, source: Source) -> Record:
    fields = raw.fields()
    pictures = _pictures(fields.get("image"))
    turns, repairs = _turns(fields)
    first = next((index for index, turn in enumerate(turns) if turn.role == "user"), None)
    if first is not None and not count(turns, IMAGE_MARKER):
        asked = Message("user", f"{IMAGE_MARKER}\n" * len(pictures) + turns[first].text)
        turns = (*turns[:first], asked, *turns[first + 1 :])
    return Record(
        row=raw.row,
        messages=turns,
        pictures=pictures,
        meta=extras(fields, ("image", "text", "prompt", "conversations", *source.native)),
        native=chosen(fields, source.native),
        repairs=repairs,
    )


def _turns(fields: Fields) -> tuple[tuple[Message, ...], tuple[str, ...]]:
    if fields.get("conversations"):
        return read_turns(fields["conversations"], "conversations", escape_literals), renamed(fields["conversations"])
    text = text_of(fields, "text")
    heading, texts = unpack(text, "Human:", "AI:")
    if not texts or len(texts) % 2:
        raise RowError("wrong_type", f"expected `Human:` and `AI:` in turn in `text`, found {shown(text)}")
    roles: tuple[Role, Role] = ("user", "assistant")
    turns = [Message(roles[index % 2], escape_literals(turn)) for index, turn in enumerate(texts)]
    return (*([Message("system", heading)] if heading else []), *turns), ("turns_split",)


def _pictures(value: object) -> tuple[PictureRef, ...]:
    items = value if isinstance(value, list) else [value]
    found = (
        encoded_pictures(item, "image")
        if isinstance(item, str) and item.startswith(_BASE64)
        else pictures_of(item, "image")
        for item in items
    )
    return tuple(picture for pictures in found for picture in pictures)
