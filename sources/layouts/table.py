"""Any table: the source says which columns make a sample."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import ClassVar, Final

from shards.errors import CatalogError
from shards.markers import escape
from shards.schema import IMAGE_MARKER
from sources.layouts.media import picture_at, pictures_of
from sources.layouts.rows import HEADED, Raw, convert, form_of
from sources.layouts.value import ABSENT, Fields, RowError, as_text, chosen, columns, reach
from sources.record import Defect, Message, PictureRef, Record
from sources.spec import Columns, Source

NAME_COLUMN: Final = "_key"
"""Column that holds the name of a row where the file is one JSON object of rows."""

_PLACE: Final = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of a JSON array, JSON object of objects, JSONL, CSV, TSV or Parquet file, mapped by `columns`.

    Pictures come before the user text, a marker and a newline each (before the document where there is no user turn
    and no assistant turn). Without user text the source's `prompt` is asked, if it has one. Null, an empty cell and an
    absent part of a role are empty text; all columns of `user`, `assistant` or `document` absent is a missing field,
    and so is any absent column in a format whose rows all have the same ones.
    """

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "real rows"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per row.

        Raises:
            CatalogError: the source has no `columns`, or they make no message.
        """
        mapped = source.columns
        if mapped is None or not (mapped.user or mapped.assistant or mapped.document or mapped.images):
            raise CatalogError(
                f"source `{source.name}`: expected `columns` with user, assistant, document or images for layout "
                f"`table`, found {'none' if mapped is None else 'none of them'}; add "
                "`columns: {user: [question], assistant: [answer]}` with the names in the file"
            )
        return convert(path, source, partial(_record, mapped, form_of(path) in HEADED), _paths(mapped, source))


def _paths(mapped: Columns, source: Source) -> set[str]:
    """Every column that a record is made of; the others may be as wide as pictures."""
    roles = (mapped.system, mapped.user, mapped.assistant, mapped.document, mapped.meta, source.native)
    places = chain.from_iterable(_PLACE.findall(name) or [name] for name in mapped.images)
    return {*chain.from_iterable(roles), *places, *([mapped.key] if mapped.key else [])}


def _record(mapped: Columns, headed: bool, raw: Raw, source: Source) -> Record:
    fields = {NAME_COLUMN: raw.name, **raw.fields()} if raw.name else raw.fields()
    _check(fields, mapped, headed)
    pictures = tuple(chain.from_iterable(_pictures(fields, column) for column in mapped.images))
    key = None if mapped.key is None else reach(fields, mapped.key)
    return Record(
        row=raw.row,
        messages=tuple(_messages(fields, mapped, len(pictures), source.prompt)),
        pictures=pictures,
        name="" if key is None or key is ABSENT else as_text(key, mapped.key or ""),
        meta=chosen(fields, mapped.meta),
        native=chosen(fields, source.native),
    )


def _check(fields: Fields, mapped: Columns, headed: bool) -> None:
    for role in (mapped.user, mapped.assistant, mapped.document):
        absent = [name for name in role if reach(fields, name) is ABSENT]
        if absent and (headed or len(absent) == len(role)):
            raise _missing(absent, fields)
    if headed:
        places = chain.from_iterable(_PLACE.findall(name) or [name] for name in mapped.images)
        keys = () if mapped.key is None else (mapped.key,)
        absent = [name for name in (*keys, *mapped.system, *places, *mapped.meta) if reach(fields, name) is ABSENT]
        if absent:
            raise _missing(absent, fields)


def _missing(absent: list[str], fields: Fields) -> RowError:
    names = ", ".join(f"`{name}`" for name in absent)
    return RowError("missing_field", f"expected column {names}, found {columns(fields)}; correct `columns`")


def _messages(fields: Fields, mapped: Columns, num_pictures: int, prompt: str | None) -> Iterator[Message]:
    system, document = _joined(fields, mapped.system), _joined(fields, mapped.document)
    asked = _joined(fields, mapped.user) or prompt or ""
    has_turns = bool(mapped.user or mapped.assistant or not mapped.document)
    if system:
        yield Message("system", system)
    if mapped.document:
        yield Message("document", document if has_turns else _shown(num_pictures, document))
    if has_turns and (mapped.user or asked or num_pictures):
        yield Message("user", _shown(num_pictures, asked))
    if mapped.assistant:
        yield Message("assistant", _joined(fields, mapped.assistant))


def _shown(num_pictures: int, text: str) -> str:
    lines = [IMAGE_MARKER] * num_pictures
    return "\n".join([*lines, text] if text else lines)


def _joined(fields: Fields, names: Iterable[str]) -> str:
    texts = (_text(fields, name) for name in names)
    return "\n".join(text for text in texts if text)


def _text(fields: Fields, name: str) -> str:
    value = reach(fields, name)
    return "" if value is None or value is ABSENT else escape(as_text(value, name))


def _pictures(fields: Fields, column: str) -> tuple[PictureRef, ...]:
    places = _PLACE.findall(column)
    if not places:
        value = reach(fields, column)
        return () if value is ABSENT else pictures_of(value, column)
    values = {place: reach(fields, place) for place in places}
    if any(value is None or value is ABSENT or value == "" for value in values.values()):
        return ()
    return (picture_at(_PLACE.sub(lambda match: as_text(values[match[1]], match[1]), column)),)
