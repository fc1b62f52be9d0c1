"""Schemas of everything on disk; a breaking change raises `SCHEMA_VERSION` and is told in docs/formats.md."""

from typing import Final, Literal

import pyarrow as pa

SCHEMA_VERSION: Final = 1

IMAGE_MARKER: Final = "<image>"
VIDEO_MARKER: Final = "<video>"

Role = Literal["system", "user", "assistant", "document"]
ROLES: Final[tuple[Role, ...]] = ("system", "user", "assistant", "document")

Verdict = Literal["not_taken", "keep", "drop", "review", "unscored"]
VERDICTS: Final[tuple[Verdict, ...]] = ("not_taken", "keep", "drop", "review", "unscored")

NullState = Literal["not_applicable", "not_asked", "no_answer", "error"]
NULL_STATES: Final[tuple[NullState, ...]] = ("not_applicable", "not_asked", "no_answer", "error")
STATE_SUFFIX: Final = "_state"
"""Column `X_state` says why score `X` is null: one of `NULL_STATES`, and null where `X` is not."""

MESSAGE: Final = pa.struct([pa.field("role", pa.string(), False), pa.field("text", pa.string(), False)])

IMAGE: Final = pa.struct(
    [
        pa.field("sha256", pa.string(), False),  # 64 hex digits of the original bytes
        pa.field("pack", pa.string(), False),  # file that holds the bytes, see shards/pack.py
        pa.field("row", pa.int32()),  # row in an Arrow pack; null where the picture is referenced in a mirror
        pa.field("offset", pa.int64(), False),  # bytes from the start of that file
        pa.field("size", pa.int64(), False),  # bytes
        pa.field("width", pa.int32(), False),  # pixels as stored, EXIF rotation not applied
        pa.field("height", pa.int32(), False),
        pa.field("format", pa.string(), False),  # Pillow's name: JPEG, PNG, ...
    ]
)

SAMPLE: Final = pa.schema(
    [
        pa.field("key", pa.string(), False),  # source/split/row[/part]
        pa.field("position", pa.int64(), False),  # index in the source as published, quarantined rows counted
        pa.field("messages", pa.list_(MESSAGE), False),
        pa.field("images", pa.list_(IMAGE), False),
        pa.field("videos", pa.list_(pa.string()), False),  # by reference, as the source writes them
        pa.field("meta", pa.string(), False),  # JSON object; native ids, native scores, repairs
    ],
    metadata={"vlmix.schema": "sample", "vlmix.schema_version": str(SCHEMA_VERSION)},
)

QUARANTINE: Final = pa.schema(
    [
        pa.field("key", pa.string(), False),
        pa.field("reason", pa.string(), False),
        pa.field("locator", pa.string(), False),  # raw file and row, or member name
        pa.field("message", pa.string(), False),
    ],
    metadata={"vlmix.schema": "quarantine", "vlmix.schema_version": str(SCHEMA_VERSION)},
)
