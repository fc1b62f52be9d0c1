"""PixMo-Points and PixMo-Count: a URL, a label and the points where it is seen."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from shards.markers import escape
from shards.schema import IMAGE_MARKER
from sources.layouts.media import url_of
from sources.layouts.rows import Raw, convert
from sources.layouts.value import Fields, RowError, chosen, extras, kind, need, shown, text_of
from sources.record import Defect, Message, Record
from sources.spec import Source

Point = tuple[float, float]

PERCENT: Final = 100


@dataclass(frozen=True, slots=True)
class PixmoPoints:
    """Rows of {image_url, image_sha256, points, count, label}; no points is an absent object.

    A list of {x, y} (PixMo-Points) holds percents of width and height: the question asks for them, the answer is the
    count and the points with one decimal in reading order, `2: (12.5, 40.1), (50.0, 60.3)`, or `There is no "lantern"
    in this image.` An object of two lists {x, y} (PixMo-Count) holds pixels, and a layout knows no picture sizes: the
    question is how many, the answer the count.

    Source: the wording is ours; the units are those that allenai/molmo reads, olmo/data/pixmo_datasets.py
    (`point_scale=100` in `PixMoPoints`, none in `PixMoCount`).
    """

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "upstream code"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per row."""
        return convert(path, source, _record)


def _record(raw: Raw, source: Source) -> Record:
    fields = raw.fields()
    label = escape(text_of(fields, "label"))
    question, answer = _counted(fields, label) if isinstance(fields.get("points"), dict) else _pointed(fields, label)
    return Record(
        row=raw.row,
        messages=(Message("user", f"{IMAGE_MARKER}\n{question}"), Message("assistant", answer)),
        pictures=(url_of(fields),),
        meta=extras(fields, ("image_url", "image_sha256", *source.native)),
        native=chosen(fields, source.native),
    )


def _pointed(fields: Fields, label: str) -> tuple[str, str]:
    points = sorted(percents(need(fields, "points")), key=lambda point: (point[1], point[0]))
    question = f'Point at every "{label}" in this image. Give x and y in percent of width and height.'
    if not _count(fields, len(points)):
        return question, f'There is no "{label}" in this image.'
    return question, f"{len(points)}: " + ", ".join(f"({x:.1f}, {y:.1f})" for x, y in points)


def _counted(fields: Fields, label: str) -> tuple[str, str]:
    points = fields["points"]
    assert isinstance(points, dict)
    lists = [points.get("x"), points.get("y")]
    lengths = {len(values) for values in lists if isinstance(values, list)}
    if len(lengths) != 1 or None in lists:
        raise RowError("wrong_type", "expected lists of one length in `points.x` and `points.y`")
    # The held-out splits of PixMo-Count have a count and no points.
    num_points = lengths.pop()
    count = _count(fields, num_points) if num_points else _count(fields, None)
    return f'How many "{label}" are in this image?', str(count)


def _count(fields: Fields, num_points: int | None) -> int:
    count = fields.get("count", num_points)
    if count is None:
        count = num_points or 0
    if not isinstance(count, int) or count < 0:
        raise RowError("wrong_type", f"expected a number from 0 in `count`, found {shown(count)}")
    if num_points is not None and count != num_points:
        raise RowError("wrong_type", f"expected as many `points` as `count` says ({count}), found {num_points}")
    return count


def percents(points: object) -> list[Point]:
    """A list of {x, y} in percent as pairs; null is an empty list.

    Raises:
        RowError: `wrong_type`.
    """
    if points is not None and not isinstance(points, list):
        raise RowError("wrong_type", f"expected a list in `points`, found {kind(points)}")
    return [_point(point) for point in points or ()]


def _point(point: object) -> Point:
    if not isinstance(point, dict):
        raise RowError("wrong_type", f"expected objects in `points`, found {kind(point)}")
    x, y = (_percent(point.get(axis), axis) for axis in ("x", "y"))
    return x, y


def _percent(value: object, axis: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RowError("wrong_type", f"expected a number in `points.{axis}`, found {kind(value)}")
    if not 0 <= value <= PERCENT:  # false for NaN too
        raise RowError("wrong_type", f"expected percent in `points.{axis}`, found {value}")
    return round(value, 1)
