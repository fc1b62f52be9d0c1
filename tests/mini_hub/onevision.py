"""S01: LLaVA-OneVision Parquet with one picture in the row."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from mini_hub.case import Case, Made, Source, refused, sample
from mini_hub.files import in_files
from mini_hub.talk import Talk, plain, text_only, with_picture

_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_TURNS = pa.list_(pa.struct([("from", pa.string()), ("value", pa.string())]))
SCHEMA = pa.schema([("id", pa.string()), ("image", _IMAGE), ("conversations", _TURNS), ("data_source", pa.string())])

GOOD = ("png", "alpha", "palette", "cmyk", "grey", "webp", "gif", "flat")
BROKEN = {"truncated": "picture_undecodable", "html": "picture_unknown_format", "empty": "picture_empty"}


def onevision(source: Source) -> Made:
    """Rows of id, image, conversations and data_source."""
    has_pictures = source.media != ("text",)
    traps = [_case(source, talk) for talk in text_only(source)]
    if has_pictures:
        traps += [_case(source, talk) for talk in with_picture(source)]
        traps += _picture_traps(source)
    cases = source.choose(lambda: _case(source, plain(source, int(has_pictures))), traps)
    return in_files(source, cases, "data/train-*.parquet", SCHEMA)


def _picture_traps(source: Source) -> Iterator[Case]:
    for kind in GOOD:
        yield _case(source, plain(source), kind=kind, trap=f"picture_{kind}")
    for kind, reason in BROKEN.items():
        talk = plain(source)._replace(expected=reason)
        yield _case(source, talk, kind=kind, trap=f"picture_{kind}")
    yield _case(source, plain(source), path=None, trap="path_null")
    yield _case(source, plain(source), identity="000000_0", trap="id_repeated")
    yield _case(source, plain(source), identity="000000_0", trap="id_repeated")
    yield _case(source, plain(source), identity=None, trap="id_null")
    talk = plain(source, 0)
    yield Case(_row(source, talk.turns, {"bytes": None, "path": None}, None), (_expected(talk),), "picture_of_nulls")


def _case(
    source: Source, talk: Talk, *, kind: str = "jpeg", trap: str = "", path: Any = "", identity: str | None = ""
) -> Case:
    pictures = [source.picture(kind) for _ in range(talk.pictures)]
    name = source.path().split("/")[-1] if path == "" else path
    image = {"bytes": pictures[0], "path": name} if pictures else None
    row = _row(source, talk.turns, image, name if identity == "" else identity)
    return Case(row, (_expected(talk, *pictures),), trap or talk.trap)


def _expected(talk: Talk, *pictures: bytes) -> Any:
    return refused(talk.expected) if isinstance(talk.expected, str) else sample(talk.expected, *pictures)


def _row(source: Source, turns: Any, image: Any, identity: str | None) -> dict[str, Any]:
    return {"id": identity, "image": image, "conversations": turns, "data_source": source.entry.get("config", "")}
