"""Samples with small pictures for `benchmarks.scale`, written as publishers would: Parquet, JSON beside tar, JSONL.

Every row is a function of (source, row), so that a copy can be written anywhere without keeping what it copies, and the
first rows of a large set differ from a small set in nothing but their number. Memory does not grow with the rows. A
picture serves five rows, as in sets of questions.
"""

import io
import json
import random
import tarfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

SOURCES: Final = ("alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel")
ARCHIVED: Final = ("foxtrot", "golf")
"""Sources that are a JSON file beside a tar of pictures; `TEXTS` is JSONL without pictures, the others are Parquet."""
TEXTS: Final = "hotel"

FILE_ROWS: Final = 50_000
GROUP_ROWS: Final = 500
CYCLE: Final = 200
"""Rows after which the planted ones come again."""

COPIES: Final = frozenset({17, 57, 97, 137})
"""Rows of a cycle that repeat another row, of any source with pictures, byte by byte: 2 %."""
ANEW: Final = frozenset({37, 77, 117, 157})
"""Rows of a cycle that repeat another with its picture encoded anew: 2 %."""
CUT_PICTURE, NO_MARKER, EMPTY, TINY, LOOP, PLAIN = 3, 43, 83, 123, 163, 183
"""Bad rows of a cycle, 3 % together: quarantine twice, then what rules drop or send to review."""

QUESTIONS: Final = (  # each picture is shown with all of them, in rows one after the other
    "What is shown in the picture?",
    "Describe the scene in a few sentences.",
    "Which shapes are there, and where?",
    "What stands out, and why?",
    "How would you explain this to a child?",
)
THINGS: Final = """
circle square window tree house boat river street table chart plate cup lamp road wall door stone field bridge tower
garden engine bottle mirror flower basket ladder carpet blanket station harbour kitchen
"""
KINDS: Final = """
red green blue yellow white dark bright small large narrow wide old new round flat heavy quiet distant broken painted
wooden plain curved sharp empty
"""
PLACES: Final = (
    *("near the left edge", "in the middle", "behind the others", "close to the top", "at the lower right"),
    *("under a thin line", "beside its shadow", "in front of the wall", "a little further away", "next to the border"),
)
_THINGS, _KINDS = THINGS.split(), KINDS.split()
VERBS: Final = ("stands", "lies", "appears", "rests", "can be seen", "is placed", "looks out", "takes up the space")


class Row(NamedTuple):
    """One row as published; `picture` is None in the source of texts."""

    name: str
    question: str
    answer: str
    picture: bytes | None


def rows_of(source: str, rows: int) -> Iterator[Row]:
    """The rows of a source, planted ones included."""
    for number in range(rows):
        yield _row(source, number)


def _row(source: str, number: int) -> Row:
    place = number % CYCLE
    name = f"{source}-{number}"
    if place in COPIES or place in ANEW:
        other, origin = _origin(source, number)
        row = _plain(other, origin)._replace(name=name)
        return row._replace(picture=_anew(row.picture)) if place in ANEW and row.picture else row
    row = _plain(source, number)
    if place == CUT_PICTURE and row.picture:
        return row._replace(picture=row.picture[: len(row.picture) // 2])
    if place == NO_MARKER:
        return row._replace(question=f"{row.question} <image>\n<image>")
    if place == EMPTY:
        return row._replace(answer="")
    if place == TINY and row.picture:
        return row._replace(picture=_encoded(Image.new("RGB", (12, 12), (number % 251, 40, 90)), 80))
    if place == LOOP:
        return row._replace(answer=" ".join([row.answer.split(".")[0] + "."] * 40))
    if place == PLAIN and row.picture:
        return row._replace(picture=_encoded(Image.new("RGB", (96, 96), (250, number % 251, 250)), 80))
    return row


def _origin(source: str, number: int) -> tuple[str, int]:
    """Another plain row, some rows back, of this source or its neighbour; of texts always of texts."""
    back = number - number % CYCLE + (7, 107)[number % 2]
    if source == TEXTS or number % 3:
        return source, back
    pictured = [name for name in SOURCES if name != TEXTS]
    return pictured[(pictured.index(source) + 1) % len(pictured)], back


def _plain(source: str, number: int) -> Row:
    rng = random.Random(f"{source} {number}")
    answer = " ".join(_sentence(rng) for _ in range(rng.randint(2, 7)))
    picture = None if source == TEXTS else _shown(source, number // len(QUESTIONS))
    return Row(f"{source}-{number}", QUESTIONS[number % len(QUESTIONS)], answer, picture)


@lru_cache(8)
def _shown(source: str, number: int) -> bytes:
    rng = random.Random(f"{source} picture {number}")
    return _encoded(_picture(rng), rng.choice((75, 85, 92)))


def _sentence(rng: random.Random) -> str:
    thing, kind, other = rng.choice(_THINGS), rng.choice(_KINDS), rng.choice(_KINDS)
    ending = rng.choice((f"and it is {other}", f"with {rng.randint(2, 90)} marks on it", "as far as one can tell"))
    return f"The {kind} {thing} {rng.choice(VERBS)} {rng.choice(PLACES)}, {ending}."


def _picture(rng: random.Random) -> Image.Image:
    """Soft colours with shapes on them, 96 x 96 to 160 x 120."""
    size = (rng.choice((96, 112, 128, 144, 160)), rng.choice((96, 104, 112, 120)))
    colours = np.frombuffer(rng.randbytes(7 * 5 * 3), np.uint8).reshape(5, 7, 3)
    picture = Image.fromarray(colours).resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    for shape in range(rng.randint(2, 6)):
        left, top = rng.randint(0, size[0] - 20), rng.randint(0, size[1] - 20)
        box = (left, top, left + rng.randint(8, 50), top + rng.randint(8, 50))
        colour = tuple(rng.randbytes(3))
        draw.ellipse(box, fill=colour) if shape % 2 else draw.rectangle(box, outline=colour, width=3)
    return picture


def _encoded(picture: Image.Image, quality: int) -> bytes:
    target = io.BytesIO()
    picture.save(target, "JPEG", quality=quality)
    return target.getvalue()


def _anew(data: bytes) -> bytes:
    return _encoded(Image.open(io.BytesIO(data)), 60)


def write_sources(folder: Path, rows: int) -> int:
    """Write all sources with so many rows together; returns their bytes."""
    each = rows // len(SOURCES)
    for source in SOURCES:
        own = folder / source
        own.mkdir(parents=True)
        if source == TEXTS:
            _write_lines(own, source, each)
        elif source in ARCHIVED:
            _write_archive(own, source, each)
        else:
            _write_parquet(own, source, each)
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def declared(source: str) -> dict[str, object]:
    """How a recipe beside the folder of a source declares it."""
    if source == TEXTS:
        return {"layout": "llava", "files": f"{source}/rows.jsonl"}
    if source in ARCHIVED:
        return {"layout": "llava", "files": f"{source}/rows.json", "archive": f"{source}/pictures.tar"}
    return {"layout": "onevision", "files": f"{source}/*.parquet"}


def _talk(row: Row) -> list[dict[str, str]]:
    marker = "" if row.picture is None else "<image>\n"
    return [{"from": "human", "value": marker + row.question}, {"from": "gpt", "value": row.answer}]


def _write_lines(folder: Path, source: str, rows: int) -> None:
    with (folder / "rows.jsonl").open("w") as lines:
        for row in rows_of(source, rows):
            lines.write(json.dumps({"id": row.name, "conversations": _talk(row)}) + "\n")


def _write_archive(folder: Path, source: str, rows: int) -> None:
    with (folder / "rows.json").open("w") as file, tarfile.open(folder / "pictures.tar", "w") as archive:
        for number, row in enumerate(rows_of(source, rows)):
            path = f"{number // 1000:04}/{number}.jpg"
            data = row.picture or b""
            member = tarfile.TarInfo(path)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
            archive.members.clear()  # it keeps a list of all that it wrote
            document = {"id": row.name, "image": path, "conversations": _talk(row)}
            file.write(("," if number else "[") + "\n" + json.dumps(document))
        file.write("\n]\n" if rows else "[]\n")


def _write_parquet(folder: Path, source: str, rows: int) -> None:
    turn = pa.struct([("from", pa.string()), ("value", pa.string())])
    picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema([("id", pa.string()), ("image", picture), ("conversations", pa.list_(turn))])
    writer: pq.ParquetWriter | None = None
    group: list[dict[str, Any]] = []
    for number, row in enumerate(rows_of(source, rows)):
        if number % FILE_ROWS == 0:
            _flush(writer, group, last=True)
            writer = pq.ParquetWriter(folder / f"train-{number // FILE_ROWS:05}.parquet", schema)
        group.append({"id": row.name, "image": {"bytes": row.picture, "path": None}, "conversations": _talk(row)})
        if len(group) == GROUP_ROWS:
            _flush(writer, group, last=False)
    _flush(writer, group, last=True)


def _flush(writer: pq.ParquetWriter | None, group: list[dict[str, Any]], *, last: bool) -> None:
    if writer is None:
        return
    if group:
        writer.write_table(pa.Table.from_pylist(group, writer.schema))
        group.clear()
    if last:
        writer.close()
