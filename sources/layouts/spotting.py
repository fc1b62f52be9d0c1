"""Text spotting data of any publisher as one question and one answer: the words of a picture in reading order."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import JsonValue

from sources.layouts.json_file import Broken, iter_nested
from sources.layouts.rows import UNREADABLE, unreadable
from sources.layouts.turns import exchange
from sources.layouts.value import Fields, RowError, object_of, shown
from sources.record import Defect, Member, Record
from sources.spec import Source

PROMPT: Final = "Read all text in this picture from top to bottom and separate the words by commas."
"""Question where the source has no `prompt`. Ours."""

BETWEEN: Final = ", "

UNREAD: Final = ("", "###", "*")
"""Transcriptions that say that nobody could read or cared to read a word."""

_XY: Final = 2

Point = tuple[float, float]


class Word(NamedTuple):
    """A transcription, the corners of its box in pixels, and whether its publisher calls it legible."""

    text: str
    corners: tuple[Point, ...]
    legible: bool = True


class Scene(NamedTuple):
    """A picture of a file that lists pictures and words apart; `id` is what its words call it."""

    id: str
    file: str
    meta: Mapping[str, JsonValue]


def spotted(row: int, words: Iterable[Word], file: str, source: Source, meta: Mapping[str, JsonValue]) -> Record:
    """The sample of one picture: its legible words by centre, top to bottom, then left to right.

    A comma inside a word stays, so an answer cannot always be cut into words again. The order is poor for curved text
    and for columns.

    Raises:
        RowError: `nothing_legible`.

    Source: the conversion of Instella-VL, which sorts the centres of polygons by y, then x.
    """
    read = [Word(word.text.strip(), word.corners) for word in words if word.legible]
    read = [word for word in read if word.text not in UNREAD]
    if not read:
        raise RowError("nothing_legible", "expected at least one legible word, found none")
    ordered = sorted(read, key=_centre)
    return Record(
        row=row,
        messages=exchange(
            PROMPT if source.prompt is None else source.prompt, BETWEEN.join(word.text for word in ordered)
        ),
        pictures=(Member(file),),
        meta=meta,
    )


def corners_of(numbers: object, name: str) -> tuple[Point, ...]:
    """The corners of `[x, y, x, y, ...]` or `[[x, y], [x, y], ...]`; numbers may be text.

    Raises:
        RowError: `wrong_type`.
    """
    items = numbers if isinstance(numbers, list) else []
    flat = [side for item in items for side in (item if isinstance(item, list) else [item])]
    try:
        found = [float(side) for side in flat if isinstance(side, (int, float, str))]
    except (ValueError, OverflowError):
        found = []
    if not found or len(found) < len(flat) or len(found) % _XY or not all(abs(side) < float("inf") for side in found):
        raise RowError("wrong_type", f"expected pairs of numbers in `{name}`, found {shown(numbers)}")
    return tuple(zip(found[::2], found[1::2], strict=True))


def read_lines(path: Path, source: Source) -> list[str]:
    """The lines of a small text file without its byte order mark and without empty lines.

    Raises:
        SourceError: the file cannot be opened.
        RowError: `broken_record`, it is no UTF-8.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise unreadable(path, source, error) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RowError("broken_record", f"expected UTF-8, found {error}") from error
    return [line for line in (line.strip("\r\n ") for line in text.split("\n")) if line]


def convert_scenes(
    path: Path,
    source: Source,
    sections: tuple[str, str],
    scene: Callable[[str, Fields], Scene],
    word: Callable[[Fields], tuple[str, Word]],
) -> Iterator[Record | Defect]:
    """One item for each picture of a JSON object with a section of pictures and one of words, in either order.

    Words are joined to pictures by id, whatever their order; a word of no listed picture belongs to no row. Only words
    and names are held in memory, not the file.

    Raises:
        SourceError: the file cannot be read, or lacks a section.
    """
    scenes: list[Scene | RowError] = []
    words: dict[str, list[Word | RowError]] = {}
    met: set[str] = set()
    try:
        for section, name, value in iter_nested(path):
            met.add(section)
            if section == sections[0]:
                scenes.append(_scene(scene, name, value))
            elif section == sections[1]:
                belongs, found = _word(word, value)
                words.setdefault(belongs, []).append(found)
        if not met.issuperset(sections):
            raise ValueError(f"expected `{sections[0]}` and `{sections[1]}`, found {', '.join(sorted(met)) or 'none'}")
    except UNREADABLE as error:
        raise unreadable(path, source, error) from error
    for row, found_scene in enumerate(scenes):
        try:
            yield _sample(row, found_scene, words, source)
        except RowError as error:
            yield Defect(row, error.reason, str(error))


def _scene(scene: Callable[[str, Fields], Scene], name: str, value: object) -> Scene | RowError:
    if isinstance(value, Broken):
        return RowError("broken_record", value.why)
    try:
        return scene(name, object_of(value, "pictures"))
    except RowError as error:
        return error


def _word(word: Callable[[Fields], tuple[str, Word]], value: object) -> tuple[str, Word | RowError]:
    if not isinstance(value, dict):
        raise ValueError(f"expected words as objects, found {value.why if isinstance(value, Broken) else shown(value)}")
    try:
        return word(value)
    except RowError as error:
        return str(value.get("image_id")), error


def _sample(row: int, scene: Scene | RowError, words: dict[str, list[Word | RowError]], source: Source) -> Record:
    if isinstance(scene, RowError):
        raise scene
    found = words.get(scene.id, [])
    wrong = next((word for word in found if isinstance(word, RowError)), None)
    if wrong is not None:
        raise wrong
    return spotted(row, [word for word in found if isinstance(word, Word)], scene.file, source, scene.meta)


def _centre(word: Word) -> Point:
    xs, ys = zip(*word.corners, strict=True)
    return sum(ys) / len(ys), sum(xs) / len(xs)
