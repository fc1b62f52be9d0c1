"""PixMo-PointExplanations: answers that point at what they name."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from sources.layouts.media import url_of
from sources.layouts.pixmo_points import percents
from sources.layouts.rows import Raw, convert
from sources.layouts.turns import exchange
from sources.layouts.value import Fields, RowError, as_text, chosen, extras, list_of, need, text_of
from sources.record import Defect, Record
from sources.spec import Source

PLACE: Final = "<|POINT|>"

_USED: Final = ("image_url", "image_sha256", "question", "response", "parsed_response")


@dataclass(frozen=True, slots=True)
class PixmoPointExplanations:
    """Rows of {image_url, image_sha256, question, parsed_response, alt_text, inline_text, points}.

    `points`, `inline_text` and `alt_text` are parallel lists, one item per place in the answer. A place is written as
    the words of the answer and its points in percent of width and height, `here (1.0, 2.0), (3.0, 4.0)`. That a place
    stands in `parsed_response` as `<|POINT|>` is remembered, not seen: with another number of them than points the row
    is a defect. A null `parsed_response` is `not_parsed`, which upstream leaves out too.

    Source: allenai/molmo, olmo/data/pixmo_datasets.py, `PixMoPointExplanations`, for the fields and their lengths.
    """

    version: ClassVar[int] = 1
    evidence: ClassVar[str] = "upstream code"

    def __call__(self, path: Path, source: Source) -> Iterator[Record | Defect]:
        """One record or defect per row."""
        return convert(path, source, _record)


def _record(raw: Raw, source: Source) -> Record:
    fields = raw.fields()
    if need(fields, "parsed_response") is None:
        raise RowError("not_parsed", "expected text in `parsed_response`, found null")
    return Record(
        row=raw.row,
        messages=exchange(text_of(fields, "question"), _answer(fields)),
        pictures=(url_of(fields),),
        meta=extras(fields, (*_USED, *source.native)),
        native=chosen(fields, source.native),
    )


def _answer(fields: Fields) -> str:
    lists = {name: list_of(fields, name) for name in ("points", "inline_text", "alt_text")}
    lengths = {name: len(items) for name, items in lists.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{length} `{name}`" for name, length in lengths.items())
        raise RowError("wrong_type", f"expected lists of one length, found {found}")
    first, *rest = text_of(fields, "parsed_response").split(PLACE)
    if len(rest) != lengths["points"]:
        raise RowError("wrong_type", f"expected {lengths['points']} `{PLACE}` in the answer, found {len(rest)}")
    places = zip(lists["inline_text"], lists["points"], rest, strict=True)
    return first + "".join(f"{as_text(words, 'inline_text')} {_shown(points)}{text}" for words, points, text in places)


def _shown(points: object) -> str:
    return ", ".join(f"({x:.1f}, {y:.1f})" for x, y in percents(points))
