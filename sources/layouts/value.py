"""Values of raw rows: finding them, and turning them into text and JSON."""

import math
from collections.abc import Collection, Iterable, Mapping
from datetime import date, time
from decimal import Decimal
from itertools import islice
from string import ascii_uppercase
from typing import Final

from pydantic import JsonValue

Fields = Mapping[str, object]

ABSENT: Final = object()
"""What `reach` returns for a column that is not there, which is not the same as null."""

_EXTRA_CHARS: Final = 200
"""A longer string is content of the row, not an extra to keep beside it. Ours."""

_SHOWN_CHARS: Final = 80
_SHOWN_COLUMNS: Final = 30

_PRINTED: Final = (Decimal, date, time)


class RowError(Exception):
    """One row cannot be represented; `rows.convert` turns it into a defect with this reason, it goes no further."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def kind(value: object) -> str:
    """What a value is, in the words of JSON."""
    names = {type(None): "null", bool: "a bool", int: "a number", float: "a number", str: "text", list: "a list"}
    return names.get(type(value), "an object" if isinstance(value, dict) else f"a value of type {type(value).__name__}")


def shown(value: object) -> str:
    """A value for a message, cut short."""
    text = str(value)
    return f"`{text}`" if len(text) <= _SHOWN_CHARS else f"`{text[:_SHOWN_CHARS]}...`"


def columns(fields: Fields) -> str:
    """The columns of a row for a message, cut short."""
    names = [f"`{name}`" for name in islice(fields, _SHOWN_COLUMNS)]
    more = [f"{len(fields) - len(names)} more"] if len(fields) > len(names) else []
    return ", ".join([*names, *more]) or "none"


def need(fields: Fields, name: str) -> object:
    """The value of a field that every row must have.

    Raises:
        RowError: `missing_field`.
    """
    if name not in fields:
        raise RowError("missing_field", f"expected field `{name}`, found {columns(fields)}")
    return fields[name]


def text_of(fields: Fields, name: str) -> str:
    """The text of a field that every row must have, see `as_text`."""
    return as_text(need(fields, name), name)


def list_of(fields: Fields, name: str) -> list[object]:
    """The list in a field that every row must have.

    Raises:
        RowError: `missing_field` or `wrong_type`.
    """
    value = need(fields, name)
    if not isinstance(value, list):
        raise RowError("wrong_type", f"expected a list in `{name}`, found {kind(value)}")
    return value


def letters(options: Collection[object], name: str) -> str:
    """A letter for each option of a question.

    Raises:
        RowError: `wrong_type`, there are more options than letters.
    """
    if len(options) > len(ascii_uppercase):
        raise RowError("wrong_type", f"expected at most {len(ascii_uppercase)} items in `{name}`, found {len(options)}")
    return ascii_uppercase[: len(options)]


def object_of(value: object, name: str) -> Fields:
    """An item that has to be an object.

    Raises:
        RowError: `wrong_type`.
    """
    if not isinstance(value, dict):
        raise RowError("wrong_type", f"expected objects in `{name}`, found {kind(value)}")
    return value


def reach(fields: Fields, path: str) -> object:
    """The value at a dotted path, `ABSENT` if an object on the way has no such name.

    A column whose name has dots wins over the path. Past a null or the end of a list there is null.
    """
    if path in fields:
        return fields[path]
    value: object = fields
    for step in path.split("."):
        if isinstance(value, dict):
            value = value.get(step, ABSENT)
        elif isinstance(value, list) and step.isdecimal():
            value = value[int(step)] if int(step) < len(value) else None
        elif value is not None:
            return ABSENT
        if value is ABSENT:
            return ABSENT
    return value


def as_text(value: object, name: str) -> str:
    """Text as it is, a number or bool as JSON writes it, a list of them joined by `, `.

    Raises:
        RowError: `wrong_type`, null, an object, bytes or a list of lists.
    """
    if isinstance(value, list):
        return ", ".join(_plain(item, name) for item in value)
    return _plain(value, name)


def _plain(value: object, name: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, _PRINTED):
        return str(value)
    raise RowError("wrong_type", f"expected text in `{name}`, found {kind(value)}")


def as_json(value: object, name: str) -> JsonValue:
    """A value as JSON can hold it: dates and decimals as text, NaN as null.

    Raises:
        RowError: `wrong_type`, bytes or another type that JSON lacks.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, list):
        return [as_json(item, name) for item in value]
    if isinstance(value, dict):
        return {str(key): as_json(item, name) for key, item in value.items()}
    if isinstance(value, _PRINTED):
        return str(value)
    raise RowError("wrong_type", f"expected JSON in `{name}`, found {kind(value)}")


def extras(fields: Fields, used: Collection[str]) -> dict[str, JsonValue]:
    """The short scalar fields that no message was made of: native ids, data source, task and the like."""
    return {
        name: as_json(value, name)
        for name, value in fields.items()
        if name not in used and isinstance(value, (str, int, float)) and len(str(value)) <= _EXTRA_CHARS
    }


def chosen(fields: Fields, paths: Iterable[str]) -> dict[str, JsonValue]:
    """The fields at the given dotted paths, as JSON; a path that is not there is left out."""
    found = {path: reach(fields, path) for path in paths}
    return {path: as_json(value, path) for path, value in found.items() if value is not ABSENT}
